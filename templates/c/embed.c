//# embed.c - rows of a table by id; negative ids (unused rows) give zeros.
static void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        float *to = ${row("out", "t")};
        const int64_t id = ids[t];
        for (int64_t k = 0; k < DIM; k++) {
            to[k] = id < 0 ? 0 : ${weight("w", "id", "k")};
        }
    }
}
