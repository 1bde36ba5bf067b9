//# qkv_append.c - what stands between the q, k, v projection and attention over caches of codes: a
//# thread takes heads of rows one by one. Heads: HEADS of q, KV_HEADS of k, KV_HEADS of v.
static void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, ALL = HEADS + 2 * KV_HEADS };
    enum { HEAD_DIM = ${HEAD_DIM} };
    const Slice slice = slice_of((int64_t)rows * ALL, thread, threads);
    for (int64_t unit = slice.begin; unit < slice.end; unit++) {
        const int64_t t = unit / ALL, h = unit % ALL;
        float head[HEAD_DIM];
        memcpy(head, ${row("x", "t")} + h * HEAD_DIM, sizeof head);
        //% if has("q_gain") || has("k_gain")
        if (h < HEADS + KV_HEADS) {
            const float r = 1 / sqrtf(sum_of_squares(head, HEAD_DIM) / HEAD_DIM + ${eps});
            for (int d = 0; d < HEAD_DIM; d++) {
                const float q_d = ${scalar("q_gain", "d")}, k_d = ${scalar("k_gain", "d")};
                head[d] *= r * (h < HEADS ? q_d : k_d);
            }
        }
        //% end
        //% if has("angles")
        if (h < HEADS + KV_HEADS) {
            rotate_${style}(head, ${row("angles", "t")}, ${DIMS});
        }
        //% end
        if (h < HEADS) {
            memcpy(${row("q", "t")} + h * HEAD_DIM, head, sizeof head);
            continue;
        }
        if (pos[t] < 0) {
            continue;
        }
        const int is_v = h >= HEADS + KV_HEADS;
        const int64_t at = (h - HEADS - (is_v ? KV_HEADS : 0)) * CONTEXT + pos[t];
        uint8_t *cache = kv[${sequence("t")}];
        ${k_type} *to = (${k_type} *)(cache + (is_v ? v_cache : k_cache)) + at * HEAD_DIM;
        float *scale = (float *)(cache + (is_v ? v_scale : k_scale)) + at;
        //% if e4m3
        float code[HEAD_DIM];
        *scale = quantize_row_e4m3(code, head, HEAD_DIM);
        for (int d = 0; d < HEAD_DIM; d++) {
            to[d] = e4m3_of_float(code[d]);
        }
        //% else
        *scale = quantize_row(to, head, HEAD_DIM);
        //% end
    }
}
