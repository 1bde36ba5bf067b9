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
__device__ __forceinline__ void Consumer::take_queries(uint4 *q, int head, int layer, uint32_t tag)
{
    enum { PAIRS = Heads::KEYS * 2 };
    const int g = lane / 4;
    uint64_t w[PAIRS][2] = {};
    const uint64_t *words = step->words + AT_Q + (head * GROUP + g) * (HEAD_DIM / 2) + lane % 4 * 4;
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

/* The share's next round of positions, 16 for each warp, from `at` on: out of their slots. */
__device__ __forceinline__ void Consumer::take_positions(Heads &a, int at, int end)
{
    const int mine = at + warp * 16;
    for (int first = at; first < min(at + (int)Share::ROUND, end); first += Share::IN_SLOT) {
        const bool here = mine >= first && mine < min(first + (int)Share::IN_SLOT, end);
        const int place = (mine - first) * Heads::BYTES;
        wait_for_slot();
        release(here ? a.load_keys(s->ring[slot] + place, lane) : 0);
        wait_for_slot();
        release(here ? a.load_values(s->ring[slot] + place, end - mine, lane) : 0);
    }
}

/* The position of this step, of which the exchange has key and value: the first of 16. */
__device__ __forceinline__ void Consumer::take_newest(Heads &a, int head, int layer, uint32_t tag)
{
    enum { OF_KEY = Heads::KEYS * 2, OF_VALUE = Heads::VALUES * 2 };
    const int g = lane / 4, i4 = lane % 4;
    uint64_t w[OF_KEY + OF_VALUE][2] = {};
    const uint64_t *keys = step->words + AT_K + head * (HEAD_DIM / 2) + i4 * 4;
    const uint64_t *values = step->words + AT_V + head * (HEAD_DIM / 2) + g * 4;
    const uint32_t wanted =
        (g == 0 ? (1u << OF_KEY) - 1 : 0) | (i4 == 0 ? ((1u << OF_VALUE) - 1) << OF_KEY : 0);
    ${stamp("watch.start();")};
    await_words<OF_KEY + OF_VALUE>(
        w,
        [&](int i) {
            return i < OF_KEY ? keys + i / 2 * 16 + i % 2 * 2
                              : values + (i - OF_KEY) / 2 * 32 + i % 2 * 2;
        },
        wanted, tag, patience, layer, FOR_Q);
    ${stamp("watch.stop<ON_X>();")};
#pragma unroll
    for (int p = 0; p < Heads::KEYS; p++) {
        a.key[0][p] = words_data(w[p * 2], w[p * 2 + 1]);
    }
    //% if head_norms
    finish_head(a.key[0], gains_of(layer, AT_K_GAIN));
    uint8_t *const cache = step->kv[0] + (size_t)layer * CACHE_BYTES + AT_KEYS +
                           ((size_t)head * CONTEXT + position) * HEAD_DIM * 2;
    //% end
#pragma unroll
    for (int p = 0; p < Heads::KEYS; p++) {
        //% if head_norms
        if (g == 0) {
            *(uint4 *)(cache + p * 64 + i4 * 16) = a.key[0][p];
        }
        //% end
        a.key[1][p] = a.key[0][p];
    }
#pragma unroll
    for (int h = 0; h < Heads::VALUES; h++) {
        a.value[0][h] = words_data(w[OF_KEY + h * 2], w[OF_KEY + h * 2 + 1]);
        a.value[1][h] = a.value[2][h] = a.value[3][h] = make_uint4(0, 0, 0, 0);
    }
}

/* Adds up what the 8 warps have left, two values a thread: the head's outputs, or this share's
 * part of them with its maximum and sum. */
__device__ __forceinline__ void Consumer::join_warps(const Share &share, uint32_t tag)
{
    enum { PAIRS = GROUP * HEAD_DIM / 2 };
    const int first = share.head * PAIRS;
    uint64_t *partial = step->words + AT_SPLITS +
                        (size_t)(share.head * share.splits + share.split) * GROUP * (HEAD_DIM + 2);
    for (int e = warp * 32 + lane; e < PAIRS; e += 256) {
        const int h = e / (HEAD_DIM / 2), d = e % (HEAD_DIM / 2) * 2;
        const int row = d / 64 * 8 + d % 8 + d % 16 / 8, column = h * 4 + d % 64 / 16;
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
            out.x += f * p->out[row][column].x, out.y += f * p->out[row][column].y;
            total += f * p->sum[h];
        }
        if (share.splits == 1) {
            publish_mixed(first + e, bf16_pair(out.x / total, out.y / total), 0, 1, tag);
            continue;
        }
        uint64_t *words = partial + h * (HEAD_DIM + 2);
        publish(words + d, __float_as_uint(out.x), tag);
        publish(words + d + 1, __float_as_uint(out.y), tag);
        if (d == 0) {
            publish(words + HEAD_DIM, __float_as_uint(most), tag);
            publish(words + HEAD_DIM + 1, __float_as_uint(total), tag);
        }
    }
}

/* This share's part of the head's outputs from all shares: `width` lanes side by side for each two
 * values, all of them asking at once. */
__device__ __forceinline__ void Consumer::merge(const Share &share, int layer, uint32_t tag)
{
    enum { PAIRS = GROUP * HEAD_DIM / 2 };
    const int pairs = (PAIRS + share.splits * 8 - 1) / (share.splits * 8) * 8;
    int width = 2;
    while (width < share.splits) {
        width *= 2;
    }
    const int from = lane % width;
    for (int i = warp * 32 + lane; i < pairs * width; i += 256) {
        const int pair = share.split * pairs + i / width, h = pair / (HEAD_DIM / 2);
        const bool there = pair < PAIRS && from < share.splits;
        const uint64_t *row =
            step->words + AT_SPLITS +
            ((size_t)(share.head * share.splits + from) * GROUP + h) * (HEAD_DIM + 2);
        uint64_t w[2][2] = {};
        ${stamp("watch.start();")};
        await_words<2>(
            w, [&](int i) { return row + (i == 0 ? pair % (HEAD_DIM / 2) * 2 : HEAD_DIM); },
            there ? 3 : 0, tag, patience, layer, FOR_SPLITS);
        ${stamp("watch.stop<ON_X>();")};
        const uint2 out = data_of(w[0]), scale = data_of(w[1]);
        const float max = there ? __uint_as_float(scale.x) : -1e30f;
        float most = max;
        for (int far = width / 2; far > 0; far /= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, far));
        }
        const float f = exp2f(max - most);
        float x = f * __uint_as_float(out.x), y = f * __uint_as_float(out.y);
        float total = f * __uint_as_float(scale.y);
        for (int far = width / 2; far > 0; far /= 2) {
            x += __shfl_xor_sync(0xffffffffu, x, far);
            y += __shfl_xor_sync(0xffffffffu, y, far);
            total += __shfl_xor_sync(0xffffffffu, total, far);
        }
        if (pair < PAIRS) {
            publish_mixed(share.head * PAIRS + pair, bf16_pair(x / total, y / total), from, width,
                          tag);
        }
    }
}

/* The part of one kv head's attention that this block has, if any. The first positions are in
 * registers, their slots free, before q is there; the newest comes last. */
__device__ void Consumer::attend(int layer, uint32_t tag)
{
    const Share share = share_of(layer, position);
    if (share.none()) {
        return;
    }
    Heads a;
    uint4 q[Heads::KEYS];
    a.clear();
    int at = share.first;
    do {
        take_positions(a, at, share.end);
        if (at == share.first) {
            take_queries(q, share.head, layer, tag);
        }
        if (at + warp * 16 < share.end) {
            a.add(q, at + warp * 16, share.end, lane);
        }
        at += Share::ROUND;
    } while (at < share.end);
    if (share.split == share.splits - 1 && warp == 7) {
        take_newest(a, share.head, layer, tag);
        a.add(q, 0, 1, lane);
    }
    a.leave(partial_of(s, warp), lane);
    consumers_sync();
    join_warps(share, tag);
    if (share.splits > 1) {
        merge(share, layer, tag);
    }
}
