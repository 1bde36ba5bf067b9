//# dot_e4m3.c - register block for weights in e4m3, in tiles of LANES rows x 1 column. x is f32, also
//# where it holds codes. grouped: every `group` columns have a scale of their own.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j). */
static void ${name}(${params})
{
    //% if grouped
    const int64_t groups = K / group;
    //% else
    const int64_t groups = 1, group = K;
    //% end
    //% for j in 0..NT
    const uint8_t *w${j} = w + (tile + ${j}) * K * LANES;
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
        for (int64_t k = g * group; k < (g + 1) * group; k++) {
            //% for j in 0..NT
            const VecF v${j} = vec_load_e4m3(w${j} + k * LANES);
            //% end
            //% for t in 0..MT
            const VecF x${t} = vec_splat(x[${t} * stride + k]);
            //% for j in 0..NT
            sum${id(t, j)} = vec_fma(v${j}, x${t}, sum${id(t, j)});
            //% end
            //% end
        }
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
