/* ---- ends of a step ---------------------------------------------------------------------------
 */
//% if inside

/* The embedding's number k of a token; zeros for none. */
__device__ __forceinline__ float embedded(const Step *step, int64_t id, int64_t k)
{
    const ${table_type} *w = step->table;
    //% if table_scale
    const ${table_scale_type} *w_scale = step->table_scale;
    //% end
    //% if table_zero
    const ${table_zero_type} *w_zero = step->table_zero;
    //% end
    return id < 0 ? 0 : ${embedded};
}

/* By one warp: cosines and sines of this position. */
__device__ __forceinline__ void make_angles(float *to, const float *freqs, int position, int lane)
{
    enum { HALF = HEAD_DIM / 2 };
    for (int i = lane; i < HALF; i += 32) {
        ${part("rope_angle", "")};
    }
}
//% end
//% if batch == false

/* By one warp: cosines and sines of this position, for RoPE. */
__device__ __forceinline__ void take_angles(float *to, const Step *step, int position, int lane)
{
    //% if inside
    make_angles(to, step->freqs, position, lane);
    //% else
    for (int d = lane; d < HEAD_DIM; d += 32) {
        to[d] = step->angles[d];
    }
    //% end
}

/* A logit and its id as one number: larger logits are larger, the first of equals is; 0: none. */
__device__ __forceinline__ uint64_t candidate(float logit, int id)
{
    const uint32_t key = sample_key(logit);
    return key == 0 ? 0 : (uint64_t)key << 32 | (uint32_t)~id;
}

__device__ __forceinline__ uint64_t better(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

__device__ __forceinline__ uint64_t best_of_warp(uint64_t mine)
{
#pragma unroll
    for (int i = 16; i > 0; i /= 2) {
        mine = better(mine, __shfl_xor_sync(0xffffffffu, mine, i));
    }
    return mine;
}

/* By the finishers: each block's best logit; the first block chooses among them, and the id is the
 * next step's token. Every block has read token and position by then. */
__device__ __forceinline__ void draw_likeliest(const Step *step, uint64_t best, int position,
                                               int lane, uint32_t tag)
{
    enum { AT_ONCE = 5 };
    uint64_t *words = step->words + AT_BEST;
    Patience patience = {step, tag - LAYERS};
    best = best_of_warp(best);
    if (lane < 2) {
        publish(words + blockIdx.x * 2 + lane, (uint32_t)(best >> (lane == 0 ? 32 : 0)), tag);
    }
    if (blockIdx.x != 0) {
        return;
    }
    for (int from = 0; from < (int)gridDim.x; from += AT_ONCE * 32) {
        uint64_t w[AT_ONCE][2] = {};
        uint32_t wanted = 0;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            wanted |= (uint32_t)(from + i * 32 + lane < (int)gridDim.x) << i;
        }
        await_words<AT_ONCE>(
            w, [&](int i) { return words + (from + i * 32 + lane) * 2; }, wanted, tag, patience,
            LAYERS, FOR_IDS);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            best = better(best, w[i][0] << 32 | (uint32_t)w[i][1]);
        }
    }
    best = best_of_warp(best);
    if (lane == 0) {
        const int32_t id = best > 0 && !patience.lost ? (int32_t) ~(uint32_t)best : -1;
        SinterSample *state = step->drawn;
        step->tokens[0] = id;
        step->pos[0] = position + 1;
        step->ring[state->count % ${RING} * ${BATCH}] = id;
        state->seed += 0x9e3779b97f4a7c15;
        state->count++;
    }
}
//% end
