//# matmul_mma.cu - out = epilogue(x . w^T) for many tokens on the tensor cores. A
//# thread has elements (row, 2 columns) and (row + 8, 2 columns) of each 16 x 8 tile; gate and up
//# alternate by 8 rows, so that both accumulators of a column are in one thread.
${launch(floor((ROWS + BN - 1) / BN), "(rows + 127) / 128", 256)};
void ${name}(${params})
{
    enum { K = ${K}, N = ${N}, ROWS = ${ROWS} };
    const int64_t n0 = (int64_t)blockIdx.x * ${BN};
    ${part(sums, tile_row)};
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int j = 0; j < NT; j += ${WAYS}) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int64_t t = t0 + warp_m + m * 16 + lane / 4 + e / 2 * 8;
                //% if WAYS > 1
                const int64_t n = (n0 + warp_n + j * 8) / 2 + lane % 4 * 2 + e % 2;
                //% else
                const int64_t n = n0 + warp_n + j * 8 + lane % 4 * 2 + e % 2;
                //% end
                if (t < rows && n < N) {
                    const float acc0 = acc[m][j][e];
                    //% if WAYS > 1
                    const float acc1 = acc[m][j + 1][e];
                    //% end
                    ${leaves};
                    ${store("out", "t", "n")};
                }
            }
        }
    }
}
