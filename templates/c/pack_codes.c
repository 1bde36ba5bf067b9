//# pack_codes.c - rows of int8 codes as dot_codes.c reads them. Every thread packs for itself: that
//# is cheaper than a barrier.
//% if sums
/* Rows of int8 codes and their sums in each group, times FACTOR; zeros stand behind the last column
 * and in the rows that fill the last block of `block` rows. */
//% else
/* Rows of int8 codes; zeros stand behind the last column and in the rows that fill the last block
 * of `block` rows. */
//% end
static void ${name}(${params})
{
    //% if sums
    enum { K = ${K}, WIDTH = ${WIDTH}, GROUPS = ${GROUPS}, FACTOR = ${FACTOR} };
    //% else
    enum { K = ${K}, WIDTH = ${WIDTH} };
    //% end
    const int64_t whole = (rows + block - 1) / block * block;
    memset(x_codes, 0, (size_t)whole * WIDTH);
    for (int64_t t = 0; t < rows; t++) {
        memcpy(x_codes + t * WIDTH, x + t * stride, K);
    }
    //% if sums
    for (int64_t i = 0; i < whole * GROUPS; i++) {
        x_sum[i] = FACTOR * sum_of_codes(x_codes + i * (WIDTH / GROUPS), WIDTH / GROUPS);
    }
    //% end
}
