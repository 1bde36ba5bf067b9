//# matmul.cu - out = epilogue(x . w^T). A block takes R weight rows and TOKENS rows of x; its
//# threads lie side by side along K, each with PER weights of every row in flight, and add up at
//# the end.
${launch(floor((N + R / WAYS - 1) / floor(R / WAYS)), token_blocks, 256)};
void ${name}(${params})
{
    enum { K = ${K}, N = ${N}, TOKENS = ${TOKENS}, R = ${R}, COLS = R / ${WAYS}, WARPS = 8 };
    //% if octets
    enum { PER = 8 };
    //% else
    enum { PER = 1 };
    //% end
    const int64_t n0 = (int64_t)blockIdx.x * COLS;
    //% if many
    const int64_t t0 = (int64_t)blockIdx.y * TOKENS;
    //% else
    const int64_t t0 = 0;
    //% end
    int64_t row[R];
#pragma unroll
    for (int i = 0; i < R; i++) {
        const int64_t n = n0 + i % COLS < N ? n0 + i % COLS : N - 1;
        //% if WAYS > 1
        row[i] = (n / ${INTERLEAVE} * 2 + i / COLS) * ${INTERLEAVE} + n % ${INTERLEAVE};
        //% else
        row[i] = n;
        //% end
    }
    ${sum_type} sum[TOKENS][R] = {};
    for (int k = threadIdx.x * PER; k < K; k += WARPS * 32 * PER) {
        ${part("sums", "row[i]")};
    }
    __shared__ float part[WARPS][TOKENS * R];
#pragma unroll
    for (int i = 0; i < TOKENS * R; i++) {
        const float all = warp_sum((float)sum[i / R][i % R]);
        if (threadIdx.x % 32 == 0) {
            part[threadIdx.x / 32][i] = all;
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < TOKENS * COLS; i += WARPS * 32) {
        const int64_t t = t0 + i / COLS, n = n0 + i % COLS;
        if (t >= rows || n >= N) {
            continue;
        }
        float acc0 = 0;
        //% if WAYS > 1
        float acc1 = 0;
        //% end
        for (int warp = 0; warp < WARPS; warp++) {
            acc0 += part[warp][i / COLS * R + i % COLS];
            //% if WAYS > 1
            acc1 += part[warp][i / COLS * R + COLS + i % COLS];
            //% end
        }
        ${leaves};
        ${store("out", "t", "n")};
    }
}
