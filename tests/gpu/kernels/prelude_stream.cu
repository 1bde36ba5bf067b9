//# prelude_stream.cu - what matmul_stream needs besides prelude.cu (bf16_pair, copy_async16,
//# mma_bf16).
/* The next kernel of a chain may start; what earlier kernels wrote may be read. Every kernel of a
 * chain with programmatic launch waits. */
__device__ inline void dependents_launch(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ inline void dependency_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Past L1, where a line may be older than the kernel in front. */
__device__ inline float4 load_fresh(const float *p)
{
    float4 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}

__device__ inline void commit_copies(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* All groups of copies but the last LEFT are there. */
template <int LEFT> __device__ inline void wait_copies_but(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/* A constant that the compiler keeps in a register: and_or has room for one other. */
__device__ inline uint32_t opaque(uint32_t value)
{
    uint32_t r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(value));
    return r;
}

__device__ inline uint32_t and_or(uint32_t a, uint32_t mask, uint32_t bits)
{
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "r"(mask), "r"(bits));
    return r;
}

/* a - b on two bf16. */
__device__ inline uint32_t bf16_sub(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("{ .reg .b32 one; mov.b32 one, 0xbf80bf80; fma.rn.bf16x2 %0, %2, one, %1; }"
        : "=r"(r)
        : "r"(a), "r"(b));
    return r;
}

/* i is a constant once loops are unrolled. */
__device__ inline uint32_t word(uint4 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/* Eight codes as bf16, in the order 0 2, 1 3, 4 6, 5 7: a code of sign s and low bits b is
 * (128 + b) - (128 + 128 s), and both are bf16 with the exponent of 128. */
__device__ inline uint4 bf16_of_i8x8(uint32_t first, uint32_t second, uint32_t exponent)
{
    const uint32_t word[4] = {first, first >> 8, second, second >> 8};
    uint32_t p[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        p[i] =
            bf16_sub(and_or(word[i], 0x007f007f, exponent), and_or(word[i], 0x00800080, exponent));
    }
    return make_uint4(p[0], p[1], p[2], p[3]);
}

/* 128 + code as bf16, in the order 0 4, 1 5, 2 6, 3 7. */
__device__ inline uint4 bf16_of_u4x8(uint32_t word, uint32_t exponent)
{
    return make_uint4(and_or(word, 0x000f000f, exponent), and_or(word >> 4, 0x000f000f, exponent),
                      and_or(word >> 8, 0x000f000f, exponent),
                      and_or(word >> 12, 0x000f000f, exponent));
}

__device__ inline float sum_of_bf16(uint4 v)
{
    const uint32_t pair[4] = {v.x, v.y, v.z, v.w};
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        sum += __uint_as_float(pair[i] << 16) + __uint_as_float(pair[i] & 0xffff0000);
    }
    return sum;
}
