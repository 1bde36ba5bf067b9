//# step_mlp.cu - a step of one token of a model that is one gated MLP, as one persistent kernel: a
//# block on every multiprocessor. Parts: step_exchange, step_ring, step_warps of the decoder's step;
//# step_mlp_share, step_mlp_consumer, step_mlp_finisher.
#if __CUDA_ARCH__ >= 900
/* Roles of a block's warps:
 *
 *   producer warp   weights of this block's share, first of gate and up, then of down: the ring
 *   8 consumers     a slot has a chunk of k for each of them
 *   finisher warp   adds the 8 partial sums of a tile in a fixed order; publishes 8 values of h, or
 *                   stores 16 of the output
 *
 *   memory --bulk copies--> ring[slot][warp] --mma--> sums[part][warp][16] --> finisher --> output
 *                                          ^                                     |
 *                     h of each warp ------+<--polled-- words {2 x bf16, tag} <--+
 *
 * Tiles of gate_up go round the blocks; of down's slots, tile after tile in one row, each block has
 * so many that all blocks read the same number of both (step_mlp_share). A block begins with the
 * part of a tile that it leaves to the block behind it: its sums are there long before that block
 * ends with the same tile's last columns, which it owns. Columns of h that come late are needed
 * late: down's first pass through k takes longer than they do.
 *
 * Between two steps memory is to stand still for as short as it can: a block may begin when one of
 * the kernel in front has left its multiprocessor (a programmatic launch), and asks for its first
 * weights before anything else, as they are no kernel's result. x is read when that kernel has
 * ended. Only blocks of one step wait for each other, and not before that. Every wait has a limit;
 * then `stalled` says for what and where, and the kernel ends with garbage.
${phases}
 */
${begin_parts};
/* CHUNK: KiB of a warp in a slot; FLYING: copies on their way. */
enum { D_MODEL = ${D_MODEL}, D_FF = ${D_FF} };
enum { CHUNK = ${CHUNK}, SLOTS = ${SLOTS}, FLYING = ${FLYING}, PARTS = 2 };
enum { MOST_BLOCKS = ${MOST_BLOCKS} };
enum { RUN = CHUNK * 32, SLOT_COLUMNS = 8 * RUN, SLOT_BYTES = CHUNK * 8 * 1024 };
/* As the runtime tells them: x of down, parts of down. */
enum Wait { FOR_H = 5, FOR_SUMS = 8 };

struct Step {
    ${fields};
};

/* Places in the exchange, in words; word 0: blocks that have ended; word 1: what was waited for in
 * vain. */
enum Exchange {
    AT_H = ${HEADER_WORDS},    /* {2 x bf16, tag} */
    AT_SUMS = AT_H + D_FF / 2, /* [block][row]{f32, tag} */
    WORDS = AT_SUMS + MOST_BLOCKS * 16,
};
static_assert(WORDS == ${WORDS}, "the exchange is planned too small");

struct Shared {
    uint8_t ring[SLOTS][SLOT_BYTES];
    uint16_t x[8][(D_MODEL > D_FF ? D_MODEL : D_FF) / 8]; /* of each warp: first x, then h */
    float sums[PARTS][8][16];
    uint64_t full[SLOTS], empty[SLOTS], summed[PARTS], taken[PARTS]; /* barriers */
};
static_assert(sizeof(Shared) <= ${SHARED}, "the ring is planned too large");

${part("step_exchange", "")};

${part("step_ring", "")};

${part("step_warps", "")};

${part("step_mlp_share", "")};

${part("step_mlp_consumer", "")};

${part("step_mlp_finisher", "")};
${end_parts};

${step_launch};
void ${name}(${params})
{
    ${use_parts};
    extern __shared__ __align__(16) uint8_t shared[];
    Shared *s = shared_of(shared);
    const Step step = {${values}};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Producer producer = {{s, &step, evict_first()}, {&step, (int)blockIdx.x}};
    if (warp == 8 && lane == 0) {
        make_barriers(s);
        producer.begin();
    }
    dependents_launch();
    __syncthreads();
    if (warp == 8) {
        if (lane == 0) {
            producer.run();
        }
    } else if (warp == 9) {
        Finisher finisher = {s, &step, range_of(blockIdx.x), lane};
        finisher.run();
    } else {
        Consumer consumer = {{s, lane, warp, gridDim.z - 1}, &step, range_of(blockIdx.x)};
        consumer.run();
    }
}
#endif
