/* ---- producer ---------------------------------------------------------------------------------
 */

/* Weights pass through L2 once: they go first when room is needed. */
__device__ __forceinline__ uint64_t evict_first(void)
{
    uint64_t policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

/* One thread. */
struct Producer {
    Shared *s;
    const Step *step;
    uint64_t policy;
    int slot, late; /* late: slot of the copy FLYING before */
    uint32_t n, parity, late_parity;
    ${stamp("Watch watch;")};

    __device__ __forceinline__ void copy(const uint8_t *from)
    {
        enum { BYTES = CHUNK * 8 * 1024 };
        const uint32_t full = address_of(&s->full[slot]);
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full),
                     "r"((uint32_t)BYTES)
                     : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                     ".L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(address_of(s->ring[slot])),
                     "l"(from), "r"((uint32_t)BYTES), "r"(full), "l"(policy)
                     : "memory");
    }

    /* The next slot; at most FLYING copies on their way, or every other load waits behind them. */
    __device__ __forceinline__ void fill(const uint8_t *from)
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
        copy(from);
        n++;
        slot = slot + 1 == SLOTS ? 0 : slot + 1;
        parity ^= slot == 0;
    }

    template <int P> __device__ __forceinline__ void phase(int layer)
    {
        typedef Shape<P> S;
        enum { BYTES = CHUNK * 8 * 1024 };
        for (int tile = S::first_tile(layer); tile < S::TILES; tile += gridDim.x) {
            const uint8_t *from = S::weights(step, layer) + (size_t)tile * S::ROWS * BYTES;
            for (int row = 0; row < S::ROWS; row++) {
                fill(from);
                from += BYTES;
            }
        }
    }

    __device__ void run(void)
    {
        for (int layer = 0; layer < LAYERS; layer++) {
            phase<QKV>(layer);
            ${stamp("watch.leave(step->clocks, IN_QKV, 0);")};
            phase<O>(layer);
            ${stamp("watch.leave(step->clocks, IN_O, 0);")};
            phase<GATE_UP>(layer);
            ${stamp("watch.leave(step->clocks, IN_GATE_UP, 0);")};
            phase<DOWN>(layer);
            ${stamp("watch.leave(step->clocks, IN_DOWN, 0);")};
        }
        phase<HEAD>(LAYERS);
        ${stamp("watch.leave(step->clocks, IN_HEAD, 0);")};
    }
};
