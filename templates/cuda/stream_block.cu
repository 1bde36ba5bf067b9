//# stream_block.cu - one block of 16 rows x BLOCK_K columns from the ring, times x: the inner part
//# of matmul_stream. Scales of groups as wide as a block multiply its sums; other groups, and zero
//# points, are multiplied into the weights, a lane's columns being of one group.
const uint4 low = *(const uint4 *)(from + b * 1024 + lane * 16);
const uint4 high = *(const uint4 *)(from + b * 1024 + 512 + lane * 16);
//% if x_held == false
const uint8_t *const xs = x_row + (first + b) * BLOCK_K * 2;
//% end
//% if fast_groups
const float *s = start + (first + b) * TOKENS;
const float s0 = s[i4 * 2 < TOKENS ? i4 * 2 : TOKENS - 1];
const float s1 = s[i4 * 2 + 1 < TOKENS ? i4 * 2 + 1 : TOKENS - 1];
float group[2][4] = {{s0, s1, s0, s1}};
//% elif scaled
const int in = (b * IN_BLOCK + i4 * IN_BLOCK / 4) * 16 + g;
const uint16_t *const scale = (const uint16_t *)(from + CHUNK * 1024) + in;
const float scale_of_low = float_of_f16(scale[0]), scale_of_high = float_of_f16(scale[8]);
const uint32_t scale_low = bf16_pair(scale_of_low, scale_of_low);
const uint32_t scale_high = bf16_pair(scale_of_high, scale_of_high);
//% if has("w_zero")
const uint8_t *const zero = from + CHUNK * (1024 + IN_BLOCK * 32) + in;
const uint32_t zero_low = 0x43004300 + zero[0] * 0x10001,
               zero_high = 0x43004300 + zero[8] * 0x10001;
//% elif BITS == 4
const uint32_t zero_low = 0x43004300 + ${ZERO} * 0x10001, zero_high = zero_low;
//% end
//% end
#pragma unroll
for (int q = 0; q < 16 / ${BITS}; q++) {
    //% if x_held
    const uint4 x8 = x_regs[(i * CHUNK + b) * RUN + q];
    //% else
    const uint4 x8 = *(const uint4 *)(xs + q * 64);
    //% end
    //% if BITS == 16
    const uint4 a = low, c = high;
    //% elif BITS == 8
    uint4 a = ${bf16_of_codes}(word(low, q * 2), word(low, q * 2 + 1), exponent);
    uint4 c = ${bf16_of_codes}(word(high, q * 2), word(high, q * 2 + 1), exponent);
    //% else
    uint4 a = bf16_of_u4x8(word(low, q), exponent);
    uint4 c = bf16_of_u4x8(word(high, q), exponent);
    //% end
    //% if BITS == 4 && scaled && fast_groups == false
    a = bf16x8_sub(a, zero_low);
    c = bf16x8_sub(c, zero_high);
    //% end
    //% if scaled && fast_groups == false
    a = bf16x8_mul(a, scale_low);
    c = bf16x8_mul(c, scale_high);
    //% end
    ${mma}(${block_sum}[0], {a.x, c.x, a.y, c.y}, x8.x, x8.y);
    ${mma}(${block_sum}[1], {a.z, c.z, a.w, c.w}, x8.z, x8.w);
}
//% if fast_groups
const uint16_t *const scale = (const uint16_t *)(from + CHUNK * 1024) + b * 16 + g;
const float scales[2] = {float_of_f16(scale[0]), float_of_f16(scale[8])};
#pragma unroll
for (int j = 0; j < 4; j++) {
    sum[0][j] += scales[j / 2] * (group[0][j] + group[1][j]);
}
//% end
