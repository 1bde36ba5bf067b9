//# rope_angle.cu - the inside of a loop over a position's rotated pairs: `i` is a pair, `freqs` their
//# frequencies, `to` [2, HALF] gets cosines and sines. The angle is reduced in double (positions
//# reach 10^5), in units of pi, so that the functions see small numbers only.
const double turns = (double)position * (double)freqs[i] * 0.15915494309189535;
const float half_turns = (float)(2 * (turns - rint(turns)));
//% if scaled
to[i] = (float)${scale} * cospif(half_turns);
to[HALF + i] = (float)${scale} * sinpif(half_turns);
//% else
to[i] = cospif(half_turns);
to[HALF + i] = sinpif(half_turns);
//% end
