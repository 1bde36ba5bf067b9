/* ---- attention --------------------------------------------------------------------------------
 */

/* A warp's Partial: behind x of the short matrices, where only x of down comes. Until then all
 * warps have read it: x of gate_up needs all of attention's output. */
__device__ __forceinline__ Partial *partial_of(Shared *s, int warp)
{
    return (Partial *)(s->x[warp] + X_SHORT);
}

__device__ __forceinline__ uint4 words_data(const uint64_t low[2], const uint64_t high[2])
{
    const uint2 l = data_of(low), h = data_of(high);
    return make_uint4(l.x, l.y, h.x, h.y);
}

//% if head_norms
__device__ __forceinline__ float2 bf16_floats(uint32_t pair)
{
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

/* Norm of a head, then RoPE: a lane has its dims p * 32 + i4 * 8 .. + 7, i4 its place of four. */
__device__ __forceinline__ void Consumer::finish_head(uint4 *head, const uint8_t *gains)
{
    enum { KEYS = Heads::KEYS, HALF = HEAD_DIM / 2 };
    float squares = 0;
#pragma unroll
    for (int i = 0; i < KEYS * 4; i++) {
        const float2 x = bf16_floats(word(head[i / 4], i % 4));
        squares += x.x * x.x + x.y * x.y;
    }
    squares += __shfl_xor_sync(0xffffffffu, squares, 1);
    squares += __shfl_xor_sync(0xffffffffu, squares, 2);
    const float r = rsqrtf(squares / HEAD_DIM + ${HEAD_EPS});
#pragma unroll
    for (int i = 0; i < KEYS * 2; i++) {
        const uint32_t *const gain = (const uint32_t *)(gains + i / 4 * 64) + i % 4;
        uint32_t *const low = (uint32_t *)&head[i / 4] + i % 4;
        uint32_t *const high = (uint32_t *)&head[i / 4 + KEYS / 2] + i % 4;
        const float2 a = bf16_floats(*low), b = bf16_floats(*high);
        const float2 of_a = bf16_floats(gain[0]), of_b = bf16_floats(gain[HALF / 2]);
        const float *const angle = s->angles + i / 4 * 32 + lane % 4 * 8 + i % 4 * 2;
        const float2 c = *(const float2 *)angle, sine = *(const float2 *)(angle + HALF);
        const float ax = a.x * r * of_a.x, ay = a.y * r * of_a.y;
        const float bx = b.x * r * of_b.x, by = b.y * r * of_b.y;
        *low = bf16_pair(ax * c.x - bx * sine.x, ay * c.y - by * sine.y);
        *high = bf16_pair(bx * c.x + ax * sine.x, by * c.y + ay * sine.y);
    }
}

/* The lane's gains for it: at 64 bytes' distance. */
__device__ __forceinline__ const uint8_t *Consumer::gains_of(int layer, size_t at)
{
    return step->weights + (size_t)layer * LAYER_BYTES + at + lane % 4 * 16;
}

//% end
__device__ __forceinline__ void Consumer::take_queries(uint4 *q, const Share &share, int layer,
                                                       uint32_t tag)
{
    enum { PAIRS = Heads::KEYS * 2 };
    const int g = lane / 4;
    uint64_t w[PAIRS][2] = {};
    const uint64_t *words = step->words + AT_Q + share.split % COPIES * QKV_WORDS +
                            (share.head * GROUP + g) * (HEAD_DIM / 2) + lane % 4 * 4;
    //% if head_norms
    const uint8_t *const gains = gains_of(layer, AT_Q_GAIN);
    asm volatile("prefetch.global.L1 [%0];" ::"l"(gains));
    asm volatile("prefetch.global.L1 [%0];" ::"l"(gains + HEAD_DIM));
    //% end
    ${stamp("watch.start();")};
    await_words<PAIRS>(
        w, [&](int i) { return words + i / 2 * 16 + i % 2 * 2; }, g < GROUP ? (1u << PAIRS) - 1 : 0,
        tag, patience, layer, FOR_Q);
    ${stamp("watch.stop<ON_X>();")};
#pragma unroll
    for (int p = 0; p < Heads::KEYS; p++) {
        q[p] = words_data(w[p * 2], w[p * 2 + 1]);
    }
    //% if head_norms
    finish_head(q, gains);
    //% end
}

/* The position of this step, of which the exchange has key and value. */
__device__ __forceinline__ void Consumer::add_newest(Heads &a, const uint4 *q, const Share &share,
                                                     int layer, uint32_t tag)
{
    enum { KEYS = Heads::KEYS, OF_KEY = KEYS * 2, OF_VALUE = HEAD_DIM / 32 };
    const int i4 = lane % 4;
    uint64_t w[OF_KEY + OF_VALUE][2] = {};
    const uint64_t *copy = step->words + share.split % COPIES * QKV_WORDS;
    const uint64_t *keys = copy + AT_K + share.head * (HEAD_DIM / 2) + i4 * 4;
    const uint64_t *values = copy + AT_V + share.head * (HEAD_DIM / 2) + lane / 4 * 4;
    ${stamp("watch.start();")};
    await_words<OF_KEY + OF_VALUE>(
        w,
        [&](int i) {
            return i < OF_KEY ? keys + i / 2 * 16 + i % 2 * 2
                              : values + (i - OF_KEY) / 2 * 32 + i % 2 * 2;
        },
        (1u << (OF_KEY + OF_VALUE)) - 1, tag, patience, layer, FOR_Q);
    ${stamp("watch.stop<ON_X>();")};
    uint4 key[KEYS];
    uint32_t value[OF_VALUE * 2];
#pragma unroll
    for (int p = 0; p < KEYS; p++) {
        key[p] = words_data(w[p * 2], w[p * 2 + 1]);
    }
    //% if head_norms
    finish_head(key, gains_of(layer, AT_K_GAIN));
    uint8_t *const cache = step->kv[0] + (size_t)layer * CACHE_BYTES + AT_KEYS +
                           ((size_t)share.head * CONTEXT + position) * HEAD_DIM * 2;
#pragma unroll
    for (int p = 0; p < KEYS; p++) {
        if (lane < 4) {
            *(uint4 *)(cache + p * 64 + i4 * 16) = key[p];
        }
    }
    //% end
#pragma unroll
    for (int i = 0; i < OF_VALUE; i++) {
        const uint2 pairs = data_of(w[OF_KEY + i]);
        value[i * 2] = pairs.x, value[i * 2 + 1] = pairs.y;
    }
    a.add(q, key, value, lane);
}

/* Of one share's records, words. */
__device__ __forceinline__ int part_of(const Share &share, int split)
{
    return (share.head * share.splits + split) * (Share::PAIRS * 2);
}

/* Adds up what the 8 warps have left, two values a thread: the head's outputs, or this share's with
 * what they weigh, a power of two. */
__device__ __forceinline__ void Consumer::join_warps(const Share &share, uint32_t tag)
{
    uint64_t *part = step->words + AT_SPLITS + part_of(share, share.split);
    for (int e = warp * 32 + lane; e < Share::PAIRS; e += 256) {
        const int h = e / (HEAD_DIM / 2), pair = e % (HEAD_DIM / 2);
        float most = -1e30f, total = 0;
        float2 out = {0, 0};
#pragma unroll
        for (int i = 0; i < 8; i++) {
            most = fmaxf(most, partial_of(s, i)->max[h]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const Partial *p = partial_of(s, i);
            const float f = exp2f(p->max[h] - most);
            out.x += f * p->out[h][pair].x, out.y += f * p->out[h][pair].y;
            total += f * p->sum[h];
        }
        const float scale = total > 0 ? __fdividef(1, total) : 0;
        out.x *= scale, out.y *= scale;
        if (share.splits == 1) {
            publish_mixed(share.head * Share::PAIRS + e, bf16_pair(out.x, out.y), 0, 1, tag);
        } else {
            const uint64_t both = (uint64_t)__float_as_uint(out.y) << 32 | __float_as_uint(out.x);
            const float weight = total > 0 ? most + log2f(total) : -1e30f;
            publish_record(part + e * 2, both, __float_as_uint(weight), tag);
        }
    }
}

/* This share's part of the head's outputs from all shares: `width` lanes side by side for each two
 * values, all of them asking at once. */
__device__ __forceinline__ void Consumer::merge(const Share &share, int layer, uint32_t tag)
{
    const int pairs = (Share::PAIRS + share.splits * 8 - 1) / (share.splits * 8) * 8;
    int width = 2;
    while (width < share.splits) {
        width *= 2;
    }
    const int from = lane % width;
    for (int i = warp * 32 + lane; i < pairs * width; i += 256) {
        const int pair = share.split * pairs + i / width;
        const bool there = pair < Share::PAIRS && from < share.splits;
        const uint64_t *at = step->words + AT_SPLITS + part_of(share, from) + pair * 2;
        uint64_t w[2] = {};
        ${stamp("watch.start();")};
        for (uint32_t round = 0;; round++) {
            load_record(w, at, there);
            const bool ready = !there || tagged(w[1], tag);
            if (__all_sync(0xffffffffu, ready) || patience.over(round, layer, FOR_SPLITS)) {
                break;
            }
        }
        ${stamp("watch.stop<ON_X>();")};
        const float weight = there ? __uint_as_float((uint32_t)w[1]) : -1e30f;
        float most = weight;
        for (int far = width / 2; far > 0; far /= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, far));
        }
        float total = exp2f(weight - most);
        float x = total * __uint_as_float((uint32_t)w[0]);
        float y = total * __uint_as_float((uint32_t)(w[0] >> 32));
        for (int far = width / 2; far > 0; far /= 2) {
            x += __shfl_xor_sync(0xffffffffu, x, far);
            y += __shfl_xor_sync(0xffffffffu, y, far);
            total += __shfl_xor_sync(0xffffffffu, total, far);
        }
        if (pair < Share::PAIRS) {
            publish_mixed(share.head * Share::PAIRS + pair,
                          bf16_pair(__fdividef(x, total), __fdividef(y, total)), from, width, tag);
        }
    }
}

/* The part of one kv head's attention that this block has, if any: a slot of keys and one of the
 * same positions' values at a time, 16 positions a warp in turn. The first are in registers, their
 * slots free, before q is there; the newest position comes last. */
__device__ void Consumer::attend(int layer, uint32_t tag)
{
    const Share share = share_of(&s->shares, layer, position);
    if (all_lanes(share.none())) {
        return;
    }
    Heads a;
    uint4 q[Heads::KEYS];
    a.clear();
    int at = share.first;
    do {
        const int first = at + ((warp * 16 - (at - share.first)) & (Share::ROUND - 1));
        const int place = (first - at) * Positions::BYTES;
        const bool mine = all_lanes(first < min(at + (int)Share::IN_SLOT, share.end));
        Positions p;
        if (all_lanes(at < share.end)) {
            wait_for_slot();
            release(mine ? p.load_keys(s->ring[slot] + place, lane) : 0);
            wait_for_slot();
            release(mine ? p.load_values(s->ring[slot] + place, share.end - first, lane) : 0);
        }
        if (at == share.first) {
            take_queries(q, share, layer, tag);
        }
        if (mine) {
            a.weigh(p, q, first, share.end, lane);
            a.mix(p, lane);
        }
        at += Share::IN_SLOT;
    } while (all_lanes(at < share.end));
    if (all_lanes(share.split == share.splits - 1 && warp == 7)) {
        add_newest(a, q, share, layer, tag);
    }
    a.leave(partial_of(s, warp), lane);
    ${stamp("watch.start();")};
    consumers_sync();
    ${stamp("watch.stop<ON_SUMS>();")};
    join_warps(share, tag);
    if (share.splits > 1) {
        merge(share, layer, tag);
    }
}
