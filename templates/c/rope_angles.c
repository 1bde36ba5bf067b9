//# rope_angles.c - cosines and sines of every rotated pair, in double: positions reach 10^5.
static void ${name}(${params})
{
    enum { HALF = ${HALF} };
    const Slice slice = slice_of(rows, thread, threads);
    for (int64_t t = slice.begin; t < slice.end; t++) {
        float *to = ${row("out", "t")};
        for (int i = 0; i < HALF; i++) {
            const double angle = (double)pos[t] * (double)${scalar("freqs", "i")};
            //% if scaled
            to[i] = (float)(${scale} * cos(angle));
            to[HALF + i] = (float)(${scale} * sin(angle));
            //% else
            to[i] = (float)cos(angle);
            to[HALF + i] = (float)sin(angle);
            //% end
        }
    }
}
