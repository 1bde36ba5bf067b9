//# dot_codes.c - register block for int8 or 4-bit weights and rows of x packed as int8 codes; the
//# sums of a group are exact in int32. BITS = 8: tiles of LANES rows x 4 columns; 4: LANES rows x 8
//# columns, the low nibbles of a 32-bit lane are columns 0..3, the high ones columns 4..7.
//#   vpdpbusd takes unsigned weights, nibbles are unsigned anyway. What they have too much times the
//# sum of x is known beforehand: the sums start with it, negative. Zero points of each row take it
//# away at the end.
//#   PLANES = 2: x is 15 bits wide, 128 * plane 0 + plane 1 (pack_codes.c says why). U accumulators
//# take turns, see dot_pairs.c. AHEAD: weights so many bytes further on are asked for.
//% if sums
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j); x, x_sum:
 * ${rows_of_x} of codes for each t, and their sums in each group. */
//% else
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j); x: ${rows_of_x} of
 * codes for each t. */
//% end
static void ${name}(${params})
{
    //% if grouped
    const int64_t groups = K / group, steps = group / ${COLUMNS};
    //% else
    const int64_t groups = 1, steps = (K + ${COLUMNS - 1}) / ${COLUMNS};
    //% end
    //% if MT * PLANES > 1
    const int64_t stride = groups * steps * ${COLUMNS};
    //% end
    //% for j in 0..NT
    const uint8_t *w${j} = (const uint8_t *)w + (tile + ${j}) * groups * steps * 4 * LANES;
    //% end
    //% if flips
    const VecI flip = veci_splat((int32_t)0x80808080); /* signed to unsigned: plus 128 */
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    VecF acc${id(t, j)} = {0};
    //% end
    //% end
    for (int64_t g = 0; g < groups; g++) {
        //% for t in 0..MT
        //% for j in 0..NT
        //% for p in 0..PLANES
        //% for u in 0..U
        VecI ${s(t, j, p, u)} = ${start(t, p, u)};
        //% end
        //% end
        //% end
        //% end
        for (int64_t i = g * steps; i < (g + 1) * steps; i += ${U}) {
            //% for u in 0..U
            //% for j in 0..NT
            //% if AHEAD > 0
            __builtin_prefetch(w${j} + ${step(u)} * 4 * LANES + ${AHEAD});
            //% end
            //% if flips
            const VecI ${v(j, 0, u)} = veci_load(w${j} + ${step(u)} * 4 * LANES) ^ flip;
            //% elif BITS == 8
            const VecI ${v(j, 0, u)} = veci_load(w${j} + ${step(u)} * 4 * LANES);
            //% else
            const VecI q${v(j, 0, u)} = veci_load(w${j} + ${step(u)} * 4 * LANES);
            const VecI ${v(j, 0, u)} = q${v(j, 0, u)} & 0x0f0f0f0f;
            const VecI ${v(j, 1, u)} = q${v(j, 0, u)} >> 4 & 0x0f0f0f0f;
            //% end
            //% end
            //% for h in 0..COLUMNS / 4
            //% for t in 0..MT
            //% for p in 0..PLANES
            const VecI ${x(t, h, p, u)} = veci_splat(word_at(${packed_at(t, p, u, h)}));
            //% for j in 0..NT
            ${s(t, j, p, u)} = ${vec_dot}(${s(t, j, p, u)}, ${v(j, h, u)}, ${x(t, h, p, u)});
            //% end
            //% end
            //% end
            //% end
            //% end
        }
        //% for j in 0..NT
        //% if w_zeros
        const VecI zero${j} = ${zeros("w_zero", "tile + " + string(j))};
        //% end
        //% if w_scaled
        const VecF scale${j} = ${scales("w_scale", "tile + " + string(j))};
        //% end
        //% end
        //% for t in 0..MT
        //% if w_zeros
        const VecI more${t} = veci_splat(x_sum[${t} * groups + g]);
        //% end
        //% for j in 0..NT
        //% if PLANES == 2 && BITS == 8
        const VecI hi${id(t, j)} = ${total(t, j, 0)};
        const VecI lo${id(t, j)} = ${total(t, j, 1)};
        const VecF h${id(t, j)} = vec_of_int(hi${id(t, j)});
        const VecF f${id(t, j)} = vec_fma(h${id(t, j)}, vec_splat(128), vec_of_int(lo${id(t, j)}));
        //% elif w_zeros
        const VecF f${id(t, j)} = vec_of_int(${sum_of_planes(t, j)} - more${t} * zero${j});
        //% else
        const VecF f${id(t, j)} = vec_of_int(${sum_of_planes(t, j)});
        //% end
        acc${id(t, j)} = ${scaled(t, j)};
        //% end
        //% end
    }
    //% for t in 0..MT
    //% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, acc${id(t, j) + row_factor(t)});
    //% end
    //% end
}
