//# random.cu - random weights made where they are wanted, byte for byte those of
//# runtime/weights_random.c, which says what the kinds are. `seed` has the tensor's number in it.
/* One of 2^64 well mixed numbers for each x: runtime/random.h. */
__device__ inline uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* -128 in a byte becomes -127. */
__device__ inline uint64_t without_minimum(uint64_t r)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f, flipped = r ^ ~low;
    return r + (~(((flipped & low) + low) | flipped | low) >> 7);
}

/* The NaN of e4m3, 0x7f and 0xff, becomes one less. */
__device__ inline uint64_t without_nan(uint64_t r)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f;
    return r - ((((r & low) + 0x0101010101010101) & ~low) >> 7);
}

/* The float with index i of a block of weights ('f'), gains ('g') or scales ('s'). */
__device__ inline float random_float(int kind, float scale, uint64_t key, const float *quantile)
{
    const float z = quantile[mixed(key) >> 52];
    return kind == 'g'   ? __fadd_rn(1, __fmul_rn(0.05f, z))
           : kind == 's' ? __fmul_rn(scale > 0 ? scale : 1, __fadd_rn(1, __fmul_rn(0.1f, z)))
                         : __fmul_rn(scale, z);
}

/* Eight bytes at byte `at` of a block with this key. */
__device__ inline uint64_t random_word(int kind, float scale, uint64_t key, uint64_t at,
                                       const float *quantile)
{
    const uint64_t r = mixed(key + at);
    uint64_t word = 0;
    switch (kind) {
    case 'b':
    case 'h':
    case 'B':
    case 'H':
    case 'S':
        for (int i = 0; i < 4; i++) {
            const float z = quantile[r >> 16 * i & 4095];
            const bool gain = kind == 'B' || kind == 'H', bf16 = kind == 'b' || kind == 'B';
            const float x = kind == 'S' ? __fmul_rn(scale, __fadd_rn(1, __fmul_rn(0.1f, z)))
                            : gain      ? __fadd_rn(1, __fmul_rn(0.05f, z))
                                        : __fmul_rn(z, scale);
            word |= (uint64_t)(bf16 ? bf16_of_float(x) : f16_of_float(x)) << 16 * i;
        }
        return word;
    case 'c':
        return r;
    case 'i':
        return without_minimum(r);
    case 'e':
        return without_nan(r);
    case 'z':
        for (int i = 0; i < 8; i++) {
            word |= (7 + (mixed(key + at + i) & 1)) << 8 * i;
        }
        return word;
    default:
        for (int i = 0; i < 2; i++) {
            const float x = random_float(kind, scale, key + at / 4 + i, quantile);
            word |= (uint64_t)__float_as_uint(x) << 32 * i;
        }
        return word;
    }
}

${launch("1024", 1, 256)};
void ${name}(${params})
{
    enum { BLOCK = 1 << 20 };
    const uint64_t step = (uint64_t)gridDim.x * 256 * 8;
    for (uint64_t at = ((uint64_t)blockIdx.x * 256 + threadIdx.x) * 8; at < bytes; at += step) {
        const uint64_t block = at / BLOCK * BLOCK;
        const uint64_t word = random_word(kind, scale, mixed(seed + block), at - block, quantile);
        for (int i = 0; i < 8 && at + i < bytes; i++) {
            to[at + i] = (uint8_t)(word >> 8 * i);
        }
    }
}
