//# layernorm.cu - out = (x - mean) / sqrt(var + eps) * gain + bias, one block to a row.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x;
    float sum = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        sum += ${get("x", "t", "k")};
    }
    const float mean = block_sum(sum) / DIM;
    float squares = 0;
    for (int k = threadIdx.x; k < DIM; k += 256) {
        const float d = ${get("x", "t", "k")} - mean;
        squares += d * d;
    }
    const float r = rsqrtf(block_sum(squares) / DIM + ${eps});
    for (int k = threadIdx.x; k < DIM; k += 256) {
        float y = (${get("x", "t", "k")} - mean) * r;
        //% if has("gain")
        y *= ${scalar("gain", "k")};
        //% end
        //% if has("bias")
        y += ${scalar("bias", "k")};
        //% end
        ${put("out", "t", "k", "y")};
    }
}
