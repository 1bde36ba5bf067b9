//# dot_pairs.c - register block for bf16 weights in tiles of LANES rows x 2 columns and rows of x
//# packed as bf16 pairs: one instruction multiplies both columns of a 32-bit lane. U accumulators
//# take turns: a dot product takes some cycles, and with one row of x each would wait for the last.
/* acc[t][j] = sum over k of x[t][k] * w[tile + j][k] for ${MT} x ${NT} (t, j); x: bf16 pairs. */
static void ${name}(${params})
{
    const int64_t steps = (K + 1) / 2;
    //% if MT > 1
    const int64_t stride = steps * 2;
    //% end
    //% for j in 0..NT
    const uint16_t *w${j} = w + (tile + ${j}) * steps * 2 * LANES;
    //% end
    //% for t in 0..MT
    //% for j in 0..NT
    //% for u in 0..U
    VecF ${s(t, j, 0, u)} = {0};
    //% end
    //% end
    //% end
    for (int64_t i = 0; i < steps; i += ${U}) {
        //% for u in 0..U
        //% for j in 0..NT
        const VecI ${v(j, 0, u)} = veci_load(w${j} + ${step(u)} * 2 * LANES);
        //% end
        //% for t in 0..MT
        const VecI ${x(t, 0, 0, u)} = veci_splat(word_at(${packed_at(t, 0, u, 0)}));
        //% for j in 0..NT
        ${s(t, j, 0, u)} = vec_dot_bf16(${s(t, j, 0, u)}, ${v(j, 0, u)}, ${x(t, 0, 0, u)});
        //% end
        //% end
        //% end
    }
    //% for t in 0..MT
    //% for j in 0..NT
    vec_store(acc + ${t * NT + j} * LANES, ${total(t, j, 0)});
    //% end
    //% end
}
