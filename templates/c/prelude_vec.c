//# prelude_vec.c - vectors of LANES elements: made, loaded and stored in every dtype.
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
