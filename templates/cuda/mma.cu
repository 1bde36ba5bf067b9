//# mma.cu - a tile of BM rows of x by BN weight rows on the tensor cores, f32 accumulators: the
//# part that matmul_mma and matmul_qkv_mma share. `row_of_i` is the weight row of row i of the
//# tile. Each step along K takes BK columns: weights by cp.async, x rounded to 16 bits on its way;
//# two stages in shared memory, rows of 80 bytes, so that ldmatrix meets every bank once.
enum { BM = 128, BN = ${BN}, BK = 32, LINE = BK + 8, THREADS = 256 };
enum { WARPS_N = ${WARPS_N}, WARPS_M = 8 / WARPS_N, MT = BM / WARPS_M / 16, NT = BN / WARPS_N / 8 };
__shared__ __align__(16) uint16_t x_tile[2][BM * LINE], w_tile[2][BN * LINE];
const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
const int warp_m = warp / WARPS_N * (MT * 16), warp_n = warp % WARPS_N * (NT * 8);
const int64_t t0 = (int64_t)blockIdx.y * BM;
float acc[MT][NT][4] = {};
//% if x_narrow
const uint16_t *x_from[2];
#pragma unroll
for (int i = 0; i < 2; i++) {
    const int64_t t = t0 + tid / 4 + i * 64;
    x_from[i] = x + (t < rows ? t : rows - 1) * ${STRIDE} + tid % 4 * 8;
    copy_async16(&x_tile[0][(tid / 4 + i * 64) * LINE + tid % 4 * 8], x_from[i]);
}
//% else
float4 coming[4];
const float *x_from[4];
#pragma unroll
for (int i = 0; i < 4; i++) {
    const int64_t t = t0 + tid / 8 + i * 32;
    x_from[i] = x + (t < rows ? t : rows - 1) * ${STRIDE} + tid % 8 * 4;
    coming[i] = *(const float4 *)x_from[i];
}
//% end
//% if w_copied
#pragma unroll
for (int c = tid; c < BN * 4; c += THREADS) {
    const int i = c / 4;
    copy_async16(&w_tile[0][i * LINE + c % 4 * 8], ${address("w", row_of_i, "c % 4 * 8")});
}
//% else
/* Codes go through registers: c of a thread is eight columns of row i. */
enum { OCTETS = (BN * 4 + THREADS - 1) / THREADS };
${octet} codes[OCTETS];
#pragma unroll
for (int o = 0; o < OCTETS; o++) {
    const int c = tid + o * THREADS, i = c / 4;
    if (c < BN * 4) {
        codes[o] = ${load_octet}(${address("w", row_of_i, "c % 4 * 8")});
    }
}
//% end
for (int k = 0, stage = 0; k < K; k += BK, stage ^= 1) {
    //% if x_narrow == false
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint2 pair = {${pair_of}(coming[i].x, coming[i].y),
                            ${pair_of}(coming[i].z, coming[i].w)};
        *(uint2 *)&x_tile[stage][(tid / 8 + i * 32) * LINE + tid % 8 * 4] = pair;
    }
    //% end
    //% if x_narrow || w_copied
    wait_copies();
    //% end
    //% if w_copied == false
#pragma unroll
    for (int o = 0; o < OCTETS; o++) {
        const int c = tid + o * THREADS, i = c / 4;
        if (c < BN * 4) {
            //% if scaled || has("w_zero")
            const int64_t r = ${row_of_i};
            const int g = (k + c % 4 * 8) / ${GROUP};
            //% end
            const int zero = ${zero("r", "g")};
            float f[8];
            ${octet_floats}(f, codes[o], zero);
            //% if scaled
            const float scale = 1.0f ${scale_factors("r", "g", "0")};
#pragma unroll
            for (int e = 0; e < 8; e++) {
                f[e] *= scale;
            }
            //% end
            const uint4 eight = {${pair_of}(f[0], f[1]), ${pair_of}(f[2], f[3]),
                                 ${pair_of}(f[4], f[5]), ${pair_of}(f[6], f[7])};
            *(uint4 *)&w_tile[stage][i * LINE + c % 4 * 8] = eight;
        }
    }
    //% end
    __syncthreads();
    if (k + BK < K) {
        //% if x_narrow
#pragma unroll
        for (int i = 0; i < 2; i++) {
            copy_async16(&x_tile[stage ^ 1][(tid / 4 + i * 64) * LINE + tid % 4 * 8],
                         x_from[i] + k + BK);
        }
        //% else
#pragma unroll
        for (int i = 0; i < 4; i++) {
            coming[i] = *(const float4 *)(x_from[i] + k + BK);
        }
        //% end
//% if w_copied
#pragma unroll
        for (int c = tid; c < BN * 4; c += THREADS) {
            const int i = c / 4;
            copy_async16(&w_tile[stage ^ 1][i * LINE + c % 4 * 8],
                         ${address("w", row_of_i, "k + BK + c % 4 * 8")});
        }
        //% else
#pragma unroll
        for (int o = 0; o < OCTETS; o++) {
            const int c = tid + o * THREADS, i = c / 4;
            if (c < BN * 4) {
                codes[o] = ${load_octet}(${address("w", row_of_i, "k + BK + c % 4 * 8")});
            }
        }
        //% end
    }
#pragma unroll
    for (int kk = 0; kk < BK; kk += 16) {
        uint4 a[MT];
#pragma unroll
        for (int m = 0; m < MT; m++) {
            a[m] = load_matrix(
                &x_tile[stage][(warp_m + m * 16 + lane % 16) * LINE + kk + lane / 16 * 8]);
        }
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            const int line = warp_n + n * 8 + lane / 16 * 8 + lane % 8;
            const uint4 b = load_matrix(&w_tile[stage][line * LINE + kk + lane / 8 % 2 * 8]);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                ${multiply}(acc[m][n], a[m], b.x, b.y);
                ${multiply}(acc[m][n + 1], a[m], b.z, b.w);
            }
        }
    }
}
