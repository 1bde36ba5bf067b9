//# attention.c - softmax(q . k) . v in one pass over the cache, BLOCK positions at a time: scores
//# of a block, a new maximum, what was summed so far scaled to it, then the block's values added.
//# One unit = one token and one key/value head: its GROUP query heads share what is read.
static void ${name}(${params})
{
    enum { KV_HEADS = ${KV_HEADS}, GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK} };
    //% if padded
    /* HEAD_DIM in whole vectors */
    enum { WIDTH = ${WIDTH} };
    //% end
    const int64_t units = (int64_t)rows * KV_HEADS;
    for (int64_t unit = thread; unit < units; unit += threads) {
        const int64_t t = unit / KV_HEADS, head = unit % KV_HEADS;
        const uint8_t *cache = kv[${sequence("t")}];
        const ${k_type} *keys = (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM;
        const ${v_type} *values = (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM;
        //% if k_scaled
        const float *key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
        //% end
        //% if v_scaled
        const float *value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
        //% end
        const float *query = ${row("q", "t")} + head * GROUP * HEAD_DIM;
        float *to = ${row("out", "t")} + head * GROUP * HEAD_DIM;
        float sum[GROUP][${width}] = {0}, max[GROUP], total[GROUP];
        for (int g = 0; g < GROUP; g++) {
            max[g] = -0x1p126f;
            total[g] = 0;
        }
        //% if window > 0
        const int64_t first = pos[t] < ${window} ? 0 : pos[t] - ${window - 1};
        //% end
        for (int64_t p0 = ${first}; p0 <= pos[t]; p0 += BLOCK) {
            const int64_t n = pos[t] + 1 - p0 < BLOCK ? pos[t] + 1 - p0 : BLOCK;
            float weight[GROUP][BLOCK];
            for (int64_t i = 0; i < n; i++) {
                const ${k_type} *key = keys + (p0 + i) * HEAD_DIM;
                VecF dot[GROUP] = {{0}};
                for (int d = 0; d < HEAD_DIM; d += LANES) {
                    const VecF k = ${load_k};
                    for (int g = 0; g < GROUP; g++) {
                        dot[g] = vec_fma(${load_q}, k, dot[g]);
                    }
                }
                for (int g = 0; g < GROUP; g++) {
                    //% if k_scaled
                    weight[g][i] = vec_sum(dot[g]) * (key_scales[p0 + i] * ${f32(score_scale)});
                    //% else
                    weight[g][i] = vec_sum(dot[g]) * ${f32(score_scale)};
                    //% end
                }
            }
            for (int g = 0; g < GROUP; g++) {
                for (int64_t i = n; i < BLOCK; i++) {
                    weight[g][i] = -0x1p126f;
                }
                VecF most = vec_splat(max[g]);
                for (int i = 0; i < BLOCK; i += LANES) {
                    //% if softcap > 0
                    const VecF score = vec_load(weight[g] + i);
                    const VecF capped = vec_tanh(score) * ${f32(softcap)};
                    vec_store(weight[g] + i, vec_select(score < -0x1p125f, score, capped));
                    //% end
                    most = vec_max(most, vec_load(weight[g] + i));
                }
                const float new_max = vec_largest(most);
                VecF added = {0};
                for (int i = 0; i < BLOCK; i += LANES) {
                    const VecF e = vec_exp(vec_load(weight[g] + i) - new_max);
                    vec_store(weight[g] + i, e);
                    added += e;
                }
                const float shrink = vec_exp(vec_splat(max[g] - new_max))[0];
                total[g] = total[g] * shrink + vec_sum(added);
                max[g] = new_max;
                for (int d = 0; d < ${width}; d += LANES) {
                    vec_store(sum[g] + d, vec_load(sum[g] + d) * shrink);
                }
            }
            for (int64_t i = 0; i < n; i++) {
                const ${v_type} *value = values + (p0 + i) * HEAD_DIM;
                for (int d = 0; d < HEAD_DIM; d += LANES) {
                    //% if v_scaled
                    const VecF v = ${load_v} * value_scales[p0 + i];
                    //% else
                    const VecF v = ${load_v};
                    //% end
                    for (int g = 0; g < GROUP; g++) {
                        const VecF s = vec_load(sum[g] + d);
                        vec_store(sum[g] + d, vec_fma(vec_splat(weight[g][i]), v, s));
                    }
                }
            }
        }
        for (int g = 0; g < GROUP; g++) {
            for (int d = 0; d < HEAD_DIM; d++) {
                to[g * HEAD_DIM + d] = total[g] > 0 ? sum[g][d] / total[g] : 0;
            }
        }
    }
}
