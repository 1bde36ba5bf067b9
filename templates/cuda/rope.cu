//# rope.cu - rotates the first DIMS columns of each head.
${launch("rows", HEADS, 128)};
void ${name}(${params})
{
    enum { HEAD_DIM = ${HEAD_DIM}, DIMS = ${DIMS}, HALF = DIMS / 2 };
    const int64_t t = blockIdx.x, h = blockIdx.y;
    const float *angle = ${row("angles", "t")};
    for (int d = threadIdx.x; d < HALF; d += 128) {
        //% if style == "half"
        const int64_t a = h * HEAD_DIM + d, b = a + HALF;
        //% else
        const int64_t a = h * HEAD_DIM + 2 * d, b = a + 1;
        //% end
        const float x_a = ${get("x", "t", "a")}, x_b = ${get("x", "t", "b")};
        ${put("out", "t", "a", "x_a * angle[d] - x_b * angle[HALF + d]")};
        ${put("out", "t", "b", "x_b * angle[d] + x_a * angle[HALF + d]")};
    }
    for (int d = DIMS + threadIdx.x; d < HEAD_DIM; d += 128) {
        const float same = ${get("x", "t", "h * HEAD_DIM + d")};
        ${put("out", "t", "h * HEAD_DIM + d", "same")};
    }
}
