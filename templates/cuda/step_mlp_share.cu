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

/* One thread. */
struct Producer : Copier {
    Range range;

    __device__ __forceinline__ void stream(const uint8_t *from, int slots)
    {
#pragma unroll 1
        for (int i = 0; i < slots; i++) {
            take_slot();
            expect(SLOT_BYTES);
            copy(0, from, SLOT_BYTES);
            from += SLOT_BYTES;
            next_slot();
        }
    }

    __device__ void run(void)
    {
        for (int tile = blockIdx.x; tile < GATE_TILES; tile += gridDim.x) {
            stream(step->gate_up + (size_t)tile * GATE_SLOTS * SLOT_BYTES, GATE_SLOTS);
        }
        for (int at = range.end; at > range.first;) {
            const Piece p(range, at);
            stream(step->down + (size_t)p.begin() * SLOT_BYTES, p.end - p.first);
            at = p.begin();
        }
    }
};
