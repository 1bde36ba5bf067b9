//# flash_warps.cu - the loop of attention_flash with mma.sync: each warp has its own rows; keys come
//# while values are multiplied and the other way round.
for (int p = p0; p <= last; p += BN) {
    //% if k_codes
    arrive(key, raw_keys);
    //% else
    wait_copies();
    //% end
    __syncthreads(); /* keys are there, values are free */
    ask(${k_codes ? "raw_values" : "value"}, values, p);
    float s[TILES][8][4] = {};
    const bool reached = p < begin + (warp + 1) * WARP_ROWS; /* by this warp's rows */
    if (reached) {
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            uint4 a[TILES];
#pragma unroll
            for (int m = 0; m < TILES; m++) {
                const int row = warp * WARP_ROWS + m * TILE_ROWS + lane % 16;
                a[m] = load_matrix(query + place(row, k * 2 + lane / 16, BM));
            }
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int row = n * 16 + lane / 16 * 8 + lane % 8;
                const uint4 b = load_matrix(key + place(row, k * 2 + lane / 8 % 2, BN));
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    ${mma}(s[m][n * 2], a[m], b.x, b.y);
                    ${mma}(s[m][n * 2 + 1], a[m], b.z, b.w);
                }
            }
        }
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            weigh(s[m], m, p);
        }
    }
    //% if k_codes
    arrive(value, raw_values);
    //% else
    wait_copies();
    //% end
    __syncthreads(); /* values are there, keys are free */
    if (p + BN <= last) {
        ask(${k_codes ? "raw_keys" : "key"}, keys, p + BN);
    }
    if (reached) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            uint4 a[TILES];
#pragma unroll
            for (int m = 0; m < TILES; m++) {
                a[m] = left(s[m], k);
            }
#pragma unroll
            for (int d = 0; d < DEEP; d++) {
                const int row = k * 16 + lane % 16;
                const uint4 b = load_matrix_turned(value + place(row, d * 2 + lane / 16, BN));
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    ${mma}(sum[m][d * 2], a[m], b.x, b.y);
                    ${mma}(sum[m][d * 2 + 1], a[m], b.z, b.w);
                }
            }
        }
    }
}
