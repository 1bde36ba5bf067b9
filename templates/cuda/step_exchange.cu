/* ---- exchange ---------------------------------------------------------------------------------
 */

//% if batch == false
/* Places in the exchange, in words; word 0: steps done; word 1: what was waited for in vain. X,
 * MID, A and Q to V are there COPIES times: many blocks poll them at the same time. */
enum Exchange {
    AT_X = ${HEADER_WORDS},
    AT_MID = AT_X + COPIES * D_MODEL / 2,
    AT_A = AT_MID + COPIES * D_MODEL / 2,
    AT_Q = AT_A + COPIES * HEADS * HEAD_DIM / 2,
    AT_K = AT_Q + HEADS * HEAD_DIM / 2,
    AT_V = AT_K + KV * HEAD_DIM / 2,
    QKV_WORDS = (HEADS + 2 * KV) * HEAD_DIM / 2,
    AT_H = AT_Q + COPIES * QKV_WORDS,
    AT_SPLITS = AT_H + D_FF / 2, /* records [KV][split][GROUP * HEAD_DIM / 2] */
    AT_BEST = AT_SPLITS + MAX_SPLITS * HEADS * HEAD_DIM, /* [block]{logit, id} */
    WORDS = AT_BEST + 2 * MOST_BLOCKS,
};
static_assert(WORDS == ${WORDS}, "the exchange is planned too small");

//% end
__device__ __forceinline__ uint32_t address_of(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* A block's shared memory, its address in a register: the compiler would make it again and again,
 * from a special register that takes 20 cycles to read. */
__device__ __forceinline__ Shared *shared_of(uint8_t *shared)
{
    uint32_t at = address_of(shared);
    asm volatile("" : "+r"(at));
    return (Shared *)__cvta_shared_to_generic(at);
}

__device__ __forceinline__ void make_barrier(const uint64_t *barrier, uint32_t arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address_of(barrier)), "r"(arrivals)
                 : "memory");
}

__device__ __forceinline__ void make_barriers(Shared *s)
{
    for (int i = 0; i < SLOTS; i++) {
        make_barrier(&s->full[i], 1);
        make_barrier(&s->empty[i], 8);
    }
    for (int i = 0; i < PARTS; i++) {
        make_barrier(&s->summed[i], 8);
        make_barrier(&s->taken[i], 1);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/* When `mine`: a lane's, no branch. */
__device__ __forceinline__ void arrive(uint32_t barrier, bool mine)
{
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %1, 0;\n"
                 "@p mbarrier.arrive.shared::cta.b64 _, [%0]; }" ::"r"(barrier),
                 "r"((uint32_t)mine)
                 : "memory");
}

/* Is the phase of the given parity over? */
__device__ __forceinline__ bool is_over(const uint64_t *barrier, uint32_t parity)
{
    uint32_t over;
    asm volatile("{ .reg .pred p;\n"
                 "mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(over)
                 : "r"(address_of(barrier)), "r"(parity)
                 : "memory");
    return over;
}

/* The same, but the thread may sleep until it is. */
__device__ __forceinline__ bool is_over_soon(const uint64_t *barrier, uint32_t parity)
{
    uint32_t over;
    asm volatile("{ .reg .pred p;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(over)
                 : "r"(address_of(barrier)), "r"(parity)
                 : "memory");
    return over;
}

/* Time in 2^32 cycles. */
__device__ __forceinline__ uint32_t long_cycles(void)
{
    uint32_t now;
    asm volatile("mov.u32 %0, %%clock_hi;" : "=r"(now));
    return now;
}

/* A fault, which ends the kernel. Not a trap: where there is one, ptxas does not give registers to
 * warps that ask for more of them. */
__device__ __forceinline__ void give_up(void)
{
    asm volatile("st.global.u32 [%0], %1;" ::"l"(0ull), "r"(0) : "memory");
}

/* Until the phase of the given parity is over; seconds without an end are a defect of ours, and the
 * kernel stops. */
__device__ __forceinline__ void wait_for(const uint64_t *barrier, uint32_t parity)
{
    for (uint32_t start = 0; !is_over_soon(barrier, parity);) {
        const uint32_t now = long_cycles();
        start = start == 0 ? now + 4 : start;
        if (start == now) {
            give_up();
        }
    }
}

/* Is it so for all lanes? A branch on this is one that the compiler knows to be the warp's. */
__device__ __forceinline__ bool all_lanes(bool so)
{
    return __all_sync(0xffffffffu, so);
}

/* The same wait of a whole warp, which may have looked before (`over`). */
__device__ __forceinline__ void wait_for(const uint64_t *barrier, uint32_t parity, bool over)
{
    for (uint32_t start = 0; !all_lanes(over); over = is_over_soon(barrier, parity)) {
        const uint32_t now = long_cycles();
        start = start == 0 ? now + 4 : start;
        if (!all_lanes(start != now)) {
            give_up();
        }
    }
}

__device__ __forceinline__ void publish(uint64_t *at, uint32_t data, uint32_t tag)
{
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(at), "l"((uint64_t)tag << 32 | data)
                 : "memory");
}

/* Two words, when `wanted`. */
__device__ __forceinline__ void load_words(uint64_t w[2], const uint64_t *at, bool wanted)
{
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %3, 0;\n"
                 "@p ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2]; }"
                 : "+l"(w[0]), "+l"(w[1])
                 : "l"(at), "r"((uint32_t)wanted)
                 : "memory");
}

__device__ __forceinline__ uint64_t load_word(const uint64_t *at)
{
    uint64_t w;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(w) : "l"(at) : "memory");
    return w;
}

/* 16 bytes at once, the tag among them. */
__device__ __forceinline__ void publish_record(uint64_t *at, uint64_t low, uint32_t high,
                                               uint32_t tag)
{
    asm volatile(
        "{ .reg .b128 r; mov.b128 r, {%1, %2}; st.relaxed.gpu.global.b128 [%0], r; }" ::"l"(at),
        "l"(low), "l"((uint64_t)tag << 32 | high)
        : "memory");
}

/* When `wanted`. */
__device__ __forceinline__ void load_record(uint64_t w[2], const uint64_t *at, bool wanted)
{
    asm volatile("{ .reg .pred p; .reg .b128 r; setp.ne.u32 p, %3, 0; mov.b128 r, {%0, %1};\n"
                 "@p ld.relaxed.gpu.global.b128 r, [%2]; mov.b128 {%0, %1}, r; }"
                 : "+l"(w[0]), "+l"(w[1])
                 : "l"(at), "r"((uint32_t)wanted)
                 : "memory");
}

__device__ __forceinline__ bool tagged(uint64_t w, uint32_t tag)
{
    return (uint32_t)(w >> 32) == tag;
}

/* Counts the rounds of a wait; after LIMIT of them (or once before) it gives up for good. Who waits
 * for what never came makes others wait: what is told is the first in order. */
struct Patience {
    enum { LIMIT = 1 << 17 };
    const Step *step;
    uint32_t first_tag; /* of this step: a later one's stalls are told instead */
    bool lost;

    __device__ __forceinline__ bool over(uint32_t round, int layer, int wait)
    {
        if (!lost && round >= LIMIT) {
            lost = true;
            const uint32_t at = (uint32_t)layer << 20 | (uint32_t)wait << 16 | blockIdx.x;
            const uint64_t mine = (uint64_t)first_tag << 32 | (uint32_t)~at;
            const uint64_t told = atomicMax((unsigned long long *)step->words + 1, mine);
            *(volatile uint32_t *)step->stalled = 0x80000000u | ~(uint32_t)max(told, mine);
        }
        return lost;
    }
};

/* N times two words, the lane's i-th pair at at(i), when bit i of `pending` is set: asked for again
 * until the tag has come. */
template <int N, class F>
__device__ __forceinline__ void await_words(uint64_t w[N][2], F at, uint32_t pending, uint32_t tag,
                                            Patience &patience, int layer, int wait)
{
    for (uint32_t round = 0;; round++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            load_words(w[i], at(i), pending >> i & 1);
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            pending &= ~((uint32_t)(tagged(w[i][0], tag) && tagged(w[i][1], tag)) << i);
        }
        if (!__any_sync(0xffffffffu, pending) || patience.over(round, layer, wait)) {
            return;
        }
    }
}

__device__ __forceinline__ uint2 data_of(const uint64_t w[2])
{
    return make_uint2((uint32_t)w[0], (uint32_t)w[1]);
}

__device__ __forceinline__ float low_of(uint32_t pair)
{
    return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float high_of(uint32_t pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}
