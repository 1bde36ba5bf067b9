//# stream_hold.cu - a part of x into registers, for matmul_stream: lane 4 * g + i has, of token g,
//# the columns of its place in each block that its warp will read, normalised, as pairs in the order
//# in which they are multiplied. Where x has 16 bits, the next part is asked for column by column as
//# this one is used for the last time.
{
    const auto *const x_row = row_of_x();
    //% if has_norm && SWEEP > 0
    square = part == 0 ? 0 : square;
    //% end
    //% if codes_in
    if (part == 0 && begin == 0) {
#pragma unroll
        for (int i = 0; i < OCTETS; i++) {
            x_regs[i] = load_fresh16(x_row + column(part, i));
        }
    }
    //% else
    enum { AT_ONCE = OCTETS < ${AT_ONCE} ? OCTETS : ${AT_ONCE} };
    //% if x_bytes == "16"
    if (part == 0 && begin == 0) {
#pragma unroll
        for (int i = 0; i < OCTETS; i++) {
            x_regs[i] = load_fresh16(x_row + column(part, i));
        }
    }
    //% end
    //% if x_as_it_is == false
#pragma unroll
    for (int turn = 0; turn < OCTETS; turn += AT_ONCE) {
        //% if x_bytes == "32"
        __syncwarp(); /* else more is asked for at once than there are registers */
        Float8 raw[AT_ONCE];
#pragma unroll
        for (int i = turn; i < OCTETS && i < turn + AT_ONCE; i++) {
            raw[i - turn] = load_fresh32(x_row + column(part, i));
        }
        //% end
#pragma unroll
        for (int i = turn; i < OCTETS && i < turn + AT_ONCE; i++) {
            float xs[8];
            ${x_floats}(xs, ${raw_octet});
            //% if has("norm_gain")
            float gain[8];
            ${gain_floats}(gain, ((const ${gain_octet} *)x_at)[column(part, i) / 8]);
            //% end
#pragma unroll
            for (int e = 0; e < 8; e++) {
                //% if has_norm
                square += xs[e] * xs[e];
                //% end
                //% if has("norm_gain")
                xs[e] *= gain[e];
                //% end
                //% if small
                xs[e] *= 0x1p64f;
                //% end
            }
            x_regs[i] = {${x_pair_a}, ${x_pair_b}, ${x_pair_c}, ${x_pair_d}};
        }
    }
    //% end
    //% end
    //% if fast_groups
    const uint32_t minus = bf16_pair(${0 - 128 - ZERO}, ${0 - 128 - ZERO});
#pragma unroll
    for (int b = 0; b < OWN * CHUNK; b++) {
        float all[4] = {}; /* rows are alike */
#pragma unroll
        for (int q = 0; q < RUN; q++) {
            const uint4 x8 = x_regs[b * RUN + q];
            ${mma}(all, {minus, minus, minus, minus}, x8.x, x8.y);
            ${mma}(all, {minus, minus, minus, minus}, x8.z, x8.w);
        }
        float *const to = start + ((b / CHUNK * WARPS + warp) * CHUNK + b % CHUNK) * TOKENS;
        if (g < 2 && i4 * 2 + g < TOKENS) {
            to[i4 * 2 + g] = all[g];
        }
    }
    __syncwarp();
    //% end
    //% if has_norm
    if (part == PARTS - 1) {
        square += __shfl_xor_sync(0xffffffff, square, 1);
        square += __shfl_xor_sync(0xffffffff, square, 2);
        if (i4 == 0 && g < TOKENS) {
            squares[g * WARPS + warp] = square;
        }
    }
    //% end
}
