//# rmsnorm_quant.cu - the normalised row as codes and their scale, one block to a row, which stays in
//# registers.
${launch_early("rows", 1, THREADS)};
void ${name}(${params})
{
    enum { DIM = ${DIM}, THREADS = ${THREADS}, PER = ${PER} };
    enum { STEPS = (DIM / PER + THREADS - 1) / THREADS };
    const int64_t t = blockIdx.x;
    ${code_type} *to = ${row("codes", "t")};
    float v[STEPS][PER];
    float sum = 0, max = 0;
    dependency_wait();
    dependents_launch();
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const int at = (threadIdx.x + i * THREADS) * PER;
        if (at < DIM) {
            ${load_v};
        }
#pragma unroll
        for (int e = 0; e < PER && at < DIM; e++) {
            sum += v[i][e] * v[i][e];
        }
    }
    const float r = rsqrtf(block_sum(sum) / DIM + ${eps});
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const int at = (threadIdx.x + i * THREADS) * PER;
#pragma unroll
        for (int e = 0; e < PER && at < DIM; e++) {
            //% if has("gain")
            v[i][e] *= r * ${scalar("gain", "at + e")};
            //% else
            v[i][e] *= r;
            //% end
            max = fmaxf(max, fabsf(v[i][e]));
        }
    }
    max = block_max(max);
    const float scale = max / ${LARGEST};
    ${part("store_codes", "")};
    if (threadIdx.x == 0) {
        scales[t] = scale;
    }
}
