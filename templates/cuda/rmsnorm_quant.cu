//# rmsnorm_quant.cu - the normalised row as codes and their scale, one block to a row.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x;
    ${code_type} *to = ${row("codes", "t")};
    float sum = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        const float x_k = ${get("x", "t", "k")};
        sum += x_k * x_k;
    }
    const float r = rsqrtf(block_sum(sum) / DIM + ${eps});
    float max = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        //% if has("gain")
        max = fmaxf(max, fabsf(${get("x", "t", "k")} * r * ${scalar("gain", "k")}));
        //% else
        max = fmaxf(max, fabsf(${get("x", "t", "k")} * r));
        //% end
    }
    max = block_max(max);
    const float scale = max / ${LARGEST};
    for (int k = threadIdx.x; k < DIM; k += 256) {
        //% if has("gain")
        to[k] = ${code_of}(${get("x", "t", "k")} * r * ${scalar("gain", "k")}, scale);
        //% else
        to[k] = ${code_of}(${get("x", "t", "k")} * r, scale);
        //% end
    }
    if (threadIdx.x == 0) {
        scales[t] = scale;
    }
}
