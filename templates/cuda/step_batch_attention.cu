/* ---- attention of several sequences -----------------------------------------------------------
 */

/* A unit is one kv head of one sequence: unit = head * TOKENS + token, split over as many blocks as
 * the longest sequence needs. */
__device__ void Consumer::attend(int layer, uint32_t tag)
{
    const int blocks = gridDim.x;
    for (int at = first_unit(layer); at < KV * TOKENS * splits; at += blocks) {
        attend_unit(at / splits, at % splits, layer, tag);
        consumers_sync(); /* the place is x's again */
    }
}

/* Older positions are asked for before q is there; the newest comes by the exchange. */
__device__ __forceinline__ void Consumer::attend_unit(int unit, int split, int layer, uint32_t tag)
{
    const int head = unit / TOKENS, token = unit % TOKENS, position = s->position[token];
    const int g = lane / 4, i4 = lane % 4;
    if (position < 0) {
        for (int e = (warp * 32 + lane) * 2; split == 0 && e < GROUP * HEAD_DIM; e += 512) {
            store_pair(column_of(step, tag, A_FIRST, token, head * GROUP * HEAD_DIM + e), 0);
        }
        return;
    }
    const uint8_t *cache = s->kv[token] + (size_t)layer * CACHE_BYTES;
    const size_t plane = (size_t)head * CONTEXT * HEAD_DIM;
    const uint16_t *k = (const uint16_t *)(cache + AT_KEYS) + plane;
    const uint16_t *v = (const uint16_t *)(cache + AT_VALUES) + plane;
    const uint64_t *words = step->words + AT_Q + token * QKV_WORDS;
    Heads a;
    Positions p;
    int first = (split + warp * splits) * 16;
    if (first < position) {
        p.load(k, v, first, position, lane);
    }
    const bool has_newest = split == splits - 1 && warp == 7;
    uint4 q[Heads::KEYS];
    uint2 newest[2]; /* the lane's four elements of k and v */
    {
        enum { PAIRS = Heads::KEYS * 2 };
        uint64_t w[PAIRS + 2][2] = {};
        const uint64_t *queries = words + (head * GROUP + g) * (HEAD_DIM / 2) + i4 * 4;
        const uint64_t *keys = words + (HEADS + head) * (HEAD_DIM / 2) + lane * 2;
        const uint32_t wanted = (g < GROUP ? (1u << PAIRS) - 1 : 0) |
                                (has_newest && lane < HEAD_DIM / 4 ? 3u << PAIRS : 0);
        ${stamp("watch.start();")};
        await_words<PAIRS + 2>(
            w,
            [&](int i) {
                return i < PAIRS ? queries + i / 2 * 16 + i % 2 * 2
                                 : keys + (i - PAIRS) * (KV * HEAD_DIM / 2);
            },
            wanted, tag, patience, layer, FOR_Q);
        ${stamp("watch.stop<ON_X>();")};
#pragma unroll
        for (int p = 0; p < Heads::KEYS; p++) {
            const uint2 low = data_of(w[p * 2]), high = data_of(w[p * 2 + 1]);
            q[p] = make_uint4(low.x, low.y, high.x, high.y);
        }
        newest[0] = data_of(w[PAIRS]), newest[1] = data_of(w[PAIRS + 1]);
    }
    ${stamp("watch.start();")};
    a.clear();
    while (first < position) {
        a.weigh(p, q, first, position, lane);
        a.mix(p, lane);
        first += splits * 8 * 16;
        if (first < position) {
            p.load(k, v, first, position, lane);
        }
    }
    ${stamp("watch.stop<ON_WEIGHTS>();")};
    consumers_sync(); /* x of qkv, or the unit before, is done with: its place is used now */
    if (has_newest) {
        if (lane < HEAD_DIM / 4) {
            *(uint2 *)(s->attention.k + lane * 4) = newest[0];
            *(uint2 *)(s->attention.v + lane * 4) = newest[1];
        }
        __syncwarp();
        p.load(s->attention.k, s->attention.v, 0, 1, lane);
        a.weigh(p, q, 0, 1, lane);
        a.mix(p, lane);
    }
    a.leave(&s->attention.partial[warp], lane);
    consumers_sync();
    ${stamp("watch.start();")};
    put_split(unit, split, tag);
    ${stamp("watch.stop<ON_SUMS>();")};
    if (splits > 1) {
        merge(unit, split, layer, tag);
    }
}

/* The warps' parts joined: the unit's outputs, or what others need to join this split's. */
__device__ __forceinline__ void Consumer::put_split(int unit, int split, uint32_t tag)
{
    const int head = unit / TOKENS, token = unit % TOKENS;
    uint64_t *partial =
        step->words + AT_SPLITS + (size_t)(unit * splits + split) * GROUP * (HEAD_DIM + 2);
    for (int e = warp * 32 + lane; e < GROUP * HEAD_DIM; e += 256) {
        const int h = e / HEAD_DIM, d = e % HEAD_DIM;
        float most = -1e30f, out = 0, total = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            most = fmaxf(most, s->attention.partial[i].max[h]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const Partial *p = &s->attention.partial[i];
            const float f = exp2f(p->max[h] - most);
            out += f * ((const float *)p->out[h])[d];
            total += f * p->sum[h];
        }
        uint64_t *row = partial + h * (HEAD_DIM + 2);
        if (splits == 1) {
            const float mine = __fdividef(out, total);
            const float next = __shfl_down_sync(0xffffffffu, mine, 1);
            if (e % 2 == 0) {
                store_pair(column_of(step, tag, A_FIRST, token, head * GROUP * HEAD_DIM + e),
                           bf16_pair(mine, next));
            }
        } else {
            publish(row + d, __float_as_uint(out), tag);
            if (d == 0) {
                publish(row + HEAD_DIM, __float_as_uint(most), tag);
                publish(row + HEAD_DIM + 1, __float_as_uint(total), tag);
            }
        }
    }
}

/* Part `split` of the unit's outputs from all splits: `splits` lanes side by side for each value,
 * all of them asking at once. */
__device__ __forceinline__ void Consumer::merge(int unit, int split, int layer, uint32_t tag)
{
    enum { ALL = GROUP * HEAD_DIM };
    const int from = lane % splits, head = unit / TOKENS, token = unit % TOKENS;
    for (int i = warp * 32 + lane; i < ALL; i += 256) {
        const int value = split * (ALL / splits) + i / splits;
        const uint64_t *row =
            step->words + AT_SPLITS +
            ((size_t)(unit * splits + from) * GROUP + value / HEAD_DIM) * (HEAD_DIM + 2);
        uint64_t w[3];
        for (uint32_t round = 0;; round++) {
            w[0] = load_word(row + value % HEAD_DIM);
            w[1] = load_word(row + HEAD_DIM), w[2] = load_word(row + HEAD_DIM + 1);
            const bool ready = tagged(w[0], tag) && tagged(w[1], tag) && tagged(w[2], tag);
            if (__all_sync(0xffffffffu, ready) || patience.over(round, layer, FOR_SPLITS)) {
                break;
            }
        }
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
        const float mine = __fdividef(out, total);
        const float next = __shfl_down_sync(0xffffffffu, mine, splits);
        if (value % 2 == 0 && from == 0) {
            store_pair(column_of(step, tag, A_FIRST, token, head * ALL + value),
                       bf16_pair(mine, next));
        }
    }
}
