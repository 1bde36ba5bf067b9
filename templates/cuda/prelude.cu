//# prelude.cu - what kernels need besides CUDA's built-in functions; no header is included, so
//# that nvcc and NVRTC compile the same text. `used(name)`: the program so far mentions the name.
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int int64_t;
typedef unsigned long int uint64_t;

//% if used("float_of_bf16")
__device__ inline float float_of_bf16(uint16_t h)
{
    return __uint_as_float((uint32_t)h << 16);
}

//% end
//% if used("bf16_of_float")
/* To the nearest, ties to even. */
__device__ inline uint16_t bf16_of_float(float x)
{
    uint16_t h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}

//% end
//% if used("float_of_f16")
__device__ inline float float_of_f16(uint16_t h)
{
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    return x;
}

//% end
//% if used("f16_of_float")
__device__ inline uint16_t f16_of_float(float x)
{
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}

//% end
//% if used("float_of_e4m3")
/* OCP E4M3: exponent bias 7, no infinity. The exponent is moved by a multiplication, which also
 * normalises subnormal numbers. */
__device__ inline float float_of_e4m3(uint8_t c)
{
    const uint32_t magnitude = c & 0x7f, sign = (uint32_t)(c & 0x80) << 24;
    const uint32_t bits = __float_as_uint(__uint_as_float(magnitude << 20) * 0x1p120f);
    return __uint_as_float((magnitude == 0x7f ? 0x7fc00000 : bits) | sign);
}

//% end
//% if used("e4m3_of_float") || used("e4m3_code_of")
/* To the nearest, ties to even; beyond 448: 448. */
__device__ inline uint8_t e4m3_of_float(float x)
{
#if __CUDA_ARCH__ >= 890
    uint16_t pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(x));
    return (uint8_t)pair;
#else
    const uint32_t sign = __float_as_uint(x) >> 24 & 0x80, bits = __float_as_uint(x) & 0x7fffffff;
    if (bits > 0x43e00000) {
        return (uint8_t)(sign | (bits > 0x7f800000 ? 0x7f : 0x7e));
    }
    if (bits < 0x3c800000) {
        /* Subnormal: the addition rounds at the right bit. */
        return (uint8_t)(sign | (__float_as_uint(__uint_as_float(bits) + 0x1p14f) - 0x46800000));
    }
    return (uint8_t)(sign | (bits + 0x7ffff + (bits >> 20 & 1) - 0x3c000000) >> 20);
#endif
}

//% end
//% if used("apply_silu")
__device__ inline float apply_silu(float x)
{
    return __fdividef(x, 1 + __expf(-x));
}

//% end
//% if used("apply_gelu")
__device__ inline float apply_gelu(float x)
{
    return 0.5f * x * (1 + erff(x * 0.70710678f));
}

//% end
//% if used("apply_gelu_tanh")
__device__ inline float apply_gelu_tanh(float x)
{
    return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

//% end
//% if used("apply_relu")
__device__ inline float apply_relu(float x)
{
    return x > 0 ? x : 0;
}

//% end
//% if used("apply_tanh")
__device__ inline float apply_tanh(float x)
{
    return tanhf(x);
}

//% end
//% if used("apply_neg")
__device__ inline float apply_neg(float x)
{
    return -x;
}

//% end
//% if used("warp_sum")
/* The sum over the 32 threads of a warp, in all of them. */
__device__ inline float warp_sum(float x)
{
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xffffffff, x, step);
    }
    return x;
}

//% end
//% if used("warp_max")
__device__ inline float warp_max(float x)
{
    for (int step = 16; step > 0; step /= 2) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, step));
    }
    return x;
}

//% end
//% if used("block_sum")
/* The sum over all threads of a block of at most 1024, in all of them. */
__device__ inline float block_sum(float x)
{
    __shared__ float part[32];
    const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        part[warp] = x;
    }
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < warps; i++) {
        sum += part[i];
    }
    return sum;
}

//% end
//% if used("block_max")
__device__ inline float block_max(float x)
{
    __shared__ float most[32];
    const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        most[warp] = x;
    }
    __syncthreads();
    float max = most[0];
    for (int i = 1; i < warps; i++) {
        max = fmaxf(max, most[i]);
    }
    return max;
}

//% end
//% if used("code_of")
/* x / scale to the nearest int8 code, ties to even. */
__device__ inline int8_t code_of(float x, float scale)
{
    return (int8_t)(scale > 0 ? __float2int_rn(x / scale) : 0);
}

//% end
//% if used("e4m3_code_of")
/* x / scale to the nearest number of e4m3, ties to even. */
__device__ inline uint8_t e4m3_code_of(float x, float scale)
{
    return e4m3_of_float(scale > 0 ? x / scale : 0);
}

//% end
//% if used("load_stream16")
/* 16 bytes that are read once: they need no place in L1. */
__device__ inline uint4 load_stream16(const void *p)
{
    uint4 v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(p));
    return v;
}

//% end
//% if used("load_bf16x8")
__device__ inline uint4 load_bf16x8(const uint16_t *p)
{
    return load_stream16(p);
}

//% end
//% if used("floats_of_bf16x8")
__device__ inline void floats_of_bf16x8(float *f, uint4 raw)
{
    const uint32_t pair[4] = {raw.x, raw.y, raw.z, raw.w};
    for (int i = 0; i < 4; i++) {
        f[2 * i] = __uint_as_float(pair[i] << 16);
        f[2 * i + 1] = __uint_as_float(pair[i] & 0xffff0000);
    }
}

//% end
//% if used("load_f16x8")
__device__ inline uint4 load_f16x8(const uint16_t *p)
{
    return load_stream16(p);
}

//% end
//% if used("floats_of_f16x8")
__device__ inline void floats_of_f16x8(float *f, uint4 raw)
{
    const uint32_t pair[4] = {raw.x, raw.y, raw.z, raw.w};
    for (int i = 0; i < 4; i++) {
        asm("{.reg .f16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}"
            : "=f"(f[2 * i]), "=f"(f[2 * i + 1])
            : "r"(pair[i]));
    }
}

//% end
//% if used("Float8") || used("load_fresh32")
struct Float8 {
    float4 a, b;
};

//% end
//% if used("load_f32x8")
__device__ inline Float8 load_f32x8(const float *p)
{
    return {__ldg((const float4 *)p), __ldg((const float4 *)p + 1)};
}

//% end
//% if used("floats_of_f32x8")
__device__ inline void floats_of_f32x8(float *f, Float8 raw)
{
    f[0] = raw.a.x, f[1] = raw.a.y, f[2] = raw.a.z, f[3] = raw.a.w;
    f[4] = raw.b.x, f[5] = raw.b.y, f[6] = raw.b.z, f[7] = raw.b.w;
}

//% end
//% if used("load_i8x8")
__device__ inline uint2 load_i8x8(const int8_t *p)
{
    uint2 v;
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
    return v;
}

//% end
//% if used("floats_of_i8x8")
__device__ inline void floats_of_i8x8(float *f, uint2 raw, int zero)
{
    for (int i = 0; i < 4; i++) {
        f[i] = (float)((int)(int8_t)(raw.x >> 8 * i) - zero);
        f[4 + i] = (float)((int)(int8_t)(raw.y >> 8 * i) - zero);
    }
}

//% end
//% if used("load_e4m3x8")
__device__ inline uint2 load_e4m3x8(const uint8_t *p)
{
    uint2 v;
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
    return v;
}

//% end
//% if used("floats_of_e4m3x8")
__device__ inline void floats_of_e4m3x8(float *f, uint2 raw, int = 0)
{
    for (int i = 0; i < 4; i++) {
        f[i] = float_of_e4m3((uint8_t)(raw.x >> 8 * i));
        f[4 + i] = float_of_e4m3((uint8_t)(raw.y >> 8 * i));
    }
}

//% end
//% if used("dot_i8x8")
/* 8 codes by 8 codes; 16-bit sums of a code and its zero point do not occur in int8. */
__device__ inline int dot_i8x8(uint2 w, uint2 x, int zero)
{
    const int sum = __dp4a((int)w.x, (int)x.x, __dp4a((int)w.y, (int)x.y, 0));
    return sum - zero * __dp4a(0x01010101, (int)x.x, __dp4a(0x01010101, (int)x.y, 0));
}

//% end
//% if used("load_u4x8")
__device__ inline uint32_t load_u4x8(const uint8_t *p)
{
    uint32_t v;
    asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(p));
    return v;
}

//% end
//% if used("floats_of_u4x8")
/* A code as the low bits of 2^23 + code, which is exact. */
__device__ inline void floats_of_u4x8(float *f, uint32_t raw, int zero)
{
    const float base = 8388608.0f + (float)zero;
    for (int i = 0; i < 8; i++) {
        f[i] = __uint_as_float((raw >> 4 * i & 15) | 0x4b000000) - base;
    }
}

//% end
//% if used("dot_u4x8")
__device__ inline int dot_u4x8(uint32_t w, uint2 x, int zero)
{
    const uint32_t even = w & 0x0f0f0f0f, odd = w >> 4 & 0x0f0f0f0f;
    const uint32_t x_even = __byte_perm(x.x, x.y, 0x6420), x_odd = __byte_perm(x.x, x.y, 0x7531);
    const int sum = __dp4a((int)even, (int)x_even, __dp4a((int)odd, (int)x_odd, 0));
    return sum - zero * __dp4a(0x01010101, (int)x.x, __dp4a(0x01010101, (int)x.y, 0));
}

//% end
//% if used("bf16_pair")
/* Two floats as bf16, the first in the low half. */
__device__ inline uint32_t bf16_pair(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
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
//% if used("f16_pair")
/* Two floats as f16, the first in the low half. */
__device__ inline uint32_t f16_pair(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

//% end
//% if used("dependents_launch")
/* The next kernel of the chain may start (programmatic dependent launch, sm_90 and later). */
__device__ inline void dependents_launch(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

//% end
//% if used("dependency_wait")
/* What earlier kernels wrote may be read from here on. Every kernel that starts early waits. */
__device__ inline void dependency_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

//% end
//% if used("load_fresh16")
/* 16 bytes past L1, where a line may be older than the kernel in front. */
__device__ inline uint4 load_fresh16(const void *p)
{
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}

//% end
//% if used("load_fresh32")
__device__ inline Float8 load_fresh32(const float *p)
{
    Float8 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.a.x), "=f"(v.a.y), "=f"(v.a.z), "=f"(v.a.w)
                 : "l"(p)
                 : "memory");
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.b.x), "=f"(v.b.y), "=f"(v.b.z), "=f"(v.b.w)
                 : "l"(p + 4)
                 : "memory");
    return v;
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
//% if used("opaque")
/* A constant that the compiler keeps in a register: and_or has room for one other. */
__device__ inline uint32_t opaque(uint32_t value)
{
    uint32_t r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(value));
    return r;
}

//% end
//% if used("and_or") || used("bf16_of_i8x8") || used("bf16_of_e4m3x8") || used("bf16_of_u4x8")
__device__ inline uint32_t and_or(uint32_t a, uint32_t mask, uint32_t bits)
{
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "r"(mask), "r"(bits));
    return r;
}

//% end
//% if used("bf16_of_i8x8") || used("bf16x8_sub")
/* a - b on two bf16. */
__device__ inline uint32_t bf16_sub(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("{ .reg .b32 one; mov.b32 one, 0xbf80bf80; fma.rn.bf16x2 %0, %2, one, %1; }"
        : "=r"(r)
        : "r"(a), "r"(b));
    return r;
}

//% end
//% if used("bf16x8_sub")
__device__ inline uint4 bf16x8_sub(uint4 a, uint32_t b)
{
    return make_uint4(bf16_sub(a.x, b), bf16_sub(a.y, b), bf16_sub(a.z, b), bf16_sub(a.w, b));
}

//% end
//% if used("bf16x8_mul")
/* a * b on two bf16: plus minus zero. */
__device__ inline uint32_t bf16_mul(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("{ .reg .b32 none; mov.b32 none, 0x80008000; fma.rn.bf16x2 %0, %1, %2, none; }"
        : "=r"(r)
        : "r"(a), "r"(b));
    return r;
}

__device__ inline uint4 bf16x8_mul(uint4 a, uint32_t b)
{
    return make_uint4(bf16_mul(a.x, b), bf16_mul(a.y, b), bf16_mul(a.z, b), bf16_mul(a.w, b));
}

//% end
//% if used("word")
/* i is a constant once loops are unrolled. */
__device__ inline uint32_t word(uint4 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

//% end
//% if used("bf16_of_i8x8")
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

//% end
//% if used("bf16_of_e4m3x8")
/* Eight codes as bf16 times 2^-120, in the order of bf16_of_i8x8: sign, exponent and mantissa as
 * they are, in the places of bf16. Subnormal codes become subnormal bf16. */
__device__ inline uint4 bf16_of_e4m3x8(uint32_t first, uint32_t second, uint32_t)
{
    const uint32_t word[2] = {first, second};
    uint32_t p[4];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        p[2 * i] = and_or(word[i] << 8, 0x80008000, word[i] << 4 & 0x07f007f0);
        p[2 * i + 1] = and_or(word[i], 0x80008000, word[i] >> 4 & 0x07f007f0);
    }
    return make_uint4(p[0], p[1], p[2], p[3]);
}

//% end
//% if used("bf16_from_e4m3x8")
/* The same as they are. */
__device__ inline uint4 bf16_from_e4m3x8(uint32_t first, uint32_t second, uint32_t)
{
    return bf16x8_mul(bf16_of_e4m3x8(first, second, 0), 0x7b807b80); /* 2^120 */
}

//% end
//% if used("bf16_of_u4x8")
/* 128 + code as bf16, in the order 0 4, 1 5, 2 6, 3 7. */
__device__ inline uint4 bf16_of_u4x8(uint32_t word, uint32_t exponent)
{
    return make_uint4(and_or(word, 0x000f000f, exponent), and_or(word >> 4, 0x000f000f, exponent),
                      and_or(word >> 8, 0x000f000f, exponent),
                      and_or(word >> 12, 0x000f000f, exponent));
}

//% end
//% if used("sum_of_bf16")
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

//% end

//% if used("load_fresh8")
__device__ inline uint2 load_fresh8(const void *p)
{
    uint2 v;
    asm volatile("ld.global.cg.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p) : "memory");
    return v;
}

//% end
//% if used("exp2_of")
__device__ inline float exp2_of(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

//% end
//% if used("tanh_of")
/* To about 1e-7, not relative to the result. */
__device__ inline float tanh_of(float x)
{
    return 1 - __fdividef(2, 1 + exp2_of(x * 2.88539008f));
}

//% end
//% if used("cluster_begin")
/* This block says that it has begun; the next cluster_wait waits for all. Blocks of a cluster that
 * have ended count as arrived. */
__device__ inline void cluster_begin(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}

//% end
//% if used("cluster_arrive")
__device__ inline void cluster_arrive(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

//% end
//% if used("cluster_wait")
__device__ inline void cluster_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

//% end
//% if used("store_remote")
/* Where `p` lies in the shared memory of the cluster's block `rank`. */
__device__ inline void store_remote(float2 *p, int rank, float2 v)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("{.reg .b32 there; mapa.shared::cluster.u32 there, %0, %1;"
                 " st.shared::cluster.v2.f32 [there], {%2, %3};}" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(p)),
                 "r"(rank), "f"(v.x), "f"(v.y)
                 : "memory");
#endif
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
