//# kv_append.c - row t of x into its sequence's cache at pos[t]. A cache is [HEADS][CONTEXT][DIM].
static void ${name}(${params})
{
    enum { HEADS = ${HEADS}, DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        if (pos[t] < 0) {
            continue;
        }
        const ${x_type} *from = ${row("x", "t")};
        ${c_type} *to = (${c_type} *)(kv[${sequence("t")}] + cache);
        for (int64_t h = 0; h < HEADS; h++) {
            for (int64_t d = 0; d < DIM; d++) {
                to[(h * CONTEXT + pos[t]) * DIM + d] = ${to_cache("from[h * DIM + d]")};
            }
        }
    }
}
