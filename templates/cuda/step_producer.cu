/* ---- producer ---------------------------------------------------------------------------------
 */

/* One thread. */
struct Producer : Copier {
    int position;

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
