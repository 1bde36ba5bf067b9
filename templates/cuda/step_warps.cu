/* ---- what the warps of all steps do -----------------------------------------------------------
 */
//% if mlp == false

/* Registers of a thread in the warpgroups that multiply, and in the other, of the 168 each that a
 * block of 12 warps begins with. */
//% if batch
enum { CONSUMER_REGISTERS = 192, OTHER_REGISTERS = 120 };
//% else
//% if has_u4
enum { CONSUMER_REGISTERS = 216, OTHER_REGISTERS = 72 };
//% else
enum { CONSUMER_REGISTERS = 208, OTHER_REGISTERS = 88 };
//% end
//% end

/* All four warps of a warpgroup do this. */
__device__ __forceinline__ void give_registers(void)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"((int)OTHER_REGISTERS));
#endif
}

__device__ __forceinline__ void take_registers(void)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"((int)CONSUMER_REGISTERS));
#endif
}

/* The 8 warps that multiply. */
__device__ __forceinline__ void consumers_sync(void)
{
    asm volatile("bar.sync 1, 256;" ::: "memory");
}

/* Which slots this block still has of a phase, counted from the first of a tile. By votes: then the
 * compiler knows that branches on them are the whole warp's. */
template <int P> struct Rest {
    bool tile, more; /* is there another tile, and another behind it? */

    __device__ __forceinline__ explicit Rest(int at)
    {
        const int stride = Shape<P>::stride();
        tile = all_lanes(at + stride < Shape<P>::TILES);
        more = Shape<P>::ROWS > 1 || all_lanes(at + 2 * stride < Shape<P>::TILES);
    }

    __device__ __forceinline__ bool has(int row) const
    {
        enum { ROWS = Shape<P>::ROWS };
        return row < ROWS || (row < 2 * ROWS ? tile : more);
    }
};
//% end

/* Where a warp that multiplies is in the stream of weights and in the places for sums. */
struct Reader {
    Shared *s;
    int lane, warp;
    uint32_t zero; /* 0, but the compiler does not know */
    int slot;
    uint32_t parity, tiles;
    bool full; /* the next slot, as it looked when the one before went back */
    ${stamp("Watch watch;")};
    //% if mlp == false

    /* What follows is computed from here on: without this the addresses of all phases are made
     * once, before the first, and kept in memory for want of registers. */
    __device__ __forceinline__ void begin_phase(void)
    {
        asm volatile("" : "+r"(lane), "+r"(warp));
    }
    //% end

    /* Until the next slot is full. */
    __device__ __forceinline__ void wait_for_slot(void)
    {
        ${stamp("watch.start();")};
        wait_for(&s->full[slot], parity, full);
        ${stamp("watch.stop<ON_WEIGHTS>();")};
    }

    /* The slot that was read last goes back to the producer, when all of it has really come: the
     * arrival alone can overtake loads from shared memory that wait behind loads from global
     * memory, and the next copy would be read instead. So the barrier's address is made to depend
     * on `come`, bits of all loads of the lane that arrives; what a load brings is there for all
     * lanes of a warp at the same time. Then a first look at the next slot: the answer takes 40
     * cycles. */
    __device__ __forceinline__ void release(uint32_t come)
    {
        __syncwarp();
        arrive(address_of(&s->empty[slot]) + (come & zero), lane == 0);
        slot = slot + 1 == SLOTS ? 0 : slot + 1;
        parity ^= slot == 0;
        full = is_over(&s->full[slot], parity);
    }

    template <class Chunk> __device__ __forceinline__ void take_slot(Chunk &chunk)
    {
        wait_for_slot();
        chunk.load(s, slot, warp, lane);
    }
    //% if mlp == false

    /* The first two slots of a phase go back before x is there: as if the ring had two more. */
    template <int P, class Chunk>
    __device__ __forceinline__ void take_first(Chunk &now, Chunk &next, const Rest<P> &rest)
    {
        take_slot(now);
        release(now.come());
        if (rest.has(1)) {
            take_slot(next);
            release(next.come());
        }
    }

    /* A tile whose x is there. `now` has its first slot's weights and x their columns, `next` those
     * of the slot behind, which goes back now that they have come; they leave with the next tile's.
     */
    template <int P, class Chunk, class Columns>
    __device__ __forceinline__ void multiply_tile(float acc[2][4], Chunk &now, Chunk &next,
                                                  Columns &x, const Rest<P> &rest)
    {
        enum { ROWS = Shape<P>::ROWS };
#pragma unroll(ROWS <= 8 ? (int)ROWS : 4)
        for (int row = 0; row < ROWS; row++) {
            if (rest.has(row + 1)) {
                release(next.come());
            }
            now.multiply(acc, x);
            x.load(s, warp, lane, row + 1 < ROWS ? row + 1 : 0);
            if (rest.has(row + 2)) {
                take_slot(now);
            }
            const Chunk other = now;
            now = next, next = other;
        }
    }
    //% end

    /* A first look at the next place for a tile's sums. */
    __device__ __forceinline__ bool place_is_free(void) const
    {
        return is_over(&s->taken[tiles % PARTS], tiles / PARTS & 1 ^ 1);
    }

    /* Until that place, which was `free` or not before, is free. */
    __device__ __forceinline__ int await_place(bool free)
    {
        const int part = tiles % PARTS;
        ${stamp("watch.start();")};
        wait_for(&s->taken[part], tiles / PARTS & 1 ^ 1, free);
        ${stamp("watch.stop<ON_SUMS>();")};
        return part;
    }

    /* This warp's sums are there, for the finisher. */
    __device__ __forceinline__ void give_place(void)
    {
        __syncwarp();
        arrive(address_of(&s->summed[tiles % PARTS]), lane == 0);
        tiles++;
    }
};
//% if mlp == false

/* d += a . b with rows 8 to 15 of a zero: columns 2 i and 2 i + 1 of row g. */
__device__ __forceinline__ void mma_upper(float d[2], uint32_t a0, uint32_t a2, uint32_t b0,
                                          uint32_t b1)
{
    asm("{ .reg .f32 no0, no1; .reg .b32 zero;\n"
        "mov.f32 no0, 0f00000000; mov.f32 no1, 0f00000000; mov.b32 zero, 0;\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, no0, no1}, "
        "{%2, zero, %3, zero}, {%4, %5}, {%0, %1, no0, no1}; }"
        : "+f"(d[0]), "+f"(d[1])
        : "r"(a0), "r"(a2), "r"(b0), "r"(b1));
}
//% end

/* A warp's part of a slot, 16 bytes of rows g and of rows g + 8 of a block in lane 4 g + i: the
 * words of mma's left operand are every second one of each. */
struct Words {
    uint4 low[CHUNK], high[CHUNK];

    __device__ __forceinline__ void load(const Shared *s, int slot, int warp, int lane)
    {
        const uint8_t *from = s->ring[slot] + warp * CHUNK * 1024 + lane * 16;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            low[b] = *(const uint4 *)(from + b * 1024);
            high[b] = *(const uint4 *)(from + b * 1024 + 512);
        }
    }

    /* Bits of all that was loaded. */
    __device__ __forceinline__ uint32_t come(void) const
    {
        uint32_t bits = 0;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            bits ^= low[b].x ^ high[b].x;
        }
        return bits;
    }
};
//% if has_bf16

/* bf16: a block has 32 columns. */
struct Weights : Words {
    __device__ __forceinline__ void multiply(float acc[2][4], const uint4 x[CHUNK]) const
    {
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            const uint4 l = low[b], h = high[b];
            mma_bf16(acc[0], make_uint4(l.x, h.x, l.y, h.y), x[b].x, x[b].y);
            mma_bf16(acc[1], make_uint4(l.z, h.z, l.w, h.w), x[b].z, x[b].w);
        }
    }
};
//% end
