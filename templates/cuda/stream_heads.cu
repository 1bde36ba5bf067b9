//# stream_heads.cu - the end of matmul_stream for q, k and v: columns d and d + HEAD_DIM / 2 of a
//# head are 8 rows apart in a tile; RoPE, then q is stored, k and v go to the caches.
const float other = __shfl_xor_sync(0xffffffff, acc, 8);
enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM}, IN_HEAD = HEAD_DIM / 16 };
const int64_t unit = tile / IN_HEAD;
const int d = tile % IN_HEAD * 8 + lane;
if (lane < 8 && t < rows) {
    float first, second;
    {
        const int64_t n = unit * HEAD_DIM + d;
        const float acc0 = acc;
        ${leaves};
        first = ${value};
        (void)n;
    }
    {
        const int64_t n = unit * HEAD_DIM + d + HEAD_DIM / 2;
        const float acc0 = other;
        ${leaves};
        second = ${value};
        (void)n;
    }
    //% if has("angles")
    if (unit < HEADS + KV_HEADS) {
        const float *angle = ${row("angles", "t")};
        const float c = angle[d], s = angle[HEAD_DIM / 2 + d], was = first;
        first = first * c - second * s;
        second = second * c + was * s;
    }
    //% end
    if (unit < HEADS) {
        ${put("q", "t", "unit * HEAD_DIM + d", "first")};
        ${put("q", "t", "unit * HEAD_DIM + d + HEAD_DIM / 2", "second")};
    } else if (pos[t] >= 0 && unit < HEADS + KV_HEADS) {
        const int64_t to = ((unit - HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
        ${k_type} *const keys = (${k_type} *)(kv[${sequence("t")}] + k_cache);
        keys[to] = ${to_k("first")};
        keys[to + HEAD_DIM / 2] = ${to_k("second")};
    } else if (pos[t] >= 0) {
        const int64_t to = ((unit - HEADS - KV_HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
        ${v_type} *const values = (${v_type} *)(kv[${sequence("t")}] + v_cache);
        values[to] = ${to_v("first")};
        values[to + HEAD_DIM / 2] = ${to_v("second")};
    }
}
