//# pack_planes.c - rows of floats as dot_codes.c reads them with PLANES = 2. Every thread packs for
//# itself: that is cheaper than a barrier.
/* Rows of x in fixed point of 15 bits, x = x_unit * (128 * plane 0 + plane 1), and the sums of the
 * codes in each group. The error is at most 2^-15 of the row's largest element. Two int8 dot
 * products for 4 weights are fewer instructions than 4 conversions and 4 multiplications, and their
 * sums are exact. Zeros stand behind the last column and in the rows that fill the last block. */
static void ${name}(${params})
{
    enum { K = ${K}, WIDTH = ${WIDTH}, GROUPS = ${GROUPS} };
    const int64_t whole = (rows + block - 1) / block * block;
    memset(x_codes, 0, (size_t)whole * 2 * WIDTH);
    for (int64_t t = 0; t < rows; t++) {
        int8_t *to = x_codes + t * 2 * WIDTH;
        x_unit[t] = split_row(to, to + WIDTH, x + t * stride, K);
    }
    for (int64_t t = rows; t < whole; t++) {
        x_unit[t] = 0;
    }
    for (int64_t i = 0; i < whole * 2 * GROUPS; i++) {
        x_sum[i] = sum_of_codes(x_codes + i * (WIDTH / GROUPS), WIDTH / GROUPS);
    }
}
