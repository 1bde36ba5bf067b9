//# rmsnorm.cu - out = x / sqrt(mean(x^2) + eps) * gain, over rows or groups of DIM columns.
${launch("rows", GROUPS, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x, first = blockIdx.y * (int64_t)DIM;
    const float *from = ${row("x", "t")} + first;
    float *to = ${row("out", "t")} + first;
    float sum = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        sum += from[k] * from[k];
    }
    const float r = rsqrtf(block_sum(sum) / DIM + ${eps});
    for (int k = threadIdx.x; k < DIM; k += 256) {
        //% if has("gain")
        to[k] = from[k] * r * ${scalar("gain", "k")};
        //% else
        to[k] = from[k] * r;
        //% end
    }
}
