//# rope_angles.cu - cosines and sines of every rotated pair. The angle is reduced in double
//# (positions reach 10^5), in units of pi, so that the functions see small numbers only.
${launch("rows", 1, 128)};
void ${name}(${params})
{
    enum { HALF = ${HALF} };
    const int64_t t = blockIdx.x;
    float *to = ${row("out", "t")};
    for (int i = threadIdx.x; i < HALF; i += 128) {
        const double turns = (double)pos[t] * (double)${scalar("freqs", "i")} * 0.15915494309189535;
        const float half_turns = (float)(2 * (turns - rint(turns)));
        //% if scaled
        to[i] = (float)${scale} * cospif(half_turns);
        to[HALF + i] = (float)${scale} * sinpif(half_turns);
        //% else
        to[i] = cospif(half_turns);
        to[HALF + i] = sinpif(half_turns);
        //% end
    }
}
