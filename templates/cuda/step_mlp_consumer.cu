/* ---- consumers --------------------------------------------------------------------------------
 */

/* A warp's weights of a slot, and x for them. All of mma's columns are the one token's. */
struct Chunk : Weights {
    uint4 x[CHUNK];

    __device__ __forceinline__ void meet(const uint16_t *xs, int lane, int row)
    {
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            x[b] = *(const uint4 *)(xs + row * RUN + b * 32 + lane % 4 * 8);
        }
    }

    __device__ __forceinline__ void multiply(float acc[2][4]) const
    {
        Weights::multiply(acc, x);
    }
};

struct Consumer : Reader {
    const Step *step;
    Range range;
    Patience patience;
    uint32_t tag;
    int left, taken; /* slots to be fetched; those that h is there for */
    bool ahead;      /* the slot behind the current one has been fetched */

    /* The column that number k of this warp's x or h is. */
    __device__ __forceinline__ int column(int k) const
    {
        return (k / RUN * 8 + warp) * RUN + k % RUN;
    }

    __device__ __forceinline__ void take_x(void)
    {
#pragma unroll
        for (int i = 0; i < D_MODEL / 8; i += 256) {
            const int k = i + lane * 8;
            if (k < D_MODEL / 8) {
                *(uint4 *)(s->x[warp] + k) = load_fresh16(step->x + column(k));
            }
        }
        __syncwarp();
    }

    /* The next 256 values of this warp's h. */
    __device__ __forceinline__ void take_h(void)
    {
        enum { MINE = D_FF / 8 };
        const int first = taken * RUN + lane * 4;
        const uint32_t wanted = (uint32_t)(first < MINE) | (uint32_t)(first + 128 < MINE) << 1;
        const uint64_t *words = step->words + AT_H;
        uint64_t w[2][2] = {};
        await_words<2>(
            w, [&](int i) { return words + column(first + i * 128) / 2; }, wanted, tag, patience, 0,
            FOR_H);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (wanted >> i & 1) {
                *(uint2 *)(s->x[warp] + first + i * 128) = data_of(w[i]);
            }
        }
        taken += 256 / RUN;
        __syncwarp();
    }

    __device__ __forceinline__ void fetch(Chunk &chunk)
    {
        take_slot(chunk);
        left--;
    }

    /* This warp's part of a tile's sums, into the next place for the finisher. */
    __device__ __forceinline__ void hand_over(const float acc[2][4])
    {
        const int part = await_place(place_is_free());
        if (lane % 4 == 0) {
            s->sums[part][warp][lane / 4] = acc[0][0] + acc[1][0];
            s->sums[part][warp][lane / 4 + 8] = acc[0][2] + acc[1][2];
        }
        give_place();
    }

    /* Slots first .. end - 1 of a tile; `now` has the first one's weights, and leaves with those of
     * the slot behind the last one. */
    template <bool DOWN>
    __device__ __forceinline__ void tile(Chunk &now, Chunk &next, int first, int end)
    {
        float acc[2][4] = {};
#pragma unroll 2
        for (int row = first; row < end; row++) {
            while (DOWN && taken <= row) {
                take_h();
            }
            now.meet(s->x[warp], lane, row);
            const bool more = !ahead && left > 0;
            ahead = false;
            if (more) {
                fetch(next);
            }
            now.multiply(acc);
            if (more) {
                release(next.come());
            }
            now = next;
        }
        hand_over(acc);
    }

    __device__ void run(void)
    {
        const int gates = own_tiles();
        left = gates * GATE_SLOTS + range.end - range.first;
        Chunk now = {}, next = {};
        ahead = left > 1; /* two slots leave the ring before x is there */
        if (left > 0) {
            fetch(now);
            release(now.come());
        }
        if (ahead) {
            fetch(next);
            release(next.come());
        }
        dependency_wait();
        take_x();
        tag = tag_of_step(step);
        patience = {step, tag};
        for (int i = 0; i < gates; i++) {
            tile<false>(now, next, 0, GATE_SLOTS);
        }
        for (int at = range.end; at > range.first;) {
            const Piece p(range, at);
            tile<true>(now, next, p.first, p.end);
            at = p.begin();
        }
    }
};
