//# rmsnorm.cu - out = x / sqrt(mean(x^2) + eps) * gain, over rows or groups of DIM columns.
${launch("rows", GROUPS, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x, first = blockIdx.y * (int64_t)DIM;
    float sum = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        const float x_k = ${get("x", "t", "first + k")};
        sum += x_k * x_k;
    }
    const float r = rsqrtf(block_sum(sum) / DIM + ${eps});
    for (int k = threadIdx.x; k < DIM; k += 256) {
        float y = ${get("x", "t", "first + k")} * r;
        //% if has("gain")
        y *= ${scalar("gain", "k")};
        //% end
        ${put("out", "t", "first + k", "y")};
    }
}
