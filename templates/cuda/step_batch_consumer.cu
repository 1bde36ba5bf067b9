/* ---- consumers --------------------------------------------------------------------------------
 */

/* What a slot's weights meet: lane 4 g + i has x of token g. */
struct Columns {
    uint4 x[CHUNK];

    __device__ __forceinline__ void load(const Shared *s, int warp, int lane, int row)
    {
        const uint8_t *xs = s->x[row] + warp * CHUNK * 512 + lane * 16;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            x[b] = *(const uint4 *)(xs + b * 512);
        }
    }
};

struct Chunk : Weights {
    __device__ __forceinline__ void multiply(float acc[2][4], const Columns &columns) const
    {
        Weights::multiply(acc, columns.x);
    }
};

struct Consumer : Reader {
    const Step *step;
    Patience patience;
    int splits;
    uint32_t first_tag;

    enum { AT_ONCE = 4 / CHUNK }; /* rows of x that are asked for at once */

    /* Rows first .. of x from memory to shared memory: each lane just what it needs itself. The
     * first lane's first 16 bytes tell when it is time to ask for the others: what all blocks poll
     * is slow for everyone. Then the rows behind them are asked for, into v. */
    template <int P>
    __device__ __forceinline__ void take_x(uint4 v[AT_ONCE * CHUNK], int first, int layer,
                                           uint32_t tag)
    {
        typedef Shape<P> S;
        enum { LOADS = AT_ONCE * CHUNK };
        const uint4 *from = (const uint4 *)(vectors_of(step, tag) + Input<P>::FIRST) +
                            (size_t)(S::part() * S::ROWS + first) * (ROW_BYTES / 16) +
                            warp * CHUNK * 32 + lane;
        const int rows = min((int)AT_ONCE, S::ROWS - first);
        bool told = first > 0;
        uint32_t pending = told ? (1u << rows * CHUNK) - 1 : lane == 0;
        ${stamp("watch.start();")};
        for (uint32_t round = first > 0 ? 1 : 0;; round++) {
            if (round != 1 || first == 0) {
                ask_x<LOADS>(v, from, pending);
            }
#pragma unroll
            for (int i = 0; i < LOADS; i++) {
                pending &= ~((uint32_t)have_come(v[i]) << i);
            }
            if (__any_sync(0xffffffffu, pending) &&
                !patience.over(round, layer, P == QKV ? FOR_QKV_X : FOR_O_X + P - O)) {
                continue;
            }
            if (told) {
                break;
            }
            pending = (1u << rows * CHUNK) - 1, told = true;
        }
        ${stamp("watch.stop<ON_X>();")};
        uint4 *to = (uint4 *)s->x[first] + warp * CHUNK * 32 + lane;
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            if (i < rows * CHUNK) {
                to[i / CHUNK * (ROW_BYTES / 16) + i % CHUNK * 32] =
                    make_uint4(~v[i].x, ~v[i].y, ~v[i].z, ~v[i].w);
            }
        }
        const int more = min((int)AT_ONCE, S::ROWS - first - AT_ONCE);
        if (more > 0) {
            ask_x<LOADS>(v, from + AT_ONCE * (ROW_BYTES / 16), (1u << more * CHUNK) - 1);
        }
    }

    template <int LOADS>
    __device__ __forceinline__ void ask_x(uint4 v[LOADS], const uint4 *from, uint32_t wanted)
    {
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            load_columns(&v[i], from + i / CHUNK * (ROW_BYTES / 16) + i % CHUNK * 32,
                         wanted >> i & 1);
        }
    }

    /* This warp's part of a tile's sums, into the next place for the finisher. */
    __device__ __forceinline__ void hand_over(const float acc[2][4], bool free)
    {
        const int g = lane / 4, i2 = lane % 4 * 2;
        float *to = s->sums[await_place(free)][warp];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            to[(i2 + j % 2) * SUM_STRIDE + g + j / 2 * 8] = acc[0][j] + acc[1][j];
        }
        give_place();
    }

    /* The first tile: x is taken some rows at a time, just before their weights meet it. */
    template <int P>
    __device__ __forceinline__ void first_tile(Chunk &now, Chunk &next, Columns &x,
                                               const Rest<P> &rest, int layer)
    {
        typedef Shape<P> S;
        uint4 v[AT_ONCE * CHUNK] = {};
        take_first(now, next, rest);
        const bool free = place_is_free();
        float acc[2][4] = {};
#pragma unroll(AT_ONCE)
        for (int row = 0; row < S::ROWS; row++) {
            if (row % AT_ONCE == 0) {
                take_x<P>(v, row, layer, first_tag + layer);
                x.load(s, warp, lane, row);
            }
            if (row > 0 && rest.has(row + 1)) {
                release(next.come());
            }
            now.multiply(acc, x);
            if ((row + 1) % AT_ONCE > 0 && row + 1 < S::ROWS) {
                x.load(s, warp, lane, row + 1);
            }
            if (rest.has(row + 2)) {
                take_slot(now);
            }
            const Chunk other = now;
            now = next, next = other;
        }
        hand_over(acc, free);
        if (P == GATE_UP) { /* see vectors_of; weights are waited for here anyway */
            asm volatile("fence.acq_rel.gpu;" ::: "memory");
        }
    }

    template <int P> __device__ __forceinline__ void phase(int layer)
    {
        typedef Shape<P> S;
        begin_phase();
        int tile = S::first_tile(layer);
        if (!all_lanes(tile < S::TILES)) {
            return;
        }
        Chunk now, next;
        Columns x;
        Rest<P> rest(tile);
        first_tile<P>(now, next, x, rest, layer);
        x.load(s, warp, lane, 0);
        while (rest.tile) {
            tile += S::stride();
            rest = Rest<P>(tile);
            const bool free = place_is_free();
            float acc[2][4] = {};
            multiply_tile(acc, now, next, x, rest);
            hand_over(acc, free);
        }
        __syncwarp();
    }

    __device__ void attend(int layer, uint32_t tag);
    __device__ __forceinline__ void attend_unit(int unit, int split, int layer, uint32_t tag);
    __device__ __forceinline__ void put_split(int unit, int split, uint32_t tag);
    __device__ __forceinline__ void merge(int unit, int split, int layer, uint32_t tag);

    __device__ void run(void)
    {
        ${stamp("watch.begin();")};
        for (int layer = 0; layer < LAYERS; layer++) {
            phase<QKV>(layer);
            ${stamp("watch.lap(IN_QKV);")};
            attend(layer, first_tag + layer);
            ${stamp("watch.lap(IN_ATTENTION);")};
            phase<O>(layer);
            ${stamp("watch.lap(IN_O);")};
            phase<GATE_UP>(layer);
            ${stamp("watch.lap(IN_GATE_UP);")};
            phase<DOWN>(layer);
            ${stamp("watch.lap(IN_DOWN);")};
        }
        phase<HEAD>(LAYERS);
        ${stamp("watch.lap(IN_HEAD);")};
        ${stamp("watch.end();")};
        ${stamp("watch.tell(step->clocks, lane);")};
    }
};
