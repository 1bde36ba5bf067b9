//# copy.c - a returned value into the environment when its old value was still needed.
static void ${name}(${params})
{
    enum { COLS = ${COLS} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        memcpy(${row("out", "t")}, ${row("x", "t")}, COLS * sizeof *x);
    }
}
