//# copy.cu - a returned value into the environment when its old value was still needed.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { COLS = ${COLS} };
    const int64_t t = blockIdx.x;
    for (int64_t k = threadIdx.x; k < COLS; k += 256) {
        const float same = ${get("x", "t", "k")};
        ${put("out", "t", "k", "same")};
    }
}
