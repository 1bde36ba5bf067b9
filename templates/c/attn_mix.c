//# attn_mix.c - the sum over positions of p * v. Plain: attention was not fused.
static void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    const Slice slice = slice_of((int64_t)rows * HEADS, thread, threads);
    for (int64_t i = slice.begin; i < slice.end; i++) {
        const int64_t t = i / HEADS, h = i % HEADS, head = h / (HEADS / KV_HEADS);
        const uint8_t *cache = kv[${sequence("t")}];
        const ${v_type} *values = (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM;
        //% if v_scaled
        const float *value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
        //% end
        const float *weights = p + i * CONTEXT;
        float *to = ${row("out", "t")} + h * HEAD_DIM;
        for (int d = 0; d < HEAD_DIM; d++) {
            to[d] = 0;
        }
        for (int64_t at = 0; at <= pos[t]; at++) {
            //% if v_scaled
            const float weight = weights[at] * value_scales[at];
            //% else
            const float weight = weights[at];
            //% end
            for (int d = 0; d < HEAD_DIM; d++) {
                to[d] += weight * ${from_v("values[at * HEAD_DIM + d]")};
            }
        }
    }
}
