//# matmul_stream.cu - out = epilogue(x . w^T) for 1 to 8 tokens: every weight passes once, from
//# memory through a ring in shared memory to the tensor cores. Weights: tile(16, 512 / BITS) of
//# bf16, i8 or u4 (a block: 16 rows x 64 bytes); scales of u4 groups of 128: tile(16, 1) of f32.
//#
//#   SMS thread blocks take tiles of 16 rows in turn; chunks of CHUNK blocks go round the warps of
//#   a thread block. Lane 4 * g + i copies and later reads 16 bytes of row g and of row g + 8 of a
//#   block, so a ring needs no barrier. Weights are the 16 rows of mma.m16n8k16, tokens its 8
//#   columns; x lies in shared memory in the order of k that this makes. Sums of the warps are added
//#   every ROUND tiles, always in the same order. Gate and up alternate by 8 rows (WAYS == 2).
//#   The ring is filled before dependency_wait: weights are no kernel's result.
${launch(SMS, "1", WARPS * 32, SHARED)};
void ${name}(${params})
{
    enum { K = ${K}, N = ${N}, TILES = ${floor(ROWS / 16)}, TOKENS = ${TOKENS}, WARPS = ${WARPS} };
    enum { CHUNK = ${CHUNK}, SLOTS = ${SLOTS}, ROUND = 4 };
    enum { BLOCK_K = ${floor(512 / BITS)}, BLOCKS = K / BLOCK_K, CHUNKS = BLOCKS / CHUNK };
    //% if BITS == 4
    enum { SLOT = CHUNK * (1024 + 64) };
    //% else
    enum { SLOT = CHUNK * 1024 };
    //% end
    enum { LINE = K * 2 + 64, PART = ROUND * WARPS * TOKENS * 16 }; /* bytes of x; floats */
    extern __shared__ __align__(128) uint8_t shared[];
    uint8_t *const x_at = shared + WARPS * SLOTS * SLOT;
    float *const part = (float *)(x_at + TOKENS * LINE);
    //% if BITS == 4
    float *const start = part + 2 * PART; /* of a block's sums: -(128 + zero) * sum of x */
    //% end
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    uint8_t *const ring = shared + warp * SLOTS * SLOT;
    const uint8_t *const bytes = (const uint8_t *)w;
    //% if BITS < 16
    const uint32_t exponent = opaque(0x43004300); /* two bf16 from 128 on */
    //% end
    const int tiles = (TILES - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    const int chunks = tiles * CHUNKS;

    int next = warp; /* chunk that this warp asks for next */
    auto fill = [&](int slot) {
        if (next < chunks) {
            const int64_t tile = blockIdx.x + (int64_t)(next / CHUNKS) * gridDim.x;
            const int64_t block = tile * BLOCKS + next % CHUNKS * CHUNK;
            uint8_t *to = ring + slot * SLOT;
#pragma unroll
            for (int i = 0; i < CHUNK * 2; i++) {
                copy_async16(to + i * 512 + lane * 16, bytes + block * 1024 + i * 512 + lane * 16);
            }
            //% if BITS == 4
            if (lane < CHUNK * 4) {
                copy_async16(to + CHUNK * 1024 + lane * 16, w_scale + block * 16 + lane * 4);
            }
            //% end
            next += WARPS;
        }
        commit_copies();
    };
#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++) {
        fill(slot);
    }
    dependents_launch();
    dependency_wait();

#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
        const float *from = ${row("x", "(t < rows ? t : rows - 1)")};
        for (int v = threadIdx.x; v < K / 8; v += WARPS * 32) {
            const float4 a = load_fresh(from + v * 8), b = load_fresh(from + v * 8 + 4);
            //% if BITS == 16
            const uint4 pairs = {bf16_pair(a.x, a.y), bf16_pair(a.z, a.w), bf16_pair(b.x, b.y),
                                 bf16_pair(b.z, b.w)};
            //% elif BITS == 8
            const uint4 pairs = {bf16_pair(a.x, a.z), bf16_pair(a.y, a.w), bf16_pair(b.x, b.z),
                                 bf16_pair(b.y, b.w)};
            //% else
            const uint4 pairs = {bf16_pair(a.x, b.x), bf16_pair(a.y, b.y), bf16_pair(a.z, b.z),
                                 bf16_pair(a.w, b.w)};
            //% end
            /* Lane i4 has BLOCK_K / 4 columns of a block, in parts of eight. */
            enum { RUN = BLOCK_K / 4 };
            const int k = v * 8, in = k % BLOCK_K;
            const int at = k - in + in % RUN * 4 + in / RUN * 8;
            *(uint4 *)(x_at + t * LINE + at * 2) = pairs;
            //% if BITS == 4
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
    __syncthreads();

    const uint8_t *const x_row = x_at + (g < TOKENS ? g : TOKENS - 1) * LINE + i4 * 16;
    int f = warp, slot = 0;
    for (int r = 0; r < tiles; r++) {
        float sum[2][4] = {};
        for (; f < (r + 1) * CHUNKS; f += WARPS) {
            wait_copies_but<SLOTS - 1>();
            //% if BITS == 4
            __syncwarp(); /* scales are copied by other lanes */
            //% end
            const uint8_t *const from = ring + slot * SLOT;
            const int first = (f - r * CHUNKS) * CHUNK;
#pragma unroll
            for (int b = 0; b < CHUNK; b++) {
                const uint4 low = *(const uint4 *)(from + b * 1024 + lane * 16);
                const uint4 high = *(const uint4 *)(from + b * 1024 + 512 + lane * 16);
                const uint8_t *const xs = x_row + (first + b) * BLOCK_K * 2;
                //% if BITS == 4
                const float *s = start + (first + b) * TOKENS;
                const float s0 = s[i4 * 2 < TOKENS ? i4 * 2 : TOKENS - 1];
                const float s1 = s[i4 * 2 + 1 < TOKENS ? i4 * 2 + 1 : TOKENS - 1];
                float group[2][4] = {{s0, s1, s0, s1}};
                //% end
#pragma unroll
                for (int q = 0; q < 16 / ${BITS}; q++) {
                    const uint4 x8 = *(const uint4 *)(xs + q * 64);
                    //% if BITS == 16
                    const uint4 a = low, c = high;
                    //% elif BITS == 8
                    const uint4 a = bf16_of_i8x8(word(low, q * 2), word(low, q * 2 + 1), exponent);
                    const uint4 c =
                        bf16_of_i8x8(word(high, q * 2), word(high, q * 2 + 1), exponent);
                    //% else
                    const uint4 a = bf16_of_u4x8(word(low, q), exponent);
                    const uint4 c = bf16_of_u4x8(word(high, q), exponent);
                    //% end
                    mma_bf16(${BITS == 4 ? "group" : "sum"}[0], {a.x, c.x, a.y, c.y}, x8.x, x8.y);
                    mma_bf16(${BITS == 4 ? "group" : "sum"}[1], {a.z, c.z, a.w, c.w}, x8.z, x8.w);
                }
                //% if BITS == 4
                const float *const scale = (const float *)(from + CHUNK * 1024) + b * 16 + g;
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    sum[0][j] += scale[j / 2 * 8] * (group[0][j] + group[1][j]);
                }
                //% end
            }
            __syncwarp();
            fill(slot);
            slot = slot + 1 == SLOTS ? 0 : slot + 1;
        }
        const int in_round = r % ROUND;
        float *const buffer = part + r / ROUND % 2 * PART;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int t = i4 * 2 + j % 2;
            if (t < TOKENS) {
                buffer[((in_round * WARPS + warp) * TOKENS + t) * 16 + g + j / 2 * 8] =
                    sum[0][j] + sum[1][j];
            }
        }
        if (in_round < ROUND - 1 && r < tiles - 1) {
            continue;
        }
        __syncthreads();
        /* A warp adds 16 rows at a time: lane % 16 is the row, lane / 16 the half of the warps. */
        for (int e = warp; e < (in_round + 1) * TOKENS; e += WARPS) {
            const int64_t t = e % TOKENS;
            const int64_t tile = blockIdx.x + (int64_t)(r - in_round + e / TOKENS) * gridDim.x;
            const float *const from = buffer + (e / TOKENS * WARPS * TOKENS + t) * 16 + lane % 16;
            float acc0 = 0;
#pragma unroll
            for (int i = lane / 16; i < WARPS; i += 2) {
                acc0 += from[i * TOKENS * 16];
            }
            acc0 += __shfl_xor_sync(0xffffffff, acc0, 16);
            //% if WAYS > 1
            const float acc1 = __shfl_xor_sync(0xffffffff, acc0, 8);
            //% end
            const int64_t n = tile * (16 / ${WAYS}) + lane;
            if (lane < 16 / ${WAYS} && t < rows && n < N) {
                ${leaves};
                ${store("out", "t", "n")};
            }
        }
    }
}
