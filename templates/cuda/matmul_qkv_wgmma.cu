//# matmul_qkv_wgmma.cu - the merged q, k, v projection for many tokens on sm_90a. Rows of weights
//# alternate 8 of a head's first half, 8 of its second: what RoPE rotates together is in one thread.
//% if both_chips
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
//% end
${gemm_launch};
void ${name}(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap w_map,
             ${params})
{
    enum { K = ${K}, HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    enum { ROWS = ${ROWS}, BT = ${BT} };
    ${part("wgmma_begin", "")};
    if (team == 2) {
        ${part("wgmma_ask", "")};
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        uint32_t step = 0;
        for (int tile = blockIdx.x / CLUSTER; tile < tiles; tile += gridDim.x / CLUSTER) {
            const int t0 = tile % token_tiles * BT;
            const int row_tile = (tile / token_tiles * CLUSTER + rank) * BW + team * 64 + warp * 16;
            ${part("wgmma_sums", "")};
            //% if ROWS % 128 != 0
            if (row_tile >= ROWS) {
                continue;
            }
            //% end
            const int unit = row_tile / HEAD_DIM, d0 = row_tile % HEAD_DIM / 2;
#pragma unroll
            for (int i = 0; i < BT / 2; i++) {
                if (i % 4 >= 2) {
                    continue;
                }
                const int at = t0 + i / 4 * 8 + lane % 4 * 2 + i % 2, d = d0 + lane / 4;
                const int64_t t = at < rows ? at : rows - 1;
                float low, high;
                {
                    const int64_t n = unit * HEAD_DIM + d;
                    const float acc0 = sums[i];
                    ${leaves};
                    low = ${value};
                    (void)n;
                }
                {
                    const int64_t n = unit * HEAD_DIM + d + HEAD_DIM / 2;
                    const float acc0 = sums[i + 2];
                    ${leaves};
                    high = ${value};
                    (void)n;
                }
                //% if has("angles")
                if (unit < HEADS + KV_HEADS) {
                    const float *angle = ${row("angles", "t")};
                    const float c = angle[d], s = angle[HEAD_DIM / 2 + d], was = low;
                    low = low * c - high * s;
                    high = high * c + was * s;
                }
                //% else
                (void)t;
                //% end
                sums[i] = low;
                sums[i + 2] = high;
            }
#pragma unroll
            for (int i = 0; i < BT / 2; i += 4) {
                //% if out_bits == 32
                if (unit < HEADS) {
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const int64_t t = t0 + i * 2 + lane % 4 * 2 + e;
                        if (t < rows) {
                            float *to = ${row("q", "t")} + unit * HEAD_DIM + d0 + lane / 4;
                            to[0] = sums[i + e];
                            to[HEAD_DIM / 2] = sums[i + 2 + e];
                        }
                    }
                    continue;
                }
                //% end
                const int64_t t = t0 + i * 2 + lane / 4;
                const int d = d0 + lane % 4 * 2;
                uint16_t *to = nullptr;
                if (unit < HEADS) {
                    //% if out_bits == 16
                    to = ${row("q", "t")} + unit * HEAD_DIM + d;
                    //% end
                } else if (t < rows) {
                    const int p = __ldg(pos + t);
                    const int head =
                        unit < HEADS + KV_HEADS ? unit - HEADS : unit - HEADS - KV_HEADS;
                    uint8_t *cache =
                        kv[${sequence("t")}] + (unit < HEADS + KV_HEADS ? k_cache : v_cache);
                    to = p < 0 ? nullptr
                               : (uint16_t *)cache + ((int64_t)head * CONTEXT + p) * HEAD_DIM + d;
                }
                const uint32_t low = transposed(${pair_of}(sums[i], sums[i + 1]));
                const uint32_t high = transposed(${pair_of}(sums[i + 2], sums[i + 3]));
                if (t < rows && to != nullptr) {
                    *(uint32_t *)to = low;
                    *(uint32_t *)(to + HEAD_DIM / 2) = high;
                }
            }
        }
    }
    cluster_sync();
}
//% if both_chips
#endif
//% end
