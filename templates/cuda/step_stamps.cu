/* ---- stamps -----------------------------------------------------------------------------------
 */

/* Where the cycles of a step go, added up by block, phase and kind until the host takes them
 * (runtime/cuda_stamps.c). ON_ALL, ON_X, ON_WEIGHTS, ON_SUMS: of the 8 consumers together, all of a
 * phase and what they waited for of it; ON_RING: the producer's before a full ring; ON_FINISH: the
 * finisher's work. IN_STEP: all of a consumer's cycles, and the ns that they took. */
enum Stamped { IN_QKV, IN_ATTENTION, IN_O, IN_GATE_UP, IN_DOWN, IN_HEAD, IN_STEP, STAMPED };
enum Spent { ON_ALL, ON_X, ON_WEIGHTS, ON_SUMS, ON_RING, ON_FINISH, SPENT };

__device__ __forceinline__ uint32_t cycles(void)
{
    uint32_t now;
    asm volatile("mov.u32 %0, %%clock;" : "=r"(now)::"memory");
    return now;
}

__device__ __forceinline__ uint64_t time_ns(void)
{
    uint64_t now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
    return now;
}

/* One warp's clock; a step is shorter than 2^32 cycles. Nothing goes to memory before the end: a
 * phase would wait for that. */
struct Watch {
    uint32_t first, began, since, spent[SPENT], sum[STAMPED][SPENT];
    uint64_t first_ns;

    __device__ __forceinline__ void begin(void)
    {
        first = began = cycles();
        first_ns = time_ns();
    }

    __device__ __forceinline__ void start(void)
    {
        since = cycles();
    }

    template <int KIND> __device__ __forceinline__ void stop(void)
    {
        spent[KIND] += cycles() - since;
    }

    /* What was spent belongs to this phase. */
    __device__ __forceinline__ void leave(int phase)
    {
#pragma unroll
        for (int kind = 0; kind < SPENT; kind++) {
            sum[phase][kind] += spent[kind];
            spent[kind] = 0;
        }
    }

    /* The same, and the phase ends. */
    __device__ __forceinline__ void lap(int phase)
    {
        const uint32_t now = cycles();
        spent[ON_ALL] = now - began;
        began = now;
        leave(phase);
    }

    __device__ __forceinline__ void end(void)
    {
        spent[ON_ALL] = cycles() - first;
        spent[ON_X] = (uint32_t)(time_ns() - first_ns);
        leave(IN_STEP);
    }

    /* To be added to what other warps and steps have spent. */
    __device__ __forceinline__ void tell(unsigned long long *clocks, int lane)
    {
        unsigned long long *at = clocks + (size_t)blockIdx.x * STAMPED * SPENT;
#pragma unroll
        for (int i = 0; i < STAMPED * SPENT; i++) {
            if (lane == 0 && sum[i / SPENT][i % SPENT] != 0) {
                atomicAdd(at + i, sum[i / SPENT][i % SPENT]);
            }
        }
    }
};
