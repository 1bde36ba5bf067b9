//# pack_planes.c - rows of floats as dot_codes.c reads them with PLANES = 2. Every thread packs for
//# itself: that is cheaper than a barrier.
//% if sums
/* Rows of x in fixed point of 15 bits, x = x_unit * (128 * plane 0 + plane 1), and the sums of the
 * codes in each group, times FACTOR. The error is at most 2^-15 of the row's largest element. Two
 * int8 dot products for 4 weights are fewer instructions than 4 conversions and 4 multiplications,
 * and their sums are exact. Zeros stand behind the last column and in the rows that fill the last
 * block. */
//% else
/* Rows of x in fixed point of 15 bits, x = x_unit * (128 * plane 0 + plane 1). The error is at most
 * 2^-15 of the row's largest element. Two int8 dot products for 4 weights are fewer instructions
 * than 4 conversions and 4 multiplications, and their sums are exact. Zeros stand behind the last
 * column and in the rows that fill the last block. */
//% end
static void ${name}(${params})
{
    //% if sums
    enum { K = ${K}, WIDTH = ${WIDTH}, GROUPS = ${GROUPS}, FACTOR = ${FACTOR} };
    //% else
    enum { K = ${K}, WIDTH = ${WIDTH} };
    //% end
    const int64_t whole = (rows + block - 1) / block * block;
    memset(x_codes, 0, (size_t)whole * 2 * WIDTH);
    for (int64_t t = 0; t < rows; t++) {
        int8_t *to = x_codes + t * 2 * WIDTH;
        x_unit[t] = split_row(to, to + WIDTH, x + t * stride, K);
    }
    for (int64_t t = rows; t < whole; t++) {
        x_unit[t] = 0;
    }
    //% if sums && BITS == 8
    for (int64_t i = 0; i < whole * 2; i++) {
        for (int g = 0; g < GROUPS; g++) {
            const int8_t *code = x_codes + i * WIDTH + g * (WIDTH / GROUPS);
            x_sum[i * GROUPS + g] = FACTOR * sum_of_codes(code, WIDTH / GROUPS);
        }
    }
    //% elif sums
    for (int64_t t = 0; t < whole; t++) {
        for (int g = 0; g < GROUPS; g++) {
            const int8_t *high = x_codes + t * 2 * WIDTH + g * (WIDTH / GROUPS);
            x_sum[t * GROUPS + g] = FACTOR * sum_of_planes(high, high + WIDTH, WIDTH / GROUPS);
        }
    }
    //% end
}
