//# dot_f32.c - register block for f32 weights in tiles of LANES rows x 1 column.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j). */
static void ${name}(${params})
{
    //% for j in 0..NT
    const float *w${j} = w + (tile + ${j}) * K * LANES;
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    VecF acc${id(t, j)} = {0};
    //% end
    //% end
    for (int64_t k = 0; k < K; k++) {
        //% for j in 0..NT
        const VecF v${j} = vec_load(w${j} + k * LANES);
        //% end
        //% for t in 0..MT
        const VecF x${t} = vec_splat(x[${t} * stride + k]);
        //% for j in 0..NT
        acc${id(t, j)} = vec_fma(v${j}, x${t}, acc${id(t, j)});
        //% end
        //% end
    }
    //% for t in 0..MT
    //% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, acc${id(t, j)});
    //% end
    //% end
}
