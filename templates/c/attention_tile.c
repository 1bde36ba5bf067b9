//# attention_tile.c - softmax(q . k) . v in prefill. One unit = TOKENS tokens and one key/value head:
//# ROWS queries meet BLOCK keys at a time, as two small matrix products with the softmax between:
//#   scores[4][BLOCK] = query[4][HEAD_DIM] . keys transposed      sum[4][WIDTH] += scores . values
/* n keys as floats, transposed: to[d][i]; `rows` is room for them before. */
static void ${keys_name}(${keys_params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK}, WIDTH = ${WIDTH} };
    for (int64_t i = 0; i < n; i++) {
        const ${k_type} *key = keys + i * HEAD_DIM;
        //% for c in 0..VECS
        //% if k_scaled
        vec_store(rows + i * WIDTH + ${c * LANES}, ${load_k("key", c)} * scales[i]);
        //% else
        vec_store(rows + i * WIDTH + ${c * LANES}, ${load_k("key", c)});
        //% end
        //% end
    }
    for (int64_t i = 0; i < n; i += LANES) {
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            transpose(to + d * BLOCK + i, BLOCK, rows + i * WIDTH + d, WIDTH);
        }
    }
}

/* n values as floats: to[i][d]. */
static void ${values_name}(${values_params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, WIDTH = ${WIDTH} };
    for (int64_t i = 0; i < n; i++) {
        const ${v_type} *value = values + i * HEAD_DIM;
        //% for c in 0..VECS
        //% if v_scaled
        vec_store(to + i * WIDTH + ${c * LANES}, ${load_v("value", c)} * scales[i]);
        //% else
        vec_store(to + i * WIDTH + ${c * LANES}, ${load_v("value", c)});
        //% end
        //% end
    }
}

/* 4 queries meet n keys and values at positions from p0 on; query r sees first[r] .. end[r] - 1. */
static void ${block_name}(${block_params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK}, WIDTH = ${WIDTH}, PANEL = ${PANEL} };
    float scores[4 * BLOCK] = {0};
    for (int i = 0; i < BLOCK; i += PANEL) {
        multiply_add(scores + i, BLOCK, query, HEAD_DIM, keys + i, BLOCK, HEAD_DIM);
    }
    for (int r = 0; r < 4; r++) {
        //% if softcap > 0
        cap_scores(scores + r * BLOCK, BLOCK, ${f32(softcap)});
        //% end
        hide_scores(scores + r * BLOCK, BLOCK, first[r] - p0, end[r] - p0);
        const float shrink = soften(scores + r * BLOCK, BLOCK, &max[r], &total[r]);
        for (int d = 0; d < WIDTH; d += LANES) {
            vec_store(sum + r * WIDTH + d, vec_load(sum + r * WIDTH + d) * shrink);
        }
    }
    for (int d = 0; d < WIDTH; d += PANEL) {
        multiply_add(sum + d, WIDTH, scores, BLOCK, values + d, WIDTH, n);
    }
}

static void ${name}(${params})
{
    enum { KV_HEADS = ${KV_HEADS}, GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = ${BLOCK} };
    /* WIDTH: HEAD_DIM in whole panels; RUN: a head's elements in a cache */
    enum { TOKENS = ${TOKENS}, ROWS = ${ROWS}, WIDTH = ${WIDTH}, RUN = CONTEXT * HEAD_DIM };
    const int64_t tiles = (rows + TOKENS - 1) / TOKENS;
    for (int64_t unit = thread; unit < tiles * KV_HEADS; unit += threads) {
        const int64_t head = unit % KV_HEADS, t0 = unit / KV_HEADS * TOKENS;
        const int64_t queries = (rows - t0 < TOKENS ? rows - t0 : TOKENS) * GROUP;
        const ${k_type} *keys = (const ${k_type} *)(kv[0] + k_cache) + head * RUN;
        const ${v_type} *values = (const ${v_type} *)(kv[0] + v_cache) + head * RUN;
        //% if k_scaled
        const float *key_scales = (const float *)(kv[0] + k_scale) + head * CONTEXT;
        //% end
        //% if v_scaled
        const float *value_scales = (const float *)(kv[0] + v_scale) + head * CONTEXT;
        //% end
        float query[ROWS * HEAD_DIM] = {0}, sum[ROWS * WIDTH] = {0}, max[ROWS], total[ROWS] = {0};
        int64_t first[ROWS] = {0}, end[ROWS] = {0}, start = CONTEXT, stop = 0;
        for (int64_t r = 0; r < queries; r++) {
            const int64_t t = t0 + r / GROUP;
            const float *from = ${row("q", "t")} + (head * GROUP + r % GROUP) * HEAD_DIM;
            for (int d = 0; d < HEAD_DIM; d++) {
                query[r * HEAD_DIM + d] = from[d] * ${f32(score_scale)};
            }
            end[r] = pos[t] + 1;
            //% if window > 0
            first[r] = end[r] < ${window} ? 0 : end[r] - ${window};
            //% end
            start = first[r] < start ? first[r] : start;
            stop = end[r] > stop ? end[r] : stop;
        }
        for (int64_t r = 0; r < ROWS; r++) {
            max[r] = HIDDEN;
        }
        for (int64_t p0 = start / BLOCK * BLOCK; p0 < stop; p0 += BLOCK) {
            const int64_t n = stop - p0 < BLOCK ? stop - p0 : BLOCK;
            float turned[WIDTH * BLOCK], block[BLOCK * WIDTH];
            ${keys};
            ${values};
            for (int64_t r = 0; r < queries; r += 4) {
                ${block};
            }
        }
        for (int64_t r = 0; r < queries; r++) {
            const int64_t t = t0 + r / GROUP;
            float *to = ${row("out", "t")} + (head * GROUP + r % GROUP) * HEAD_DIM;
            const float share = total[r] > 0 ? 1 / total[r] : 0;
            for (int d = 0; d < HEAD_DIM; d++) {
                to[d] = sum[r * WIDTH + d] * share;
            }
        }
    }
}
