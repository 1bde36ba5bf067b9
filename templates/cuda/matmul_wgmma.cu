//# matmul_wgmma.cu - out = epilogue(x . w^T) for many tokens on sm_90a; rows of weights are the
//# tensor cores' 64 rows, tokens their columns, so that gate and up, which alternate by 8 rows, are
//# in one thread. Values take the place of some sums first: loads of operands do not wait for stores.
//# Operands have all T rows, so those behind the last may be read.
//% if both_chips
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
//% end
${gemm_launch};
void ${name}(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap w_map,
             const Split split, ${params})
{
    enum { K = ${K}, N = ${N}, ROWS = ${ROWS}, WAYS = ${WAYS}, BT = ${BT} };
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
#pragma unroll
            for (int first = 0; first < BT / 2; first += ${PART}) {
#pragma unroll
                for (int i = first; i < first + ${PART}; i++) {
                    const int at = t0 + i / 4 * 8 + lane % 4 * 2 + i % 2;
                    const int64_t t = ${T % BT == 0 ? "at" : "at < rows ? at : rows - 1"};
                    //% if WAYS > 1
                    if (i % 4 >= 2) {
                        continue;
                    }
                    //% if N * 2 < ROWS
                    const int64_t n = row_tile / 2 + lane / 4 < N ? row_tile / 2 + lane / 4 : N - 1;
                    //% else
                    const int64_t n = row_tile / 2 + lane / 4;
                    //% end
                    const float acc1 = sums[i + 2];
                    //% else
                    const int64_t n = row_tile + i % 4 / 2 * 8 + lane / 4;
                    //% end
                    const float acc0 = sums[i];
                    ${leaves};
                    sums[i] = ${value};
                    (void)t, (void)n;
                }
#pragma unroll
                for (int i = first; i < first + ${PART}; i += 2) {
                    //% if WAYS > 1
                    if (i % 4 >= 2) {
                        continue;
                    }
                    const int n0 = row_tile / 2;
                    //% else
                    const int n0 = row_tile + i % 4 / 2 * 8;
                    //% end
                    //% if out_bits == 16
                    const uint32_t pair = transposed(${pair_of}(sums[i], sums[i + 1]));
                    const int64_t t = t0 + i / 4 * 8 + lane / 4;
                    if (t < rows${N * WAYS < ROWS ? " && n0 + lane % 4 * 2 < N" : ""}) {
                        *(uint32_t *)(${row("out", "t")} + n0 + lane % 4 * 2) = pair;
                    }
                    //% else
                    const int64_t t = t0 + i / 4 * 8 + lane % 4 * 2;
                    if (t < rows${N * WAYS < ROWS ? " && n0 + lane / 4 < N" : ""}) {
                        (${row("out", "t")})[n0 + lane / 4] = sums[i];
                    }
                    if (t + 1 < rows${N * WAYS < ROWS ? " && n0 + lane / 4 < N" : ""}) {
                        (${row("out", "(t + 1)")})[n0 + lane / 4] = sums[i + 1];
                    }
                    //% end
                }
            }
        }
    }
    cluster_sync();
}
//% if both_chips
#endif
//% end
