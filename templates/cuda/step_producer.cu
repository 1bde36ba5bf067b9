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
    int position, slot, late; /* late: slot of the copy FLYING before */
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

    template <int P> __device__ __forceinline__ void phase(int layer)
    {
        typedef Shape<P> S;
        enum { BYTES = CHUNK * 8 * 1024 };
        for (int tile = S::first_tile(layer); tile < S::TILES; tile += S::stride()) {
            const size_t first = S::first_slot(tile);
            const uint8_t *from = S::weights(step, layer) + first * BYTES;
            //% if has_u4
            const uint8_t *scales = S::scales(step, layer) + first * S::SLOT_SCALES;
            //% end
            //% if has_zeros
            const uint8_t *zeros = S::zeros(step, layer) + first * S::SLOT_ZEROS;
            //% end
#pragma unroll 1
            for (int row = 0; row < S::ROWS; row++) {
                take_slot();
                //% if has_u4
                expect(BYTES + S::SLOT_SCALES + S::SLOT_ZEROS);
                copy(0, from, BYTES);
                if constexpr (S::SLOT_SCALES > 0) {
                    copy(BYTES, scales, S::SLOT_SCALES);
                    scales += S::SLOT_SCALES;
                }
                //% if has_zeros
                if constexpr (S::SLOT_ZEROS > 0) {
                    copy(BYTES + S::SLOT_SCALES, zeros, S::SLOT_ZEROS);
                    zeros += S::SLOT_ZEROS;
                }
                //% end
                //% else
                expect(BYTES);
                copy(0, from, BYTES);
                //% end
                from += BYTES;
                next_slot();
            }
        }
    }

    //% if batch == false
    __device__ __forceinline__ void old_positions(const uint8_t *from, int count)
    {
        take_slot();
        expect(count * HEAD_DIM * 2);
        copy(0, from, count * HEAD_DIM * 2);
        next_slot();
    }

    /* Of this block's share: a slot of keys and one of the same positions' values in turn. */
    __device__ __forceinline__ void caches(int layer)
    {
        const Share share = share_of(&s->shares, layer, position);
        if (share.none()) {
            return;
        }
        const uint8_t *head =
            step->kv[0] + (size_t)layer * CACHE_BYTES + (size_t)share.head * CONTEXT * HEAD_DIM * 2;
#pragma unroll 1
        for (int at = share.first; at < share.end; at += Share::IN_SLOT) {
            const int count = min((int)Share::IN_SLOT, share.end - at);
            old_positions(head + AT_KEYS + (size_t)at * HEAD_DIM * 2, count);
            old_positions(head + AT_VALUES + (size_t)at * HEAD_DIM * 2, count);
        }
    }

    //% end
    __device__ void run(void)
    {
        for (int layer = 0; layer < LAYERS; layer++) {
            phase<QKV>(layer);
            ${stamp("watch.leave(IN_QKV);")};
            //% if batch == false
            caches(layer);
            //% end
            ${stamp("watch.leave(IN_ATTENTION);")};
            phase<O>(layer);
            ${stamp("watch.leave(IN_O);")};
            phase<GATE_UP>(layer);
            ${stamp("watch.leave(IN_GATE_UP);")};
            phase<DOWN>(layer);
            ${stamp("watch.leave(IN_DOWN);")};
        }
        phase<HEAD>(LAYERS);
        ${stamp("watch.leave(IN_HEAD);")};
        ${stamp("watch.tell(step->clocks, 0);")};
    }
};
