//# softmax.c - over rows of DIM columns; a row of -inf gives zeros.
static void ${name}(${params})
{
    enum { DIM = ${DIM}, ROWS = ${ROWS} };
    const Slice slice = slice_of((int64_t)rows * ROWS, thread, threads);
    for (int64_t i = slice.begin; i < slice.end; i++) {
        const float *from = x + i * DIM;
        float *to = out + i * DIM;
        float max = from[0];
        for (int64_t k = 1; k < DIM; k++) {
            max = from[k] > max ? from[k] : max;
        }
        float sum = 0;
        for (int64_t k = 0; k < DIM; k++) {
            to[k] = isinf(max) ? 0 : expf(from[k] - max);
            sum += to[k];
        }
        for (int64_t k = 0; k < DIM; k++) {
            to[k] = sum > 0 ? to[k] / sum : 0;
        }
    }
}
