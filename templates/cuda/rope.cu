//# rope.cu - rotates the first DIMS columns of each head.
${launch("rows", HEADS, 128)};
void ${name}(${params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, DIMS = ${DIMS}, HALF = DIMS / 2 };
    const int64_t t = blockIdx.x, h = blockIdx.y;
    const float *from = ${row("x", "t")} + h * HEAD_DIM, *angle = ${row("angles", "t")};
    float *to = ${row("out", "t")} + h * HEAD_DIM;
    for (int d = threadIdx.x; d < HALF; d += 128) {
        //% if style == "half"
        const int a = d, b = d + HALF;
        //% else
        const int a = 2 * d, b = 2 * d + 1;
        //% end
        const float x_a = from[a], x_b = from[b];
        to[a] = x_a * angle[d] - x_b * angle[HALF + d];
        to[b] = x_b * angle[d] + x_a * angle[HALF + d];
    }
    for (int d = DIMS + threadIdx.x; d < HEAD_DIM; d += 128) {
        to[d] = from[d];
    }
}
