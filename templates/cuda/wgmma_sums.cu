//# wgmma_sums.cu - the sums of a piece of a tile, 64 rows of weights by BT tokens of a warpgroup: sums[j * 4 +
//# c] is row 16 * warp + lane / 4 + c / 2 * 8 and token 8 * j + lane % 4 * 2 + c % 2.
float sums[BT / 2];
#pragma unroll
for (int i = 0; i < BT / 2; i++) {
    sums[i] = 0;
}
//% if W_BITS == 16
for (int k = piece.from; k < piece.to; k++, step++) {
    const uint32_t stage = step % STAGES, x_at = ring + stage * STAGE;
    const uint32_t w_at = x_at + X_STAGE + team * (64 * 64);
    barrier_wait(full + stage * 8, step / STAGES & 1);
    warpgroup_begin();
#pragma unroll
    for (int i = 0; i < BK / 16; i++) {
        ${multiply}(sums, warpgroup_operand<64>(w_at + i / 2 * (W_STAGE / 2) + i % 2 * 32),
                    warpgroup_operand<128>(x_at + i * 32));
    }
    warpgroup_end();
    warpgroup_wait<1>();
    if (k > piece.from && lane < CLUSTER) {
        barrier_arrive(empty + (step - 1) % STAGES * 8, lane);
    }
}
warpgroup_wait<0>();
//% else
/* Codes become ${x_word} in the registers that multiply them, a step ahead. */
//% if scaled || has("w_zero")
enum { GROUP = ${GROUP}, GROUPS = GROUP < BK ? BK / GROUP : 1 };
const int row0 = row_tile + lane / 4;
//% end
//% if scaled
float scales[GROUPS][2];
//% end
//% if has("w_zero")
int zeros[GROUPS][2];
//% end
//% if scaled || has("w_zero")
auto load_groups = [&](int k) {
#pragma unroll
    for (int i = 0; i < GROUPS * 2; i++) {
        //% if ROWS % 128 == 0
        const int r = row0 + i % 2 * 8;
        //% else
        const int r = row0 + i % 2 * 8 < ROWS ? row0 + i % 2 * 8 : ROWS - 1;
        //% end
        const int g = k * BK / GROUP + i / 2;
        //% if scaled
        scales[i / 2][i % 2] = 1.0f ${scale_factors("r", "g", "0")};
        //% end
        //% if has("w_zero")
        zeros[i / 2][i % 2] = ${zero("r", "g")};
        //% end
    }
};
load_groups(piece.from);
//% end
const uint32_t step0 = step;
auto convert = [&](int k, uint32_t (&a)[BK / 16][4]) {
    const uint32_t nth = step0 + (k - piece.from), stage = nth % STAGES;
    //% if W_BITS == 8
    const uint32_t w_at =
        ring + stage * STAGE + X_STAGE + (team * 4 + warp) * 1024 + lane % 4 / 2 * 4;
    //% else
    const uint32_t w_at = ring + stage * STAGE + X_STAGE + (team * 4 + warp) * 512;
    //% end
    barrier_wait(full + stage * 8, nth / STAGES & 1);
#pragma unroll
    for (int i = 0; i < BK / 16; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int row = lane / 4 + h * 8;
            //% if has("w_zero")
            const int zero = zeros[i * GROUPS / (BK / 16)][h];
            //% else
            const int zero = ${zero("0", "0")};
            //% end
            //% if W_BITS == 8
            const uint32_t line =
                w_at + (row ${long_lines ? "^ h" : ""}) * 64 + (i ^ (row / 2 % 4)) * 16;
            float2 low = ${code_floats}(load_shared(line), lane % 2, zero);
            float2 high = ${code_floats}(load_shared(line + 8), lane % 2, zero);
            //% else
            const uint32_t line = w_at + row * 32 + (i / 2 ^ (row / 4 % 2)) * 16 + i % 2 * 8;
            const uint2 codes = load_shared2(line);
            float2 low = floats_of_u4x2(codes.x, lane % 4, zero);
            float2 high = floats_of_u4x2(codes.y, lane % 4, zero);
            //% end
            //% if scaled
            const float scale = scales[i * GROUPS / (BK / 16)][h];
            low.x *= scale, low.y *= scale, high.x *= scale, high.y *= scale;
            //% end
            a[i][h] = ${pair_of}(low.x, low.y);
            a[i][2 + h] = ${pair_of}(high.x, high.y);
        }
    }
    //% if scaled || has("w_zero")
    load_groups(k + 1 < STEPS ? k + 1 : k);
    //% end
};
uint32_t a[2][BK / 16][4];
convert(piece.from, a[0]);
for (int k = piece.from; k < piece.to; k += 2) {
#pragma unroll
    for (int odd = 0; odd < 2; odd++) {
        if (k + odd < piece.to) {
            const uint32_t stage = step % STAGES;
            warpgroup_begin();
#pragma unroll
            for (int i = 0; i < BK / 16; i++) {
                ${multiply}(sums, a[odd][i], warpgroup_operand<128>(ring + stage * STAGE + i * 32));
            }
            warpgroup_end();
            warpgroup_wait<1>();
            if (k + odd > piece.from && lane < CLUSTER) {
                barrier_arrive(empty + (step - 1) % STAGES * 8, lane);
            }
            step++;
            if (k + odd + 1 < piece.to) {
                convert(k + odd + 1, a[odd ^ 1]);
            }
        }
    }
}
warpgroup_wait<0>();
//% end
if (lane < CLUSTER) {
    barrier_arrive(empty + (step - 1) % STAGES * 8, lane);
}
//% if long_lines && W_BITS == 16
#pragma unroll
for (int i = 2; i < BT / 2; i += i % 2 * 2 + 1) {
    asm volatile("" : "+f"(sums[i])::"memory");        /* not before the multiplications are done */
    sums[i] = __shfl_xor_sync(0xffffffff, sums[i], 4); /* see wgmma_begin */
}
//% end
