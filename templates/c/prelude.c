//# prelude.c - vectors of LANES floats and what the kernels need of them. `used(name)` is true when
//# the program so far mentions the name outside of comments; the emitter expands this file until
//# no further helper is wanted.
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
//% if used("vec_splat")
static inline VecF vec_splat(float x)
{
    return (VecF){${repeat("x", LANES)}};
}

//% end
//% if used("veci_splat")
static inline VecI veci_splat(int32_t x)
{
    return (VecI){${repeat("x", LANES)}};
}

//% end
//% if used("vec_load")
static inline VecF vec_load(const float *p)
{
    VecF v;
    memcpy(&v, p, sizeof v);
    return v;
}

//% end
//% if used("vec_store")
static inline void vec_store(float *p, VecF v)
{
    memcpy(p, &v, sizeof v);
}

//% end
//% if used("vec_load_n")
/* The first n of LANES floats, zeros behind. */
static inline VecF vec_load_n(const float *p, int64_t n)
{
    VecF v = {0};
    if (n >= LANES) {
        return vec_load(p);
    }
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

//% end
//% if used("vec_store_n")
static inline void vec_store_n(float *p, VecF v, int64_t n)
{
    if (n >= LANES) {
        vec_store(p, v);
        return;
    }
    memcpy(p, &v, (size_t)n * sizeof *p);
}

//% end
//% if used("vec_of_halves")
static inline VecU vec_of_halves(const uint16_t *p, int64_t n)
{
    VecH h = {0};
    memcpy(&h, p, n < LANES ? (size_t)n * sizeof *p : sizeof h);
    return __builtin_convertvector(h, VecU);
}

//% end
//% if used("vec_load_bf16")
static inline VecF vec_load_bf16(const uint16_t *p)
{
    VecH h;
    memcpy(&h, p, sizeof h);
    return (VecF)(__builtin_convertvector(h, VecU) << 16);
}

//% end
//% if used("vec_load_bf16_n")
static inline VecF vec_load_bf16_n(const uint16_t *p, int64_t n)
{
    return (VecF)(vec_of_halves(p, n) << 16);
}

//% end
//% if used("vec_of_f16")
static inline VecF vec_of_f16(VecH h)
{
    //% if avx512
    return (VecF)_mm512_cvtph_ps((__m256i)h);
    //% elif avx2
    return (VecF)_mm256_cvtph_ps((__m128i)h);
    //% else
    const VecU bits = __builtin_convertvector(h, VecU);
    const VecF magnitude = (VecF)((bits & 0x7fff) << 13) * vec_splat(0x1p112f);
    const VecU special = (VecU)((bits & 0x7c00) == 0x7c00) & 0x7f800000;
    return (VecF)((VecU)magnitude | special | (bits & 0x8000) << 16);
    //% end
}

//% end
//% if used("vec_load_f16")
static inline VecF vec_load_f16(const uint16_t *p)
{
    VecH h;
    memcpy(&h, p, sizeof h);
    return vec_of_f16(h);
}

//% end
//% if used("vec_load_f16_n")
static inline VecF vec_load_f16_n(const uint16_t *p, int64_t n)
{
    VecH h = {0};
    memcpy(&h, p, n < LANES ? (size_t)n * sizeof *p : sizeof h);
    return vec_of_f16(h);
}

//% end
//% if used("vec_load_u8")
/* The instruction by name: gcc 12 takes bytes that come by memcpy apart one by one. */
static inline VecI vec_load_u8(const uint8_t *p)
{
    //% if avx512
    return (VecI)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    //% elif avx2
    return (VecI)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
    //% else
    VecB c;
    memcpy(&c, p, sizeof c);
    return __builtin_convertvector(c, VecI);
    //% end
}

//% end
//% if used("vec_of_e4m3")
static inline VecF vec_of_e4m3(VecI byte)
{
    /* Widened with its sign, a code shifted by 20 has sign, exponent and mantissa in place. */
    const VecI code = (byte << 24) >> 4;
    const VecF v = (VecF)(code & (int32_t)0x87f00000) * 0x1p120f;
    const VecI is_nan = (code & 0x7f00000) == 0x7f00000;
    return (VecF)((VecI)v | (is_nan & 0x7fc00000));
}

//% end
//% if used("vec_load_e4m3")
static inline VecF vec_load_e4m3(const uint8_t *p)
{
    return vec_of_e4m3(vec_load_u8(p));
}

//% end
//% if used("vec_load_e4m3_n")
static inline VecF vec_load_e4m3_n(const uint8_t *p, int64_t n)
{
    uint8_t codes[LANES] = {0};
    memcpy(codes, p, n < LANES ? (size_t)n : sizeof codes);
    return vec_load_e4m3(codes);
}

//% end
//% if used("veci_load_i8")
static inline VecI veci_load_i8(const int8_t *p)
{
    //% if avx512
    return (VecI)_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
    //% elif avx2
    return (VecI)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
    //% else
    VecC c;
    memcpy(&c, p, sizeof c);
    return __builtin_convertvector(c, VecI);
    //% end
}

//% end
//% if used("vec_load_i8")
static inline VecF vec_load_i8(const int8_t *p)
{
    return __builtin_convertvector(veci_load_i8(p), VecF);
}

//% end
//% if used("vec_load_i8_n")
/* The first n of LANES codes, zeros behind. */
static inline VecF vec_load_i8_n(const int8_t *p, int64_t n)
{
    int8_t codes[LANES] = {0};
    memcpy(codes, p, n < LANES ? (size_t)n : sizeof codes);
    return vec_load_i8(codes);
}

//% end
//% if used("veci_load")
static inline VecI veci_load(const void *p)
{
    VecI v;
    memcpy(&v, p, sizeof v);
    return v;
}

//% end
//% if used("vec_gather")
/* LANES floats, `stride` apart. */
static inline VecF vec_gather(const float *p, int64_t stride)
{
    VecF v;
    for (int i = 0; i < LANES; i++) {
        v[i] = p[i * stride];
    }
    return v;
}

//% end
//% if used("vec_gather_f16")
static inline VecF vec_gather_f16(const uint16_t *p, int64_t stride)
{
    VecH h;
    for (int i = 0; i < LANES; i++) {
        h[i] = p[i * stride];
    }
    return vec_of_f16(h);
}

//% end
//% if used("vec_gather_u8")
static inline VecI vec_gather_u8(const uint8_t *p, int64_t stride)
{
    VecI v;
    for (int i = 0; i < LANES; i++) {
        v[i] = p[i * stride];
    }
    return v;
}

//% end
//% if used("vec_of_int")
static inline VecF vec_of_int(VecI v)
{
    return __builtin_convertvector(v, VecF);
}

//% end
//% if used("vec_fma")
/* a * b + c */
static inline VecF vec_fma(VecF a, VecF b, VecF c)
{
    //% if avx512
    return (VecF)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
    //% elif avx2
    return (VecF)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    //% elif neon
    return (VecF)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    //% else
    return a * b + c;
    //% end
}

//% end
//% if used("word_at")
/* 4 codes, or a pair of bf16, as they lie. */
static inline int32_t word_at(const void *p)
{
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

//% end
//% if used("vec_dot_bf16")
/* sum + the products of 2 bf16 of a with 2 of b, in each 32-bit lane. */
static inline VecF vec_dot_bf16(VecF sum, VecI a, VecI b)
{
    //% if vnni
    return (VecF)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
    //% else
    sum = vec_fma((VecF)(a << 16), (VecF)(b << 16), sum);
    return vec_fma((VecF)(a & -0x10000), (VecF)(b & -0x10000), sum);
    //% end
}

//% end
//% if used("vec_dot_u8s8")
/* sum + the products of 4 unsigned codes of a with 4 signed codes of b, in each 32-bit lane. */
static inline VecI vec_dot_u8s8(VecI sum, VecI a, VecI b)
{
    //% if vnni
    /* Not the intrinsic: gcc 12 keeps copies of sums around it and spills a register block. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
    //% elif avx2
    /* Even and odd bytes apart: sums of two 16-bit products fit, those of vpmaddubsw would not. */
    const __m256i x = (__m256i)a, y = (__m256i)b, low = _mm256_set1_epi16(0xff);
    const __m256i y_even = _mm256_srai_epi16(_mm256_slli_epi16(y, 8), 8);
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, low), y_even);
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(y, 8));
    return sum + (VecI)_mm256_add_epi32(even, odd);
    //% else
    //% for c in 0..4
    sum += (a >> ${8 * c} & 0xff) * (b << ${24 - 8 * c} >> 24);
    //% end
    return sum;
    //% end
}

//% end
//% if used("VEC_SHUFFLE")
/* Lanes of a (0 ..) and b (LANES ..) by number. */
#ifdef __clang__
#define VEC_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define VEC_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (VecI){__VA_ARGS__})
#endif

//% end
//% if used("vec_select")
/* a where the mask is set, else b. */
static inline VecF vec_select(VecI mask, VecF a, VecF b)
{
    return (VecF)((mask & (VecI)a) | (~mask & (VecI)b));
}

//% end
//% if used("vec_max")
static inline VecF vec_max(VecF a, VecF b)
{
    //% if avx512
    return (VecF)_mm512_max_ps((__m512)a, (__m512)b);
    //% elif avx2
    return (VecF)_mm256_max_ps((__m256)a, (__m256)b);
    //% else
    return vec_select(a > b, a, b);
    //% end
}

//% end
//% if used("vec_min")
static inline VecF vec_min(VecF a, VecF b)
{
    //% if avx512
    return (VecF)_mm512_min_ps((__m512)a, (__m512)b);
    //% elif avx2
    return (VecF)_mm256_min_ps((__m256)a, (__m256)b);
    //% else
    return vec_select(a < b, a, b);
    //% end
}

//% end
//% if used("vec_abs")
static inline VecF vec_abs(VecF a)
{
    return (VecF)((VecI)a & 0x7fffffff);
}

//% end
//% if used("vec_sum")
/* The sum of all lanes. */
static inline float vec_sum(VecF v)
{
    //% if avx512
    return _mm512_reduce_add_ps((__m512)v);
    //% elif avx2
    const __m128 upper = _mm256_extractf128_ps((__m256)v, 1);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)v), upper);
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    //% elif neon
    return vaddvq_f32((float32x4_t)v);
    //% else
    float sum = 0;
    for (int i = 0; i < LANES; i++) {
        sum += v[i];
    }
    return sum;
    //% end
}

//% end
//% if used("veci_sum")
/* The sum of all lanes. */
static inline int32_t veci_sum(VecI v)
{
    //% if avx512
    return _mm512_reduce_add_epi32((__m512i)v);
    //% elif avx2
    const __m128i upper = _mm256_extracti128_si256((__m256i)v, 1);
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128((__m256i)v), upper);
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
    //% elif neon
    return vaddvq_s32((int32x4_t)v);
    //% else
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++) {
        sum += v[i];
    }
    return sum;
    //% end
}

//% end
//% if used("vec_largest")
/* The largest lane. */
static inline float vec_largest(VecF v)
{
    //% if avx512
    return _mm512_reduce_max_ps((__m512)v);
    //% else
    float max = v[0];
    for (int i = 1; i < LANES; i++) {
        max = v[i] > max ? v[i] : max;
    }
    return max;
    //% end
}

//% end
//% if used("vec_exp")
/* e^x to about 1 ulp: 2^n * e^r with n the nearest integer to x / ln 2 and |r| <= ln 2 / 2, where
 * e^r is its Taylor polynomial of degree 7. Below -87 the result is 2^-126, not 0. */
static inline VecF vec_exp(VecF x)
{
    const VecF magic = vec_splat(0x1.8p23f);
    x = vec_min(vec_max(x, vec_splat(-87.33654f)), vec_splat(88.72283f));
    const VecF shifted = vec_fma(x, vec_splat(1.44269504f), magic);
    const VecF n = shifted - magic;
    const VecI half = ((VecI)shifted - (VecI)magic) >> 1;
    const VecI rest = (VecI)shifted - (VecI)magic - half;
    const VecF r = vec_fma(n, vec_splat(1.42860677e-6f), vec_fma(n, vec_splat(-0.693145752f), x));
    VecF p = vec_splat(1.0f / 5040);
    p = vec_fma(p, r, vec_splat(1.0f / 720));
    p = vec_fma(p, r, vec_splat(1.0f / 120));
    p = vec_fma(p, r, vec_splat(1.0f / 24));
    p = vec_fma(p, r, vec_splat(1.0f / 6));
    p = vec_fma(p, r, vec_splat(0.5f));
    p = vec_fma(p, r, vec_splat(1));
    p = vec_fma(p, r, vec_splat(1));
    return p * (VecF)((half + 127) << 23) * (VecF)((rest + 127) << 23);
}

//% end
//% if used("vec_tanh")
/* Near 0 its continued fraction, elsewhere 1 - 2 / (e^2x + 1). */
static inline VecF vec_tanh(VecF x)
{
    const VecF s = x * x;
    const VecF up = vec_fma(s, s + 105.0f, vec_splat(945)) * x;
    const VecF down = vec_fma(s, s * 15.0f + 420.0f, vec_splat(945));
    const VecF a = vec_abs(x);
    const VecF far = 1.0f - 2.0f / (vec_exp(a + a) + 1.0f);
    const VecF signed_far = (VecF)((VecI)far | ((VecI)x & (VecI)vec_splat(-0.0f)));
    return vec_select(a < 0.3f, up / down, signed_far);
}

//% end
//% if used("vec_erf")
/* Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7); below 0.5 the Taylor series. */
static inline VecF vec_erf(VecF x)
{
    const VecF a = vec_abs(x), s = x * x;
    const VecF t = 1.0f / vec_fma(a, vec_splat(0.3275911f), vec_splat(1));
    VecF p = vec_fma(t, vec_splat(1.061405429f), vec_splat(-1.453152027f));
    p = vec_fma(p, t, vec_splat(1.421413741f));
    p = vec_fma(p, t, vec_splat(-0.284496736f));
    p = vec_fma(p, t, vec_splat(0.254829592f));
    const VecF far = 1.0f - p * t * vec_exp(-s);
    const VecF signed_far = (VecF)((VecI)far | ((VecI)x & (VecI)vec_splat(-0.0f)));
    VecF q = vec_splat(1.0f / 216);
    q = vec_fma(q, s, vec_splat(-1.0f / 42));
    q = vec_fma(q, s, vec_splat(0.1f));
    q = vec_fma(q, s, vec_splat(-1.0f / 3));
    q = vec_fma(q, s, vec_splat(1));
    q = vec_fma(vec_splat(-1.0f / 1320) * s * s, s * s, q);
    return vec_select(a < 0.5f, q * x * 1.12837917f, signed_far);
}

//% end
//% if used("vec_silu")
static inline VecF vec_silu(VecF x)
{
    return x / (vec_exp(-x) + 1.0f);
}

//% end
//% if used("vec_gelu")
static inline VecF vec_gelu(VecF x)
{
    return x * 0.5f * (vec_erf(x * 0.707106781f) + 1.0f);
}

//% end
//% if used("vec_gelu_tanh")
static inline VecF vec_gelu_tanh(VecF x)
{
    /* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
    const VecF u = x * vec_fma(x * x, vec_splat(0.0356774081f), vec_splat(0.797884561f));
    return x / (vec_exp(u * -2.0f) + 1.0f);
}

//% end
//% if used("vec_relu")
static inline VecF vec_relu(VecF x)
{
    return vec_max(x, vec_splat(0));
}

//% end
//% if used("sum_of_squares")
static inline float sum_of_squares(const float *x, int64_t n)
{
    VecF sum = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF v = vec_load_n(x + i, n - i);
        sum = vec_fma(v, v, sum);
    }
    return vec_sum(sum);
}

//% end
//% if used("sum_of")
static inline float sum_of(const float *x, int64_t n)
{
    VecF sum = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        sum += vec_load_n(x + i, n - i);
    }
    return vec_sum(sum);
}

//% end
//% if used("largest_of")
/* max |x[i]| */
static inline float largest_of(const float *x, int64_t n)
{
    VecF max = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        max = vec_max(max, vec_abs(vec_load_n(x + i, n - i)));
    }
    return vec_largest(max);
}

//% end
//% if used("vec_store_i8_n")
/* The low bytes of the first n lanes. */
static inline void vec_store_i8_n(int8_t *p, VecI v, int64_t n)
{
    const VecB b = __builtin_convertvector(v, VecB);
    if (n >= LANES) {
        memcpy(p, &b, sizeof b);
        return;
    }
    memcpy(p, &b, (size_t)n);
}

//% end
//% if used("quantize_row")
/* code = x / scale to the nearest integer, ties to even; returns scale = max |x| / 127. */
static inline float quantize_row(int8_t *code, const float *x, int64_t n)
{
    const float scale = largest_of(x, n) / 127;
    const VecF by = vec_splat(scale > 0 ? scale : 1);
    for (int64_t i = 0; i < n; i += LANES) {
        /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
        const VecF shifted = vec_load_n(x + i, n - i) / by + 0x1.8p23f;
        vec_store_i8_n(code + i, (VecI)shifted - 0x4b400000, n - i);
    }
    return scale;
}

//% end
//% if used("quantize_row_e4m3")
/* code = x / scale to the nearest number of e4m3, ties to even, as a float; returns scale = max |x|
 * / 448. */
static inline float quantize_row_e4m3(float *code, const float *x, int64_t n)
{
    const float scale = largest_of(x, n) / 448;
    const VecF by = vec_splat(scale > 0 ? scale : 1);
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF v = vec_load_n(x + i, n - i) / by;
        const VecI bits = (VecI)v & 0x7fffffff, sign = (VecI)v & (int32_t)0x80000000;
        const VecI normal = (bits + 0x7ffff + ((bits >> 20) & 1)) & -0x100000;
        /* Subnormal: the addition rounds at the right bit. */
        const VecF small = ((VecF)bits + 0x1p14f) - 0x1p14f;
        const VecF rounded = vec_select((VecF)bits < 0x1p-6f, small, (VecF)normal);
        vec_store_n(code + i, (VecF)((VecI)vec_min(rounded, vec_splat(448)) | sign), n - i);
    }
    return scale;
}

//% end
//% if used("split_row")
/* x = unit * (128 * high + low) to the nearest, ties to even, with |high| <= 127 and low in
 * -64..63. Returns unit = max |x| / 16256. */
static inline float split_row(int8_t *high, int8_t *low, const float *x, int64_t n)
{
    const float unit = largest_of(x, n) / 16256, factor = unit > 0 ? 1 / unit : 0;
    for (int64_t i = 0; i < n; i += LANES) {
        /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
        const VecF shifted =
            vec_fma(vec_load_n(x + i, n - i), vec_splat(factor), vec_splat(0x1.8p23f));
        const VecI code = (VecI)shifted - 0x4b400000, rounded = (code + 64) >> 7;
        vec_store_i8_n(high + i, rounded, n - i);
        vec_store_i8_n(low + i, code - rounded * 128, n - i);
    }
    return unit;
}

//% end
//% if used("sum_of_planes")
/* The sum of 128 * high[i] + low[i]. */
static inline int32_t sum_of_planes(const int8_t *high, const int8_t *low, int64_t n)
{
    VecI sums = {0};
    int32_t sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sums += veci_load_i8(high + i) * 128 + veci_load_i8(low + i);
    }
    for (; i < n; i++) {
        sum += 128 * high[i] + low[i];
    }
    return sum + veci_sum(sums);
}

//% end
//% if used("sum_of_codes")
static inline int32_t sum_of_codes(const int8_t *code, int64_t n)
{
    VecI sums = {0};
    int32_t sum = 0;
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        sums = vec_dot_u8s8(sums, veci_splat(0x01010101), veci_load(code + i));
    }
    for (; i + LANES <= n; i += LANES) {
        sums += veci_load_i8(code + i);
    }
    for (; i < n; i++) {
        sum += code[i];
    }
    return sum + veci_sum(sums);
}

//% end
//% if used("fetch")
/* Asks for memory that is read soon. */
static inline void fetch(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch((const char *)p + i);
    }
}

//% end
//% if used("HIDDEN")
/* The score of a position that takes no part, and a maximum of none. */
#define HIDDEN -0x1p126f

//% end
//% if used("cap_scores")
/* cap * tanh(score) for n scores; whole vectors are written. */
static inline void cap_scores(float *score, int64_t n, float cap)
{
    for (int64_t i = 0; i < n; i += LANES) {
        vec_store(score + i, vec_tanh(vec_load(score + i)) * cap);
    }
}

//% end
//% if used("hide_scores")
/* All of n scores but those from `first` to `end` - 1. */
static inline void hide_scores(float *score, int64_t n, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < n && i < first; i++) {
        score[i] = HIDDEN;
    }
    for (int64_t i = end < 0 ? 0 : end; i < n; i++) {
        score[i] = HIDDEN;
    }
}

//% end
//% if used("soften")
/* n scores become weights e^(score - max), whole vectors are written; `max` and `total`, the sum of
 * the weights, go on from earlier scores. Returns what weights of the earlier maximum are worth. */
static inline float soften(float *score, int64_t n, float *max, float *total)
{
    const VecF hidden = vec_splat(HIDDEN);
    for (int64_t i = n; i % LANES != 0; i++) {
        score[i] = HIDDEN;
    }
    VecF most = vec_splat(*max), added = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        most = vec_max(most, vec_load(score + i));
    }
    const float new_max = vec_largest(most);
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF s = vec_load(score + i);
        const VecF e = vec_select(s > hidden, vec_exp(s - new_max), (VecF){0});
        vec_store(score + i, e);
        added += e;
    }
    const float shrink = vec_exp(vec_splat(*max - new_max))[0];
    *total = *total * shrink + vec_sum(added);
    *max = new_max;
    return shrink;
}

//% end
//% if used("multiply_add")
/* c[4][${VECTORS} vectors] += a[4][n] . b[n][${VECTORS} vectors]; rows lie `..._row` elements
 * apart. */
static void multiply_add(float *c, int64_t c_row, const float *a, int64_t a_row, const float *b,
                         int64_t b_row, int64_t n)
{
    //% for r in 0..4
    //% for j in 0..VECTORS
    VecF c${id(r, j)} = vec_load(c + ${r} * c_row + ${j} * LANES);
    //% end
    //% end
    for (int64_t k = 0; k < n; k++) {
        //% for j in 0..VECTORS
        const VecF b${j} = vec_load(b + k * b_row + ${j} * LANES);
        //% end
        //% for r in 0..4
        const VecF a${r} = vec_splat(a[${r} * a_row + k]);
        //% for j in 0..VECTORS
        c${id(r, j)} = vec_fma(a${r}, b${j}, c${id(r, j)});
        //% end
        //% end
    }
    //% for r in 0..4
    //% for j in 0..VECTORS
    vec_store(c + ${r} * c_row + ${j} * LANES, c${id(r, j)});
    //% end
    //% end
}

//% end
//% for s in 0..STAGES
//% if used("vec_lower_" + string(run(s)))
/* Of each two runs of ${run(s)} lanes the lower: a's, then b's. */
static inline VecF vec_lower_${run(s)}(VecF a, VecF b)
{
    return VEC_SHUFFLE(a, b, ${runs(s, 0)});
}

//% end
//% if used("vec_upper_" + string(run(s)))
/* Of each two runs of ${run(s)} lanes the upper: a's, then b's. */
static inline VecF vec_upper_${run(s)}(VecF a, VecF b)
{
    return VEC_SHUFFLE(a, b, ${runs(s, 1)});
}

//% end
//% end
//% if used("transpose")
/* to[j][i] = from[i][j] for LANES x LANES floats: runs of 1, 2, 4 ... lanes of two rows change
 * places. */
static void transpose(float *to, int64_t to_row, const float *from, int64_t from_row)
{
    //% for i in 0..LANES
    const VecF r${id(0, i)} = vec_load(from + ${i} * from_row);
    //% end
    //% for s in 0..STAGES
    //% for i in 0..LANES
    //% if floor(i / run(s)) % 2 == 0
    const VecF r${id(s + 1, i)} = vec_lower_${run(s)}(r${id(s, i)}, r${id(s, i + run(s))});
    //% else
    const VecF r${id(s + 1, i)} = vec_upper_${run(s)}(r${id(s, i - run(s))}, r${id(s, i)});
    //% end
    //% end
    //% end
    //% for i in 0..LANES
    vec_store(to + ${i} * to_row, r${id(STAGES, i)});
    //% end
}

//% end
//% if used("head_of_share")
/* The head that stands at `i` of all threads' shares: of q, then k, then v. Where key/value heads
 * divide evenly among threads a share has the k, the v and the q of some of them. */
static inline int64_t head_of_share(int64_t i, int heads, int kv_heads, int thread, int threads)
{
    if (kv_heads % threads != 0) {
        return i;
    }
    const int64_t own = kv_heads / threads, first = thread * own, group = heads / kv_heads;
    const int64_t at = i - first * (group + 2);
    return at < own * group         ? first * group + at
           : at < own * (group + 1) ? heads + first + at - own * group
                                    : heads + kv_heads + first + at - own * (group + 1);
}

//% end
//% if used("rotate_half")
/* RoPE of one head: pairs (i, i + n / 2); angles: n / 2 cosines, then as many sines. */
static inline void rotate_half(float *x, const float *angles, int n)
{
    for (int i = 0; i < n / 2; i++) {
        const float c = angles[i], s = angles[n / 2 + i], a = x[i], b = x[n / 2 + i];
        x[i] = a * c - b * s;
        x[n / 2 + i] = b * c + a * s;
    }
}

//% end
//% if used("rotate_adjacent")
/* RoPE of one head: pairs (2i, 2i + 1); angles: n / 2 cosines, then as many sines. */
static inline void rotate_adjacent(float *x, const float *angles, int n)
{
    for (int i = 0; i < n / 2; i++) {
        const float c = angles[i], s = angles[n / 2 + i], a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * c - b * s;
        x[2 * i + 1] = b * c + a * s;
    }
}

//% end
//% if used("lap")
/* Adds the time since *clock to a step's profile and starts the next. */
static void lap(const SinterRun *run, int thread, int step, uint64_t *clock)
{
    if (run->profile != NULL && thread == 0) {
        const uint64_t now = sinter_now_ns();
        run->profile[step] += now - *clock;
        *clock = now;
    }
}

//% end
