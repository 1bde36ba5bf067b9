//# attention_flash.cu - softmax(q . k) . v for many tokens of one sequence, on the tensor cores.
//#
//#   A block takes one query head and BM tokens; BN positions of keys and values at a time come to
//#   shared memory in the background. Scores stay in registers, where they are already the left
//#   factor of the sums. Positions go up by one from token to token; blocks with most of them come
//#   first. The multiplications are those of flash_warps.cu, each warp on its own, or on sm_90a of
//#   flash_warpgroup.cu, with the same rows of 16 times 8 sums in each warp.
${launch(HEADS, row_blocks, 128, SHARED)};
void ${name}(${params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, GROUP = ${GROUP}, TILES = ${TILES}, BM = TILES * 64, BN = 64 };
    enum { OCTETS = HEAD_DIM / 8, DEEP = (HEAD_DIM + 15) / 16 };
    extern __shared__ __align__(16) uint8_t shared[];
    //% if warpgroup
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    /* Rows of 64 columns, 128 bytes, swizzled; then the next 64 columns. Two buffers of each. */
    enum { LINE = HEAD_DIM, WARP_ROWS = 16, TILE_ROWS = 64, BUFFERS = 2 };
    uint16_t *const query = (uint16_t *)(shared + (0u - shared_address(shared)) % 1024);
    auto place = [&](int row, int octet, int height) {
        return octet / 8 * height * 64 + row * 64 + (octet ^ row) % 8 * 8;
    };
#else
    //% end
    /* Rows an odd number of 16 bytes long: ldmatrix meets no bank twice. */
    enum { LINE = (DEEP * 2 | 1) * 8, WARP_ROWS = TILES * 16, TILE_ROWS = 16 };
    enum { BUFFERS = 1 };
    uint16_t *const query = (uint16_t *)shared;
    auto place = [&](int row, int octet, int) { return row * LINE + octet * 8; };
    //% if warpgroup
#endif
    //% end
    uint16_t *const value = query + BM * LINE;         /* [BUFFERS][BN] rows */
    uint16_t *const key = value + BUFFERS * BN * LINE; /* the same */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    const int64_t head = blockIdx.x, t0 = (int64_t)(gridDim.y - 1 - blockIdx.y) * BM;
    const int64_t of_group = head / GROUP;
    const uint8_t *const cache = kv[${sequence("0")}];
    const ${k_type} *const keys =
        (const ${k_type} *)(cache + k_cache) + of_group * CONTEXT * HEAD_DIM;
    const ${v_type} *const values =
        (const ${v_type} *)(cache + v_cache) + of_group * CONTEXT * HEAD_DIM;
    //% if k_scaled
    const float *const key_scales = (const float *)(cache + k_scale) + of_group * CONTEXT;
    //% end
    //% if v_scaled
    const float *const value_scales = (const float *)(cache + v_scale) + of_group * CONTEXT;
    //% end
    const int begin = pos[t0], in_block = min((int)(rows - t0), (int)BM),
              last = begin + in_block - 1;
    const int row0 = warp * WARP_ROWS + g; /* this lane's first one */
    //% if window > 0
    const int p0 = begin < ${window} ? 0 : (begin - ${window - 1}) / BN * BN;
    //% else
    const int p0 = 0;
    //% end

    //% if k_codes
    enum { COPIES = (BN * OCTETS + 127) / 128 };
    const uint32_t exponent = opaque(0x43004300); /* two bf16 from 128 on */
    uint2 raw_keys[COPIES], raw_values[COPIES];
    auto ask = [&](uint2 *raw, const ${k_type} * from, int p) {
#pragma unroll
        for (int i = 0; i < COPIES; i++) {
            const int c = threadIdx.x + i * 128, at = min(p + c / OCTETS, last);
            if (BN * OCTETS % 128 == 0 || c < BN * OCTETS) {
                raw[i] = *(const uint2 *)(from + (int64_t)at * HEAD_DIM + c % OCTETS * 8);
            }
        }
    };
    auto arrive = [&](uint16_t *to, const uint2 *raw) {
#pragma unroll
        for (int i = 0; i < COPIES; i++) {
            const int c = threadIdx.x + i * 128;
            if (BN * OCTETS % 128 == 0 || c < BN * OCTETS) {
                const uint4 o = ${widen}(raw[i].x, raw[i].y, exponent);
                *(uint4 *)(to + place(c / OCTETS, c % OCTETS, BN)) =
                    make_uint4(__byte_perm(o.x, o.y, 0x5410), __byte_perm(o.x, o.y, 0x7632),
                               __byte_perm(o.z, o.w, 0x5410), __byte_perm(o.z, o.w, 0x7632));
            }
        }
    };
    //% else
    auto ask = [&](uint16_t *to, const uint16_t *from, int p) {
    //% if warpgroup
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
        /* A thread copies the same columns of every row that it takes. */
        enum { STEP = 128 / OCTETS };
        const int row = threadIdx.x / OCTETS, octet = threadIdx.x % OCTETS;
        uint16_t *const first = to + place(row, octet, BN);
#pragma unroll
        for (int i = 0; i < BN / STEP; i++) {
            copy_async16(first + i * STEP * 64,
                         from + (int64_t)min(p + row + i * STEP, last) * HEAD_DIM + octet * 8);
        }
#else
    //% end
#pragma unroll 1 /* more addresses would not fit beside mma.sync */
        for (int c = threadIdx.x; c < BN * OCTETS; c += 128) {
            copy_async16(to + place(c / OCTETS, c % OCTETS, BN),
                         from + (int64_t)min(p + c / OCTETS, last) * HEAD_DIM + c % OCTETS * 8);
        }
        //% if warpgroup
#endif
        //% end
    };
    //% end
    ask(${k_codes ? "raw_keys" : "key"}, keys, p0);
    for (int c = threadIdx.x; c < BM * OCTETS; c += 128) {
        const int row = c / OCTETS;
        const int64_t t = t0 + min(row, in_block - 1);
        float f[8];
        ${floats_q}(f, ${load_q}(${row("q", "t")} + head * HEAD_DIM + c % OCTETS * 8));
        *(uint4 *)(query + place(row, c % OCTETS, BM)) = make_uint4(
            ${pair}(f[0], f[1]), ${pair}(f[2], f[3]), ${pair}(f[4], f[5]), ${pair}(f[6], f[7]));
    }
    //% if HEAD_DIM % 16 != 0
    for (int row = threadIdx.x; row < BM + 2 * BN; row += 128) {
        *(uint4 *)(query + row * LINE + HEAD_DIM) = make_uint4(0, 0, 0, 0);
    }
    //% end

    float sum[TILES][DEEP * 2][4] = {}, max[TILES][2], total[TILES][2] = {};
#pragma unroll
    for (int m = 0; m < TILES; m++) {
        max[m][0] = max[m][1] = -1e30f;
    }
    /* The scores of tile m become weights; what was summed so far shrinks to the new maximum. */
    auto weigh = [&](float(&s)[8][4], int m, int p) {
        const int low = begin + row0 - g + m * TILE_ROWS;
        //% if k_scaled
#pragma unroll
        for (int n = 0; n < 8; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float scale = key_scales[min(p + n * 8 + i4 * 2 + j, last)];
                s[n][j] *= scale;
                s[n][2 + j] *= scale;
            }
        }
        //% end
        //% if softcap > 0
#pragma unroll
        for (int i = 0; i < 32; i++) {
            s[i / 4][i % 4] =
                ${f32(softcap_factor)} * tanh_of(s[i / 4][i % 4] * ${f32(score_factor)});
        }
        //% end
        //% if window > 0
        const bool edge = p + BN - 1 > low || p <= low + 15 - ${window};
        //% else
        const bool edge = p + BN - 1 > low;
        //% end
        if (edge) {
#pragma unroll
            for (int i = 0; i < 32; i++) {
                const int at = p + i / 4 * 8 + i4 * 2 + i % 2, row = low + i % 4 / 2 * 8 + g;
                //% if window > 0
                s[i / 4][i % 4] = at <= row && at > row - ${window} ? s[i / 4][i % 4] : -1e30f;
                //% else
                s[i / 4][i % 4] = at <= row ? s[i / 4][i % 4] : -1e30f;
                //% end
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float most = max[m][r];
#pragma unroll
            for (int n = 0; n < 8; n++) {
                most = fmaxf(most, fmaxf(s[n][r * 2], s[n][r * 2 + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
            const float shrink = exp2_of((max[m][r] - most) * ${f32(factor)});
            const float zero = fmaxf(most, -1e29f) * ${f32(factor)}; /* hidden ones become 0 */
            max[m][r] = most;
            total[m][r] *= shrink;
#pragma unroll
            for (int n = 0; n < 8; n++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    s[n][r * 2 + j] = exp2_of(s[n][r * 2 + j] * ${f32(factor)} - zero);
                    total[m][r] += s[n][r * 2 + j];
                }
            }
#pragma unroll
            for (int d = 0; d < DEEP * 2; d++) {
                sum[m][d][r * 2] *= shrink;
                sum[m][d][r * 2 + 1] *= shrink;
            }
        }
        //% if v_scaled
#pragma unroll
        for (int n = 0; n < 8; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float scale = value_scales[min(p + n * 8 + i4 * 2 + j, last)];
                s[n][j] *= scale;
                s[n][2 + j] *= scale;
            }
        }
        //% end
    };
    /* Weights of 16 positions as the left factor. */
    auto left = [&](const float(&s)[8][4], int k) {
        const float *const x = s[k * 2], *const y = s[k * 2 + 1];
        return make_uint4(${pair}(x[0], x[1]), ${pair}(x[2], x[3]), ${pair}(y[0], y[1]),
                          ${pair}(y[2], y[3]));
    };
    //% if warpgroup
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    ${part("flash_warpgroup", "")};
#else
    //% end
    ${part("flash_warps", "")};
    //% if warpgroup
#endif
    //% end

#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = row0 + m * TILE_ROWS + r * 8;
            const int64_t t = t0 + row;
            float whole = total[m][r];
            whole += __shfl_xor_sync(0xffffffff, whole, 1);
            whole += __shfl_xor_sync(0xffffffff, whole, 2);
            const float factor = whole > 0 ? 1 / whole : 0;
            if (row >= in_block) {
                continue;
            }
#pragma unroll
            for (int d = 0; d < OCTETS; d++) {
                const float first = sum[m][d][r * 2] * factor;
                const float second = sum[m][d][r * 2 + 1] * factor;
                ${out_pair} *const to =
                    (${out_pair} *)(${row("out", "t")} + head * HEAD_DIM + d * 8 + i4 * 2);
                *to = ${make_out_pair}(first, second);
            }
        }
    }
}
