/* ---- who has what -----------------------------------------------------------------------------
 */

enum {
    GATE_TILES = D_FF / 8, /* of 16 rows: 8 of gate, 8 of up */
    GATE_SLOTS = D_MODEL / SLOT_COLUMNS,
    DOWN_TILES = D_MODEL / 16,
    DOWN_SLOTS = D_FF / SLOT_COLUMNS,
};

/* A block's part of down's slots, counted through all tiles. */
struct Range {
    int first, end;
};

/* Where a block's part of down begins: all blocks have the same number of slots of both matrices,
 * unless one tile of gate_up is already more than that. */
__device__ __forceinline__ int down_begin(int block)
{
    const int blocks = gridDim.x, each = GATE_TILES / blocks, more = GATE_TILES % blocks;
    enum { DOWN = DOWN_TILES * DOWN_SLOTS, ALL = GATE_TILES * GATE_SLOTS + DOWN };
    if (ALL / blocks < GATE_SLOTS * (each + 1)) {
        return (int)((int64_t)DOWN * block / blocks);
    }
    return (int)((int64_t)ALL * block / blocks) - GATE_SLOTS * (each * block + min(block, more));
}

__device__ __forceinline__ Range range_of(int block)
{
    return {down_begin(block), down_begin(block + 1)};
}

/* Tiles of gate_up that this block has: every gridDim.x-th. */
__device__ __forceinline__ int own_tiles(void)
{
    return (GATE_TILES - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
}

/* Slots first .. end - 1 of a tile of down. The last tile of a range comes first: if its end is
 * another block's, that block waits for these sums. */
struct Piece {
    int tile, first, end;

    /* The part of a range in front of slot `at`. */
    __device__ __forceinline__ Piece(const Range &range, int at)
    {
        tile = (at - 1) / DOWN_SLOTS;
        first = max(range.first - tile * DOWN_SLOTS, 0);
        end = at - tile * DOWN_SLOTS;
    }

    __device__ __forceinline__ int begin(void) const
    {
        return tile * DOWN_SLOTS + first;
    }

    /* The block that has a tile's end adds all of it. */
    __device__ __forceinline__ bool owned(void) const
    {
        return end == DOWN_SLOTS;
    }
};

/* Step by step another tag, the same in all blocks: none counts itself to the ended ones before the
 * kernel in front has ended, and all of them make one step. */
__device__ __forceinline__ uint32_t tag_of_step(const Step *step)
{
    return (uint32_t)(load_word(step->words) / gridDim.x) + 1;
}

/* This block's slots, one after the other. */
struct Cursor {
    const Step *step;
    int tile;            /* of gate_up, the next one */
    int run;             /* slots that lie in a row */
    const uint8_t *from; /* the first of them */
    Range range;         /* of down, what is left; known when gate_up is done */

    /* The part of down is planned when the first weights are on their way. */
    __device__ __forceinline__ void next_run(void)
    {
        if (tile < GATE_TILES) {
            from = step->gate_up + (size_t)tile * GATE_SLOTS * SLOT_BYTES;
            run = GATE_SLOTS;
            tile += gridDim.x;
            return;
        }
        if (tile < GATE_TILES + (int)gridDim.x) {
            range = range_of(blockIdx.x);
            tile += gridDim.x;
        }
        if (range.end > range.first) {
            const Piece p(range, range.end);
            from = step->down + (size_t)p.begin() * SLOT_BYTES;
            run = p.end - p.first;
            range.end = p.begin();
        }
    }

    __device__ __forceinline__ bool more(void)
    {
        if (run == 0) {
            next_run();
        }
        return run > 0;
    }

    __device__ __forceinline__ const uint8_t *take(void)
    {
        const uint8_t *slot = from;
        from += SLOT_BYTES;
        run--;
        return slot;
    }
};

/* One thread. */
struct Producer : Copier {
    Cursor next;

    __device__ __forceinline__ void ask(void)
    {
        take_slot();
        expect(SLOT_BYTES);
        copy(0, next.take(), SLOT_BYTES);
        next_slot();
    }

    /* What may be on its way at once: before the other warps are there. */
    __device__ __forceinline__ void begin(void)
    {
        for (int i = 0; i < FLYING && next.more(); i++) {
            ask();
        }
    }

    __device__ __forceinline__ void run(void)
    {
#pragma unroll 1
        while (next.more()) {
            ask();
        }
    }
};
