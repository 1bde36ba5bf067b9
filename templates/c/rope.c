//# rope.c - rotates the first DIMS columns of each head.
static void ${name}(${params})
{
    enum { HEADS = ${HEADS}, HEAD_DIM = ${HEAD_DIM}, DIMS = ${DIMS} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        for (int h = 0; h < HEADS; h++) {
            float *to = ${row("out", "t")} + h * HEAD_DIM;
            memcpy(to, ${row("x", "t")} + h * HEAD_DIM, HEAD_DIM * sizeof *to);
            rotate_${style}(to, ${row("angles", "t")}, DIMS);
        }
    }
}
