//# matmul_stream.cu - out = epilogue(x . w^T) for 1 to 8 tokens: every weight passes once, from
//# memory through a ring in shared memory to the tensor cores. A block of weights is 16 rows x 64
//# bytes, tile(16, 512 / BITS); scales and zero points of groups: tile(16, 1).
//#
//#   One thread block on each multiprocessor takes tiles of 16 rows in turn; chunks of CHUNK blocks
//#   go round its warps. Lane 4 * g + i copies and later reads 16 bytes of row g and of row g + 8,
//#   so a ring needs no barrier. Weights are the 16 rows of mma.m16n8k16, tokens its 8 columns; x
//#   lies in shared memory in the order of k that this makes, PARTS parts of K one after the other.
//#   Sums of the warps are added every ROUND tiles, always in the same order. Gate and up, and the
//#   two rows that RoPE rotates together, are 8 rows apart. The ring is filled before
//#   dependency_wait: weights are no kernel's result. norm_eps: the square sum of x is taken on the
//#   way, the gain multiplied in, 1 / rms multiplies the sums.
${launch_stream(WARPS * 32, SHARED)};
void ${name}(${params})
{
    enum { K = ${K}, TILES = ${TILES}, TOKENS = ${TOKENS}, WARPS = ${WARPS} };
    enum { CHUNK = ${CHUNK}, SLOTS = ${SLOTS}, ROUND = ${ROUND}, PARTS = ${PARTS} };
    enum { BLOCK_K = ${floor(512 / BITS)}, BLOCKS = K / BLOCK_K, PART_K = K / PARTS };
    enum { CHUNKS = BLOCKS / PARTS / CHUNK };                    /* of a tile in a part */
    enum { LINE = ${LINE}, SUMS = ROUND * WARPS * TOKENS * 16 }; /* bytes of x; floats */
    //% if scaled
    enum { GROUP = ${GROUP}, GROUPS = K / GROUP, IN_BLOCK = ${GROUPS_IN_BLOCK} };
    //% end
    enum { SLOT = CHUNK * ${BLOCK_BYTES} };
    extern __shared__ __align__(16) uint8_t shared[];
    uint8_t *const x_at = shared + WARPS * SLOTS * SLOT;
    ${sum_type} *const sums = (${sum_type} *)(x_at + TOKENS * LINE);
    //% if PARTS > 1
    ${sum_type} *const held = sums + 2 * SUMS; /* of earlier parts: [tiles][TOKENS][16] */
    //% end
    //% if has_norm
    float *const squares = sums + ${SQUARES_AT}; /* [TOKENS][WARPS] */
    //% end
    //% if fast_groups
    float *const start = sums + ${START_AT}; /* of a block's sums: -(128 + zero) * sum of x */
    //% end
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    uint8_t *const ring = shared + warp * SLOTS * SLOT;
    const uint8_t *const bytes = (const uint8_t *)w;
    //% if BITS < 16 && codes_in == false
    const uint32_t exponent = opaque(0x43004300); /* two bf16 from 128 on */
    //% end
    const int tiles = (TILES - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    const int chunks = tiles * PARTS * CHUNKS;

    int next = warp; /* chunk that this warp asks for next: part, tile, place in the tile */
    auto fill = [&](int slot) {
        if (next < chunks) {
            //% if PARTS > 1
            const int turn = next / CHUNKS, part = turn / tiles, nth = turn % tiles;
            //% else
            const int nth = next / CHUNKS, part = 0;
            //% end
            const int64_t tile = blockIdx.x + (int64_t)nth * gridDim.x;
            const int first = (part * CHUNKS + next % CHUNKS) * CHUNK;
            const int64_t block = tile * BLOCKS + first;
            uint8_t *to = ring + slot * SLOT;
#pragma unroll
            for (int i = 0; i < CHUNK * 2; i++) {
                copy_async16(to + i * 512 + lane * 16, bytes + block * 1024 + i * 512 + lane * 16);
            }
            //% if scaled
#pragma unroll
            for (int i = lane; i < CHUNK * IN_BLOCK * 2; i += 32) {
                const int at = (first + i / (IN_BLOCK * 2)) * BLOCK_K / GROUP;
                copy_async16(to + CHUNK * 1024 + i * 16,
                             w_scale + (tile * GROUPS + at) * 16 + i % (IN_BLOCK * 2) * 8);
            }
            //% end
            //% if has("w_zero")
            if (lane < CHUNK * IN_BLOCK) {
                const int at = (first + lane / IN_BLOCK) * BLOCK_K / GROUP + lane % IN_BLOCK;
                copy_async16(to + CHUNK * (1024 + IN_BLOCK * 32) + lane * 16,
                             w_zero + (tile * GROUPS + at) * 16);
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
    //% if has("norm_gain") && PARTS == 1
    enum { STEPS = (K / 8 + WARPS * 32 - 1) / (WARPS * 32) };
    ${gain_octet} gains[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const int v = threadIdx.x + i * WARPS * 32;
        if (v < K / 8) {
            gains[i] = ${load_gain}(norm_gain + v * 8);
        }
    }
    //% end
    dependents_launch();
    dependency_wait();

    //% if has_norm
    float square[TOKENS] = {};
    //% end
    int f = warp, slot = 0, round = 0;
    for (int part = 0; part < PARTS; part++) {
        //% if codes_in
        for (int i = threadIdx.x; i < TOKENS * (PART_K / 16); i += WARPS * 32) {
            const int t = i / (PART_K / 16), at = i % (PART_K / 16) * 16;
            const int64_t from = t < rows ? t : rows - 1;
            *(uint4 *)(x_at + t * LINE + at) =
                load_fresh16(${row("x", "from")} + part * PART_K + at);
        }
        //% else
#pragma unroll
        for (int i = 0; i < (PART_K / 8 + WARPS * 32 - 1) / (WARPS * 32); i++) {
            const int v = threadIdx.x + i * WARPS * 32;
            if (v >= PART_K / 8) {
                break;
            }
            //% if has("norm_gain")
            float gain[8];
            //% if PARTS == 1
            ${gain_floats}(gain, gains[i]);
            //% else
            ${gain_floats}(gain, ${load_gain}(norm_gain + part * PART_K + v * 8));
            //% end
            //% end
#pragma unroll
            for (int t = 0; t < TOKENS; t++) {
                const int64_t from = t < rows ? t : rows - 1;
                float xs[8];
                ${x_floats}(xs, load_fresh${x_bytes}(${row("x", "from")} + part * PART_K + v * 8));
                //% if has_norm
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    square[t] += xs[e] * xs[e];
                    //% if has("norm_gain")
                    xs[e] *= gain[e];
                    //% end
                }
                //% end
                //% if small
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    xs[e] *= 0x1p64f;
                }
                //% end
                //% if BITS == 16
                const uint4 pairs = {${pair}(xs[0], xs[1]), ${pair}(xs[2], xs[3]),
                                     ${pair}(xs[4], xs[5]), ${pair}(xs[6], xs[7])};
                //% elif BITS == 8
                const uint4 pairs = {${pair}(xs[0], xs[2]), ${pair}(xs[1], xs[3]),
                                     ${pair}(xs[4], xs[6]), ${pair}(xs[5], xs[7])};
                //% else
                const uint4 pairs = {${pair}(xs[0], xs[4]), ${pair}(xs[1], xs[5]),
                                     ${pair}(xs[2], xs[6]), ${pair}(xs[3], xs[7])};
                //% end
                /* Lane i4 has BLOCK_K / 4 columns of a block, in parts of eight. */
                enum { RUN = BLOCK_K / 4 };
                const int k = v * 8, in = k % BLOCK_K;
                const int at = k - in + in % RUN * 4 + in / RUN * 8;
                *(uint4 *)(x_at + t * LINE + at * 2) = pairs;
                //% if fast_groups
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
        //% end
        //% if has_norm
#pragma unroll
        for (int t = 0; t < TOKENS; t++) {
            const float all = warp_sum(square[t]);
            if (lane == 0) {
                squares[t * WARPS + warp] = all;
            }
        }
        //% end
        __syncthreads();

        const uint8_t *const x_row = x_at + (g < TOKENS ? g : TOKENS - 1) * LINE + i4 * 16;
        for (int nth_tile = 0; nth_tile < tiles; nth_tile++) {
            const int turn = part * tiles + nth_tile;
            ${sum_type} sum[2][4] = {};
            for (; f < (turn + 1) * CHUNKS; f += WARPS) {
                wait_copies_but<SLOTS - 1>();
                //% if scaled
                __syncwarp(); /* scales are copied by other lanes */
                //% end
                const uint8_t *const from = ring + slot * SLOT;
                const int first = (f - turn * CHUNKS) * CHUNK;
#pragma unroll
                for (int b = 0; b < CHUNK; b++) {
                    ${part(block, "")};
                }
                __syncwarp();
                fill(slot);
                slot = slot + 1 == SLOTS ? 0 : slot + 1;
            }
            const int in_round = nth_tile % ROUND;
            ${sum_type} *const buffer = sums + round % 2 * SUMS;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int t = i4 * 2 + j % 2;
                if (t < TOKENS) {
                    buffer[((in_round * WARPS + warp) * TOKENS + t) * 16 + g + j / 2 * 8] =
                        sum[0][j] + sum[1][j];
                }
            }
            if (in_round < ROUND - 1 && nth_tile < tiles - 1) {
                continue;
            }
            __syncthreads();
            round++;
            /* A warp adds 16 rows at a time: lane % 16 is the row, lane / 16 half of the warps. */
            for (int e = warp; e < (in_round + 1) * TOKENS; e += WARPS) {
                const int64_t t = e % TOKENS;
                const int nth = nth_tile - in_round + e / TOKENS;
                const int64_t tile = blockIdx.x + (int64_t)nth * gridDim.x;
                const ${sum_type} *const at =
                    buffer + (e / TOKENS * WARPS * TOKENS + t) * 16 + lane % 16;
                ${sum_type} all_sums = 0;
#pragma unroll
                for (int i = lane / 16; i < WARPS; i += 2) {
                    all_sums += at[i * TOKENS * 16];
                }
                all_sums += __shfl_xor_sync(0xffffffff, all_sums, 16);
                //% if PARTS > 1
                ${sum_type} *const before = held + (nth * TOKENS + t) * 16 + lane % 16;
                all_sums += part > 0 ? *before : 0;
                if (part < PARTS - 1) {
                    *before = all_sums; /* by both halves of the warp, which have the same sum */
                    continue;
                }
                //% end
                //% if small
                float acc = all_sums * 0x1p56f; /* weights were times 2^-120, x times 2^64 */
                //% elif has_norm
                float acc = all_sums;
                //% else
                const float acc = (float)all_sums;
                //% end
                //% if has_norm
                float all = 0;
#pragma unroll
                for (int i = 0; i < WARPS; i++) {
                    all += squares[t * WARPS + i];
                }
                acc *= rsqrtf(all / K + ${norm_eps});
                //% end
                ${part(finish, "")};
            }
        }
    }
}
