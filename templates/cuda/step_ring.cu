/* ---- the ring ---------------------------------------------------------------------------------
 */

/* Weights pass through L2 once: they go first when room is needed. */
__device__ __forceinline__ uint64_t evict_first(void)
{
    uint64_t policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

/* The thread that fills the ring. */
struct Copier {
    Shared *s;
    const Step *step;
    uint64_t policy;
    int slot, late; /* late: slot of the copy FLYING before */
    uint32_t n, parity, late_parity;
    ${stamp("Watch watch;")};

    __device__ __forceinline__ void copy(int at, const uint8_t *from, uint32_t bytes)
    {
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
            ".L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(address_of(s->ring[slot] + at)),
            "l"(from), "r"(bytes), "r"(address_of(&s->full[slot])), "l"(policy)
            : "memory");
    }

    __device__ __forceinline__ void expect(uint32_t bytes)
    {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                         address_of(&s->full[slot])),
                     "r"(bytes)
                     : "memory");
    }

    /* Until the next slot is free; at most FLYING slots are on their way, or every other load waits
     * behind them. */
    __device__ __forceinline__ void take_slot(void)
    {
        if (n >= SLOTS) {
            ${stamp("watch.start();")};
            wait_for(&s->empty[slot], parity ^ 1);
            ${stamp("watch.stop<ON_RING>();")};
        }
        if (n >= FLYING) {
            wait_for(&s->full[late], late_parity);
            late = late + 1 == SLOTS ? 0 : late + 1;
            late_parity ^= late == 0;
        }
    }

    __device__ __forceinline__ void next_slot(void)
    {
        n++;
        slot = slot + 1 == SLOTS ? 0 : slot + 1;
        parity ^= slot == 0;
    }
};
