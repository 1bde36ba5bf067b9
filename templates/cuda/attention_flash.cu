//# attention_flash.cu - softmax(q . k) . v for many tokens of one sequence, on the tensor cores.
//#
//#   A block takes one query head and BM tokens, a warp 16 * TILES of them; BN positions of keys and
//#   values at a time come to shared memory in the background, keys while values are multiplied and
//#   the other way round. Scores stay in registers, where they are already the left factor of the
//#   sums. Positions go up by one from token to token. Rows in shared memory are an odd number of 16 bytes long, so that ldmatrix meets no bank
//#   twice. The blocks with most positions come first.
${launch(HEADS, row_blocks, 128, SHARED)};
void ${name}(${params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, GROUP = ${GROUP}, TILES = ${TILES}, BM = TILES * 64, BN = 64 };
    enum { OCTETS = HEAD_DIM / 8, DEEP = (HEAD_DIM + 15) / 16, LINE = (DEEP * 2 | 1) * 8 };
    enum { COPIES = (BN * OCTETS + 127) / 128 };
    extern __shared__ __align__(16) uint8_t shared[];
    uint16_t *const query = (uint16_t *)shared;    /* [BM][LINE] */
    uint16_t *const key = query + BM * LINE;       /* [BN][LINE] */
    uint16_t *const value = key + BN * LINE;       /* [BN][LINE] */
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
    const int begin = pos[t0], in_block = min((int)(rows - t0), (int)BM), last = begin + in_block - 1;
    const int low = begin + warp * TILES * 16, high = low + TILES * 16 - 1; /* of this warp's rows */
    //% if window > 0
    const int p0 = begin < ${window} ? 0 : (begin - ${window - 1}) / BN * BN;
    //% else
    const int p0 = 0;
    //% end

    //% if k_codes
    const uint32_t exponent = opaque(0x43004300); /* two bf16 from 128 on */
    uint2 raw_keys[COPIES], raw_values[COPIES];
    auto ask = [&](uint2 *raw, const int8_t *from, int p) {
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
                const uint4 o = bf16_of_i8x8(raw[i].x, raw[i].y, exponent);
                *(uint4 *)(to + c / OCTETS * LINE + c % OCTETS * 8) =
                    make_uint4(__byte_perm(o.x, o.y, 0x5410), __byte_perm(o.x, o.y, 0x7632),
                               __byte_perm(o.z, o.w, 0x5410), __byte_perm(o.z, o.w, 0x7632));
            }
        }
    };
    //% else
    auto ask = [&](uint16_t *to, const uint16_t *from, int p) {
#pragma unroll 2 /* addresses kept ready would not fit the registers */
        for (int i = 0; i < COPIES; i++) {
            const int c = threadIdx.x + i * 128, at = min(p + c / OCTETS, last);
            if (BN * OCTETS % 128 == 0 || c < BN * OCTETS) {
                copy_async16(to + c / OCTETS * LINE + c % OCTETS * 8,
                             from + (int64_t)at * HEAD_DIM + c % OCTETS * 8);
            }
        }
    };
    //% end
    ask(${k_codes ? "raw_keys" : "key"}, keys, p0);
    for (int c = threadIdx.x; c < BM * OCTETS; c += 128) {
        const int row = c / OCTETS, d = c % OCTETS * 8;
        const int64_t t = t0 + min(row, in_block - 1);
        float f[8];
        ${floats_q}(f, ${load_q}(${row("q", "t")} + head * HEAD_DIM + d));
        *(uint4 *)(query + row * LINE + d) =
            make_uint4(${pair}(f[0], f[1]), ${pair}(f[2], f[3]), ${pair}(f[4], f[5]),
                       ${pair}(f[6], f[7]));
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
    for (int p = p0; p <= last; p += BN) {
        //% if k_codes
        arrive(key, raw_keys);
        //% else
        wait_copies();
        //% end
        __syncthreads(); /* keys are there, values are free */
        ask(${k_codes ? "raw_values" : "value"}, values, p);
        float s[TILES][8][4] = {};
        if (p <= high) {
#pragma unroll
            for (int k = 0; k < DEEP; k++) {
                uint4 q_part[TILES];
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    const int row = (warp * TILES + m) * 16 + lane % 16;
                    q_part[m] = load_matrix(query + row * LINE + k * 16 + lane / 16 * 8);
                }
#pragma unroll
                for (int n = 0; n < 4; n++) {
                    const int row = n * 16 + lane / 16 * 8 + lane % 8;
                    const uint4 b = load_matrix(key + row * LINE + k * 16 + lane / 8 % 2 * 8);
#pragma unroll
                    for (int m = 0; m < TILES; m++) {
                        ${mma}(s[m][n * 2], q_part[m], b.x, b.y);
                        ${mma}(s[m][n * 2 + 1], q_part[m], b.z, b.w);
                    }
                }
            }
            //% if k_scaled
#pragma unroll
            for (int n = 0; n < 8; n++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    const float scale = key_scales[min(p + n * 8 + i4 * 2 + j, last)];
#pragma unroll
                    for (int m = 0; m < TILES; m++) {
                        s[m][n][j] *= scale;
                        s[m][n][2 + j] *= scale;
                    }
                }
            }
            //% end
            //% if softcap > 0
#pragma unroll
            for (int i = 0; i < TILES * 32; i++) {
                float *const x = &s[i / 32][i / 4 % 8][i % 4];
                *x = ${f32(softcap_factor)} * tanh_of(*x * ${f32(score_factor)});
            }
            //% end
            //% if window > 0
            const bool edge = p + BN - 1 > low || p <= high - ${window};
            //% else
            const bool edge = p + BN - 1 > low;
            //% end
            if (edge) {
#pragma unroll
                for (int i = 0; i < TILES * 32; i++) {
                    const int m = i / 32, n = i / 4 % 8, e = i % 4;
                    const int at = p + n * 8 + i4 * 2 + e % 2, row = low + m * 16 + e / 2 * 8 + g;
                    //% if window > 0
                    s[m][n][e] = at <= row && at > row - ${window} ? s[m][n][e] : -1e30f;
                    //% else
                    s[m][n][e] = at <= row ? s[m][n][e] : -1e30f;
                    //% end
                }
            }
#pragma unroll
            for (int m = 0; m < TILES; m++) {
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    float most = max[m][r];
#pragma unroll
                    for (int n = 0; n < 8; n++) {
                        most = fmaxf(most, fmaxf(s[m][n][r * 2], s[m][n][r * 2 + 1]));
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
                            float *const x = &s[m][n][r * 2 + j];
                            *x = exp2_of(*x * ${f32(factor)} - zero);
                            total[m][r] += *x;
                        }
                    }
#pragma unroll
                    for (int d = 0; d < DEEP * 2; d++) {
                        sum[m][d][r * 2] *= shrink;
                        sum[m][d][r * 2 + 1] *= shrink;
                    }
                }
            }
            //% if v_scaled
#pragma unroll
            for (int n = 0; n < 8; n++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    const float scale = value_scales[min(p + n * 8 + i4 * 2 + j, last)];
#pragma unroll
                    for (int m = 0; m < TILES; m++) {
                        s[m][n][j] *= scale;
                        s[m][n][2 + j] *= scale;
                    }
                }
            }
            //% end
        }
        //% if k_codes
        arrive(value, raw_values);
        //% else
        wait_copies();
        //% end
        __syncthreads(); /* values are there, keys are free */
        if (p + BN <= last) {
            ask(${k_codes ? "raw_keys" : "key"}, keys, p + BN);
        }
        if (p <= high) {
#pragma unroll
            for (int k = 0; k < 4; k++) {
                uint4 a[TILES];
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    const float *const x = s[m][k * 2], *const y = s[m][k * 2 + 1];
                    a[m] = make_uint4(${pair}(x[0], x[1]), ${pair}(x[2], x[3]),
                                      ${pair}(y[0], y[1]), ${pair}(y[2], y[3]));
                }
#pragma unroll
                for (int d = 0; d < DEEP; d++) {
                    const int row = k * 16 + lane % 16;
                    const uint4 b =
                        load_matrix_turned(value + row * LINE + d * 16 + lane / 16 * 8);
#pragma unroll
                    for (int m = 0; m < TILES; m++) {
                        ${mma}(sum[m][d * 2], a[m], b.x, b.y);
                        ${mma}(sum[m][d * 2 + 1], a[m], b.z, b.w);
                    }
                }
            }
        }
    }

#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = (warp * TILES + m) * 16 + g + r * 8;
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
