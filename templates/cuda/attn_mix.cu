//# attn_mix.cu - the sum over positions of p * v. Plain: attention was not fused.
${launch("rows", HEADS, 128)};
void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    const int64_t t = blockIdx.x, h = blockIdx.y, head = h / (HEADS / KV_HEADS);
    const uint8_t *cache = kv[${sequence("t")}];
    const ${v_type} *values = (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM;
    //% if v_scaled
    const float *value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
    //% end
    const float *weights = p + (t * HEADS + h) * CONTEXT;
    for (int d = threadIdx.x; d < HEAD_DIM; d += 128) {
        float sum = 0;
        for (int64_t at = 0; at <= pos[t]; at++) {
            //% if v_scaled
            const float weight = weights[at] * value_scales[at];
            //% else
            const float weight = weights[at];
            //% end
            sum += weight * ${from_v("values[at * HEAD_DIM + d]")};
        }
        ${put("out", "t", "h * HEAD_DIM + d", "sum")};
    }
}
