//# kv_append.cu - row t of x into its sequence's cache at pos[t]. A cache is
//# [HEADS][CONTEXT][DIM].
${launch("rows", HEADS, 128)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x, h = blockIdx.y;
    if (pos[t] < 0) {
        return;
    }
    ${c_type} *to = (${c_type} *)(kv[${sequence("t")}] + cache) + (h * CONTEXT + pos[t]) * DIM;
    for (int d = threadIdx.x; d < DIM; d += 128) {
        to[d] = ${to_cache(get("x", "t", "h * DIM + d"))};
    }
}
