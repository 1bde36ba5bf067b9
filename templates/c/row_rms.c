//# row_rms.c - one number a row: 1 / sqrt(mean(x^2) + eps); a folded norm's part in the epilogue.
static void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        const float *from = ${row("x", "t")};
        out[t] = 1 / sqrtf(sum_of_squares(from, DIM) / DIM + ${eps});
    }
}
