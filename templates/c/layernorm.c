//# layernorm.c - out = (x - mean) / sqrt(var + eps) * gain + bias, one row to a thread.
static void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        const float *from = ${row("x", "t")};
        float *to = ${row("out", "t")};
        const float mean = sum_of(from, DIM) / DIM;
        for (int k = 0; k < DIM; k++) {
            to[k] = from[k] - mean;
        }
        const float r = 1 / sqrtf(sum_of_squares(to, DIM) / DIM + ${eps});
        for (int k = 0; k < DIM; k++) {
            //% if has("gain") && has("bias")
            to[k] = to[k] * r * ${scalar("gain", "k")} + ${scalar("bias", "k")};
            //% elif has("gain")
            to[k] = to[k] * r * ${scalar("gain", "k")};
            //% elif has("bias")
            to[k] = to[k] * r + ${scalar("bias", "k")};
            //% else
            to[k] = to[k] * r;
            //% end
        }
    }
}
