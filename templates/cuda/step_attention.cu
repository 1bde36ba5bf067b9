/* ---- attention --------------------------------------------------------------------------------
 */

/* d += a . b with rows 8 to 15 of a zero: columns 2 i and 2 i + 1 of row g. */
__device__ __forceinline__ void mma_upper(float d[2], uint32_t a0, uint32_t a2, uint32_t b0,
                                          uint32_t b1)
{
    asm("{ .reg .f32 no0, no1; .reg .b32 zero;\n"
        "mov.f32 no0, 0f00000000; mov.f32 no1, 0f00000000; mov.b32 zero, 0;\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, no0, no1}, "
        "{%2, zero, %3, zero}, {%4, %5}, {%0, %1, no0, no1}; }"
        : "+f"(d[0]), "+f"(d[1])
        : "r"(a0), "r"(a2), "r"(b0), "r"(b1));
}

/* A warp's part of one kv head: its queries are the rows of a tile, 16 positions at a time. Lane
 * 4 g + i has 16 bytes of key g, and of values 2 i, 2 i + 1, 2 i + 8, 2 i + 9. */
struct Heads {
    enum { KEYS = HEAD_DIM / 32, VALUES = HEAD_DIM / 64 };
    uint4 key[2][KEYS], value[4][VALUES];
    float out[HEAD_DIM / 8][2], max, sum;

    __device__ __forceinline__ void clear(void)
    {
#pragma unroll
        for (int i = 0; i < HEAD_DIM / 8; i++) {
            out[i][0] = out[i][1] = 0;
        }
        max = -1e30f, sum = 0;
    }

    /* 16 positions from `first` on, those from `end` on replaced by the last one before it. */
    __device__ __forceinline__ void load(const uint16_t *k, const uint16_t *v, int first, int end,
                                         int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            const int at = min(first + n * 8 + g, end - 1);
#pragma unroll
            for (int p = 0; p < KEYS; p++) {
                key[n][p] = *(const uint4 *)(k + (size_t)at * HEAD_DIM + p * 32 + i4 * 8);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int at = min(first + i4 * 2 + j % 2 + j / 2 * 8, end - 1);
#pragma unroll
            for (int h = 0; h < VALUES; h++) {
                value[j][h] = *(const uint4 *)(v + (size_t)at * HEAD_DIM + h * 64 + g * 8);
            }
        }
    }

    /* Scores of the 16 positions as powers of two below a new maximum. */
    __device__ __forceinline__ float score(float s[2][2], const uint4 q[KEYS], int first, int end,
                                           int i4)
    {
        const float scale = (float)${score_scale};
        float most = max;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            s[n][0] = s[n][1] = 0;
#pragma unroll
            for (int p = 0; p < KEYS; p++) {
                mma_upper(s[n], q[p].x, q[p].y, key[n][p].x, key[n][p].y);
                mma_upper(s[n], q[p].z, q[p].w, key[n][p].z, key[n][p].w);
            }
#pragma unroll
            for (int j = 0; j < 2; j++) {
                s[n][j] = first + n * 8 + i4 * 2 + j < end ? s[n][j] * scale : -1e30f;
                most = fmaxf(most, s[n][j]);
            }
        }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const float shrink = exp2f(max - most);
        max = most;
        sum *= shrink;
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                s[n][j] = exp2f(s[n][j] - most);
                sum += s[n][j];
            }
        }
        return shrink;
    }

    __device__ __forceinline__ void add(const uint4 q[KEYS], int first, int end, int lane)
    {
        float s[2][2];
        const float shrink = score(s, q, first, end, lane % 4);
        const uint32_t p0 = bf16_pair(s[0][0], s[0][1]), p1 = bf16_pair(s[1][0], s[1][1]);
#pragma unroll
        for (int h = 0; h < VALUES; h++) {
#pragma unroll
            for (int d = 0; d < 8; d++) {
                float *o = out[h * 8 + d];
                o[0] *= shrink, o[1] *= shrink;
                const uint32_t pick = d % 2 == 0 ? 0x5410 : 0x7632;
                mma_upper(o, p0, p1,
                          __byte_perm(word(value[0][h], d / 2), word(value[1][h], d / 2), pick),
                          __byte_perm(word(value[2][h], d / 2), word(value[3][h], d / 2), pick));
            }
        }
    }

    /* This warp's maximum, sum and outputs beside those of the others. */
    __device__ __forceinline__ void leave(Shared *s, int warp, int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (i4 == 0) {
            s->attention.max[warp][g] = max, s->attention.sum[warp][g] = sum;
        }
        if (g < GROUP) {
#pragma unroll
            for (int i = 0; i < HEAD_DIM / 8; i++) {
                const int d = i / 8 * 64 + i4 * 16 + i % 8;
                s->attention.out[warp][g][d] = out[i][0];
                s->attention.out[warp][g][d + 8] = out[i][1];
            }
        }
    }
};

/* Blocks that share a kv head's positions: a power of two, ${SPLIT_POSITIONS} positions each. */
__device__ __forceinline__ int splits_of(int position)
{
    int splits = 1;
    while (splits < MAX_SPLITS && splits * ${SPLIT_POSITIONS} < position &&
           splits * 2 * KV <= (int)gridDim.x) {
        splits *= 2;
    }
    return splits;
}

/* The part of one kv head's attention that this block has, if any: the blocks with the fewest tiles
 * of qkv. Older positions are asked for before q is there; the newest comes by the exchange. */
__device__ void Consumer::attend(int layer, uint32_t tag)
{
    typedef Shape<QKV> S;
    const int blocks = gridDim.x, splits = splits_of(position);
    const int rank = (S::first_tile(layer) + blocks - S::TILES % blocks) % blocks;
    const int head = rank / splits, split = rank % splits, g = lane / 4, i4 = lane % 4;
    if (head >= KV) {
        return;
    }
    const uint8_t *cache = step->kv[0] + (size_t)layer * CACHE_BYTES;
    const size_t plane = (size_t)head * CONTEXT * HEAD_DIM;
    const uint16_t *k = (const uint16_t *)(cache + AT_KEYS) + plane;
    const uint16_t *v = (const uint16_t *)(cache + AT_VALUES) + plane;
    Heads a;
    int first = (split + warp * splits) * 16;
    if (first < position) {
        a.load(k, v, first, position, lane);
    }
    uint4 q[Heads::KEYS];
    {
        enum { PAIRS = Heads::KEYS * 2 };
        uint64_t w[PAIRS][2] = {};
        const uint64_t *words = step->words + AT_Q + (head * GROUP + g) * (HEAD_DIM / 2) + i4 * 4;
        ${stamp("watch.start();")};
        await_words<PAIRS>(
            w, [&](int i) { return words + i / 2 * 16 + i % 2 * 2; },
            g < GROUP ? (1u << PAIRS) - 1 : 0, tag, patience, layer, FOR_Q);
        ${stamp("watch.stop<ON_X>();")};
#pragma unroll
        for (int p = 0; p < Heads::KEYS; p++) {
            const uint2 low = data_of(w[p * 2]), high = data_of(w[p * 2 + 1]);
            q[p] = make_uint4(low.x, low.y, high.x, high.y);
        }
    }
    a.clear();
    while (first < position) {
        a.add(q, first, position, lane);
        first += splits * 8 * 16;
        if (first < position) {
            a.load(k, v, first, position, lane);
        }
    }
    consumers_sync(); /* x of qkv is done with: its place is used now */
    if (split == splits - 1 && warp == 7) {
        uint64_t w[2][2] = {};
        const uint64_t *words = step->words + AT_K + head * (HEAD_DIM / 2) + lane * 2;
        const bool mine = lane < HEAD_DIM / 4;
        ${stamp("watch.start();")};
        await_words<2>(
            w, [&](int i) { return words + i * (AT_V - AT_K); }, mine ? 3 : 0, tag, patience, layer,
            FOR_Q);
        ${stamp("watch.stop<ON_X>();")};
        if (mine) {
            *(uint2 *)(s->attention.k + lane * 4) = data_of(w[0]);
            *(uint2 *)(s->attention.v + lane * 4) = data_of(w[1]);
        }
        __syncwarp();
        a.load(s->attention.k, s->attention.v, 0, 1, lane);
        a.add(q, 0, 1, lane);
    }
    a.leave(s, warp, lane);
    consumers_sync();
    uint64_t *partial =
        step->words + AT_SPLITS + (size_t)(head * splits + split) * GROUP * (HEAD_DIM + 2);
    for (int e = warp * 32 + lane; e < GROUP * HEAD_DIM; e += 256) {
        const int h = e / HEAD_DIM, d = e % HEAD_DIM;
        float most = -1e30f, out = 0, total = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            most = fmaxf(most, s->attention.max[i][h]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float f = exp2f(s->attention.max[i][h] - most);
            out += f * s->attention.out[i][h][d];
            total += f * s->attention.sum[i][h];
        }
        uint64_t *row = partial + h * (HEAD_DIM + 2);
        if (splits == 1) {
            const float mine = out / total, next = __shfl_down_sync(0xffffffffu, mine, 1);
            publish_mixed(head * GROUP * HEAD_DIM + e, bf16_pair(mine, next), tag);
        } else {
            publish(row + d, __float_as_uint(out), tag);
            if (d == 0) {
                publish(row + HEAD_DIM, __float_as_uint(most), tag);
                publish(row + HEAD_DIM + 1, __float_as_uint(total), tag);
            }
        }
    }
    if (splits > 1) {
        merge(head, split, splits, layer, tag);
    }
    consumers_sync(); /* the place is x's again */
}

/* Part `split` of the head's outputs from all splits: `splits` lanes side by side for each value,
 * all of them asking at once. */
__device__ void Consumer::merge(int head, int split, int splits, int layer, uint32_t tag)
{
    enum { ALL = GROUP * HEAD_DIM };
    const int from = lane % splits;
    for (int i = warp * 32 + lane; i < ALL; i += 256) {
        const int value = split * (ALL / splits) + i / splits;
        const uint64_t *row =
            step->words + AT_SPLITS +
            ((size_t)(head * splits + from) * GROUP + value / HEAD_DIM) * (HEAD_DIM + 2);
        uint64_t w[3];
        ${stamp("watch.start();")};
        for (uint32_t round = 0;; round++) {
            w[0] = load_word(row + value % HEAD_DIM);
            w[1] = load_word(row + HEAD_DIM), w[2] = load_word(row + HEAD_DIM + 1);
            const bool ready = tagged(w[0], tag) && tagged(w[1], tag) && tagged(w[2], tag);
            if (__all_sync(0xffffffffu, ready) || patience.over(round, layer, FOR_SPLITS)) {
                break;
            }
        }
        ${stamp("watch.stop<ON_X>();")};
        const float max = __uint_as_float((uint32_t)w[1]);
        float most = max;
        for (int far = splits / 2; far > 0; far /= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, far));
        }
        const float f = exp2f(max - most);
        float out = f * __uint_as_float((uint32_t)w[0]);
        float total = f * __uint_as_float((uint32_t)w[2]);
        for (int far = splits / 2; far > 0; far /= 2) {
            out += __shfl_xor_sync(0xffffffffu, out, far);
            total += __shfl_xor_sync(0xffffffffu, total, far);
        }
        const float mine = out / total, next = __shfl_down_sync(0xffffffffu, mine, splits);
        for (int copy = from; value % 2 == 0 && copy < COPIES; copy += splits) {
            publish(step->words + AT_A + (copy * HEADS * HEAD_DIM + head * ALL + value) / 2,
                    bf16_pair(mine, next), tag);
        }
    }
}
