//# quantize.c - codes and scales of each row, or of each group of DIM columns.
static void ${name}(${params})
{
    enum { DIM = ${DIM}, GROUPS = ${GROUPS} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        for (int g = 0; g < GROUPS; g++) {
            const float *from = ${row("x", "t")} + g * DIM;
            ${code_type} *to = ${row("codes", "t")} + g * DIM;
            scales[t * GROUPS + g] = ${quantize}(to, from, DIM);
        }
    }
}
