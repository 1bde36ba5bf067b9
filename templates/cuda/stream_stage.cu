//# stream_stage.cu - a part of x into shared memory, for matmul_stream: normalised, and in the order
//# of k in which lanes multiply it.
//% if codes_in
for (int i = threadIdx.x; i < TOKENS * (PART_K / 16); i += WARPS * 32) {
    const int t = i / (PART_K / 16), at = i % (PART_K / 16) * 16;
    const int64_t from = t < rows ? t : rows - 1;
    *(uint4 *)(x_at + t * LINE + at) = load_fresh16(${row("x", "from")} + part * PART_K + at);
}
//% else
#pragma unroll
for (int i = 0; i < (PART_K / 8 + WARPS * 32 - 1) / (WARPS * 32); i++) {
    const int v = threadIdx.x + i * WARPS * 32;
    if (v >= PART_K / 8) {
        break;
    }
    //% if has("norm_gain")
    float gain[8];
    //% if PARTS == 1
    ${gain_floats}(gain, gains[i]);
    //% else
    ${gain_floats}(gain, ${load_gain}(norm_gain + part * PART_K + v * 8));
    //% end
    //% end
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
        const int64_t from = t < rows ? t : rows - 1;
        float xs[8];
        ${x_floats}(xs, load_fresh${x_bytes}(${row("x", "from")} + part * PART_K + v * 8));
        //% if has_norm
#pragma unroll
        for (int e = 0; e < 8; e++) {
            square[t] += xs[e] * xs[e];
            //% if has("norm_gain")
            xs[e] *= gain[e];
            //% end
        }
        //% end
        //% if small
#pragma unroll
        for (int e = 0; e < 8; e++) {
            xs[e] *= 0x1p64f;
        }
        //% end
        //% if BITS == 16
        const uint4 pairs = {${pair}(xs[0], xs[1]), ${pair}(xs[2], xs[3]), ${pair}(xs[4], xs[5]),
                             ${pair}(xs[6], xs[7])};
        //% elif BITS == 8
        const uint4 pairs = {${pair}(xs[0], xs[2]), ${pair}(xs[1], xs[3]), ${pair}(xs[4], xs[6]),
                             ${pair}(xs[5], xs[7])};
        //% else
        const uint4 pairs = {${pair}(xs[0], xs[4]), ${pair}(xs[1], xs[5]), ${pair}(xs[2], xs[6]),
                             ${pair}(xs[3], xs[7])};
        //% end
        /* Lane i4 has BLOCK_K / 4 columns of a block, in parts of eight. */
        enum { RUN = BLOCK_K / 4 };
        const int k = v * 8, in = k % BLOCK_K;
        const int at = k - in + in % RUN * 4 + in / RUN * 8;
        *(uint4 *)(x_at + t * LINE + at * 2) = pairs;
        //% if fast_groups
        const uint32_t half = 0xffffu << (lane & 16); /* half a warp has one block */
        float sum = sum_of_bf16(pairs);
        for (int step = 8; step > 0; step /= 2) {
            sum += __shfl_xor_sync(half, sum, step);
        }
        if (lane % 16 == 0) {
            start[k / BLOCK_K * TOKENS + t] = ${0 - 128 - ZERO} * sum;
        }
        //% end
    }
}
//% end
//% if has_norm
#pragma unroll
for (int t = 0; t < TOKENS; t++) {
    const float all = warp_sum(square[t]);
    if (lane == 0) {
        squares[t * WARPS + warp] = all;
    }
}
//% end
__syncthreads();

const uint8_t *const x_row = x_at + (g < TOKENS ? g : TOKENS - 1) * LINE + i4 * 16;
