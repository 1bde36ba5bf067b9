//# dot_any.c - the same sums for weights in any order, element by element: for matrices that were
//# not tiled. `row` is where an output column is when gate and up rows alternate in blocks.
/* acc[t][j] = sum over k of x[t][k] * w[row(tile + j)][k]: plain loops over weights as they lie. */
static void ${name}(${params})
{
    enum { K = ${K}, ROWS = ${ROWS}, GROUP = ${GROUP} };
    //% if interleave > 0
    enum { BLOCK = ${interleave} };
    //% end
    for (int64_t i = 0; i < ${NT} * LANES; i++) {
        //% if interleave > 0
        const int64_t column = (tile / 2 + i / (2 * LANES)) * LANES + i % LANES;
        const int64_t way = i / LANES % 2, block = column / BLOCK;
        const int64_t at = (2 * block + way) * BLOCK + column % BLOCK;
        //% else
        const int64_t at = tile * LANES + i;
        //% end
        /* Lanes behind the last row are not stored. */
        const int64_t row = at < ROWS ? at : ROWS - 1;
        for (int64_t t = 0; t < ${MT}; t++) {
            float all = 0;
            for (int64_t g = 0; g < K / GROUP; g++) {
                ${codes_in ? "int32_t" : "float"} sum = 0;
                for (int64_t k = g * GROUP; k < (g + 1) * GROUP; k++) {
                    sum += x[t * stride + k] * ${element("row", "k", "g")};
                }
                all += ${(codes_in ? "(float)sum" : "sum") + scale_factors("row", "g", "t")};
            }
            acc[t * ${NT} * LANES + i] = all;
        }
    }
}
