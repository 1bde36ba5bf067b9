//# step_batch.cu - a decode step of up to 8 tokens, one each of as many sequences, as one persistent
//# kernel: step.cu with the columns of mma for the tokens. Ring and producer are step.cu's; what
//# differs is how activations get from block to block. Parts: step_exchange, step_batch_exchange,
//# step_ring, step_producer, step_warps, step_batch_consumer, step_heads,
//# step_batch_attention, step_ends, step_batch_finisher.
#if __CUDA_ARCH__ >= 900
/* Roles of a block's warps:
 *
 *   producer warp   weights of this block's tiles, phase after phase, into the ring
 *   8 consumers     a slot has a chunk of k for each of them; each lane takes from memory what it
 *                   needs of x itself
 *   finisher warp   adds the 8 partial sums of a tile in a fixed order, then the norm's scale,
 *                   RoPE, residual or SiLU.mul; publishes 16 (8) values of each token
 *   two warps       nothing, as in step.cu
 *
 * Phases of a layer: qkv, attention, o, gate_up, down; then the head. x of a phase is 64 KiB for
 * each block (4096 columns), so it carries no tags: a place that is not zero has come, see
 * step_batch_exchange.cu. Queries, keys, values and partial sums, which few read, are words
 * {data, tag} as in step.cu. x of down has no room in shared memory: a block works on one of
 * DOWN_PARTS parts of its columns, and the sums meet at the tile's owner, who has the residual.
 * Tokens with positions below 0 are none: whatever is in their columns reaches nobody. Every wait
 * has a limit, as in step.cu.
${phases}
 */
${begin_parts};
/* CHUNK: KiB of a warp in a slot; FLYING: copies on their way; ROW_TILES: residual tiles of a
 * block; X_ROWS: rows of x, each for a slot. */
enum { LAYERS = ${LAYERS}, D_MODEL = ${D_MODEL}, D_FF = ${D_FF}, VOCAB = ${VOCAB} };
enum { HEADS = ${HEADS}, KV = ${KV}, GROUP = HEADS / KV, HEAD_DIM = ${HEAD_DIM} };
enum { CHUNK = ${CHUNK}, SLOTS = ${SLOTS}, FLYING = ${FLYING} };
enum { TOKENS = ${TOKENS}, DOWN_PARTS = ${DOWN_PARTS}, X_ROWS = ${X_ROWS} };
enum { ROW_TILES = ${ROW_TILES}, PARTS = 2, MAX_SPLITS = ${MAX_SPLITS} };
enum { MOST_BLOCKS = ${MOST_BLOCKS} };
enum { ROW_COLUMNS = 8 * CHUNK * 32, ROW_BYTES = ROW_COLUMNS * TOKENS * 2 };
enum Phase { QKV, O, GATE_UP, DOWN, HEAD };
/* As in step.cu; FOR_SUMS: parts of down. */
enum Wait { FOR_QKV_X, FOR_Q, FOR_SPLITS, FOR_O_X, FOR_SUMS = FOR_O_X + 5 };

/* Bytes from a layer's weights to the next's. */
static constexpr size_t LAYER_BYTES = ${LAYER_BYTES};
/* The same for caches, [KV][CONTEXT][HEAD_DIM] each. */
static constexpr size_t CACHE_BYTES = ${CACHE_BYTES};
static constexpr size_t AT_KEYS = ${AT_KEYS}, AT_VALUES = ${AT_VALUES};

template <int P> struct Stored;
${stored};

struct Step {
    ${fields};
};

/* A tile of down is one part of its columns. */
template <int P> struct Shape {
    enum {
        K = P == DOWN ? D_FF / DOWN_PARTS
            : P == O  ? HEADS * HEAD_DIM
                      : D_MODEL,
        N = P == QKV              ? (HEADS + 2 * KV) * HEAD_DIM
            : P == O || P == DOWN ? D_MODEL
            : P == GATE_UP        ? 2 * D_FF
                                  : VOCAB,
        TILES = N / 16,
        ROWS = K / ROW_COLUMNS, /* slots of a tile */
        NORM = P == QKV || P == GATE_UP || P == HEAD,
    };
    static_assert(ROWS <= X_ROWS, "x is planned too small");

    static __device__ __forceinline__ int part(void)
    {
        return P == DOWN ? (int)blockIdx.x % DOWN_PARTS : 0;
    }

    /* Blocks that have this block's part. */
    static __device__ __forceinline__ int stride(void)
    {
        return P == DOWN ? ((int)gridDim.x - part() + DOWN_PARTS - 1) / DOWN_PARTS : (int)gridDim.x;
    }

    /* Tiles go round the blocks; who has one more than the others changes from layer to layer. */
    static __device__ __forceinline__ int first_tile(int layer)
    {
        const bool own = P == O || P == HEAD || (P == DOWN && DOWN_PARTS == 1);
        const int turned = own ? 0 : layer * ${TURN} + (P == GATE_UP ? (int)TILES : 0);
        return ((int)blockIdx.x / (P == DOWN ? DOWN_PARTS : 1) + turned) % stride();
    }

    static __device__ __forceinline__ const uint8_t *weights(const Step *s, int layer)
    {
        return P == HEAD ? s->head : s->weights + (size_t)layer * LAYER_BYTES + Stored<P>::WEIGHTS;
    }

    static __device__ __forceinline__ size_t first_slot(int tile)
    {
        return ((size_t)tile * (P == DOWN ? DOWN_PARTS : 1) + part()) * ROWS;
    }
};

${part("step_partial", "")};

/* Lane 4 t + i of a finisher has rows 4 i .. 4 i + 3 of token t. A token's 16 sums are SUM_STRIDE
 * floats apart, so that 32 lanes store their four to different banks. */
enum { SUM_STRIDE = 20 };
struct Shared {
    uint8_t ring[SLOTS][CHUNK * 8 * 1024];
    union {
        uint8_t x[X_ROWS][ROW_BYTES];
        struct {
            Partial partial[8];
            uint16_t k[HEAD_DIM], v[HEAD_DIM];
        } attention;
    };
    float sums[PARTS][8][TOKENS * SUM_STRIDE];
    float4 residual[ROW_TILES][32];
    float angles[TOKENS][HEAD_DIM];
    int position[TOKENS];
    uint8_t *kv[TOKENS];
    uint64_t full[SLOTS], empty[SLOTS], summed[PARTS], taken[PARTS]; /* barriers */
};
static_assert(sizeof(Shared) <= ${SHARED}, "the ring is planned too large");

${part("step_exchange", "")};
//% if stamped

${part("step_stamps", "")};
//% end

${part("step_batch_exchange", "")};

${part("step_ring", "")};

${part("step_producer", "")};

${part("step_warps", "")};

${part("step_batch_consumer", "")};

${part("step_heads", "")};

${part("step_batch_attention", "")};

${part("step_ends", "")};

${part("step_batch_finisher", "")};
${end_parts};

${step_launch};
void ${name}(${params})
{
    ${use_parts};
    extern __shared__ __align__(16) uint8_t shared[];
    Shared *s = shared_of(shared);
    const Step step = {${values}};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint32_t first_tag = (uint32_t)words[0] * (LAYERS + 1) + 1;
    if (threadIdx.x == 0) {
        make_barriers(s);
    }
    if (threadIdx.x < TOKENS) {
        s->position[threadIdx.x] = (int)threadIdx.x < rows ? pos[threadIdx.x] : -1;
        s->kv[threadIdx.x] = kv[threadIdx.x];
    }
    __syncthreads();
    int longest = -1;
    for (int t = 0; t < TOKENS; t++) {
        longest = max(longest, s->position[t]);
    }
    if (longest < 0) {
        return;
    }
    const int splits = splits_of(longest);
    if (warp < 8) {
        take_registers();
        Consumer consumer = {
            {s, lane, warp, gridDim.z - 1}, &step, {&step, first_tag}, splits, first_tag};
        consumer.run();
    } else {
        give_registers();
        if (warp == 8) {
            if (lane == 0) {
                Producer producer = {{s, &step, evict_first()}};
                producer.run();
            }
        } else if (warp == 9) {
            Finisher finisher = {s, &step, {&step, first_tag}, lane, first_tag};
            finisher.run();
        }
    }
}
#endif
