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
//% if used("sample_key")
/* How a row's ids are drawn, as in model.h. */
struct SinterSample {
    uint64_t seed;
    float temperature;
    int32_t top_k;
    float top_p;
    uint32_t count; /* ids drawn so far */
};

/* Larger logits have larger keys; 0 is not a number. */
__device__ inline uint32_t sample_key(float logit)
{
    if (!(logit > __uint_as_float(0xff800000))) {
        return 0;
    }
    const uint32_t bits = __float_as_uint(logit + 0.0f); /* -0 is 0 */
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

//% end
