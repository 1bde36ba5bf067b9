//# attention.c - softmax(q . k) . v in decode, in one pass over the cache, BLOCK positions at a time.
//# One unit = one token and one key/value head: its GROUP query heads share what is read. Lanes are
//# columns of a head. While the keys of a block are read its values and the next keys are fetched:
//# runs of a head are short, and at the start of each memory would be waited for.
/* weight[g][i] = query head g . key i, for n keys. */
static void ${scores_name}(${scores_params})
{
    enum { GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK} };
    for (int64_t i = 0; i < n; i++) {
        const ${k_type} *key = keys + i * HEAD_DIM;
        fetch(values + i * HEAD_DIM, HEAD_DIM * sizeof *values);
        fetch(next + i * HEAD_DIM, HEAD_DIM * sizeof *next);
        //% for c in 0..VECS
        const VecF k${c} = ${load_k("key", c)};
        //% end
        for (int g = 0; g < GROUP; g++) {
            const float *q = query + g * HEAD_DIM;
            VecF dot = ${load_q("q", 0)} * k0;
            //% for c in 1..VECS
            dot = vec_fma(${load_q("q", c)}, k${c}, dot);
            //% end
            //% if k_scaled
            weight[g * BLOCK + i] = vec_sum(dot) * (scales[i] * ${f32(score_scale)});
            //% else
            weight[g * BLOCK + i] = vec_sum(dot) * ${f32(score_scale)};
            //% end
        }
    }
}

/* sum[g] = sum[g] * shrink[g] + weight[g][i] * value i, for n values. */
static void ${mix_name}(${mix_params})
{
    enum { GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK}, WIDTH = ${WIDTH} };
    for (int g = 0; g < GROUP; g += ${MIX_HEADS}) {
        for (int d = 0; d < WIDTH; d += ${MIX_VECS} * LANES) {
            float *to = sum + g * WIDTH + d;
            //% for h in 0..MIX_HEADS
            //% for c in 0..MIX_VECS
            VecF s${id(h, c)} = vec_load(to + ${h} * WIDTH + ${c} * LANES) * shrink[g + ${h}];
            //% end
            //% end
            for (int64_t i = 0; i < n; i++) {
                const ${v_type} *value = values + i * HEAD_DIM + d;
                //% for c in 0..MIX_VECS
                //% if v_scaled
                const VecF v${c} = ${load_v("value", c)} * scales[i];
                //% else
                const VecF v${c} = ${load_v("value", c)};
                //% end
                //% end
                //% for h in 0..MIX_HEADS
                const VecF w${h} = vec_splat(weight[(g + ${h}) * BLOCK + i]);
                //% for c in 0..MIX_VECS
                s${id(h, c)} = vec_fma(w${h}, v${c}, s${id(h, c)});
                //% end
                //% end
            }
            //% for h in 0..MIX_HEADS
            //% for c in 0..MIX_VECS
            vec_store(to + ${h} * WIDTH + ${c} * LANES, s${id(h, c)});
            //% end
            //% end
        }
    }
}

static void ${name}(${params})
{
    enum { KV_HEADS = ${KV_HEADS}, GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK} };
    /* WIDTH: HEAD_DIM in whole vectors; RUN: a head's elements in a cache */
    enum { WIDTH = ${WIDTH}, RUN = CONTEXT * HEAD_DIM };
    const Slice slice = slice_of((int64_t)KV_HEADS * rows, thread, threads);
    for (int64_t unit = slice.begin; unit < slice.end; unit++) {
        const int64_t head = unit / rows, t = unit % rows;
        const ${k_type} *keys = (const ${k_type} *)(kv[t] + k_cache) + head * RUN;
        const ${v_type} *values = (const ${v_type} *)(kv[t] + v_cache) + head * RUN;
        const int64_t then = unit + 1 < slice.end ? unit + 1 : unit;
        const ${k_type} *keys_then =
            (const ${k_type} *)(kv[then % rows] + k_cache) + then / rows * RUN;
        //% if k_scaled
        const float *key_scales = (const float *)(kv[t] + k_scale) + head * CONTEXT;
        //% end
        //% if v_scaled
        const float *value_scales = (const float *)(kv[t] + v_scale) + head * CONTEXT;
        //% end
        const float *query = ${row("q", "t")} + head * GROUP * HEAD_DIM;
        float *to = ${row("out", "t")} + head * GROUP * HEAD_DIM;
        float sum[GROUP * WIDTH] = {0}, max[GROUP], total[GROUP] = {0}, shrink[GROUP];
        for (int g = 0; g < GROUP; g++) {
            max[g] = HIDDEN;
        }
        //% if window > 0
        const int64_t first = pos[t] < ${window} ? 0 : pos[t] - ${window - 1};
        //% end
        for (int64_t p0 = ${first}; p0 <= pos[t]; p0 += BLOCK) {
            const int64_t n = pos[t] + 1 - p0 < BLOCK ? pos[t] + 1 - p0 : BLOCK;
            const ${k_type} *next =
                p0 + BLOCK <= pos[t] ? keys + (p0 + BLOCK) * HEAD_DIM : keys_then;
            float weight[GROUP * BLOCK];
            ${scores};
            for (int g = 0; g < GROUP; g++) {
                //% if softcap > 0
                cap_scores(weight + g * BLOCK, n, ${f32(softcap)});
                //% end
                shrink[g] = soften(weight + g * BLOCK, n, &max[g], &total[g]);
            }
            ${mix};
        }
        for (int g = 0; g < GROUP; g++) {
            const float share = total[g] > 0 ? 1 / total[g] : 0;
            for (int d = 0; d < HEAD_DIM; d++) {
                to[g * HEAD_DIM + d] = sum[g * WIDTH + d] * share;
            }
        }
    }
}
