//# pack_pairs.c - rows of floats as dot_pairs.c reads them. Every thread packs for itself: that is
//# cheaper than a barrier.
/* Rows of x in bf16, to the nearest; zeros stand behind the last column and in the rows that fill
 * the last block of `block` rows. */
static void ${name}(${params})
{
    enum { K = ${K}, WIDTH = ${WIDTH} };
    const int64_t whole = (rows + block - 1) / block * block;
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t k = 0; k < K; k++) {
            x_pairs[t * WIDTH + k] = bf16_of_float(x[t * stride + k]);
        }
        //% if K < WIDTH
        x_pairs[t * WIDTH + K] = 0;
        //% end
    }
    memset(x_pairs + rows * WIDTH, 0, (size_t)(whole - rows) * WIDTH * sizeof *x_pairs);
}
