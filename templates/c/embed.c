//# embed.c - rows of a table by id; rows that are not in use (negative ids) read row 0.
static void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        float *to = ${row("out", "t")};
        const int64_t id = ids[t] < 0 ? 0 : ids[t];
        for (int64_t k = 0; k < DIM; k++) {
            to[k] = ${weight("w", "id", "k")};
        }
    }
}
