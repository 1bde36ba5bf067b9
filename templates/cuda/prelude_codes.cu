//# prelude_codes.cu - eight stored numbers or codes at a time: loaded, made floats or bf16, multiplied.
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
//% if used("opaque")
/* A constant that the compiler keeps in a register: and_or has room for one other. */
__device__ inline uint32_t opaque(uint32_t value)
{
    uint32_t r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(value));
    return r;
}

//% end
//% if used("and_or")
__device__ inline uint32_t and_or(uint32_t a, uint32_t mask, uint32_t bits)
{
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "r"(mask), "r"(bits));
    return r;
}

//% end
//% if used("bf16_sub")
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
