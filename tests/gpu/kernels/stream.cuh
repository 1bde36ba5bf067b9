// stream.cuh - a whole decode step (one token) as one persistent kernel: one CTA on every SM.
//
//   producer warp   weights of this SM's tiles, phase after phase, into the rings: never stops for
//                   a phase border, only for a full ring or for CAP chunks in flight
//   8 consumers     chunks of k go round them, so that one copy fills a slot for all eight; a warp
//                   waits for nothing but its weights and the words of x that they meet
//   finisher warp   adds the 8 partial sums of a tile in a fixed order, then norm scale, RoPE,
//                   residual or SiLU.mul, and publishes 16 (8) values
//
//     HBM --bulk copies--> ring[slot][w] --mma--> sums[part][w][16] --> finisher --> exchange --+
//                                         ^                                                     |
//                                    x of warp w <------ polled words {2 x bf16, tag} <---------+
//
//   Phases of a layer: qkv, attention, o, gate_up, down; then the head. The activation vector goes
//   from phase to phase as 8-byte words in global memory that carry a tag (step and layer) beside
//   the data: no fence, no counter. A word is written again one layer later; by then every SM has
//   taken part in phases that need all readers of the old one to be done.
//   Rows 16 t .. 16 t + 15 of o and of down are the same SM's: the residual never leaves it.
//   Attention: kv head h, split s of the positions on one SM each; K and V of older positions are
//   read while q is on its way. More than one split: a second exchange inside the head's SMs.
//   Every wait has a limit: past it the error word says which phase on which SM, and the kernel
//   ends with garbage instead of hanging.
#pragma once
#include "attention_decode.cuh"
#include "matmul_decode.cuh"

enum StreamPhase { PHASE_QKV, PHASE_O, PHASE_GATE_UP, PHASE_DOWN, PHASE_HEAD, PHASE_COUNT };
enum StreamWait { WAIT_X, WAIT_Q, WAIT_MERGE, WAIT_BEST };

// What one launch reads and writes. Weights: layer after layer qkv, o, gate_up, down. (The head has
// pointers of its own: ptxas 13.0 gets the upper half of a pointer plus a constant over 2^31
// wrong.)
struct StreamParams {
    const u8 *head, *head_scales;
    const u8 *weights, *scales; // scales of int8: f32[row]; of int4: tile(16, 1) bf16; same order
    const u8 *embedding;        // bf16 [VOCAB, D_MODEL] in tile(16, 32)
    const float *angles;        // f32[CONTEXT][HEAD_DIM]: cosines, then sines
    u16 *cache;                 // bf16 [layer][k, v][KV][CONTEXT][HEAD_DIM]
    u64 *exchange;              // Exchange<C>::WORDS
    int *state;                 // token, position, steps done
    float *logits;              // f32[VOCAB]
    u32 *error;                 // 0 or 0x80000000 | phase << 16 | SM
    u64 *stamps;                // PROFILE: [layer][phase][SM][4] ns
    int splits, advance;        // of attention; whether state moves on
    int blind; // no wait for the exchange: the stream alone, with garbage for results
};

// Places in the exchange, in 8-byte words.
template <class C> struct Exchange {
    enum {
        X = 0, // X, MID and A are there COPIES times: all SMs poll them at the same time
        MID = X + C::COPIES * C::D_MODEL / 2,
        A = MID + C::COPIES * C::D_MODEL / 2,
        Q = A + C::COPIES * C::HEADS * C::D / 2,
        K = Q + C::HEADS * C::D / 2,
        V = K + C::KV * C::D / 2,
        H = V + C::KV * C::D / 2,
        PARTIAL = H + C::D_FF / 2, // [kv head][split][group]{D outs, max, sum}, f32
        BEST = PARTIAL + C::KV * 16 * C::G * (C::D + 2),
        WORDS = BEST + C::SMS * 2,
    };
};

template <class C, int P> struct PhaseShape {
    enum {
        K = P == PHASE_DOWN ? C::D_FF
            : P == PHASE_O  ? C::HEADS * C::D
                            : C::D_MODEL,
        N = P == PHASE_QKV                    ? (C::HEADS + 2 * C::KV) * C::D
            : P == PHASE_O || P == PHASE_DOWN ? C::D_MODEL
            : P == PHASE_GATE_UP              ? 2 * C::D_FF
                                              : C::VOCAB,
        BLOCKS = K * C::BITS / 512, // KiB of a tile
        TILES = N / 16,
        SLICE_K = K / 8,              // of a consumer
        ROWS = BLOCKS / 8 / C::CHUNK, // slots of a tile: a chunk for each consumer
        INPUT = P == PHASE_O         ? (int)Exchange<C>::A
                : P == PHASE_GATE_UP ? (int)Exchange<C>::MID
                : P == PHASE_DOWN    ? (int)Exchange<C>::H
                                     : (int)Exchange<C>::X,
    };
    static constexpr size_t bytes = (size_t)TILES * BLOCKS * 1024;
    static constexpr size_t scale_bytes = C::BITS == 16  ? 0
                                          : C::BITS == 8 ? (size_t)N * 4
                                                         : (size_t)TILES * BLOCKS * 32;
    static constexpr bool norm = P == PHASE_QKV || P == PHASE_GATE_UP || P == PHASE_HEAD;
    static_assert(SLICE_K % 256 == 0 && BLOCKS % (8 * C::CHUNK) == 0, "ragged k");

    // Tiles go round the SMs; who has one more than the others changes from layer to layer.
    static __device__ __forceinline__ int first_tile(int sm, int layer)
    {
        const int shift = P == PHASE_O || P == PHASE_DOWN || P == PHASE_HEAD
                              ? 0
                              : layer * 37 + (P == PHASE_GATE_UP ? TILES : 0);
        return (sm + shift) % C::SMS;
    }
};

// Bytes (weights or scales) in front of a phase.
template <class C, int P, bool SCALES>
static __host__ __device__ constexpr size_t phase_offset(int layer)
{
    typedef PhaseShape<C, PHASE_QKV> A;
    typedef PhaseShape<C, PHASE_O> B;
    typedef PhaseShape<C, PHASE_GATE_UP> D;
    typedef PhaseShape<C, PHASE_DOWN> E;
    const size_t a = SCALES ? A::scale_bytes : A::bytes, b = SCALES ? B::scale_bytes : B::bytes,
                 d = SCALES ? D::scale_bytes : D::bytes, e = SCALES ? E::scale_bytes : E::bytes;
    return (a + b + d + e) * layer + (P == PHASE_O         ? a
                                      : P == PHASE_GATE_UP ? a + b
                                      : P == PHASE_DOWN    ? a + b + d
                                                           : 0);
}

template <class C, int P>
static __device__ __forceinline__ const u8 *phase_weights(const StreamParams *p, int layer)
{
    return P == PHASE_HEAD ? p->head : p->weights + phase_offset<C, P, false>(layer);
}

template <class C, int P>
static __device__ __forceinline__ const u8 *phase_scales(const StreamParams *p, int layer)
{
    return P == PHASE_HEAD ? p->head_scales : p->scales + phase_offset<C, P, true>(layer);
}

template <class C> struct StreamShared {
    enum {
        SCALES = C::BITS == 4 ? C::CHUNK * 8 * 32 : 0,
        SLOT = C::CHUNK * 8 * 1024 + SCALES,
        LONGEST = C::D_FF > C::D_MODEL ? C::D_FF : C::D_MODEL,
        PARTS = 4,
        ROW_TILES = (C::D_MODEL / 16 + C::SMS - 1) / C::SMS,
    };
    u8 ring[C::SLOTS][SLOT];
    union {
        u8 x[8][LONGEST / 8 * 2];
        struct {
            float out[8][C::G][C::D], max[8][8], sum[8][8];
            u16 k[C::D], v[C::D];
        } attention;
    };
    float offset[8][C::BITS == 4 ? LONGEST / 8 / 128 : 1]; // int4: -136 * sum of x over a block
    float sums[PARTS][8][16], squares[PARTS][8];
    float residual[ROW_TILES][16];
    float angles[C::D];
    u64 full[C::SLOTS], empty[C::SLOTS], summed[PARTS], taken[PARTS];
};

static __device__ __forceinline__ u64 time_ns(void)
{
    u64 t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t)::"memory");
    return t;
}

// barrier_wait with an end: five seconds without an answer are a defect, and the kernel stops.
static __device__ __forceinline__ void ring_wait(u32 barrier, u32 parity)
{
    u32 done;
    long long start = 0;
    do {
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
        if (!done) {
            const long long now = clock64();
            start = start == 0 ? now : start;
            if (now - start > 10000000000ll) {
                __trap();
            }
        }
    } while (!done);
}

static __device__ __forceinline__ void publish_word(u64 *at, u32 data, u32 tag)
{
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(at), "l"((u64)tag << 32 | data)
                 : "memory");
}

// Two words, when `wanted`.
static __device__ __forceinline__ void load_words(u64 w[2], const u64 *at, bool wanted)
{
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %3, 0;\n"
                 "@p ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2]; }"
                 : "+l"(w[0]), "+l"(w[1])
                 : "l"(at), "r"((u32)wanted)
                 : "memory");
}

static __device__ __forceinline__ bool words_tagged(const u64 w[2], u32 tag)
{
    return (u32)(w[0] >> 32) == tag && (u32)(w[1] >> 32) == tag;
}

// Counts the rounds of a wait; after LIMIT of them (or once before) it gives up for good.
struct Patience {
    enum { LIMIT = 1 << 17 };
    u32 *error;
    u32 sm;
    bool dead;

    __device__ __forceinline__ bool lost(u32 round, int layer, int wait)
    {
        if (dead || round < LIMIT) {
            return dead;
        }
        dead = true;
        *(volatile u32 *)error = 0x80000000u | (u32)layer << 20 | (u32)wait << 16 | sm;
        return true;
    }
};

// N times two words, the lane's i-th pair at at(i): asked for again until the tag has come.
template <int N, class F>
static __device__ __forceinline__ void await_words(u64 w[N][2], F at, u32 tag, bool wanted,
                                                   Patience &patience, int layer, int wait)
{
    u32 pending = wanted ? (1u << N) - 1 : 0;
    for (u32 round = 0;; round++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            load_words(w[i], at(i), pending >> i & 1);
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            pending &= ~((u32)words_tagged(w[i], tag) << i);
        }
        if (!__any_sync(0xffffffffu, pending) || patience.lost(round, layer, wait)) {
            return;
        }
    }
}

static __device__ __forceinline__ uint2 words_data(const u64 w[2])
{
    return make_uint2((u32)w[0], (u32)w[1]);
}

// Four values of eight in the order of unpack's pairs; the lane beside has the other four.
template <int BITS> static __device__ __forceinline__ uint2 order_half(uint2 v, int lane)
{
    if constexpr (BITS == 16) {
        return v;
    } else if constexpr (BITS == 8) { // 0 2 1 3
        return make_uint2(__byte_perm(v.x, v.y, 0x5410), __byte_perm(v.x, v.y, 0x7632));
    } else { // 0 4 1 5 in even lanes, 2 6 3 7 in odd ones
        const u32 other = __shfl_xor_sync(0xffffffffu, lane % 2 == 0 ? v.y : v.x, 1);
        const u32 low = lane % 2 == 0 ? v.x : other, high = lane % 2 == 0 ? other : v.y;
        return make_uint2(__byte_perm(low, high, 0x5410), __byte_perm(low, high, 0x7632));
    }
}

static __device__ __forceinline__ float four_sum(uint2 v)
{
    return bf16_low(v.x) + bf16_high(v.x) + bf16_low(v.y) + bf16_high(v.y);
}

static __device__ __forceinline__ float four_squares(uint2 v)
{
    return bf16_low(v.x) * bf16_low(v.x) + bf16_high(v.x) * bf16_high(v.x) +
           bf16_low(v.y) * bf16_low(v.y) + bf16_high(v.y) * bf16_high(v.y);
}

static __device__ __forceinline__ void consumers_sync(void)
{
    asm volatile("bar.sync 1, 256;" ::: "memory");
}

// ---- producer ---------------------------------------------------------------------------------

// One thread.
template <class C> struct Producer {
    StreamShared<C> *s;
    const StreamParams *p;
    u64 policy;
    int sm, stage, late; // late: slot of the copy CAP before
    u32 n, parity, late_parity;
    long long stalled; // PROFILE: clocks with a full ring

    __device__ __forceinline__ void fill(const u8 *from, const u8 *scales)
    {
        const long long before = C::PROFILE ? clock64() : 0;
        if (n >= C::SLOTS) {
            ring_wait(shared_address(&s->empty[stage]), parity ^ 1);
        }
        if constexpr (C::PROFILE) {
            stalled += clock64() - before;
        }
        if (n >= C::CAP) {
            ring_wait(shared_address(&s->full[late]), late_parity);
            late = late + 1 == C::SLOTS ? 0 : late + 1;
            late_parity ^= late == 0;
        }
        const u32 full = shared_address(&s->full[stage]), to = shared_address(s->ring[stage]);
        barrier_expect(full, StreamShared<C>::SLOT);
        bulk_copy(to, from, C::CHUNK * 8 * 1024, full, policy);
        if constexpr (C::BITS == 4) {
            bulk_copy(to + C::CHUNK * 8 * 1024, scales, C::CHUNK * 8 * 32, full, policy);
        }
        n++;
        stage = stage + 1 == C::SLOTS ? 0 : stage + 1;
        parity ^= stage == 0;
    }

    template <int P> __device__ __forceinline__ void phase(int layer)
    {
        typedef PhaseShape<C, P> S;
        enum { BYTES = C::CHUNK * 8 * 1024, SCALES = C::CHUNK * 8 * 32 };
        for (int tile = S::first_tile(sm, layer); tile < S::TILES; tile += C::SMS) {
            const u8 *from = phase_weights<C, P>(p, layer) + (size_t)tile * S::ROWS * BYTES;
            const u8 *scales = phase_scales<C, P>(p, layer) + (size_t)tile * S::ROWS * SCALES;
            for (int row = 0; row < S::ROWS; row++) {
                fill(from, scales);
                from += BYTES, scales += SCALES;
            }
        }
    }

    __device__ void run(void)
    {
        for (int layer = 0; layer < C::LAYERS; layer++) {
            phase<PHASE_QKV>(layer);
            phase<PHASE_O>(layer);
            phase<PHASE_GATE_UP>(layer);
            phase<PHASE_DOWN>(layer);
        }
        phase<PHASE_HEAD>(C::LAYERS);
        if constexpr (C::PROFILE) {
            p->stamps[((C::LAYERS * PHASE_COUNT) * C::SMS + sm) * 4] = (u64)stalled;
        }
    }
};

// ---- consumers --------------------------------------------------------------------------------

template <class C> struct Consumer {
    StreamShared<C> *s;
    const StreamParams *p;
    Patience patience;
    int lane, warp, sm, position, stage;
    u32 parity, tiles, exponent, zero, first_tag; // zero: 0, but the compiler does not know

    enum {
        BLOCK_K = 512 / C::BITS,
        RUN = C::CHUNK * BLOCK_K, // this warp has RUN values of every 8 RUN
        UNIT_ROWS = 256 / RUN,    // slots that 256 values of x are for
    };
    static_assert(256 % RUN == 0, "a unit is whole runs");

    // The u-th 256 values of this warp's x to shared memory, in the order of the weights; the
    // lane's part of their sum of squares.
    template <int P> __device__ __forceinline__ float take_x(int u, int layer, u32 tag)
    {
        typedef PhaseShape<C, P> S;
        const u64 *words = p->exchange + S::INPUT;
        if constexpr (P != PHASE_DOWN) {
            words += sm % C::COPIES * (S::K / 2);
        }
        const int first = u * 256 + lane * 4;
        auto at = [&](int i) {
            const int k = first + i * 128;
            return words + ((k / RUN * 8 + warp) * RUN + k % RUN) / 2;
        };
        u64 w[2][2] = {};
        await_words<2>(w, at, tag, true, patience, layer, WAIT_X);
        float squares = 0;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint2 four = words_data(w[i]);
            const int k = (first + i * 128) / 8 * 8, in = k % BLOCK_K, run = BLOCK_K / 4;
            const int to = k - in + in % run * 4 + in / run * 8 + lane % 2 * 4;
            *(uint2 *)(s->x[warp] + to * 2) = order_half<C::BITS>(four, lane);
            if constexpr (S::norm) {
                squares += four_squares(four);
            }
            if constexpr (C::BITS == 4) { // 128 values: one block
                const float sum = warp_sum(four_sum(four));
                if (lane == 0) {
                    s->offset[warp][k / BLOCK_K] = -136 * sum;
                }
            }
        }
        __syncwarp();
        return squares;
    }

    // What a warp needs of a slot, in registers: loaded while the one before is multiplied.
    struct Chunk {
        uint4 low[C::CHUNK], high[C::CHUNK], x[C::CHUNK][16 / C::BITS];
        float start[C::CHUNK], scale[C::CHUNK][2];
    };

    // Waits for the next slot; `row` of its tile tells which x it meets.
    __device__ __forceinline__ void fetch(Chunk &f, int row)
    {
        ring_wait(shared_address(&s->full[stage]), parity);
        const u8 *slot = s->ring[stage] + warp * C::CHUNK * 1024 + lane * 16;
        const u8 *x = s->x[warp] + lane % 4 * 16 + row * (C::CHUNK * BLOCK_K * 2);
#pragma unroll
        for (int b = 0; b < C::CHUNK; b++) {
            f.low[b] = *(const uint4 *)(slot + b * 1024);
            f.high[b] = *(const uint4 *)(slot + b * 1024 + 512);
#pragma unroll
            for (int q = 0; q < 16 / C::BITS; q++) {
                if (lane < 4) { // one token: the other columns of mma are for nobody
                    f.x[b][q] = *(const uint4 *)(x + b * BLOCK_K * 2 + q * 64);
                }
            }
            if constexpr (C::BITS == 4) {
                const u16 *scale = (const u16 *)(s->ring[stage] + C::CHUNK * 8192) +
                                   (warp * C::CHUNK + b) * 16 + lane / 4;
                f.scale[b][0] = bf16_to_f32(scale[0]), f.scale[b][1] = bf16_to_f32(scale[8]);
                f.start[b] = s->offset[warp][row * C::CHUNK + b];
            }
        }
    }

    // The slot that was fetched last goes back to the producer, when f has really come: the arrival
    // alone can overtake loads from shared memory that wait behind loads from global memory, and
    // the next copy would be read instead. So the barrier's address is made to depend on f.
    __device__ __forceinline__ void release(const Chunk &f)
    {
        u32 come = 0;
#pragma unroll
        for (int b = 0; b < C::CHUNK; b++) {
            come ^= f.low[b].x ^ f.high[b].x;
        }
        __syncwarp();
        come = __shfl_xor_sync(0xffffffffu, come, 1); // every lane's
        if (lane == 0) {
            barrier_arrive(shared_address(&s->empty[stage]) + (come & zero));
        }
        stage = stage + 1 == C::SLOTS ? 0 : stage + 1;
        parity ^= stage == 0;
    }

    __device__ __forceinline__ void multiply(float acc[2][4], const Chunk &f)
    {
#pragma unroll
        for (int b = 0; b < C::CHUNK; b++) {
            float group[2][4] = {};
            if constexpr (C::BITS == 4) {
                group[0][0] = group[0][1] = group[0][2] = group[0][3] = f.start[b];
            }
            float(*sum)[4] = C::BITS == 4 ? group : acc;
#pragma unroll
            for (int q = 0; q < 16 / C::BITS; q++) {
                const uint4 xs = f.x[b][q];
                u32 a[4], c[4];
                unpack<C::BITS>(a, f.low[b], q, exponent);
                unpack<C::BITS>(c, f.high[b], q, exponent);
                mma(sum[0], a[0], c[0], a[1], c[1], xs.x, xs.y);
                mma(sum[1], a[2], c[2], a[3], c[3], xs.z, xs.w);
            }
            if constexpr (C::BITS == 4) {
                acc[0][0] += f.scale[b][0] * (group[0][0] + group[1][0]);
                acc[0][2] += f.scale[b][1] * (group[0][2] + group[1][2]);
            }
        }
    }

    // This warp's part of a tile's 16 sums, into the next place for the finisher.
    __device__ __forceinline__ void hand_over(const float acc[2][4], float squares)
    {
        const int part = tiles % StreamShared<C>::PARTS;
        const u32 use = tiles / StreamShared<C>::PARTS;
        if (use > 0) {
            ring_wait(shared_address(&s->taken[part]), (use - 1) & 1);
        }
        if (lane % 4 == 0) {
            s->sums[part][warp][lane / 4] = acc[0][0] + acc[1][0];
            s->sums[part][warp][lane / 4 + 8] = acc[0][2] + acc[1][2];
        }
        if (lane == 0) {
            s->squares[part][warp] = squares;
        }
        __syncwarp();
        if (lane == 0) {
            barrier_arrive(shared_address(&s->summed[part]));
        }
        tiles++;
    }

    template <int P> __device__ __forceinline__ void phase(int layer, u32 tag)
    {
        typedef PhaseShape<C, P> S;
        int tile = S::first_tile(sm, layer);
        if (tile >= S::TILES) {
            return;
        }
        stamp(layer, P, 0);
        float squares = take_x<P>(0, layer, tag);
        stamp(layer, P, 1);
        Chunk now = {}, next = {};
        fetch(now, 0);
        release(now);
        for (bool first = true; tile < S::TILES; tile += C::SMS, first = false) {
            float acc[2][4] = {};
#pragma unroll 2
            for (int row = 0; row < S::ROWS; row++) {
                const bool more = row + 1 < S::ROWS || tile + C::SMS < S::TILES;
                if (first && row + 1 < S::ROWS && (row + 1) % UNIT_ROWS == 0) {
                    squares += take_x<P>((row + 1) / UNIT_ROWS, layer, tag);
                }
                if (more) {
                    fetch(next, row + 1 < S::ROWS ? row + 1 : 0);
                }
                multiply(acc, now);
                if (more) {
                    release(next);
                }
                now = next;
            }
            if (S::norm && first) {
                squares = warp_sum(squares);
            }
            hand_over(acc, squares);
        }
        stamp(layer, P, 2);
        __syncwarp();
    }

    __device__ __forceinline__ void stamp(int layer, int phase, int what)
    {
        if constexpr (C::PROFILE) {
            if (warp == 7 && lane == 0) {
                p->stamps[((layer * PHASE_COUNT + phase) * C::SMS + sm) * 4 + what] = time_ns();
            }
        }
    }

    // Elements `at`, at + 1 of attention's output, by even lanes.
    __device__ __forceinline__ void publish_mixed(int at, u32 pair, u32 tag)
    {
        u64 *words = p->exchange + Exchange<C>::A + at / 2;
        if (lane % 2 == 0) {
#pragma unroll
            for (int i = 0; i < C::COPIES; i++) {
                publish_word(words + i * (C::HEADS * C::D / 2), pair, tag);
            }
        }
    }

    // The part of one kv head's attention that this SM has, if any.
    __device__ void attend(int layer, u32 tag);
    __device__ void merge(int head, int split, int layer, u32 tag);

    __device__ void run(void)
    {
        for (int layer = 0; layer < C::LAYERS; layer++) {
            const u32 tag = first_tag + layer;
            phase<PHASE_QKV>(layer, tag);
            attend(layer, tag);
            phase<PHASE_O>(layer, tag);
            phase<PHASE_GATE_UP>(layer, tag);
            phase<PHASE_DOWN>(layer, tag);
        }
        phase<PHASE_HEAD>(C::LAYERS, first_tag + C::LAYERS);
    }
};

template <class C> __device__ void Consumer<C>::attend(int layer, u32 tag)
{
    typedef Exchange<C> E;
    typedef PhaseShape<C, PHASE_QKV> S;
    // The SMs with the fewest tiles of qkv.
    const int rank = (S::first_tile(sm, layer) + C::SMS - S::TILES % C::SMS) % C::SMS;
    const int splits = p->splits, head = rank / splits, split = rank % splits;
    if (head >= C::KV) {
        return;
    }
    const size_t plane = (size_t)C::KV * C::CONTEXT * C::D;
    const u16 *k = p->cache + layer * 2 * plane + (size_t)head * C::CONTEXT * C::D;
    const u16 *v = k + plane;
    const int g = lane / 4, i4 = lane % 4;
    Attention<C> a;
    int first = (split + warp * splits) * 16;
    if (first < position) {
        a.load(k, v, first, position, lane);
    }
    uint4 q[Attention<C>::PARTS];
    stamp(layer, PHASE_HEAD, 0);
    {
        u64 w[Attention<C>::PARTS * 2][2] = {};
        const u64 *words = p->exchange + E::Q + (head * C::G + g) * (C::D / 2) + i4 * 4;
        await_words<Attention<C>::PARTS * 2>(
            w, [&](int i) { return words + i / 2 * 16 + i % 2 * 2; }, tag, g < C::G, patience,
            layer, WAIT_Q);
#pragma unroll
        for (int part = 0; part < Attention<C>::PARTS; part++) {
            const uint2 low = words_data(w[part * 2]), high = words_data(w[part * 2 + 1]);
            q[part] = make_uint4(low.x, low.y, high.x, high.y);
        }
    }
    stamp(layer, PHASE_HEAD, 1);
    a.clear();
    const float scale = C::scale() * 1.44269504f;
    while (first < position) {
        a.add(q, first, position, scale, lane);
        first += splits * 8 * 16;
        if (first < position) {
            a.load(k, v, first, position, lane);
        }
    }
    consumers_sync();                       // x of qkv is done with: its place is used now
    if (split == splits - 1 && warp == 7) { // the newest position, straight from the exchange
        u64 w[2][2] = {};
        const bool mine = lane < C::D / 4;
        const u64 *words = p->exchange + E::K + head * (C::D / 2) + lane * 2;
        await_words<2>(
            w, [&](int i) { return words + i * (E::V - E::K); }, tag, mine, patience, layer,
            WAIT_Q);
        if (mine) {
            *(uint2 *)(s->attention.k + lane * 4) = words_data(w[0]);
            *(uint2 *)(s->attention.v + lane * 4) = words_data(w[1]);
        }
        __syncwarp();
        a.load(s->attention.k, s->attention.v, 0, 1, lane);
        a.add(q, 0, 1, scale, lane);
    }
    a.sum += __shfl_xor_sync(0xffffffffu, a.sum, 1);
    a.sum += __shfl_xor_sync(0xffffffffu, a.sum, 2);
    if (i4 == 0) {
        s->attention.max[warp][g] = a.max, s->attention.sum[warp][g] = a.sum;
    }
    if (g < C::G) {
#pragma unroll
        for (int h = 0; h < Attention<C>::HALVES; h++) {
#pragma unroll
            for (int d = 0; d < 8; d++) {
                s->attention.out[warp][g][h * 64 + i4 * 16 + d] = a.out[h * 8 + d][0];
                s->attention.out[warp][g][h * 64 + i4 * 16 + 8 + d] = a.out[h * 8 + d][1];
            }
        }
    }
    consumers_sync();
    u64 *partial = p->exchange + E::PARTIAL + (size_t)(head * splits + split) * C::G * (C::D + 2);
    for (int e = warp * 32 + lane; e < C::G * C::D; e += 256) {
        const int h = e / C::D, d = e % C::D;
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
        if (splits == 1) {
            const float mine = out / total, next = __shfl_down_sync(0xffffffffu, mine, 1);
            publish_mixed(head * C::G * C::D + e, bf16_pair(mine, next), tag);
        } else {
            publish_word(partial + h * (C::D + 2) + d, __float_as_uint(out), tag);
            if (d == 0) {
                publish_word(partial + h * (C::D + 2) + C::D, __float_as_uint(most), tag);
                publish_word(partial + h * (C::D + 2) + C::D + 1, __float_as_uint(total), tag);
            }
        }
    }
    if (splits > 1) {
        merge(head, split, layer, tag);
    }
    stamp(layer, PHASE_HEAD, 2);
    consumers_sync(); // the place is x's again
}

static __device__ __forceinline__ u64 load_word(const u64 *at)
{
    u64 w;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(w) : "l"(at) : "memory");
    return w;
}

// Part `split` of the head's outputs from all splits: one lane a value, the first warps only.
template <class C> __device__ void Consumer<C>::merge(int head, int split, int layer, u32 tag)
{
    typedef Exchange<C> E;
    const int splits = p->splits, values = C::G * C::D / splits;
    const u64 *partial = p->exchange + E::PARTIAL + (size_t)head * splits * C::G * (C::D + 2);
    for (int e = warp * 32 + lane; e < (values + 31) / 32 * 32; e += 256) {
        const int value = split * values + (e < values ? e : 0), h = value / C::D;
        const u64 *row = partial + h * (C::D + 2);
        float most = -1e30f, out = 0, total = 0;
        for (int from = 0; from < splits; from += 4) { // splits: a power of two; 4 at a time
            u64 w[4][3];
            for (u32 round = 0;; round++) {
                bool ready = true;
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const u64 *at =
                        row + (size_t)(from + i < splits ? from + i : from) * C::G * (C::D + 2);
                    w[i][0] = load_word(at + value % C::D);
                    w[i][1] = load_word(at + C::D), w[i][2] = load_word(at + C::D + 1);
                }
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    ready = ready && (u32)(w[i][0] >> 32) == tag && (u32)(w[i][1] >> 32) == tag &&
                            (u32)(w[i][2] >> 32) == tag;
                }
                if (__all_sync(0xffffffffu, ready) || patience.lost(round, layer, WAIT_MERGE)) {
                    break;
                }
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (from + i < splits) {
                    const float m = __uint_as_float((u32)w[i][1]), higher = fmaxf(most, m);
                    const float f = exp2f(most - higher), fi = exp2f(m - higher);
                    out = out * f + fi * __uint_as_float((u32)w[i][0]);
                    total = total * f + fi * __uint_as_float((u32)w[i][2]);
                    most = higher;
                }
            }
        }
        const float mine = out / total, next = __shfl_down_sync(0xffffffffu, mine, 1);
        if (e < values) {
            publish_mixed(head * C::G * C::D + value, bf16_pair(mine, next), tag);
        }
    }
}

// ---- finisher ---------------------------------------------------------------------------------

template <class C> struct Finisher {
    StreamShared<C> *s;
    const StreamParams *p;
    Patience patience;
    int lane, sm, position, best_row;
    u32 tiles, first_tag;
    float best;

    // A tile's 16 values to the copies of a vector of D_MODEL; half a warp writes every second one.
    __device__ __forceinline__ void publish_rows(int place, int tile, float v, u32 tag)
    {
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        u64 *words = p->exchange + place + tile * 8 + lane % 16 / 2;
        if (lane % 2 == 0) {
#pragma unroll
            for (int i = 0; i < C::COPIES; i += 2) {
                const int copy = i + lane / 16;
                if (copy < C::COPIES) {
                    publish_word(words + copy * (C::D_MODEL / 2), bf16_pair(v, next), tag);
                }
            }
        }
    }

    __device__ __forceinline__ void publish_hidden(int tile, float v, u32 tag)
    {
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        if (lane < 8 && lane % 2 == 0) {
            publish_word(p->exchange + Exchange<C>::H + tile * 4 + lane / 2, bf16_pair(v, next),
                         tag);
        }
    }

    // q and k: rows 0 to 7 of a tile are dims d .. d + 7, rows 8 to 15 their partners D / 2 on.
    __device__ __forceinline__ void finish_qkv(int layer, int tile, float v, u32 tag)
    {
        typedef Exchange<C> E;
        enum { PER_HEAD = C::D / 16, ROTATED = (C::HEADS + C::KV) * PER_HEAD };
        const int row = lane % 16, head = tile / PER_HEAD, j = tile % PER_HEAD;
        const float other = __shfl_xor_sync(0xffffffffu, v, 8);
        int d = j * 16 + row;
        if (tile < ROTATED) {
            const int at = j * 8 + row % 8;
            const float c = s->angles[at], sine = s->angles[C::D / 2 + at];
            d = row < 8 ? at : at + C::D / 2;
            v = row < 8 ? v * c - other * sine : v * c + other * sine;
        }
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        if (lane < 16 && lane % 2 == 0) {
            publish_word(p->exchange + E::Q + (head * C::D + d) / 2, bf16_pair(v, next), tag);
        }
        if (lane < 16 && head >= C::HEADS) { // append
            const size_t plane = head < C::HEADS + C::KV ? 0 : 1;
            const int kv = head - C::HEADS - (int)plane * C::KV;
            u16 *to = p->cache + ((layer * 2 + plane) * C::KV + kv) * C::CONTEXT * C::D;
            to[(size_t)position * C::D + d] = bf16_of(v);
        }
    }

    __device__ __forceinline__ void finish_head(int tile, float v)
    {
        const int row = tile * 16 + lane % 16;
        if (lane < 16) {
            p->logits[row] = v;
            if (v > best) {
                best = v, best_row = row;
            }
        }
    }

    // The 8 warps' parts of a tile, added in a fixed order: lane's row is lane % 16.
    template <int P> __device__ __forceinline__ float tile_sum(float *norm)
    {
        const int part = tiles % StreamShared<C>::PARTS;
        ring_wait(shared_address(&s->summed[part]), tiles / StreamShared<C>::PARTS & 1);
        float v = 0;
#pragma unroll
        for (int w = 0; w < 4; w++) {
            v += s->sums[part][w + lane / 16 * 4][lane % 16];
        }
        v += __shfl_xor_sync(0xffffffffu, v, 16);
        if constexpr (PhaseShape<C, P>::norm) {
            float sum = 0;
#pragma unroll
            for (int w = 0; w < 8; w++) {
                sum += s->squares[part][w];
            }
            *norm = rsqrtf(sum / C::D_MODEL + 1e-5f);
        }
        return v;
    }

    // The tile's values were stored, so its sums have been read.
    __device__ __forceinline__ void next_tile(void)
    {
        __syncwarp();
        if (lane == 0) {
            barrier_arrive(shared_address(&s->taken[tiles % StreamShared<C>::PARTS]));
        }
        tiles++;
    }

    template <int P> __device__ __forceinline__ void phase(int layer, u32 tag)
    {
        typedef PhaseShape<C, P> S;
        typedef Exchange<C> E;
        const float *scales = (const float *)phase_scales<C, P>(p, layer);
        int n = 0;
        for (int tile = S::first_tile(sm, layer); tile < S::TILES; tile += C::SMS, n++) {
            const float scale = C::BITS == 8 ? scales[tile * 16 + lane % 16] : 1;
            float norm = 1;
            float v = tile_sum<P>(&norm);
            v *= scale * norm;
            if constexpr (P == PHASE_QKV) {
                finish_qkv(layer, tile, v, tag);
            } else if constexpr (P == PHASE_GATE_UP) {
                const float up = __shfl_xor_sync(0xffffffffu, v, 8);
                publish_hidden(tile, v / (1 + __expf(-v)) * up, tag);
            } else if constexpr (P == PHASE_HEAD) {
                finish_head(tile, v);
            } else {
                v += s->residual[n][lane % 16];
                publish_rows(P == PHASE_O ? E::MID : E::X, tile, v, P == PHASE_O ? tag : tag + 1);
                __syncwarp();
                if (lane < 16) {
                    s->residual[n][lane] = v;
                }
            }
            next_tile();
        }
        if constexpr (C::PROFILE) {
            if (lane == 0) {
                p->stamps[((layer * PHASE_COUNT + P) * C::SMS + sm) * 4 + 3] = time_ns();
            }
        }
    }

    // x of the first layer: this SM's rows of the token's embedding.
    __device__ __forceinline__ void embed(int token)
    {
        typedef PhaseShape<C, PHASE_O> S;
        int n = 0;
        for (int tile = S::first_tile(sm, 0); tile < S::TILES; tile += C::SMS, n++) {
            const int k = tile * 16 + lane % 16;
            const u16 *block = (const u16 *)p->embedding +
                               ((size_t)(token / 16) * (C::D_MODEL / 32) + k / 32) * 512;
            const float v = bf16_to_f32(block[token % 16 * 32 + k % 32]);
            publish_rows(Exchange<C>::X, tile, v, first_tag);
            if (lane < 16) {
                s->residual[n][lane] = v;
            }
        }
        __syncwarp();
    }

    // The larger of two candidates, the lower row among equals.
    __device__ __forceinline__ void better(float v, int row)
    {
        if (v > best || (v == best && row < best_row)) {
            best = v, best_row = row;
        }
    }

    __device__ __forceinline__ void best_of_warp(void)
    {
        for (int i = 16; i > 0; i /= 2) {
            const float v = __shfl_xor_sync(0xffffffffu, best, i);
            const int row = __shfl_xor_sync(0xffffffffu, best_row, i);
            better(v, row);
        }
    }

    // Greedy sampling: SM 0 gathers every SM's best row.
    __device__ __forceinline__ void sample(u32 tag)
    {
        u64 *words = p->exchange + Exchange<C>::BEST;
        best_of_warp();
        if (lane == 0) {
            publish_word(words + sm * 2, __float_as_uint(best), tag);
            publish_word(words + sm * 2 + 1, (u32)best_row, tag);
        }
        if (sm != 0) {
            return;
        }
        for (int from = 0; from < C::SMS; from += 32) {
            const int other = from + lane < C::SMS ? from + lane : 0;
            u64 value, row;
            for (u32 round = 0;; round++) {
                value = load_word(words + other * 2), row = load_word(words + other * 2 + 1);
                const bool ready = (u32)(value >> 32) == tag && (u32)(row >> 32) == tag;
                if (__all_sync(0xffffffffu, ready) || patience.lost(round, C::LAYERS, WAIT_BEST)) {
                    break;
                }
            }
            better(__uint_as_float((u32)value), (int)(u32)row);
        }
        best_of_warp();
        if (lane == 0) {
            p->state[0] = p->advance ? best_row : p->state[0];
            p->state[1] += p->advance;
            p->state[2] += 1;
            p->state[3] = best_row;
        }
    }

    __device__ void run(int token)
    {
        embed(token);
        for (int layer = 0; layer < C::LAYERS; layer++) {
            const u32 tag = first_tag + layer;
            phase<PHASE_QKV>(layer, tag);
            phase<PHASE_O>(layer, tag);
            phase<PHASE_GATE_UP>(layer, tag);
            phase<PHASE_DOWN>(layer, tag);
        }
        phase<PHASE_HEAD>(C::LAYERS, first_tag + C::LAYERS);
        sample(first_tag + C::LAYERS);
    }
};

template <class C>
__global__ void __launch_bounds__(320, 1) decode_stream(const __grid_constant__ StreamParams p)
{
    extern __shared__ __align__(1024) u8 shared[];
    StreamShared<C> *s = (StreamShared<C> *)shared;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, sm = blockIdx.x;
    if (threadIdx.x == 0) {
        for (int i = 0; i < C::SLOTS; i++) {
            barrier_init(shared_address(&s->full[i]), 1);
            barrier_init(shared_address(&s->empty[i]), 8);
        }
        for (int i = 0; i < StreamShared<C>::PARTS; i++) {
            barrier_init(shared_address(&s->summed[i]), 8);
            barrier_init(shared_address(&s->taken[i]), 1);
        }
        barrier_init_visible();
    }
    __syncthreads();
    if (warp == 8) {
        if (lane == 0) {
            Producer<C> producer = {s, &p, policy_evict_first(), sm, 0, 0, 0, 0, 0, 0};
            producer.run();
        }
        return;
    }
    const int token = p.state[0], position = p.state[1];
    const u32 first_tag = (u32)p.state[2] * (C::LAYERS + 1) + 1;
    const Patience patience = {p.error, (u32)sm, p.blind != 0};
    if (warp == 9) {
        for (int d = lane; d < C::D; d += 32) {
            s->angles[d] = p.angles[(size_t)position * C::D + d];
        }
        __syncwarp();
        Finisher<C> finisher = {s, &p, patience, lane, sm, position, 0, 0, first_tag, -INFINITY};
        finisher.run(token);
    } else {
        Consumer<C> consumer = {s,
                                &p,
                                patience,
                                lane,
                                warp,
                                sm,
                                position,
                                0,
                                0,
                                0,
                                opaque(0x43004300u),
                                gridDim.z - 1,
                                first_tag};
        consumer.run();
    }
}
