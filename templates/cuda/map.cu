//# map.cu - an expression over operands of the same rows, one thread to a column.
${launch(floor((COLS + 255) / 256), "rows", 256)};
void ${name}(${params})
{
    enum { COLS = ${COLS} };
    const int64_t t = blockIdx.y, n = blockIdx.x * 256 + threadIdx.x;
    if (n < COLS) {
        ${leaves};
        ${store("out", "t", "n")};
    }
}
