//# rmsnorm_quant.c - the normalised row exists only in a local array, then as codes.
static void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        const float *from = ${row("x", "t")};
        float normed[DIM];
        const float r = 1 / sqrtf(sum_of_squares(from, DIM) / DIM + ${eps});
        for (int k = 0; k < DIM; k++) {
            //% if has("gain")
            normed[k] = from[k] * r * ${scalar("gain", "k")};
            //% else
            normed[k] = from[k] * r;
            //% end
        }
        scales[t] = ${quantize}(${row("codes", "t")}, normed, DIM);
    }
}
