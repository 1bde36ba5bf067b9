//# dot_any.c - the same sums for weights in any order, element by element: for matrices that were not
//# tiled. Row of output column n: n, or by blocks of ${interleave} when gate and up rows alternate.
/* acc[t][j] = sum over k of x[t][k] * w[row(tile + j)][k]: plain loops over weights as they lie. */
static void ${name}(${params})
{
    enum { K = ${K}, ROWS = ${ROWS}, GROUP = ${GROUP} };
    for (int64_t i = 0; i < ${NT} * LANES; i++) {
//% if interleave > 0
        const int64_t column = (tile / 2 + i / (2 * LANES)) * LANES + i % LANES;
        const int64_t at = column / ${interleave} * ${2 * interleave} + column % ${interleave} + i / LANES % 2 * ${interleave};
//% else
        const int64_t at = tile * LANES + i;
//% end
        const int64_t row = at < ROWS ? at : ROWS - 1; /* lanes behind the last row are not stored */
        for (int64_t t = 0; t < ${MT}; t++) {
            float all = 0;
            for (int64_t g = 0; g < K / GROUP; g++) {
                ${codes_in ? "int32_t" : "float"} sum = 0;
                for (int64_t k = g * GROUP; k < (g + 1) * GROUP; k++) {
                    sum += x[t * stride + k] * ${element("row", "k", "g")};
                }
                all += ${codes_in ? "(float)sum" : "sum"}${scale_factors("row", "g", "t")};
            }
            acc[t * ${NT} * LANES + i] = all;
        }
    }
}
