//# dot_bf16.c - register block for bf16 weights in tiles of LANES rows x 2 columns: one 32-bit lane holds
//# an even column below and the next one above, each a shift or a mask away from an f32.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k]: ${MT} rows of x, ${NT} tiles of LANES weight rows. */
static void ${name}(${params})
{
    const int64_t pairs = (K + 1) / 2;
//% for j in 0..NT
    const uint16_t *w${j} = w + (tile + ${j}) * pairs * 2 * LANES;
//% end
//% for t in 0..MT
//% for j in 0..NT
    VecF acc${t}_${j} = {0};
//% end
//% end
    for (int64_t k = 0; k + 1 < K; k += 2) {
//% for j in 0..NT
        const VecI pair${j} = veci_load(w${j} + k * LANES);
        const VecF even${j} = (VecF)(pair${j} << 16), odd${j} = (VecF)(pair${j} & -0x10000);
//% end
//% for t in 0..MT
        const VecF x${t} = vec_splat(x[${t} * stride + k]), y${t} = vec_splat(x[${t} * stride + k + 1]);
//% for j in 0..NT
        acc${t}_${j} = vec_fma(even${j}, x${t}, acc${t}_${j});
        acc${t}_${j} = vec_fma(odd${j}, y${t}, acc${t}_${j});
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
    acc${t}_${j} = vec_fma(last${j}, vec_splat(x[${t} * stride + K - 1]), acc${t}_${j});
//% end
//% end
//% end
//% for t in 0..MT
//% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, acc${t}_${j});
//% end
//% end
}
