//# dot_bf16.c - register block for bf16 weights in tiles of LANES rows x 2 columns: a 32-bit lane
//# holds an even column below and the next one above, each a shift or a mask away from an f32.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j). */
static void ${name}(${params})
{
    const int64_t pairs = (K + 1) / 2;
    //% for j in 0..NT
    const uint16_t *w${j} = w + (tile + ${j}) * pairs * 2 * LANES;
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    VecF acc${id(t, j)} = {0};
    //% end
    //% end
    for (int64_t k = 0; k + 1 < K; k += 2) {
        //% for j in 0..NT
        const VecI pair${j} = veci_load(w${j} + k * LANES);
        const VecF even${j} = (VecF)(pair${j} << 16), odd${j} = (VecF)(pair${j} & -0x10000);
        //% end
        //% for t in 0..MT
        const VecF x${t} = vec_splat(x[${t} * stride + k]);
        const VecF y${t} = vec_splat(x[${t} * stride + k + 1]);
        //% for j in 0..NT
        acc${id(t, j)} = vec_fma(even${j}, x${t}, acc${id(t, j)});
        acc${id(t, j)} = vec_fma(odd${j}, y${t}, acc${id(t, j)});
        //% end
        //% end
    }
    //% if tail > 0
    /* The last column stands alone: the pair's upper half is padding. */
    //% for j in 0..NT
    const VecF last${j} = (VecF)(veci_load(w${j} + (int64_t)(K - 1) * LANES) << 16);
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    acc${id(t, j)} = vec_fma(last${j}, vec_splat(x[${t} * stride + K - 1]), acc${id(t, j)});
    //% end
    //% end
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, acc${id(t, j)});
    //% end
    //% end
}
