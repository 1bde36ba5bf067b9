/* ---- exchange of several tokens ---------------------------------------------------------------
 */

/* Places in the exchange, in words of 8 bytes; word 0: steps done; word 1: what was waited for in
 * vain. Words {data, tag}: Q, SPLITS, SUMS, SQUARES. Then TURNS times vectors of bf16,
 * [32 columns][token][column]: X, MID, A, H. */
enum Exchange {
    QKV_WORDS = (HEADS + 2 * KV) * HEAD_DIM / 2, /* of a token: queries, keys, values */
    AT_Q = ${HEADER_WORDS},
    AT_SPLITS = AT_Q + TOKENS * QKV_WORDS, /* [unit][split][GROUP]{HEAD_DIM outs, maximum, sum} */
    AT_SUMS = AT_SPLITS + MOST_BLOCKS * GROUP * (HEAD_DIM + 2), /* [tile][part][2][lane][2] */
    AT_X_SQUARES = AT_SUMS + D_MODEL / 16 * DOWN_PARTS * 128,   /* [tile][token] */
    AT_MID_SQUARES = AT_X_SQUARES + D_MODEL / 16 * TOKENS,
    AT_VECTORS = AT_MID_SQUARES + D_MODEL / 16 * TOKENS,
    X_FIRST = 0, /* in words from the first of a turn's vectors */
    MID_FIRST = D_MODEL * TOKENS / 4,
    A_FIRST = 2 * MID_FIRST,
    H_FIRST = A_FIRST + HEADS * HEAD_DIM * TOKENS / 4,
    VECTORS = H_FIRST + D_FF * TOKENS / 4,
    TURNS = 4,
    WORDS = AT_VECTORS + TURNS * VECTORS,
};
static_assert(WORDS == ${WORDS}, "the exchange is planned too small");
static_assert(AT_VECTORS % 2 == 0, "vectors begin with 16 bytes");

/* Where x of a phase begins in a turn's vectors. */
template <int P> struct Input {
    enum {
        FIRST = P == DOWN      ? H_FIRST
                : P == O       ? A_FIRST
                : P == GATE_UP ? MID_FIRST
                               : X_FIRST,
        SQUARES = P == GATE_UP ? AT_MID_SQUARES : AT_X_SQUARES,
    };
};

/* Vectors carry no tags: two bf16 are stored as their complement, which is not zero, as no
 * conversion makes the NaN with all bits set; zero means that they have not come. Layer after layer
 * takes the next of TURNS places, and their owners clear each two layers before its turn: two
 * layers behind the last reader's, and with a fence long before anyone looks for values again. */
__device__ __forceinline__ uint64_t *vectors_of(const Step *step, uint32_t tag)
{
    return step->words + AT_VECTORS + (size_t)(tag % TURNS) * VECTORS;
}

/* Column k of a token in the vector that begins at `first`. */
__device__ __forceinline__ uint32_t *column_of(const Step *step, uint32_t tag, int first, int token,
                                               int k)
{
    return (uint32_t *)(vectors_of(step, tag) + first) +
           ((size_t)(k / 32) * (32 * TOKENS) + token * 32 + k % 32) / 2;
}

__device__ __forceinline__ void store_pair(uint32_t *at, uint32_t pair)
{
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(at), "r"(~pair) : "memory");
}

__device__ __forceinline__ void store_pairs(uint32_t *at, uint2 pairs)
{
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(at), "r"(~pairs.x),
                 "r"(~pairs.y)
                 : "memory");
}

/* Eight columns as they are stored, when `wanted`. */
__device__ __forceinline__ void load_columns(uint4 *v, const uint4 *at, bool wanted)
{
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %5, 0;\n"
                 "@p ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
                 : "+r"(v->x), "+r"(v->y), "+r"(v->z), "+r"(v->w)
                 : "l"(at), "r"((uint32_t)wanted)
                 : "memory");
}

__device__ __forceinline__ bool have_come(uint4 v)
{
    return v.x != 0 && v.y != 0 && v.z != 0 && v.w != 0;
}

/* By the finishers that own tiles of the residual, all of them together: the place of the vectors
 * two layers on. */
__device__ __forceinline__ void clear_vectors(const Step *step, uint32_t tag, int lane)
{
    const int owners = min((int)gridDim.x, D_MODEL / 16);
    uint4 *at = (uint4 *)vectors_of(step, tag + 2);
    if ((int)blockIdx.x < owners) {
        for (int i = (int)blockIdx.x * 32 + lane; i < VECTORS / 2; i += owners * 32) {
            at[i] = make_uint4(0, 0, 0, 0);
        }
    }
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
}

/* Blocks that share the positions of a kv head of a sequence: a power of two, as many for the
 * longest sequence as for the others. */
__device__ __forceinline__ int splits_of(int position)
{
    int splits = 1;
    while (splits < MAX_SPLITS && splits * ${ALONE_POSITIONS} < position &&
           splits * 2 * KV * TOKENS <= (int)gridDim.x) {
        splits *= 2;
    }
    return splits;
}

/* Blocks take units and their splits in turn; those with the fewest tiles of qkv begin. */
__device__ __forceinline__ int first_unit(int layer)
{
    typedef Shape<QKV> S;
    const int blocks = gridDim.x;
    return (S::first_tile(layer) + blocks - S::TILES % blocks) % blocks;
}
