//# matmul_qkv_wgmma.cu - the merged q, k, v projection for many tokens on sm_90a. Rows of weights
//# alternate 8 of a head's first half, 8 of its second: what RoPE rotates together is in one thread.
//% if both_chips
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
//% end
${gemm_launch};
void ${name}(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap w_map,
             const Split split, ${params})
{
    enum { K = ${K}, HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    enum { ROWS = ${ROWS}, BT = ${BT} };
    ${part("wgmma_begin", "")};
    if (team == 2) {
        ${part("wgmma_ask", "")};
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 ${SUM_REGISTERS};");
        uint32_t step = 0;
        for (int next = start; more(next);) {
            const Piece piece = take(next);
            const int t0 = piece.tile % token_tiles * BT;
            const int row_tile =
                (piece.tile / token_tiles * CLUSTER + rank) * BW + team * 64 + warp * 16;
            ${part("wgmma_sums", "")};
            //% if splits
            ${part("wgmma_join", "")};
            //% end
            //% if ROWS % 128 != 0
            if (row_tile >= ROWS) {
                continue;
            }
            //% end
            const int unit = row_tile / HEAD_DIM, d0 = row_tile % HEAD_DIM / 2;
            //% if has_value
#pragma unroll
            for (int i = 0; i < BT / 2; i++) {
                const int at = t0 + i / 4 * 8 + lane % 4 * 2 + i % 2;
                const int64_t t = ${T % BT == 0 ? "at" : "at < rows ? at : rows - 1"};
                const int64_t n = unit * HEAD_DIM + i % 4 / 2 * (HEAD_DIM / 2) + d0 + lane / 4;
                const float acc0 = sums[i];
                ${leaves};
                sums[i] = ${value};
                (void)t, (void)n;
            }
            //% end
            //% if has("angles")
            if (unit < HEADS + KV_HEADS) {
#pragma unroll
                for (int first = 0; first < BT / 2; first += ${PART}) {
#pragma unroll
                    for (int i = first; i < first + ${PART}; i += i % 2 * 2 + 1) {
                        const int at = t0 + i / 4 * 8 + lane % 4 * 2 + i % 2;
                        const int64_t t = ${T % BT == 0 ? "at" : "at < rows ? at : rows - 1"};
                        const float *angle = ${row("angles", "t")} + d0 + lane / 4;
                        const float c = angle[0], s = angle[HEAD_DIM / 2];
                        const float low = sums[i], high = sums[i + 2];
                        sums[i] = low * c - high * s;
                        sums[i + 2] = high * c + low * s;
                    }
                }
            }
            //% end
            if (unit < HEADS) {
#pragma unroll
                for (int i = 0; i < BT / 2; i += 4) {
                    //% if out_bits == 16
                    const uint32_t low = transposed(${pair_of}(sums[i], sums[i + 1]));
                    const uint32_t high = transposed(${pair_of}(sums[i + 2], sums[i + 3]));
                    const int64_t t = t0 + i * 2 + lane / 4;
                    if (t < rows) {
                        uint16_t *to = ${row("q", "t")} + unit * HEAD_DIM + d0 + lane % 4 * 2;
                        *(uint32_t *)to = low;
                        *(uint32_t *)(to + HEAD_DIM / 2) = high;
                    }
                    //% else
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const int64_t t = t0 + i * 2 + lane % 4 * 2 + e;
                        if (t < rows) {
                            float *to = ${row("q", "t")} + unit * HEAD_DIM + d0 + lane / 4;
                            to[0] = sums[i + e];
                            to[HEAD_DIM / 2] = sums[i + 2 + e];
                        }
                    }
                    //% end
                }
                continue;
            }
            const bool key = unit < HEADS + KV_HEADS;
            const int head = unit - (key ? HEADS : HEADS + KV_HEADS);
            uint16_t *cache = (uint16_t *)(kv[${sequence("0")}] + (key ? k_cache : v_cache)) +
                              (int64_t)head * CONTEXT * HEAD_DIM + d0 + lane % 4 * 2;
#pragma unroll
            for (int first = 0; first < BT / 2; first += ${PART}) {
                int place[${PART} / 4]; /* of a token in the cache */
#pragma unroll
                for (int j = 0; j < ${PART} / 4; j++) {
                    const int t = t0 + first * 2 + j * 8 + lane / 4;
                    place[j] = t < rows ? __ldg(pos + t) : -1;
                }
#pragma unroll
                for (int j = 0; j < ${PART} / 4; j++) {
                    const int i = first + j * 4;
                    const uint32_t low = transposed(${pair_of}(sums[i], sums[i + 1]));
                    const uint32_t high = transposed(${pair_of}(sums[i + 2], sums[i + 3]));
                    if (place[j] >= 0) {
                        uint16_t *to = cache + (int64_t)place[j] * HEAD_DIM;
                        *(uint32_t *)to = low;
                        *(uint32_t *)(to + HEAD_DIM / 2) = high;
                    }
                }
            }
        }
    }
    cluster_sync();
}
//% if both_chips
#endif
//% end
