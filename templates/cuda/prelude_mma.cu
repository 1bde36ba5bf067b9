//# prelude_mma.cu - tiles of matrices: background copies, ldmatrix, mma.sync.
//% if used("bf16_pair")
/* Two floats as bf16, the first in the low half. */
__device__ inline uint32_t bf16_pair(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

//% end
//% if used("f16_pair")
/* Two floats as f16, the first in the low half. */
__device__ inline uint32_t f16_pair(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

//% end
//% if used("copy_async16")
/* 16 bytes from global to shared memory, in the background. */
__device__ inline void copy_async16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 :
                 : "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
}

/* Until this thread's background copies have arrived. */
__device__ inline void wait_copies(void)
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

//% end
//% if used("commit_copies")
__device__ inline void commit_copies(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

//% end
//% if used("wait_copies_but")
/* All groups of copies but the last LEFT are there. */
template <int LEFT> __device__ inline void wait_copies_but(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

//% end
//% if used("load_matrix")
/* Four 8 x 8 tiles of bf16 in the order in which mma takes them; lane i gives row i % 8 of tile
 * i / 8. */
__device__ inline uint4 load_matrix(const uint16_t *row)
{
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
    return v;
}

//% end
//% if used("load_matrix_turned")
/* The same, each tile with rows and columns exchanged. */
__device__ inline uint4 load_matrix_turned(const uint16_t *row)
{
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
    return v;
}

//% end
//% if used("mma_bf16")
/* c += a . b of 16 x 16 by 16 x 8. */
__device__ inline void mma_bf16(float *c, uint4 a, uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

//% end
//% if used("mma_f16")
/* The same in f16. */
__device__ inline void mma_f16(float *c, uint4 a, uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

//% end
//% if used("mma_s8")
/* c += a . b of 16 x 32 by 32 x 8 int8 codes, exactly. */
__device__ inline void mma_s8(int *c, uint4 a, uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

//% end
//% if used("mma_u8s8")
/* The same with a's codes from 0 to 255. */
__device__ inline void mma_u8s8(int *c, uint4 a, uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

//% end
//% if used("mma_e4m3")
/* The same of e4m3 (sm_89 and later), added up in f32. */
__device__ inline void mma_e4m3(float *c, uint4 a, uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

//% end
