//# matmul_stream.cu - out = epilogue(x . w^T) for 1 to 8 tokens: every weight passes once, from
//# memory through a ring in shared memory to the tensor cores. A block of weights is 16 rows x 64
//# bytes, tile(16, 512 / BITS); scales and zero points of groups: tile(16, 1).
//#
//#   One thread block on each multiprocessor takes tiles of 16 rows in turn; chunks of CHUNK blocks
//#   go round its warps. Lane 4 * g + i copies and later reads 16 bytes of row g and of row g + 8,
//#   so a ring needs no barrier. Weights are the 16 rows of mma.m16n8k16, tokens its 8 columns. x
//#   is read in PARTS parts of K, one after the other: where a warp has the same columns of every
//#   tile, as what its lanes multiply, in registers (stream_hold.cu); else in shared memory, in the
//#   order of k that the tiles make (stream_stage.cu).
//#   With more tiles than sums of parts can be held of, it takes SWEEP tiles through all parts, then
//#   the next. Sums of the warps are added every ROUND tiles, always in the same order. Gate and up, and the
//#   two rows that RoPE rotates together, are 8 rows apart. The ring is filled before
//#   dependency_wait: weights are no kernel's result. norm_eps: the square sum of x is taken on the
//#   way, the gain multiplied in, 1 / rms multiplies the sums.
//% if x_held
${launch_stream_pair(WARPS * 32, SHARED)};
//% else
${launch_stream(WARPS * 32, SHARED)};
//% end
void ${name}(${params})
{
    enum { K = ${K}, TILES = ${TILES}, TOKENS = ${TOKENS}, WARPS = ${WARPS} };
    enum { CHUNK = ${CHUNK}, SLOTS = ${SLOTS}, ROUND = ${ROUND}, PARTS = ${PARTS} };
    enum { BLOCK_K = ${floor(512 / BITS)}, BLOCKS = K / BLOCK_K, PART_K = K / PARTS };
    enum { CHUNKS = BLOCKS / PARTS / CHUNK }; /* of a tile in a part */
    //% if SWEEP > 0
    enum { SWEEP = ${SWEEP} };
    //% end
    //% if x_held
    enum { OWN = CHUNKS / WARPS, RUN = ${codes_in ? 1 : 16 / BITS} }; /* a warp's; of a block */
    enum { OCTETS = OWN * CHUNK * RUN };                              /* of a lane, 16 bytes each */
    //% else
    enum { LINE = ${LINE} }; /* bytes of a row of x */
    //% end
    enum { SUMS = ROUND * WARPS * TOKENS * 16 };
    //% if scaled
    enum { GROUP = ${GROUP}, GROUPS = K / GROUP, IN_BLOCK = ${GROUPS_IN_BLOCK} };
    //% end
    enum { SLOT = CHUNK * ${BLOCK_BYTES} };
    extern __shared__ __align__(16) uint8_t shared[];
    uint8_t *const x_at = shared + WARPS * SLOTS * SLOT;
    ${sum_type} *const sums = (${sum_type} *)(x_at + ${X_BYTES});
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
    //% if x_held == false
    const int chunks = tiles * PARTS * CHUNKS;
    //% end

    //% if x_held
    int own = 0, nth = 0, of_part = tiles > 0 ? 0 : PARTS; /* chunk that this warp asks for next */
    //% if SWEEP > 0
    int of_sweep = 0; /* its first tile */
    //% end
    //% else
    int next = warp; /* chunk that this warp asks for next: part, tile, place in the tile */
    //% end
    auto fill = [&](int slot) {
        if (${x_held ? "of_part < PARTS" : "next < chunks"}) {
            //% if x_held
            const int place = of_part * CHUNKS + own * WARPS + warp;
            //% elif PARTS > 1
            const int turn = next / CHUNKS, nth = turn % tiles;
            const int place = turn / tiles * CHUNKS + next % CHUNKS;
            //% else
            const int nth = next / CHUNKS, place = next % CHUNKS;
            //% end
            const int64_t tile = blockIdx.x + (int64_t)nth * gridDim.x;
            const int first = place * CHUNK;
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
            //% if x_held
            if (++own == OWN) {
                own = 0;
                //% if SWEEP > 0
                if (++nth == min(of_sweep + SWEEP, tiles)) {
                    if (++of_part == PARTS && of_sweep + SWEEP < tiles) {
                        of_part = 0;
                        of_sweep += SWEEP;
                    }
                    nth = of_sweep;
                }
                //% else
                if (++nth == tiles) {
                    nth = 0;
                    of_part++;
                }
                //% end
            }
            //% else
            next += WARPS;
            //% end
        }
        commit_copies();
    };
    //% if x_held && has("norm_gain")
    enum { GAINS = K / 8 * (int)sizeof(${gain_octet}) };
    for (int i = threadIdx.x * 16; i < GAINS; i += WARPS * 32 * 16) {
        copy_async16(x_at + i, (const uint8_t *)norm_gain + i);
    }
    //% end
#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++) {
        fill(slot);
    }
    //% if x_held == false && has("norm_gain") && PARTS == 1
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

    //% if x_held && has("norm_gain")
    wait_copies_but<SLOTS - 1>(); /* gains came before the first chunk */
    __syncthreads();
    //% end
    //% if x_held
    uint4 x_regs[OCTETS]; /* of token g, as they are multiplied */
    auto column = [&](int part, int i) {
        const int b = i / RUN;
        const int block = (part * CHUNKS + b / CHUNK * WARPS + warp) * CHUNK + b % CHUNK;
        return block * BLOCK_K + i4 * (BLOCK_K / 4) + i % RUN * 8;
    };
    auto row_of_x = [&] {
        const int64_t token = g < TOKENS ? g : TOKENS - 1, from = token < rows ? token : rows - 1;
        return ${row("x", "from")};
    };
    //% if has_norm
    float square = 0;
    //% end
    int slot = 0, round = 0;
    //% else
    //% if has_norm
    float square[TOKENS] = {};
    //% end
    int f = warp, slot = 0, round = 0;
    //% end
    const int passes = ${SWEEP > 0 ? "(tiles + SWEEP - 1) / SWEEP * PARTS" : "PARTS"};
    for (int pass = 0; pass < passes; pass++) {
        //% if SWEEP > 0
        const int part = pass % PARTS, begin = pass / PARTS * SWEEP;
        const int end = min(begin + SWEEP, tiles);
        //% else
        const int part = pass, begin = 0, end = tiles;
        //% end
        //% if x_held
        ${part("stream_hold", "")};
        //% else
        ${part("stream_stage", "")};
        //% end
        for (int nth_tile = begin; nth_tile < end; nth_tile++) {
            ${sum_type} sum[2][4] = {};
            //% if x_held
#pragma unroll
            //% else
            const int turn = part * tiles + nth_tile;
            //% end
            for (${x_held ? "int i = 0; i < OWN; i++" : "; f < (turn + 1) * CHUNKS; f += WARPS"}) {
                wait_copies_but<SLOTS - 1>();
                //% if scaled
                __syncwarp(); /* scales are copied by other lanes */
                //% end
                const uint8_t *const from = ring + slot * SLOT;
                //% if x_held == false
                const int first = (f - turn * CHUNKS) * CHUNK;
                //% elif fast_groups
                const int first = (i * WARPS + warp) * CHUNK;
                //% end
#pragma unroll
                for (int b = 0; b < CHUNK; b++) {
                    ${part(block, "")};
                }
                //% if x_held && x_bytes == "16" && PARTS > 1
                if (nth_tile == end - 1 && (part + 1 < PARTS || end < tiles)) {
#pragma unroll
                    for (int j = i * CHUNK * RUN; j < (i + 1) * CHUNK * RUN; j++) {
                        x_regs[j] = load_fresh16(row_of_x() + column((part + 1) % PARTS, j));
                    }
                }
                //% end
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
            if (in_round < ROUND - 1 && nth_tile < end - 1) {
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
                ${sum_type} *const before = held + ((nth - begin) * TOKENS + t) * 16 + lane % 16;
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
