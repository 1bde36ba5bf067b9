//# stream_codes.cu - one block of 16 rows x 64 codes from the ring, times codes of x: the inner part
//# of matmul_stream for 8 bits by 8 bits. Lane i4 has columns i4 * 16 ... + 15 of its rows, and so of
//# its token: both operands of mma.m16n8k32 take them in the same order.
const uint4 low = *(const uint4 *)(from + b * 1024 + lane * 16);
const uint4 high = *(const uint4 *)(from + b * 1024 + 512 + lane * 16);
//% if x_held
const uint4 x16 = x_regs[i * CHUNK + b];
//% else
const uint4 x16 = *(const uint4 *)(x_row + (first + b) * BLOCK_K);
//% end
${mma}(sum[0], {low.x, high.x, low.y, high.y}, x16.x, x16.y);
${mma}(sum[1], {low.z, high.z, low.w, high.w}, x16.z, x16.w);
