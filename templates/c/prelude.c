//# prelude.c - types, and single numbers in every dtype. `used(name)` is true when the program so far
//# mentions the name outside of comments; the emitter expands prelude*.c until no further helper is
//# wanted.
//% if used("VecF")
/* A vector of LANES floats, and its bits. */
typedef float VecF __attribute__((vector_size(4 * LANES)));
//% end
//% if used("VecI")
typedef int32_t VecI __attribute__((vector_size(4 * LANES)));
//% end
//% if used("VecU")
typedef uint32_t VecU __attribute__((vector_size(4 * LANES)));
//% end
//% if used("VecH")
typedef uint16_t VecH __attribute__((vector_size(2 * LANES)));
//% end
//% if used("VecB")
typedef uint8_t VecB __attribute__((vector_size(LANES)));
//% end
//% if used("VecC")
typedef int8_t VecC __attribute__((vector_size(LANES)));
//% end

//% if used("Slice")
/* The share of one thread in n units. */
typedef struct Slice {
    int64_t begin, end;
} Slice;

static inline Slice slice_of(int64_t n, int thread, int threads)
{
    return (Slice){n * thread / threads, n * (thread + 1) / threads};
}

//% end
//% if used("float_of_bits")
static inline float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

//% end
//% if used("bits_of_float")
static inline uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

//% end
//% if used("float_of_bf16")
static inline float float_of_bf16(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

//% end
//% if used("bf16_of_float")
/* To the nearest, ties to even. */
static inline uint16_t bf16_of_float(float x)
{
    const uint32_t bits = bits_of_float(x);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

//% end
//% if used("float_of_f16")
static inline float float_of_f16(uint16_t h)
{
    //% if avx512 || avx2
    return _cvtsh_ss(h);
    //% else
    /* The exponent is moved by a multiplication, which also normalises subnormal numbers. */
    const float magnitude = float_of_bits((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;
    const uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
    return float_of_bits(bits_of_float(magnitude) | special | (uint32_t)(h & 0x8000) << 16);
    //% end
}

//% end
//% if used("f16_of_float")
/* To the nearest, ties to even. */
static inline uint16_t f16_of_float(float x)
{
    //% if avx512 || avx2
    return (uint16_t)_cvtss_sh(x, 0);
    //% else
    const uint32_t sign = bits_of_float(x) >> 16 & 0x8000;
    const uint32_t bits = bits_of_float(x) & 0x7fffffff;
    if (bits >= 0x477ff000) {
        return (uint16_t)(sign | (bits > 0x7f800000 ? 0x7e00 : 0x7c00));
    }
    if (bits < 0x38800000) {
        /* Subnormal: the addition rounds at the right bit. */
        const uint32_t sum = bits_of_float(float_of_bits(bits) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3f000000));
    }
    return (uint16_t)(sign | ((bits + 0xfff + (bits >> 13 & 1) - 0x38000000) >> 13));
    //% end
}

//% end
//% if used("float_of_e4m3")
/* OCP E4M3: exponent bias 7, no infinity. The exponent is moved by a multiplication, which also
 * normalises subnormal numbers. */
static inline float float_of_e4m3(uint8_t c)
{
    const uint32_t magnitude = c & 0x7f, sign = (uint32_t)(c & 0x80) << 24;
    const uint32_t bits = bits_of_float(float_of_bits(magnitude << 20) * 0x1p120f);
    return float_of_bits((magnitude == 0x7f ? 0x7fc00000 : bits) | sign);
}

//% end
//% if used("e4m3_of_float")
/* To the nearest, ties to even; beyond 448: 448. */
static inline uint8_t e4m3_of_float(float x)
{
    const uint32_t sign = bits_of_float(x) >> 24 & 0x80, bits = bits_of_float(x) & 0x7fffffff;
    if (bits > 0x43e00000) {
        return (uint8_t)(sign | (bits > 0x7f800000 ? 0x7f : 0x7e));
    }
    if (bits < 0x3c800000) {
        /* Subnormal: the addition rounds at the right bit. */
        return (uint8_t)(sign | (bits_of_float(float_of_bits(bits) + 0x1p14f) - 0x46800000));
    }
    return (uint8_t)(sign | (bits + 0x7ffff + (bits >> 20 & 1) - 0x3c000000) >> 20);
}

//% end
