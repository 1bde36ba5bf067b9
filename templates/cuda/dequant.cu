//# dequant.cu - codes of an activation back to floats; DIM columns share a scale.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { COLS = ${COLS}, DIM = ${DIM} };
    const int64_t t = blockIdx.x;
    for (int k = threadIdx.x; k < COLS; k += 256) {
        const float y = ${get("code", "t", "k")} * scale[t * (COLS / DIM) + k / DIM];
        ${put("out", "t", "k", "y")};
    }
}
