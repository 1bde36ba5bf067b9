//# attn_scores.c - scale * q . k for every visible position, -inf elsewhere. Plain: attention was
//# not fused, so the scores are in memory.
static void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    const Slice slice = slice_of((int64_t)rows * HEADS, thread, threads);
    for (int64_t i = slice.begin; i < slice.end; i++) {
        const int64_t t = i / HEADS, h = i % HEADS, head = h / (HEADS / KV_HEADS);
        const uint8_t *cache = kv[${sequence("t")}];
        const ${k_type} *keys = (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM;
        //% if k_scaled
        const float *key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
        //% end
        const float *query = ${row("q", "t")} + h * HEAD_DIM;
        float *to = out + i * CONTEXT;
        for (int64_t p = 0; p < CONTEXT; p++) {
            if (${hidden}) {
                to[p] = -INFINITY;
                continue;
            }
            float sum = 0;
            for (int d = 0; d < HEAD_DIM; d++) {
                sum += query[d] * ${from_k("keys[p * HEAD_DIM + d]")};
            }
            //% if k_scaled
            sum *= key_scales[p];
            //% end
            //% if softcap > 0
            to[p] = ${f32(softcap)} * tanhf(sum * ${f32(scale / softcap)});
            //% else
            to[p] = sum * ${f32(scale)};
            //% end
        }
    }
}
