/* ---- what the warps of both steps do ----------------------------------------------------------
 */

/* The 8 warps that multiply. */
__device__ __forceinline__ void consumers_sync(void)
{
    asm volatile("bar.sync 1, 256;" ::: "memory");
}

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
//% if has_bf16

/* A warp's weights in a slot, bf16: rows g and g + 8 of a block of 32 columns are in lane 4 g + i.
 */
struct Weights {
    uint4 low[CHUNK], high[CHUNK];

    static __device__ __forceinline__ const uint8_t *place(const Shared *s, int slot, int warp,
                                                           int lane)
    {
        return s->ring[slot] + warp * CHUNK * 1024 + lane * 16;
    }

    __device__ __forceinline__ void load_block(const uint8_t *place, int b)
    {
        low[b] = *(const uint4 *)(place + b * 1024);
        high[b] = *(const uint4 *)(place + b * 1024 + 512);
    }

    __device__ __forceinline__ void load(const Shared *s, int slot, int warp, int lane)
    {
        const uint8_t *from = place(s, slot, warp, lane);
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            load_block(from, b);
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
