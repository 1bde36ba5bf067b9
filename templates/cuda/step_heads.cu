/* ---- a head's queries meet 16 positions -------------------------------------------------------
 */

/* 16 positions in a warp: lane 4 g + i has 16 bytes of key g, and of values 2 i, 2 i + 1, 2 i + 8,
 * 2 i + 9. */
struct Positions {
    enum { KEYS = HEAD_DIM / 32, VALUES = HEAD_DIM / 64, BYTES = HEAD_DIM * 2 };
    uint4 key[2][KEYS], value[VALUES][4]; /* values: of 64 dims each */

    //% if batch
    /* 16 positions from `first` on, those from `end` on replaced by the last one before it. */
    __device__ __forceinline__ void load(const uint16_t *k, const uint16_t *v, int first, int end,
                                         int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            const int at = min(first + n * 8 + g, end - 1);
#pragma unroll
            for (int p = 0; p < KEYS; p++) {
                key[n][p] = *(const uint4 *)(k + (size_t)at * HEAD_DIM + p * 32 + i4 * 8);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int at = min(first + i4 * 2 + j % 2 + j / 2 * 8, end - 1);
#pragma unroll
            for (int h = 0; h < VALUES; h++) {
                value[h][j] = *(const uint4 *)(v + (size_t)at * HEAD_DIM + h * 64 + g * 8);
            }
        }
    }
    //% else
    /* Keys of 16 positions, in a slot. Rows begin in the same bank: those of odd g are read with
     * their halves of 128 bytes in the other order. Returns bits of all that was loaded. */
    __device__ __forceinline__ uint32_t load_keys(const uint8_t *from, int lane)
    {
        const int g = lane / 4, odd = g % 2;
        uint32_t come = 0;
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int p = 0; p < KEYS; p += 2) {
                const uint8_t *at = from + (n * 8 + g) * BYTES + p * 64 + lane % 4 * 16;
                const uint4 near = *(const uint4 *)(at + odd * 64);
                const uint4 far = *(const uint4 *)(at + (odd ^ 1) * 64);
                key[n][p] = odd ? far : near;
                key[n][p + 1] = odd ? near : far;
                come ^= near.x ^ far.x;
            }
        }
        return come;
    }

    /* 16 bytes, word by word: the four lanes of a g, which have rows of their own, in turn. */
    static __device__ __forceinline__ uint4 load_turned(const uint8_t *from, int i4)
    {
        uint32_t w[4];
#pragma unroll
        for (int t = 0; t < 4; t++) {
            w[t] = *(const uint32_t *)(from + (i4 + t) % 4 * 4);
        }
        const bool odd = i4 % 2 != 0;
        const uint32_t a = odd ? w[3] : w[0], b = odd ? w[0] : w[1];
        const uint32_t c = odd ? w[1] : w[2], d = odd ? w[2] : w[3];
        return i4 < 2 ? make_uint4(a, b, c, d) : make_uint4(c, d, a, b);
    }

    /* Values of 16 positions; zeros where there are fewer: a slot may hold anything. */
    __device__ __forceinline__ uint32_t load_values(const uint8_t *from, int count, int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
        uint32_t come = 0;
#pragma unroll
        for (int h = 0; h < VALUES; h++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int row = j % 2 + j / 2 * 8;
                const bool there = i4 * 2 + row < count;
                const uint8_t *at = from + i4 * 2 * BYTES + g * 16 + row * BYTES + h * 128;
                const uint4 v = load_turned(at, i4);
                come ^= v.x ^ v.y ^ v.z ^ v.w;
                value[h][j] = there ? v : make_uint4(0, 0, 0, 0);
            }
        }
        return come;
    }
    //% end
};

/* A warp's part of one kv head. Lane 4 g + i has query g's maximum and its part of its sum, and
 * outputs of queries 2 i and 2 i + 1: dims h * 64 + g * 8 + 2 k and + 1 in out[4 h + k]. */
struct Heads {
    enum { KEYS = Positions::KEYS, QUADS = HEAD_DIM / 16 };
    float out[QUADS][4], max, sum, shrink;
    uint32_t part[2];

    __device__ __forceinline__ void clear(void)
    {
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            out[i][0] = out[i][1] = out[i][2] = out[i][3] = 0;
        }
        max = -1e30f, sum = 0;
    }

    /* Of queries 2 i and 2 i + 1, what lane 4 g + i has of query g. */
    static __device__ __forceinline__ float2 of_outputs(float x, int lane)
    {
        const int from = lane % 4 * 8;
        return make_float2(__shfl_sync(0xffffffffu, x, from),
                           __shfl_sync(0xffffffffu, x, from + 4));
    }

    /* Scores of the positions as powers of two below a new maximum: what parts of the values are
     * to be added, and how much all before shrinks. */
    __device__ __forceinline__ void weigh(const Positions &at, const uint4 q[KEYS], int first,
                                          int end, int lane)
    {
        const float scale = (float)${score_scale};
        float s[2][2], most = max;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            float sums[2][2] = {};
#pragma unroll
            for (int p = 0; p < KEYS; p++) {
                const uint4 key = at.key[n][p];
                mma_upper(sums[0], q[p].x, q[p].y, key.x, key.y);
                mma_upper(sums[1], q[p].z, q[p].w, key.z, key.w);
            }
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const bool there = first + n * 8 + lane % 4 * 2 + j < end;
                s[n][j] = there ? (sums[0][j] + sums[1][j]) * scale : -1e30f;
                most = fmaxf(most, s[n][j]);
            }
        }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        shrink = exp2f(max - most);
        max = most;
        sum *= shrink;
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                s[n][j] = exp2f(s[n][j] - most);
                sum += s[n][j];
            }
            part[n] = bf16_pair(s[n][0], s[n][1]);
        }
    }

    /* Values' dims are the rows, queries the columns. */
    __device__ __forceinline__ void mix(const Positions &at, int lane)
    {
        const float2 less = of_outputs(shrink, lane);
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            const uint4 *v = at.value[i / 4];
            const uint32_t a = word(v[0], i % 4), b = word(v[1], i % 4);
            const uint32_t c = word(v[2], i % 4), d = word(v[3], i % 4);
            float *o = out[i];
            o[0] *= less.x, o[1] *= less.y, o[2] *= less.x, o[3] *= less.y;
            mma_bf16(o,
                     make_uint4(__byte_perm(a, b, 0x5410), __byte_perm(a, b, 0x7632),
                                __byte_perm(c, d, 0x5410), __byte_perm(c, d, 0x7632)),
                     part[0], part[1]);
        }
    }

    //% if batch == false
    /* One position: the lane has what of its key it needs, and dims g * 8 .. + 7 of each 64 of its
     * values in pairs. */
    __device__ __forceinline__ void add(const uint4 q[KEYS], const uint4 key[KEYS],
                                        const uint32_t value[QUADS], int lane)
    {
        float s = 0;
#pragma unroll
        for (int p = 0; p < KEYS; p++) {
            float x[8], y[8];
            floats_of_bf16x8(x, q[p]), floats_of_bf16x8(y, key[p]);
#pragma unroll
            for (int e = 0; e < 8; e++) {
                s += x[e] * y[e];
            }
        }
        s += __shfl_xor_sync(0xffffffffu, s, 1);
        s += __shfl_xor_sync(0xffffffffu, s, 2);
        s *= (float)${score_scale};
        const float most = fmaxf(max, s), shrunk = exp2f(max - most), part = exp2f(s - most);
        max = most;
        sum = sum * shrunk + (lane % 4 == 0 ? part : 0);
        const float2 less = of_outputs(shrunk, lane), weight = of_outputs(part, lane);
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            const float low = low_of(value[i]), high = high_of(value[i]);
            float *o = out[i];
            o[0] = o[0] * less.x + weight.x * low, o[1] = o[1] * less.y + weight.y * low;
            o[2] = o[2] * less.x + weight.x * high, o[3] = o[3] * less.y + weight.y * high;
        }
    }

    //% end
    /* This warp's maximum, sum and outputs for the others. */
    __device__ __forceinline__ void leave(Partial *to, int lane)
    {
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane % 4 == 0) {
            to->max[lane / 4] = max, to->sum[lane / 4] = sum;
        }
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const int query = lane % 4 * 2 + j;
            if (query < GROUP) {
#pragma unroll
                for (int i = 0; i < QUADS; i += 2) {
                    *(float4 *)&to->out[query][i / 4 * 32 + lane / 4 * 4 + i % 4] =
                        make_float4(out[i][j], out[i][j + 2], out[i + 1][j], out[i + 1][j + 2]);
                }
            }
        }
    }
};
