//# step.cu - a whole decode step of one token as one persistent kernel: a block on every
//# multiprocessor. Parts: step_exchange, step_share, step_ring, step_producer, step_warps,
//# step_chunk, step_heads, step_ends, step_consumer, step_attention, step_finisher; step_stamps
//# where ${stamp(text)} gives its text: in the kernel that says where time goes, and nothing in the
//# other.
#if __CUDA_ARCH__ >= 900
/* Roles of a block's warps:
 *
 *   producer warp   weights of this block's tiles, phase after phase, into the ring, and between
 *                   those of qkv and o the keys and values of its share of older positions: it
 *                   stops for no phase's end, only for a full ring, or when FLYING copies are on
 *                   their way
 *   8 consumers     a copy fills a slot with a chunk of k for each of them; a warp waits for
 *                   nothing but its weights and the words of x that they meet
 *   finisher warp   adds the 8 partial sums of a tile in a fixed order, then the norm's scale,
 *                   RoPE, residual or SiLU.mul, and publishes 16 (8) values
 *   two warps       nothing: registers go to the consumers from all four warps of a warpgroup
 *
 *   memory --bulk copies--> ring[slot][warp] --mma--> sums[part][warp][16] --> finisher --+
 *                                          ^                                              |
 *                     x of each warp ------+<--polled-- words {2 x bf16, tag} <--published+
 *
 * Phases of a layer: qkv, attention, o, gate_up, down; then the head. Activations go from phase to
 * phase as 8-byte words in memory that carry a tag (step and layer) beside the data: no fence, no
 * counter, no barrier over the grid. A word is written again a layer later; by then every block has
 * been part of phases that need all readers of the old one to be done. Rows 16 t .. 16 t + 15 of o
 * and of down are the same block's: the residual never leaves it. Every wait has a limit; then
 * `stalled` says in which layer, for what and where, and the kernel ends with garbage.
${phases}
 */
${begin_parts};
/* CHUNK: KiB of a warp in a slot; EXTRA: bytes of scales behind them; FLYING: copies on their way;
 * COPIES: of a vector that all blocks poll; ROW_TILES: residual tiles of a block; LONGEST: columns
 * of the widest matrix. */
enum { LAYERS = ${LAYERS}, D_MODEL = ${D_MODEL}, D_FF = ${D_FF}, VOCAB = ${VOCAB} };
enum { HEADS = ${HEADS}, KV = ${KV}, GROUP = HEADS / KV, HEAD_DIM = ${HEAD_DIM} };
enum { CHUNK = ${CHUNK}, EXTRA = ${EXTRA}, SLOTS = ${SLOTS}, FLYING = ${FLYING} };
enum { COPIES = ${COPIES} };
enum { ROW_TILES = ${ROW_TILES}, LONGEST = ${LONGEST}, PARTS = 4, MAX_SPLITS = ${MAX_SPLITS} };
enum { MOST_BLOCKS = ${MOST_BLOCKS} };
enum Phase { QKV, O, GATE_UP, DOWN, HEAD };
/* In the order in which they follow from each other; x of O and later phases: O_X + phase - O. */
enum Wait { FOR_QKV_X, FOR_Q, FOR_SPLITS, FOR_O_X, FOR_IDS = FOR_O_X + 4 };

/* Bytes from a layer's weights to the next's. */
static constexpr size_t LAYER_BYTES = ${LAYER_BYTES};
/* The same for caches, [KV][CONTEXT][HEAD_DIM] each. */
static constexpr size_t CACHE_BYTES = ${CACHE_BYTES};
//% if head_norms
static constexpr size_t AT_Q_GAIN = ${AT_Q_GAIN}, AT_K_GAIN = ${AT_K_GAIN}; /* in a layer */
//% end
static constexpr size_t AT_KEYS = ${AT_KEYS}, AT_VALUES = ${AT_VALUES};

/* How a phase's matrix is stored: bits of a weight, columns that share an f16 scale (0: none do),
 * the code of 0 (-1: stored for each group), whether the norm in front has gains; where all of it
 * lies in a layer's weights. int8 has f32 scales of rows, those of up in MORE_SCALES. */
template <int P> struct Stored;
${stored};

struct Step {
    ${fields};
};

/* n % by, for n from 0 to 2^22: an integer division takes three times as long. */
__device__ __forceinline__ int remainder_of(int n, int by)
{
    const int left = n - (int)__fdividef((float)n, (float)by) * by;
    return left < 0 ? left + by : left >= by ? left - by : left;
}

template <int P> struct Shape {
    enum {
        K = P == DOWN ? D_FF
            : P == O  ? HEADS * HEAD_DIM
                      : D_MODEL,
        N = P == QKV              ? (HEADS + 2 * KV) * HEAD_DIM
            : P == O || P == DOWN ? D_MODEL
            : P == GATE_UP        ? 2 * D_FF
                                  : VOCAB,
        TILES = N / 16,
        RUN = CHUNK * 512 / Stored<P>::BITS, /* columns of a warp in a slot */
        ROWS = K / (8 * RUN),                /* slots of a tile: a run for each consumer */
        UNIT_ROWS = 256 / RUN,               /* slots that 256 values of a consumer's x are for */
        UNITS = (K / 8 + 255) / 256,
        NORM = P == QKV || P == GATE_UP || P == HEAD,
        //% if has_u4
        GROUPS = Stored<P>::GROUP == 0 ? 0 : 8 * RUN / Stored<P>::GROUP, /* of a slot's columns */
        SLOT_SCALES = GROUPS * 32,                          /* in a slot, behind the weights */
        SLOT_ZEROS = Stored<P>::ZERO < 0 ? GROUPS * 16 : 0, /* behind those */
        //% end
    };

    /* Tiles go round the blocks; who has one more than the others changes from layer to layer. */
    static __device__ __forceinline__ int first_tile(int layer)
    {
        if constexpr (P == O || P == DOWN || P == HEAD) {
            return blockIdx.x;
        }
        const int turned = layer * ${TURN} + (P == GATE_UP ? (int)TILES : 0);
        return remainder_of((int)blockIdx.x + turned, gridDim.x);
    }

    static __device__ __forceinline__ int stride(void)
    {
        return gridDim.x;
    }

    static __device__ __forceinline__ size_t first_slot(int tile)
    {
        return (size_t)tile * ROWS;
    }

    static __device__ __forceinline__ const uint8_t *weights(const Step *s, int layer)
    {
        return P == HEAD ? s->head : s->weights + (size_t)layer * LAYER_BYTES + Stored<P>::WEIGHTS;
    }
    //% if has_codes

    /* Of groups, or f32 of rows. */
    static __device__ __forceinline__ const uint8_t *scales(const Step *s, int layer)
    {
        //% if head_scaled
        if constexpr (P == HEAD) {
            return s->head_scale;
        }
        //% end
        return s->weights + (size_t)layer * LAYER_BYTES + Stored<P>::SCALES;
    }
    //% end
    //% if has_zeros

    static __device__ __forceinline__ const uint8_t *zeros(const Step *s, int layer)
    {
        //% if head_zeros
        if constexpr (P == HEAD) {
            return s->head_zero;
        }
        //% end
        return s->weights + (size_t)layer * LAYER_BYTES + Stored<P>::ZEROS;
    }
    //% end
};

//% if has_codes
/* Of 32 columns of a warp's x: its unit, and the sum of its integers times what all codes are
 * too large by. */
struct Quarter {
    float unit;
    int sum;
};

//% end
${part("step_partial", "")};

enum {
    X_SHORT = (D_MODEL > HEADS * HEAD_DIM ? D_MODEL : HEADS * HEAD_DIM) / 8,
    X_LONG = LONGEST / 8,
    X_PARTIAL = X_SHORT + sizeof(Partial) / 2,
    X_ROW = X_LONG > X_PARTIAL ? X_LONG : X_PARTIAL,
};

/* How positions are shared out in this step: step_share. */
struct Shares {
    int splits, each, oldest, first_rank;
};

struct Shared {
    uint8_t ring[SLOTS][CHUNK * 8 * 1024 + EXTRA];
    uint16_t x[8][X_ROW]; /* attention's parts behind the columns of all but down: Partial */
    //% if has_codes
    Quarter quarters[8][LONGEST / 8 / 32];
    //% end
    float sums[PARTS][8][16], squares[PARTS][8];
    float residual[ROW_TILES][16];
    float angles[HEAD_DIM];
    Shares shares;
    uint64_t full[SLOTS], empty[SLOTS], summed[PARTS], taken[PARTS]; /* barriers */
};
static_assert(sizeof(Shared) <= ${SHARED}, "the ring is planned too large");

${part("step_exchange", "")};
//% if stamped

${part("step_stamps", "")};
//% end

${part("step_share", "")};

${part("step_ring", "")};

${part("step_producer", "")};

${part("step_warps", "")};

${part("step_chunk", "")};

${part("step_heads", "")};

${part("step_ends", "")};

${part("step_consumer", "")};

${part("step_attention", "")};

${part("step_finisher", "")};
${end_parts};

${step_launch};
void ${name}(${params})
{
    ${use_parts};
    extern __shared__ __align__(16) uint8_t shared[];
    Shared *s = shared_of(shared);
    const Step step = {${values}};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, position = pos[0];
    const uint32_t first_tag = (uint32_t)words[0] * (LAYERS + 1) + 1;
    if (position < 0) {
        return;
    }
    if (threadIdx.x == 0) {
        make_barriers(s);
        s->shares = plan_shares(position);
    }
    __syncthreads();
    if (warp < 8) {
        take_registers();
        Consumer consumer = {
            {s, lane, warp, gridDim.z - 1}, &step, {&step, first_tag}, position, first_tag};
        consumer.run();
    } else {
        give_registers();
        if (warp == 8) {
            if (lane == 0) {
                Producer producer = {{s, &step, evict_first()}, position};
                producer.run();
            }
        } else if (warp == 9) {
            Finisher finisher = {s, &step, lane, position, first_tag};
            finisher.run();
        }
    }
}
#endif
