//# prelude_math.c - arithmetic on vectors: products, sums over lanes, exp and what follows from it.
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
    /* Not the intrinsic: gcc 12 keeps copies of sums around it and spills a register block. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

//% end
//% if used("vec_dot_u4s8")
/* The same for codes of a from 0 to 15: two products fit 16 bits. */
static inline VecI vec_dot_u4s8(VecI sum, VecI a, VecI b)
{
    //% if avx512
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)a, (__m512i)b);
    return sum + (VecI)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
    //% else
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)a, (__m256i)b);
    return sum + (VecI)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    //% end
}

//% end
//% if used("vec_dot_s8s8")
/* The same for signed codes, none of them -128: two products fit 16 bits. */
static inline VecI vec_dot_s8s8(VecI sum, VecI a, VecI b)
{
    //% if avx512
    const __m512i x = (__m512i)a, y = (__m512i)b;
    const __mmask64 negative = _mm512_movepi8_mask(x);
    const __m512i turned = _mm512_mask_sub_epi8(y, negative, _mm512_setzero_si512(), y);
    const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(x), turned);
    return sum + (VecI)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
    //% elif avx2
    const __m256i x = (__m256i)a;
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8((__m256i)b, x));
    return sum + (VecI)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    //% elif dotprod
    return (VecI)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)b);
    //% elif neon
    const int8x16_t x = (int8x16_t)a, y = (int8x16_t)b;
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    return (VecI)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, vmull_high_s8(x, y)));
    //% else
    //% for c in 0..4
    sum += (a << ${24 - 8 * c} >> 24) * (b << ${24 - 8 * c} >> 24);
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
