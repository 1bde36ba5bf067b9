//# matmul_qkv.c - the merged q, k, v projection; a thread takes whole heads, so that norm, RoPE and
//# the append to the caches happen while the head is in a local array. Those heads that attention
//# gives to the same thread, where it can be so: then no barrier is needed between the two. Heads: HEADS of q, KV_HEADS
//# of k, KV_HEADS of v.
static void ${name}(${params})
{
    enum { K = ${K}, HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    /* WIDTH: columns computed for a head, whole tiles */
    enum { TOKENS = ${MT}, BLOCK = ${BLOCK}, WIDTH = ${WIDTH} };
    const Slice slice = slice_of(HEADS + 2 * KV_HEADS, thread, threads);
    //% if packs
    ${packed_rows};
    //% end
    for (int64_t b0 = 0; b0 < rows; b0 += BLOCK) {
        const int64_t b_end = rows - b0 < BLOCK ? rows : b0 + BLOCK;
        //% if packs
        ${pack("b0", "b_end - b0")};
        //% end
        for (int64_t share = slice.begin; share < slice.end; share++) {
            const int64_t unit = head_of_share(share, HEADS, KV_HEADS, thread, threads);
            const int64_t first = unit * HEAD_DIM;
            //% if straddles
            const int64_t tile = first / LANES, skip = first % LANES;
            const int64_t tiles = (skip + HEAD_DIM + LANES - 1) / LANES;
            //% else
            const int64_t tile = first / LANES, tiles = HEAD_DIM / LANES;
            //% end
            for (int64_t t0 = b0; t0 < b_end; t0 += TOKENS) {
                const int64_t t_end = b_end - t0 < TOKENS ? b_end : t0 + TOKENS;
                float head[TOKENS][WIDTH] __attribute__((aligned(64)));
                for (int64_t i = 0; i < tiles; i += ${NT}) {
                    float acc[TOKENS * ${NT} * LANES] __attribute__((aligned(64)));
                    ${dot("acc", "t0", "tile + i")};
                    for (int64_t t = t0; t < t_end; t++) {
                        for (int64_t j = 0; j < ${NT} * LANES; j += LANES) {
                            ${accs("acc", "(t - t0)", "j")};
                            //% if leafy
                            const int64_t n = (tile + i) * LANES + j;
                            //% if ragged
                            const int64_t left = ${N} - n;
                            //% end
                            //% end
                            ${leaves};
                            vec_store(&head[t - t0][i * LANES + j], ${value});
                        }
                    }
                }
                for (int64_t t = t0; t < t_end; t++) {
                    //% if straddles
                    float *row = head[t - t0] + skip;
                    //% else
                    float *row = head[t - t0];
                    //% end
                    //% if has("q_gain") || has("k_gain")
                    if (unit < HEADS + KV_HEADS) {
                        const float r =
                            1 / sqrtf(sum_of_squares(row, HEAD_DIM) / HEAD_DIM + ${eps});
                        for (int d = 0; d < HEAD_DIM; d++) {
                            const float q_d = ${scalar("q_gain", "d")},
                                        k_d = ${scalar("k_gain", "d")};
                            row[d] *= r * (unit < HEADS ? q_d : k_d);
                        }
                    }
                    //% end
                    //% if has("angles")
                    if (unit < HEADS + KV_HEADS) {
                        rotate_${style}(row, ${row("angles", "t")}, ${DIMS});
                    }
                    //% end
                    if (unit < HEADS) {
                        memcpy(${row("q", "t")} + first, row, HEAD_DIM * sizeof *row);
                    } else if (pos[t] >= 0 && unit < HEADS + KV_HEADS) {
                        const int64_t at = (unit - HEADS) * CONTEXT + pos[t];
                        uint8_t *cache = kv[${sequence("t")}] + k_cache;
                        ${k_type} *to = (${k_type} *)cache + at * HEAD_DIM;
                        for (int d = 0; d < HEAD_DIM; d++) {
                            to[d] = ${to_k("row[d]")};
                        }
                    } else if (pos[t] >= 0) {
                        const int64_t at = (unit - HEADS - KV_HEADS) * CONTEXT + pos[t];
                        uint8_t *cache = kv[${sequence("t")}] + v_cache;
                        ${v_type} *to = (${v_type} *)cache + at * HEAD_DIM;
                        for (int d = 0; d < HEAD_DIM; d++) {
                            to[d] = ${to_v("row[d]")};
                        }
                    }
                }
            }
        }
    }
}
