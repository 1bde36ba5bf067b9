//# rmsnorm.c - out = x / sqrt(mean(x^2) + eps) * gain, over rows or groups of DIM columns.
static void ${name}(${params})
{
    enum { DIM = ${DIM}, GROUPS = ${GROUPS} };
    const Slice slice = slice_of((int64_t)rows * GROUPS, thread, threads);
    for (int64_t i = slice.begin; i < slice.end; i++) {
        const float *from = ${row("x", "i / GROUPS")} + i % GROUPS * DIM;
        float *to = ${row("out", "i / GROUPS")} + i % GROUPS * DIM;
        const float r = 1 / sqrtf(sum_of_squares(from, DIM) / DIM + ${eps});
        for (int k = 0; k < DIM; k++) {
            //% if has("gain")
            to[k] = from[k] * r * ${scalar("gain", "k")};
            //% else
            to[k] = from[k] * r;
            //% end
        }
    }
}
