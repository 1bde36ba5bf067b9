//# quantize.cu - codes and scales of each row, or of each group of DIM columns.
${launch("rows", GROUPS, 128)};
void ${name}(${params})
{
    enum { DIM = ${DIM}, GROUPS = ${GROUPS} };
    const int64_t t = blockIdx.x, g = blockIdx.y;
    ${code_type} *to = ${row("codes", "t")} + g * DIM;
    float max = 0;
    for (int k = threadIdx.x; k < DIM; k += 128) {
        max = fmaxf(max, fabsf(${get("x", "t", "g * DIM + k")}));
    }
    max = block_max(max);
    const float scale = max / ${LARGEST};
    for (int k = threadIdx.x; k < DIM; k += 128) {
        to[k] = ${code_of}(${get("x", "t", "g * DIM + k")}, scale);
    }
    if (threadIdx.x == 0) {
        scales[t * GROUPS + g] = scale;
    }
}
