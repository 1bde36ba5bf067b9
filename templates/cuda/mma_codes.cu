//# mma_codes.cu - what mma.cu computes, of codes of 8 bits by codes of the same kind: int8 with exact
//# sums, or e4m3. A step along K takes 64 columns, x and weights by cp.async; two stages, rows of 80
//# bytes, so that ldmatrix, which moves pairs of codes, meets every bank once.
enum { BM = 128, BN = ${BN}, BK = 64, LINE = BK + 16, THREADS = 256 };
enum { WARPS_N = ${WARPS_N}, WARPS_M = 8 / WARPS_N, MT = BM / WARPS_M / 16, NT = BN / WARPS_N / 8 };
__shared__ __align__(16) uint8_t x_tile[2][BM * LINE], w_tile[2][BN * LINE];
const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
const int warp_m = warp / WARPS_N * (MT * 16), warp_n = warp % WARPS_N * (NT * 8);
const int64_t t0 = (int64_t)blockIdx.y * BM;
${sum_type} acc[MT][NT][4] = {};
/* A thread copies 16 bytes of every 64th row; a block of 16 rows x 64 weights is a KiB. */
enum { X_ROWS = BM / 64, W_ROWS = (BN + 63) / 64 };
const int at = tid / 4 * LINE + tid % 4 * 16;
const uint8_t *x_from[X_ROWS], *w_from[W_ROWS];
#pragma unroll
for (int j = 0; j < X_ROWS; j++) {
    const int64_t t = t0 + tid / 4 + j * 64;
    x_from[j] = (const uint8_t *)x + (t < rows ? t : rows - 1) * ${STRIDE} + tid % 4 * 16;
}
#pragma unroll
for (int j = 0; j < W_ROWS; j++) {
    const int i = (tid / 4 + j * 64) % BN;
    w_from[j] = (const uint8_t *)(${address("w", row_of_i, "tid % 4 * 16")});
}
auto fill = [&](int stage, int k) {
#pragma unroll
    for (int j = 0; j < X_ROWS; j++) {
        copy_async16(&x_tile[stage][at + j * 64 * LINE], x_from[j] + k);
    }
#pragma unroll
    for (int j = 0; j < W_ROWS; j++) {
        if (BN % 64 == 0 || tid / 4 + j * 64 < BN) {
            copy_async16(&w_tile[stage][at + j * 64 * LINE], w_from[j] + k * 16);
        }
    }
};
fill(0, 0);
for (int k = 0, stage = 0; k < K; k += BK, stage ^= 1) {
    wait_copies();
    __syncthreads();
    if (k + BK < K) {
        fill(stage ^ 1, k + BK);
    }
#pragma unroll
    for (int kk = 0; kk < BK; kk += 32) {
        uint4 a[MT];
#pragma unroll
        for (int m = 0; m < MT; m++) {
            const int line = warp_m + m * 16 + lane % 16;
            a[m] = load_matrix((uint16_t *)&x_tile[stage][line * LINE + kk + lane / 16 * 16]);
        }
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            const int line = warp_n + n * 8 + lane / 16 * 8 + lane % 8;
            const uint4 b =
                load_matrix((uint16_t *)&w_tile[stage][line * LINE + kk + lane / 8 % 2 * 16]);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                ${multiply}(acc[m][n], a[m], b.x, b.y);
                ${multiply}(acc[m][n + 1], a[m], b.z, b.w);
            }
        }
    }
}
