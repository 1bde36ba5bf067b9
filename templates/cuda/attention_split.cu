//# attention_split.cu - softmax(q . k) . v for 1 to 8 tokens, each of a sequence of its own.
//#
//#   A block takes chunks of CHUNK positions of one key/value head, a warp a chunk. The query heads
//#   of that head are the rows of mma.m16n8k16 for the scores and the columns of another for the
//#   sums, so keys and values are read once for all of them, straight into registers: lane
//#   4 * g + i holds 16 bytes of key g, and of the values 2 i, 2 i + 1, 2 i + 8, 2 i + 9. The order
//#   of k that this makes is put into q; the scores are in place as the other factor of the sums.
//#
//#   chunk 0      1      2      3         SPLITS blocks, a cluster, take the chunks in turn; as many
//#   warp  0.0    0.1    1.0    1.1       of them as there are chunks for, the others leave at once
//#                                        (block.warp, two blocks of two warps)
//#
//# Partial sums meet in shared memory, those of several blocks in the shared memory of the block
//# that stores these columns, always in the same order. The first chunks are asked for before
//# dependency_wait: only the newest position is the work of this step, and is read again.
${launch_early(BLOCKS, "rows", WARPS * 32, SHARED)};
${cluster};
void ${name}(${params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, KV_HEADS = ${KV_HEADS}, GROUP = ${GROUP} };
    enum { SPLITS = ${SPLITS}, WARPS = ${WARPS}, THREADS = WARPS * 32, CHUNK = ${CHUNK} };
    /* Query heads of a block, and parts of the group; value columns of a block, and slices. */
    enum { G = ${G}, PARTS = (GROUP + G - 1) / G };
    enum { SLICE = ${SLICE}, SLICES = (HEAD_DIM + SLICE - 1) / SLICE };
    enum { KEYS = CHUNK / 8, STEPS = CHUNK / 16, DEEP = (HEAD_DIM + 31) / 32 };
    enum { WIDE = (SLICE + 63) / 64, LINE = WIDE * 64 + 8, PAIRS = G * SLICE / 2 };
    extern __shared__ __align__(16) uint8_t shared[];
    float *const sums = (float *)shared;           /* [WARPS][G][LINE] */
    float *const maxima = sums + WARPS * G * LINE; /* [WARPS][16] */
    float *const totals = maxima + WARPS * 16;     /* [WARPS][16] */
    //% if SPLITS > 1
    float2 *const shares = (float2 *)(totals + WARPS * 16); /* [blocks][pairs of this block] */
    float2 *const tops = shares + PAIRS + SPLITS;           /* [blocks][16]: maximum, total */
    //% end
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    const int split = blockIdx.x % SPLITS, unit = blockIdx.x / SPLITS;
    const int d0 = unit % SLICES * SLICE, g0 = unit / SLICES % PARTS * G;
    const int64_t t = blockIdx.y, head = unit / (SLICES * PARTS);
    const int last = pos[t];
    //% if window > 0
    const int first = last < ${window} ? 0 : last - ${window - 1};
    //% else
    const int first = 0;
    //% end
    const int chunks = (last - first + CHUNK) / CHUNK;
#if __CUDA_ARCH__ >= 900
    const int blocks = max(1, min((int)SPLITS, (chunks + WARPS - 1) / WARPS));
#else
    const int blocks = 1;
#endif
    if (split >= blocks) {
        return;
    }
    const uint8_t *const cache = kv[${sequence("t")}];
    const ${k_type} *const keys =
        (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM + i4 * 8;
    const ${v_type} *const values =
        (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM + d0 + g * 8;
    //% if k_scaled
    const float *const key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
    float key_scale[KEYS][2];
    //% end
    //% if v_scaled
    const float *const value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
    float value_scale[KEYS][2];
    //% end
    //% if k_codes || v_codes
    const uint32_t exponent = opaque(0x43004300); /* two bf16 from 128 on */
    //% end
    ${octet_k} key[KEYS][DEEP];
    ${octet_v} value[STEPS][4][WIDE];
    float out_sum[${ROW_BLOCKS}][WIDE * 4][4] = {}, max[${ROW_BLOCKS}], total[${ROW_BLOCKS}] = {};
#pragma unroll
    for (int r = 0; r < ${ROW_BLOCKS}; r++) {
        max[r] = -1e30f;
    }

    /* Positions behind the last one are the last one again. all: not only the last one. */
    auto ask_keys = [&](int from, bool all) {
#pragma unroll
        for (int n = 0; n < KEYS; n++) {
            const int at = min(from + n * 8 + g, last);
            if (all || at == last) {
#pragma unroll
                for (int p = 0; p < DEEP; p++) {
                    //% if HEAD_DIM % 32 != 0
                    if (p * 32 + i4 * 8 >= HEAD_DIM) {
                        key[n][p] = {};
                        continue;
                    }
                    //% end
                    key[n][p] = ${fresh_k}(keys + (int64_t)at * HEAD_DIM + p * 32);
                }
            }
            //% if k_scaled
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int of = min(from + n * 8 + i4 * 2 + j, last);
                if (all || of == last) {
                    key_scale[n][j] = __ldcg(key_scales + of);
                }
            }
            //% end
        }
    };
    auto ask_values = [&](int from, bool all) {
#pragma unroll
        for (int m = 0; m < STEPS; m++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int at = min(from + m * 16 + i4 * 2 + j % 2 + j / 2 * 8, last);
                if (all || at == last) {
#pragma unroll
                    for (int h = 0; h < WIDE; h++) {
                        //% if SLICE % 64 != 0 || HEAD_DIM % SLICE != 0
                        if (h * 64 + g * 8 >= SLICE || d0 + h * 64 + g * 8 >= HEAD_DIM) {
                            value[m][j][h] = {};
                            continue;
                        }
                        //% end
                        value[m][j][h] = ${fresh_v}(values + (int64_t)at * HEAD_DIM + h * 64);
                    }
                    //% if v_scaled
                    value_scale[m * 2 + j / 2][j % 2] = __ldcg(value_scales + at);
                    //% end
                }
            }
        }
    };

    int from = first + (warp * blocks + split) * CHUNK;
    if (from <= last) {
        ask_keys(from, true);
        ask_values(from, true);
    }
    //% if SPLITS > 1
    if (blocks > 1) {
        cluster_begin(); /* others may write into the shared memory of this block */
    }
    //% end
    dependency_wait();
    dependents_launch();
    uint4 q_part[${ROW_BLOCKS}][DEEP];
#pragma unroll
    for (int r = 0; r < ${ROW_BLOCKS}; r++) {
        const int row = g + r * 8;
        const ${q_type} *const query = ${row("q", "t")} + (head * GROUP + g0 + row) * HEAD_DIM;
#pragma unroll
        for (int p = 0; p < DEEP; p++) {
            const int d = p * 32 + i4 * 8;
            q_part[r][p] = make_uint4(0, 0, 0, 0);
            if (row < G && g0 + row < GROUP && d < HEAD_DIM) {
                float f[8];
                ${floats_q}(f, load_fresh${q_bytes}(query + d));
                //% if k_codes
                q_part[r][p] = make_uint4(${pair}(f[0], f[2]), ${pair}(f[1], f[3]),
                                          ${pair}(f[4], f[6]), ${pair}(f[5], f[7]));
                //% else
                q_part[r][p] = make_uint4(${pair}(f[0], f[1]), ${pair}(f[2], f[3]),
                                          ${pair}(f[4], f[5]), ${pair}(f[6], f[7]));
                //% end
            }
        }
    }
    if (from <= last && from + CHUNK > last) {
        ask_keys(from, false);
        ask_values(from, false);
    }

    const bool busy = from <= last;
    bool begun = false;
    while (from <= last) {
        float score[KEYS][2][4] = {}; /* in two sums, which take turns */
#pragma unroll
        for (int p = 0; p < DEEP; p++) {
            const uint4 low = q_part[0][p];
            //% if ROW_BLOCKS > 1
            const uint4 high = q_part[1][p];
            //% else
            const uint4 high = make_uint4(0, 0, 0, 0);
            //% end
#pragma unroll
            for (int n = 0; n < KEYS; n++) {
                const uint4 k = ${pairs_k};
                ${mma}(score[n][0], make_uint4(low.x, high.x, low.y, high.y), k.x, k.y);
                ${mma}(score[n][1], make_uint4(low.z, high.z, low.w, high.w), k.z, k.w);
            }
        }
        /* Scores in units of log 2; p replaces them. */
        float p[KEYS][4];
#pragma unroll
        for (int n = 0; n < KEYS; n++) {
#pragma unroll
            for (int e = 0; e < ${ROW_BLOCKS} * 2; e++) {
                float s = (score[n][0][e] + score[n][1][e]) * ${f32(score_factor)};
                //% if k_scaled
                s *= key_scale[n][e % 2];
                //% end
                //% if softcap > 0
                s = ${f32(softcap_factor)} * tanh_of(s);
                //% end
                p[n][e] = from + n * 8 + i4 * 2 + e % 2 <= last ? s : -1e30f;
            }
        }
        const int next = from + blocks * WARPS * CHUNK;
        if (next <= last) {
            ask_keys(next, true);
        }
        float shrink[${ROW_BLOCKS}];
#pragma unroll
        for (int r = 0; r < ${ROW_BLOCKS}; r++) {
            float most = max[r];
#pragma unroll
            for (int n = 0; n < KEYS; n++) {
                most = fmaxf(most, fmaxf(p[n][r * 2], p[n][r * 2 + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
            shrink[r] = exp2_of(max[r] - most);
            max[r] = most;
            total[r] *= shrink[r];
#pragma unroll
            for (int n = 0; n < KEYS; n++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    p[n][r * 2 + j] = exp2_of(p[n][r * 2 + j] - most);
                    total[r] += p[n][r * 2 + j];
                    //% if v_scaled
                    p[n][r * 2 + j] *= value_scale[n][j];
                    //% end
                }
            }
        }
        /* Lane 4 * g + i has the sums of queries 2 i and 2 i + 1. */
        if (begun) {
#pragma unroll
            for (int r = 0; r < ${ROW_BLOCKS}; r++) {
                const float even = __shfl_sync(0xffffffff, shrink[r], i4 * 8);
                const float odd = __shfl_sync(0xffffffff, shrink[r], i4 * 8 + 4);
#pragma unroll
                for (int d = 0; d < WIDE * 4; d++) {
                    out_sum[r][d][0] *= even;
                    out_sum[r][d][1] *= odd;
                    out_sum[r][d][2] *= even;
                    out_sum[r][d][3] *= odd;
                }
            }
        }
        begun = true;
#pragma unroll
        for (int m = 0; m < STEPS; m++) {
#pragma unroll
            for (int h = 0; h < WIDE; h++) {
                uint4 v[4];
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    v[j] = ${pairs_v};
                }
#pragma unroll
                for (int d = 0; d < 4; d++) {
                    const uint32_t v0 = word(v[0], d), v1 = word(v[1], d);
                    const uint32_t v2 = word(v[2], d), v3 = word(v[3], d);
                    const uint4 a =
                        make_uint4(__byte_perm(v0, v1, 0x5410), __byte_perm(v0, v1, 0x7632),
                                   __byte_perm(v2, v3, 0x5410), __byte_perm(v2, v3, 0x7632));
#pragma unroll
                    for (int r = 0; r < ${ROW_BLOCKS}; r++) {
                        ${mma}(out_sum[r][h * 4 + d], a,
                               ${pair}(p[m * 2][r * 2], p[m * 2][r * 2 + 1]),
                               ${pair}(p[m * 2 + 1][r * 2], p[m * 2 + 1][r * 2 + 1]));
                    }
                }
            }
        }
        if (next <= last) {
            ask_values(next, true);
        }
        from = next;
    }

    if (busy) {
#pragma unroll
        for (int r = 0; r < ${ROW_BLOCKS}; r++) {
            total[r] += __shfl_xor_sync(0xffffffff, total[r], 1);
            total[r] += __shfl_xor_sync(0xffffffff, total[r], 2);
            if (i4 == 0) {
                maxima[warp * 16 + r * 8 + g] = max[r];
                totals[warp * 16 + r * 8 + g] = total[r];
            }
#pragma unroll
            for (int quad = 0; quad < WIDE * 2; quad++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const float *const a = out_sum[r][quad * 2], *const b =
                                                                     out_sum[r][quad * 2 + 1];
                    const int row = r * 8 + i4 * 2 + e, n = quad / 2 * 64 + g * 8 + quad % 2 * 4;
                    if (row < G) {
                        *(float4 *)(sums + (warp * G + row) * LINE + n) =
                            //% if v_codes
                            make_float4(a[e], b[e], a[2 + e], b[2 + e]);
                        //% else
                        make_float4(a[e], a[2 + e], b[e], b[2 + e]);
                        //% end
                    }
                }
            }
        }
    }
    __syncthreads();
    const int warps = min((int)WARPS, (chunks - split + blocks - 1) / blocks); /* busy ones */
    auto store = [&](int row, int n, float2 y) {
        const int64_t column = (head * GROUP + g0 + row) * HEAD_DIM + d0 + n;
        //% if PARTS * G > GROUP || SLICES * SLICE > HEAD_DIM
        if (g0 + row >= GROUP || d0 + n >= HEAD_DIM) {
            return;
        }
        //% end
        ${put("out", "t", "column", "y.x")};
        ${put("out", "t", "(column + 1)", "y.y")};
    };
    //% if SPLITS > 1
    const int share = (PAIRS + blocks - 1) / blocks; /* pairs that a block stores */
    if (blocks > 1) {
        cluster_wait();
    }
    //% end
    for (int e = threadIdx.x; e < PAIRS; e += THREADS) {
        const int row = e / (SLICE / 2), n = e % (SLICE / 2) * 2;
        float most = -1e30f, whole = 0;
        float2 y = {0, 0};
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            most = w < warps ? fmaxf(most, maxima[w * 16 + row]) : most;
        }
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            if (w < warps) {
                const float f = exp2_of(maxima[w * 16 + row] - most);
                const float2 part = *(const float2 *)(sums + (w * G + row) * LINE + n);
                whole += f * totals[w * 16 + row];
                y.x += f * part.x;
                y.y += f * part.y;
            }
        }
        //% if SPLITS > 1
        if (blocks > 1) {
            store_remote(shares + split * share + e / blocks, e % blocks, y);
            if (n < blocks * 2) { /* SLICE / 2 >= blocks threads of a row tell a block each */
                store_remote(tops + split * 16 + row, n / 2, make_float2(most, whole));
            }
            continue;
        }
        //% end
        const float factor = whole > 0 ? 1 / whole : 0;
        store(row, n, make_float2(y.x * factor, y.y * factor));
    }
    //% if SPLITS > 1
    if (blocks == 1) {
        return;
    }
    cluster_arrive();
    cluster_wait();
    for (int i = threadIdx.x; i < share; i += THREADS) {
        const int e = i * blocks + split, row = e / (SLICE / 2);
        if (e >= PAIRS) {
            break;
        }
        float most = -1e30f, whole = 0;
        float2 y = {0, 0};
#pragma unroll
        for (int b = 0; b < SPLITS; b++) {
            most = b < blocks ? fmaxf(most, tops[b * 16 + row].x) : most;
        }
#pragma unroll
        for (int b = 0; b < SPLITS; b++) {
            if (b < blocks) {
                const float2 top = tops[b * 16 + row], part = shares[b * share + i];
                const float f = exp2_of(top.x - most);
                whole += f * top.y;
                y.x += f * part.x;
                y.y += f * part.y;
            }
        }
        store(row, e % (SLICE / 2) * 2, make_float2(y.x / whole, y.y / whole));
    }
    //% end
}
