//# dot_i8.c - register block for int8 weights in tiles of LANES rows x 4 columns: one 32-bit lane
//# holds four columns of a row. x is f32. grouped: every `group` columns have a scale of their own.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j). */
static void ${name}(${params})
{
    //% if grouped
    const int64_t groups = K / group;
    //% else
    const int64_t groups = 1, group = K;
    //% end
    const int64_t quads = (K + 3) / 4;
    //% for j in 0..NT
    const int8_t *w${j} = w + (tile + ${j}) * quads * 4 * LANES;
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    VecF acc${id(t, j)} = {0};
    //% end
    //% end
    for (int64_t g = 0; g < groups; g++) {
        //% for t in 0..MT
        //% for j in 0..NT
        VecF sum${id(t, j)} = {0};
        //% end
        //% end
        //% for part in 0..(tail > 0 ? 2 : 1)
        for (int64_t k = ${part == 0 ? "g * group" : k_tail}; ${k_more(part, 3)}; k += 4) {
            //% for j in 0..NT
            const VecI q${j} = veci_load(w${j} + k * LANES);
            //% end
            //% for c in 0..(part == 0 ? 4 : tail)
            //% for j in 0..NT
            const VecF v${id(j, c)} = vec_of_int(q${j} << ${24 - 8 * c} >> 24);
            //% end
            //% for t in 0..MT
            const VecF x${id(t, c)} = vec_splat(x[${t} * stride + k + ${c}]);
            //% for j in 0..NT
            sum${id(t, j)} = vec_fma(v${id(j, c)}, x${id(t, c)}, sum${id(t, j)});
            //% end
            //% end
            //% end
        }
        //% end
        //% for j in 0..NT
        //% if w_scaled
        const VecF scale${j} = ${scales("w_scale", "tile + " + string(j))};
        //% end
        //% for t in 0..MT
        acc${id(t, j)} += sum${id(t, j) + factors(t, j)};
        //% end
        //% end
    }
    //% for t in 0..MT
    //% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, acc${id(t, j)});
    //% end
    //% end
}
