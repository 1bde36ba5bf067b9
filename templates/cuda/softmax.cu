//# softmax.cu - over rows of DIM columns; a row of -inf gives zeros.
${launch("rows", ROWS, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM}, ROWS = ${ROWS} };
    const int64_t i = blockIdx.x * (int64_t)ROWS + blockIdx.y;
    const float *from = x + i * DIM;
    float *to = out + i * DIM;
    float max = from[0];
    for (int64_t k = threadIdx.x; k < DIM; k += 256) {
        max = fmaxf(max, from[k]);
    }
    max = block_max(max);
    const bool hidden = max < -3e38f;
    float sum = 0;
    for (int64_t k = threadIdx.x; k < DIM; k += 256) {
        to[k] = hidden ? 0 : expf(from[k] - max);
        sum += to[k];
    }
    sum = block_sum(sum);
    for (int64_t k = threadIdx.x; k < DIM; k += 256) {
        to[k] = sum > 0 ? to[k] / sum : 0;
    }
}
