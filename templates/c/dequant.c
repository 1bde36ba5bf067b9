//# dequant.c - codes of an activation back to floats; DIM columns share a scale.
static void ${name}(${params})
{
    enum { COLS = ${COLS}, DIM = ${DIM} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        const ${code_type} *from = ${row("code", "t")};
        float *to = ${row("out", "t")};
        for (int k = 0; k < COLS; k++) {
            //% if DIM == COLS
            to[k] = (float)from[k] * ${scalar("scale", "t")};
            //% else
            to[k] = (float)from[k] * scale[t * (COLS / DIM) + k / DIM];
            //% end
        }
    }
}
