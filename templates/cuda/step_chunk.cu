/* ---- weights meet x ---------------------------------------------------------------------------
 */

//% if has_codes
/* Codes are multiplied as integers, exactly: x = unit * (128 * high + low), two int8 planes, unit
 * from the largest of 128 values, so that x is off by 2^-15 of it. Lane 4 g + i of a block of
 * weights has a quarter of its columns in rows g and g + 8; mma's column 0 is the high plane,
 * column 1 the low one, and lane 4 g gets the sums. Where groups are smaller than a block, column
 * 2 i is the high plane of quarter i and 0 elsewhere, column 2 i + 1 the low one: each lane gets
 * the sums of its own quarter. Four bits: bytes with the even columns' codes and with 16 times the
 * odd columns' are made by a mask each, no shift. */
enum { MOST = 16256, HIGH_FIRST = 0, LOW_FIRST = 64, ODD_FIRST = 128 }; /* bytes in a block's x */

/* Of a normal number, within two in the last place: no branch for others. */
__device__ __forceinline__ float reciprocal(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* The largest of a warp's values, four a lane, as bits: what is no number is larger than all. */
__device__ __forceinline__ float largest_of(const float f[4])
{
    uint32_t largest = __float_as_uint(1e-30f);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        largest = max(largest, __float_as_uint(f[j]) & 0x7fffffff);
    }
    return __uint_as_float(__reduce_max_sync(0xffffffffu, largest));
}

/* The sum of a quarter's 32 integers, or of 128: four a lane, in the low bits of 1.5 * 2^23 + i. */
template <bool WHOLE> __device__ __forceinline__ int sum_of(const uint32_t v[4])
{
    int sum = (int)(v[0] + v[1] + v[2] + v[3] - 4u * 0x4b400000u);
    if constexpr (WHOLE) {
        return __reduce_add_sync(0xffffffffu, sum);
    } else {
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        return sum + __shfl_xor_sync(0xffffffffu, sum, 4);
    }
}

/* Four columns' planes, from the k-th of this warp's x on. */
template <int BITS>
__device__ __forceinline__ void store_bytes(Shared *s, int warp, const uint32_t v[4], int k)
{
    uint8_t *x = (uint8_t *)s->x[warp];
    if constexpr (BITS == 4) {
        x += k / 128 * 256 + k % 128 / 2;
#pragma unroll
        for (int odd = 0; odd < 2; odd++) {
            const uint32_t a = v[odd], b = v[odd + 2];
            uint8_t *to = x + odd * ODD_FIRST;
            *(uint16_t *)(to + HIGH_FIRST) = (uint16_t)__byte_perm(a << 1, b << 1, 0x51);
            *(uint16_t *)(to + LOW_FIRST) = (uint16_t)(__byte_perm(a, b, 0x40) & 0x7f7f);
        }
    } else {
        x += k / 64 * 128 + k % 64;
        const uint32_t high0 = __byte_perm(v[0] << 1, v[1] << 1, 0x51);
        const uint32_t high1 = __byte_perm(v[2] << 1, v[3] << 1, 0x51);
        const uint32_t low0 = __byte_perm(v[0], v[1], 0x40), low1 = __byte_perm(v[2], v[3], 0x40);
        *(uint32_t *)(x + HIGH_FIRST) = __byte_perm(high0, high1, 0x5410);
        *(uint32_t *)(x + LOW_FIRST) = __byte_perm(low0, low1, 0x5410) & 0x7f7f7f7f;
    }
}

/* As store_x; every lane takes part. Both halves go through each step side by side: what a warp
 * does together takes 20 to 40 cycles. */
template <int P>
__device__ __forceinline__ void store_planes(Shared *s, int warp, const float f[2][4], int first,
                                             uint32_t mine)
{
    typedef Stored<P> S;
    const float most[2] = {largest_of(f[0]), largest_of(f[1])};
    uint32_t v[2][4];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const float per_unit = (float)MOST * reciprocal(most[i]);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            v[i][j] = __float_as_uint(fmaf(f[i][j], per_unit, 0x1.8p23f));
        }
    }
    int sum[2] = {};
    if constexpr (S::BITS == 4) {
        sum[0] = sum_of<(S::GROUP >= 128)>(v[0]), sum[1] = sum_of<(S::GROUP >= 128)>(v[1]);
    }
    constexpr float SHARE = S::BITS == 4 ? 1.0f / (16 * MOST) : 1.0f / MOST;
    constexpr int OFFSET = S::ZERO < 0 ? -16 : -16 * S::ZERO;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int k = first + i * 128;
        if (mine >> i & 1) {
            if (k % 32 == 0) {
                s->quarters[warp][k / 32] = {most[i] * SHARE, sum[i] * OFFSET};
            }
            store_bytes<S::BITS>(s, warp, v[i], k);
        }
    }
}

//% end
/* Columns first .. + 3 and first + 128 .. + 3 of this warp's x, as its weights are to meet them;
 * bits of `mine`: they are there. */
template <int P>
__device__ __forceinline__ void store_x(Shared *s, int warp, const float f[2][4], int first,
                                        uint32_t mine)
{
    //% if has_codes
    if constexpr (Stored<P>::BITS < 16) {
        store_planes<P>(s, warp, f, first, mine);
    } else
    //% end
    {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (mine >> i & 1) {
                *(uint2 *)(s->x[warp] + first + i * 128) =
                    make_uint2(bf16_pair(f[i][0], f[i][1]), bf16_pair(f[i][2], f[i][3]));
            }
        }
    }
}

/* What a warp needs of a slot, in registers: loaded while the one before is multiplied. Columns: x
 * that the slot's weights meet, in the lanes with a column of mma that is for somebody; the others
 * keep zeros. Rows g and g + 8 of a block are in lane 4 g + i; acc[0][0] and acc[0][2] are their
 * sums, or, for codes, the lane's part of them. */
template <int P, int BITS = Stored<P>::BITS> struct Chunk;
template <int P, int BITS = Stored<P>::BITS> struct Columns;
//% if has_bf16

template <int P> struct Columns<P, 16> {
    uint4 x[CHUNK];

    __device__ __forceinline__ void load(const Shared *s, int warp, int lane, int row)
    {
        const uint16_t *xs = s->x[warp] + lane % 4 * 8 + row * CHUNK * 32;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            if (lane < 4) {
                x[b] = *(const uint4 *)(xs + b * 32);
            }
        }
    }
};

template <int P> struct Chunk<P, 16> : Weights {
    __device__ __forceinline__ void multiply(float acc[2][4], const Columns<P> &columns) const
    {
        Weights::multiply(acc, columns.x);
    }

    static __device__ __forceinline__ float2 join(const float acc[2][4])
    {
        return make_float2(acc[0][0] + acc[1][0], acc[0][2] + acc[1][2]);
    }
};
//% end
//% if has_i8

template <int P> struct Columns<P, 8> {
    static_assert(CHUNK * 64 <= 128, "a chunk meets one unit");
    uint4 x[CHUNK];
    float unit;

    __device__ __forceinline__ void load(const Shared *s, int warp, int lane, int row)
    {
        const uint8_t *xs = (const uint8_t *)s->x[warp] + row * CHUNK * 128 + lane / 4 % 2 * 64;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            if (lane < 8) {
                x[b] = *(const uint4 *)(xs + b * 128 + lane % 4 * 16);
            }
        }
        unit = s->quarters[warp][row * CHUNK * 2].unit;
    }
};

template <int P> struct Chunk<P, 8> : Words {
    __device__ __forceinline__ void multiply(float acc[2][4], const Columns<P> &columns) const
    {
        int sum[2][4] = {};
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            const uint4 l = low[b], h = high[b], x = columns.x[b];
            mma_s8(sum[0], make_uint4(l.x, h.x, l.y, h.y), x.x, x.y);
            mma_s8(sum[1], make_uint4(l.z, h.z, l.w, h.w), x.z, x.w);
        }
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            const int high_sum = sum[0][j] + sum[1][j], low_sum = sum[0][j + 1] + sum[1][j + 1];
            acc[0][j] += columns.unit * (float)(high_sum * 128 + low_sum);
        }
    }

    static __device__ __forceinline__ float2 join(const float acc[2][4])
    {
        return make_float2(acc[0][0], acc[0][2]);
    }
};
//% end
//% if has_u4

template <int P> struct Columns<P, 4> {
    enum { WHOLE = Stored<P>::GROUP >= 128 };
    uint4 even[CHUNK], odd[CHUNK];
    Quarter quarter[CHUNK];

    __device__ __forceinline__ void load(const Shared *s, int warp, int lane, int row)
    {
        const int g = lane / 4, i4 = lane % 4;
        const uint8_t *xs = (const uint8_t *)s->x[warp] + row * CHUNK * 256 + g % 2 * 64 + i4 * 16;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            if (WHOLE ? g < 2 : g / 2 == i4) {
                even[b] = *(const uint4 *)(xs + b * 256);
                odd[b] = *(const uint4 *)(xs + b * 256 + ODD_FIRST);
            }
            quarter[b] = s->quarters[warp][(row * CHUNK + b) * 4 + (WHOLE ? 0 : i4)];
        }
    }
};

template <int P> struct Chunk<P, 4> {
    typedef Stored<P> S;
    uint4 low[CHUNK], high[CHUNK];
    uint16_t scale[CHUNK][2];
    uint8_t zero[CHUNK][2];

    __device__ __forceinline__ void load(const Shared *s, int slot, int warp, int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
        const uint8_t *from = s->ring[slot] + warp * CHUNK * 1024 + lane * 16;
        const uint8_t *scales = s->ring[slot] + CHUNK * 8192;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            low[b] = *(const uint4 *)(from + b * 1024);
            high[b] = *(const uint4 *)(from + b * 1024 + 512);
            const int group = ((warp * CHUNK + b) * 128 + i4 * 32) / S::GROUP;
            scale[b][0] = ((const uint16_t *)scales)[group * 16 + g];
            scale[b][1] = ((const uint16_t *)scales)[group * 16 + g + 8];
            if constexpr (S::ZERO < 0) {
                zero[b][0] = scales[Shape<P>::SLOT_SCALES + group * 16 + g];
                zero[b][1] = scales[Shape<P>::SLOT_SCALES + group * 16 + g + 8];
            }
        }
    }

    __device__ __forceinline__ uint32_t come(void) const
    {
        uint32_t bits = 0;
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            bits ^= low[b].x ^ high[b].x ^ scale[b][0] ^ scale[b][1];
            if constexpr (S::ZERO < 0) {
                bits ^= zero[b][0] ^ zero[b][1];
            }
        }
        return bits;
    }

    /* The even columns' codes of two words from each row, and 16 times the odd ones'. */
    static __device__ __forceinline__ uint4 codes_of(uint32_t l0, uint32_t h0, uint32_t l1,
                                                     uint32_t h1, uint32_t mask)
    {
        return make_uint4(l0 & mask, h0 & mask, l1 & mask, h1 & mask);
    }

    __device__ __forceinline__ void multiply(float acc[2][4], const Columns<P> &x) const
    {
        enum : uint32_t { EVEN = 0x0f0f0f0f, ODD = 0xf0f0f0f0 };
        int sum[CHUNK][4] = {}, sum16[CHUNK][4] = {};
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            const uint4 l = low[b], h = high[b];
            mma_u8s8(sum[b], codes_of(l.x, h.x, l.y, h.y, EVEN), x.even[b].x, x.even[b].y);
            mma_u8s8(sum16[b], codes_of(l.x, h.x, l.y, h.y, ODD), x.odd[b].x, x.odd[b].y);
        }
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
            const uint4 l = low[b], h = high[b];
            mma_u8s8(sum[b], codes_of(l.z, h.z, l.w, h.w, EVEN), x.even[b].z, x.even[b].w);
            mma_u8s8(sum16[b], codes_of(l.z, h.z, l.w, h.w, ODD), x.odd[b].z, x.odd[b].w);
        }
#pragma unroll
        for (int b = 0; b < CHUNK; b++) {
#pragma unroll
            for (int j = 0; j < 4; j += 2) {
                const int high_sum = sum[b][j] * 16 + sum16[b][j];
                const int low_sum = sum[b][j + 1] * 16 + sum16[b][j + 1];
                const int offset = x.quarter[b].sum * (S::ZERO < 0 ? zero[b][j / 2] : 1);
                acc[0][j] += (float)(low_sum + offset + high_sum * 128) *
                             (x.quarter[b].unit * float_of_f16(scale[b][j / 2]));
            }
        }
    }

    /* Groups smaller than a block: the other lanes' parts. */
    static __device__ __forceinline__ float2 join(const float acc[2][4])
    {
        float2 sum = make_float2(acc[0][0], acc[0][2]);
        if constexpr (!Columns<P>::WHOLE) {
#pragma unroll
            for (int step = 1; step < 4; step *= 2) {
                sum.x += __shfl_xor_sync(0xffffffffu, sum.x, step);
                sum.y += __shfl_xor_sync(0xffffffffu, sum.y, step);
            }
        }
        return sum;
    }
};
//% end
