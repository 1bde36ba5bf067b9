//# rmsnorm.cu - out = x / sqrt(mean(x^2) + eps) * gain, over rows or groups of DIM columns, which
//# stay in registers between their sum and their scaling.
${launch("rows", GROUPS, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM}, TURNS = (DIM + 255) / 256 };
    const int64_t t = blockIdx.x, first = blockIdx.y * (int64_t)DIM;
    float held[TURNS], sum = 0;
#pragma unroll
    for (int i = 0; i < TURNS; i++) {
        const int k = i * 256 + threadIdx.x;
        //% if DIM % 256 == 0
        held[i] = ${get("x", "t", "first + k")};
        //% else
        held[i] = k < DIM ? ${get("x", "t", "first + k")} : 0;
        //% end
    }
#pragma unroll
    for (int i = 0; i < TURNS; i++) {
        sum += held[i] * held[i];
    }
    const float r = rsqrtf(block_sum(sum) / DIM + ${eps});
#pragma unroll
    for (int i = 0; i < TURNS; i++) {
        const int k = i * 256 + threadIdx.x;
        //% if DIM % 256 != 0
        if (k >= DIM) {
            break;
        }
        //% end
        float y = held[i] * r;
        //% if has("gain")
        y *= ${scalar("gain", "k")};
        //% end
        ${put("out", "t", "first + k", "y")};
    }
}
