//# attn_scores.cu - scale * q . k for every visible position, -inf elsewhere. Plain: attention was
//# not fused, so the scores are in memory.
${launch("rows", HEADS, 256)};
void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    const int64_t t = blockIdx.x, h = blockIdx.y, head = h / (HEADS / KV_HEADS);
    const uint8_t *cache = kv[${sequence("t")}];
    const ${k_type} *keys = (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM;
    //% if k_scaled
    const float *key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
    //% end
    float *to = out + (t * HEADS + h) * CONTEXT;
    for (int64_t p = threadIdx.x; p < CONTEXT; p += 256) {
        if (${hidden}) {
            to[p] = -__int_as_float(0x7f800000);
            continue;
        }
        float sum = 0;
        for (int d = 0; d < HEAD_DIM; d++) {
            sum += ${get("q", "t", "h * HEAD_DIM + d")} * ${from_k("keys[p * HEAD_DIM + d]")};
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
