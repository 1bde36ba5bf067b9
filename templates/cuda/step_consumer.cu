/* ---- consumers --------------------------------------------------------------------------------
 */

struct Consumer {
    Shared *s;
    const Step *step;
    Patience patience;
    int lane, warp, position;
    uint32_t zero; /* 0, but the compiler does not know */
    uint32_t first_tag;
    int slot;
    uint32_t parity, tiles;
    ${stamp("Watch watch;")};

    template <int P> __device__ __forceinline__ const uint64_t *input(void)
    {
        const int copy = (int)blockIdx.x % COPIES * (Shape<P>::K / 2);
        return step->words + (P == DOWN      ? (int)AT_H
                              : P == O       ? AT_A + copy
                              : P == GATE_UP ? AT_MID + copy
                                             : AT_X + copy);
    }
    //% if has_gain

    template <int P> __device__ __forceinline__ const uint16_t *gains(int layer)
    {
        //% if head_gain
        if constexpr (P == HEAD) {
            return step->final_gain;
        }
        //% end
        return (const uint16_t *)(step->weights + (size_t)layer * LAYER_BYTES + Stored<P>::GAINS);
    }
    //% end

    /* The u-th 256 values of this warp's x to shared memory; the lane's part of their squares. */
    template <int P> __device__ __forceinline__ float take_x(int u, int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        enum { MINE = S::K / 8, RUN = S::RUN }; /* RUN values of every 8 RUN */
        const int first = u * 256 + lane * 4;
        auto column = [&](int i) {
            const int k = first + i * 128;
            return (k / RUN * 8 + warp) * RUN + k % RUN;
        };
        const uint32_t wanted = (uint32_t)(first < MINE) | (uint32_t)(first + 128 < MINE) << 1;
        //% if has_gain
        uint2 gain[2] = {};
        if constexpr (Stored<P>::GAIN) { /* on their way while the words are waited for */
#pragma unroll
            for (int i = 0; i < 2; i++) {
                if (wanted >> i & 1) {
                    gain[i] = *(const uint2 *)(gains<P>(layer) + column(i));
                }
            }
        }
        //% end
        const uint64_t *words = input<P>();
        uint64_t w[2][2] = {};
        ${stamp("watch.start();")};
        await_words<2>(
            w, [&](int i) { return words + column(i) / 2; }, wanted, tag, patience, layer,
            P == QKV ? FOR_QKV_X : FOR_O_X + P - O);
        ${stamp("watch.stop<ON_X>();")};
        float squares = 0;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint2 x = data_of(w[i]);
            float f[4] = {low_of(x.x), high_of(x.x), low_of(x.y), high_of(x.y)};
            if constexpr (S::NORM) {
                squares += f[0] * f[0] + f[1] * f[1] + f[2] * f[2] + f[3] * f[3];
            }
            //% if has_gain
            if constexpr (Stored<P>::GAIN) {
                f[0] *= low_of(gain[i].x), f[1] *= high_of(gain[i].x);
                f[2] *= low_of(gain[i].y), f[3] *= high_of(gain[i].y);
            }
            //% end
            store_x<P>(s, warp, f, first + i * 128, wanted >> i & 1);
        }
        __syncwarp();
        return squares;
    }

    __device__ __forceinline__ void wait_for_slot(void)
    {
        ${stamp("watch.start();")};
        wait_for(&s->full[slot], parity);
        ${stamp("watch.stop<ON_WEIGHTS>();")};
    }

    /* Is the next slot there now? The same for all lanes. */
    __device__ __forceinline__ bool slot_is_full(void)
    {
        return __all_sync(0xffffffffu, is_over(&s->full[slot], parity));
    }

    /* The slot that was read last goes back to the producer, when all of it has really come: the
     * arrival alone can overtake loads from shared memory that wait behind loads from global
     * memory, and the next copy would be read instead. So the barrier's address is made to depend
     * on `come`, bits of all loads. */
    __device__ __forceinline__ void release(uint32_t come)
    {
        __syncwarp();
        come = __shfl_xor_sync(0xffffffffu, come, 1); /* every lane's */
        if (lane == 0) {
            arrive(address_of(&s->empty[slot]) + (come & zero));
        }
        slot = slot + 1 == SLOTS ? 0 : slot + 1;
        parity ^= slot == 0;
    }

    /* This warp's part of a tile's 16 sums, into the next place for the finisher. */
    __device__ __forceinline__ void hand_over(const float acc[2][4], float squares)
    {
        const int part = tiles % PARTS;
        const uint32_t use = tiles / PARTS;
        if (use > 0) {
            ${stamp("watch.start();")};
            wait_for(&s->taken[part], (use - 1) & 1);
            ${stamp("watch.stop<ON_SUMS>();")};
        }
        if (lane % 4 == 0) {
            s->sums[part][warp][lane / 4] = acc[0][0];
            s->sums[part][warp][lane / 4 + 8] = acc[0][2];
        }
        if (lane == 0) {
            s->squares[part][warp] = squares;
        }
        __syncwarp();
        if (lane == 0) {
            arrive(address_of(&s->summed[part]));
        }
        tiles++;
    }

    template <int P> __device__ __forceinline__ void take_slot(Chunk<P> &chunk)
    {
        wait_for_slot();
        chunk.load(s, slot, warp, lane);
    }

    /* x is taken unit by unit, just before the first tile's weights meet it. */
    template <int P> __device__ __forceinline__ void phase(int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        int tile = S::first_tile(layer);
        if (tile >= S::TILES) {
            return;
        }
        enum { UNIT_ROWS = 256 / S::RUN }; /* slots that 256 values of x are for */
        auto more = [&](int rows) {        /* are there so many rows behind this tile's first? */
                                    return tile + rows / S::ROWS * (int)gridDim.x < S::TILES;
        };
        Chunk<P> now = {}, next = {};
        /* Slots that are full before x is there go back at once: as if the ring had two more. */
        const bool one = slot_is_full(), two = one && more(1);
        if (one) {
            take_slot(now);
            release(now.come());
        }
        bool held = more(1) && !(two && slot_is_full());
        if (two && !held) {
            take_slot(next);
            release(next.come());
        }
        float squares = take_x<P>(0, layer, tag);
        if (!one) {
            take_slot(now);
            release(now.come());
        }
        if (held) {
            take_slot(next);
        }
        now.meet(s, warp, lane, 0);
        for (bool first = true; tile < S::TILES; tile += gridDim.x, first = false) {
            float acc[2][4] = {};
#pragma unroll 2
            for (int row = 0; row < S::ROWS; row++) {
                now.multiply(acc);
                if (held) {
                    release(next.come());
                }
                if (first && row + 1 < S::ROWS && (row + 1) % UNIT_ROWS == 0) {
                    squares += take_x<P>((row + 1) / UNIT_ROWS, layer, tag);
                }
                if (more(row + 1)) {
                    next.meet(s, warp, lane, row + 1 < S::ROWS ? row + 1 : 0);
                }
                held = more(row + 2);
                if (held) {
                    take_slot(now);
                }
                const Chunk<P> other = now;
                now = next, next = other;
            }
            if (S::NORM && first) {
                squares = warp_sum(squares);
            }
            Chunk<P>::join(acc);
            hand_over(acc, squares);
        }
        __syncwarp();
    }

    //% if head_norms
    __device__ __forceinline__ const uint8_t *gains_of(int layer, size_t at);
    __device__ __forceinline__ void finish_head(uint4 *head, const uint8_t *gains);
    //% end
    __device__ __forceinline__ void take_queries(uint4 *q, const Share &share, int layer,
                                                 uint32_t tag);
    __device__ __forceinline__ void add_newest(Heads &a, const uint4 *q, const Share &share,
                                               int layer, uint32_t tag);
    __device__ __forceinline__ void join_warps(const Share &share, uint32_t tag);
    __device__ __forceinline__ void merge(const Share &share, int layer, uint32_t tag);
    __device__ void attend(int layer, uint32_t tag);

    /* Elements 2 at, 2 at + 1 of attention's output, to this copy and every `by`-th behind it. */
    __device__ __forceinline__ void publish_mixed(int at, uint32_t pair, int copy, int by,
                                                  uint32_t tag)
    {
        for (; copy < COPIES; copy += by) {
            publish(step->words + AT_A + copy * (HEADS * HEAD_DIM / 2) + at, pair, tag);
        }
    }

    __device__ void run(void)
    {
        ${stamp("watch.begin();")};
        //% if head_norms
        if (warp == 0) {
            take_angles(s->angles, step, position, lane);
        }
        consumers_sync();
        //% end
        for (int layer = 0; layer < LAYERS; layer++) {
            const uint32_t tag = first_tag + layer;
            phase<QKV>(layer, tag);
            ${stamp("watch.lap(IN_QKV);")};
            attend(layer, tag);
            ${stamp("watch.lap(IN_ATTENTION);")};
            phase<O>(layer, tag);
            ${stamp("watch.lap(IN_O);")};
            phase<GATE_UP>(layer, tag);
            ${stamp("watch.lap(IN_GATE_UP);")};
            phase<DOWN>(layer, tag);
            ${stamp("watch.lap(IN_DOWN);")};
        }
        phase<HEAD>(LAYERS, first_tag + LAYERS);
        ${stamp("watch.lap(IN_HEAD);")};
        ${stamp("watch.end();")};
        ${stamp("watch.tell(step->clocks, lane);")};
    }
};
