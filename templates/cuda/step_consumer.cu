/* ---- consumers --------------------------------------------------------------------------------
 */

struct Consumer : Reader {
    const Step *step;
    Patience patience;
    int position;
    uint32_t first_tag;

    template <int P> __device__ __forceinline__ const uint64_t *input(void) const
    {
        const int copy = (int)blockIdx.x % COPIES * (Shape<P>::K / 2);
        return step->words + (P == DOWN      ? (int)AT_H
                              : P == O       ? AT_A + copy
                              : P == GATE_UP ? AT_MID + copy
                                             : AT_X + copy);
    }
    //% if has_gain

    template <int P> __device__ __forceinline__ const uint16_t *gains(int layer) const
    {
        //% if head_gain
        if constexpr (P == HEAD) {
            return step->final_gain;
        }
        //% end
        return (const uint16_t *)(step->weights + (size_t)layer * LAYER_BYTES + Stored<P>::GAINS);
    }
    //% end

    /* 256 values of a warp's x on their way, four and four a lane, and the norm's gains for them.
     * Of every 8 RUN columns RUN are the warp's. */
    struct Unit {
        const uint64_t *words; /* of the lane's first values of the phase */
        uint64_t w[2][2];
        //% if has_gain
        const uint16_t *gains;
        uint2 gain[2];
        //% end
    };

    template <int P> __device__ __forceinline__ Unit unit_of(int layer) const
    {
        enum { RUN = Shape<P>::RUN };
        const int column = (lane * 4 / RUN * 8 + warp) * RUN + lane * 4 % RUN;
        Unit unit = {input<P>() + column / 2};
        //% if has_gain
        if constexpr (Stored<P>::GAIN) {
            unit.gains = gains<P>(layer) + column;
        }
        //% end
        return unit;
    }

    /* Columns from the lane's first values to its i-th four in the u-th unit. */
    template <int P> static __device__ __forceinline__ int columns_to(int u, int i)
    {
        static_assert(Shape<P>::RUN <= 256, "a unit is whole runs");
        return u * 2048 + i * (Shape<P>::RUN > 128 ? 128 : 1024);
    }

    /* Which of the lane's fours there are. */
    template <int P> __device__ __forceinline__ uint32_t fours_of(int u) const
    {
        enum { MINE = Shape<P>::K / 8 };
        const int first = u * 256 + lane * 4;
        return (uint32_t)(first < MINE) | (uint32_t)(first + 128 < MINE) << 1;
    }

    template <int P>
    __device__ __forceinline__ void ask_words(Unit &unit, int u, uint32_t pending) const
    {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            load_words(unit.w[i], unit.words + columns_to<P>(u, i) / 2, pending >> i & 1);
        }
    }

    /* Asks for the u-th unit. */
    template <int P> __device__ __forceinline__ void ask_x(Unit &unit, int u) const
    {
        const uint32_t wanted = fours_of<P>(u);
        //% if has_gain
        if constexpr (Stored<P>::GAIN) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                if (wanted >> i & 1) {
                    unit.gain[i] = *(const uint2 *)(unit.gains + columns_to<P>(u, i));
                }
            }
        }
        //% end
        ask_words<P>(unit, u, wanted);
    }

    /* Until the u-th unit, which has been asked for, is there: asks again. */
    template <int P>
    __device__ __forceinline__ void await_x(Unit &unit, int u, int layer, uint32_t tag)
    {
        uint32_t pending = fours_of<P>(u);
        ${stamp("watch.start();")};
        for (uint32_t round = 0;; round++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                pending &=
                    ~((uint32_t)(tagged(unit.w[i][0], tag) && tagged(unit.w[i][1], tag)) << i);
            }
            if (all_lanes(pending == 0) ||
                patience.over(round, layer, P == QKV ? FOR_QKV_X : FOR_O_X + P - O)) {
                break;
            }
            ask_words<P>(unit, u, pending);
        }
        ${stamp("watch.stop<ON_X>();")};
    }

    /* The u-th unit, which has been asked for, to shared memory; the next is asked for. The lane's
     * part of the squares. */
    template <int P>
    __device__ __forceinline__ float take_x(Unit &unit, int u, int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        await_x<P>(unit, u, layer, tag);
        const uint2 words[2] = {data_of(unit.w[0]), data_of(unit.w[1])};
        //% if has_gain
        const uint2 gain[2] = {unit.gain[0], unit.gain[1]};
        //% end
        if (all_lanes(u + 1 < S::UNITS)) {
            ask_x<P>(unit, u + 1);
        }
        float f[2][4], squares = 0;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint2 x = words[i];
            f[i][0] = low_of(x.x), f[i][1] = high_of(x.x);
            f[i][2] = low_of(x.y), f[i][3] = high_of(x.y);
            if constexpr (S::NORM) {
                squares += f[i][0] * f[i][0] + f[i][1] * f[i][1];
                squares += f[i][2] * f[i][2] + f[i][3] * f[i][3];
            }
            //% if has_gain
            if constexpr (Stored<P>::GAIN) {
                f[i][0] *= low_of(gain[i].x), f[i][1] *= high_of(gain[i].x);
                f[i][2] *= low_of(gain[i].y), f[i][3] *= high_of(gain[i].y);
            }
            //% end
        }
        store_x<P>(s, warp, f, u * 256 + lane * 4, fours_of<P>(u));
        __syncwarp();
        return squares;
    }

    /* This warp's part of a tile's 16 sums, into the next place for the finisher. */
    __device__ __forceinline__ void hand_over(float2 sum, float squares, bool free)
    {
        const int part = await_place(free);
        if (lane % 4 == 0) {
            s->sums[part][warp][lane / 4] = sum.x;
            s->sums[part][warp][lane / 4 + 8] = sum.y;
        }
        if (lane == 0) {
            s->squares[part][warp] = squares;
        }
        give_place();
    }

    /* The first tile: x is taken unit by unit, just before its weights meet it; two slots' weights
     * are in registers before that. Returns the squares of x. */
    template <int P>
    __device__ __forceinline__ float first_tile(Chunk<P> &now, Chunk<P> &next, Columns<P> &x,
                                                const Rest<P> &rest, int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        Unit unit = unit_of<P>(layer);
        ask_x<P>(unit, 0);
        take_first(now, next, rest);
        const bool free = place_is_free();
        float acc[2][4] = {}, squares = 0;
#pragma unroll(S::UNIT_ROWS)
        for (int row = 0; row < S::ROWS; row++) {
            if (row % S::UNIT_ROWS == 0) {
                squares += take_x<P>(unit, row / S::UNIT_ROWS, layer, tag);
                x.load(s, warp, lane, row);
            }
            if (row > 0 && rest.has(row + 1)) {
                release(next.come());
            }
            now.multiply(acc, x);
            if ((row + 1) % S::UNIT_ROWS > 0) {
                x.load(s, warp, lane, row + 1);
            }
            if (rest.has(row + 2)) {
                take_slot(now);
            }
            const Chunk<P> other = now;
            now = next, next = other;
        }
        if (S::NORM) {
            squares = warp_sum(squares);
        }
        hand_over(Chunk<P>::join(acc), squares, free);
        return squares;
    }

    template <int P> __device__ __forceinline__ void phase(int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        begin_phase();
        int tile = S::first_tile(layer);
        if (!all_lanes(tile < S::TILES)) {
            return;
        }
        Chunk<P> now, next;
        Columns<P> x = {};
        Rest<P> rest(tile);
        const float squares = first_tile<P>(now, next, x, rest, layer, tag);
        x.load(s, warp, lane, 0);
        while (rest.tile) {
            tile += gridDim.x;
            rest = Rest<P>(tile);
            const bool free = place_is_free();
            float acc[2][4] = {};
            multiply_tile(acc, now, next, x, rest);
            hand_over(Chunk<P>::join(acc), squares, free);
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
