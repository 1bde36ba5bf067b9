//# quantize.cu - codes and scales of each row, or of each group of DIM columns, which stays in
//# registers between the two passes.
${launch_early("rows", GROUPS, THREADS)};
void ${name}(${params})
{
    enum { DIM = ${DIM}, GROUPS = ${GROUPS}, THREADS = ${THREADS}, PER = ${PER} };
    enum { STEPS = (DIM / PER + THREADS - 1) / THREADS };
    const int64_t t = blockIdx.x, g = blockIdx.y;
    ${code_type} *to = ${row("codes", "t")} + g * DIM;
    float v[STEPS][PER];
    float max = 0;
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
            max = fmaxf(max, fabsf(v[i][e]));
        }
    }
    max = block_max(max);
    const float scale = max / ${LARGEST};
    ${part("store_codes", "")};
    if (threadIdx.x == 0) {
        scales[t * GROUPS + g] = scale;
    }
}
