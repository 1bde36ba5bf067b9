//# row_rms.cu - one number a row: 1 / sqrt(mean(x^2) + eps); a folded norm's part in the epilogue.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x;
    float sum = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        const float x_k = ${get("x", "t", "k")};
        sum += x_k * x_k;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        out[t] = rsqrtf(sum / DIM + ${eps});
    }
}
