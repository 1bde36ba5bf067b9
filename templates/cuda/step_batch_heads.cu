/* ---- a head's queries meet 16 positions -------------------------------------------------------
 */

/* A warp's part of one kv head of a sequence: its queries are the rows of a tile, 16 positions at a
 * time. Lane 4 g + i has 16 bytes of key g, and of values 2 i, 2 i + 1, 2 i + 8, 2 i + 9. */
struct Heads {
    enum { KEYS = HEAD_DIM / 32, VALUES = HEAD_DIM / 64 };
    uint4 key[2][KEYS], value[4][VALUES];
    float out[HEAD_DIM / 8][2], max, sum;

    __device__ __forceinline__ void clear(void)
    {
#pragma unroll
        for (int i = 0; i < HEAD_DIM / 8; i++) {
            out[i][0] = out[i][1] = 0;
        }
        max = -1e30f, sum = 0;
    }

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
                value[j][h] = *(const uint4 *)(v + (size_t)at * HEAD_DIM + h * 64 + g * 8);
            }
        }
    }

    /* Scores of the 16 positions as powers of two below a new maximum. */
    __device__ __forceinline__ float score(float s[2][2], const uint4 q[KEYS], int first, int end,
                                           int i4)
    {
        const float scale = (float)${score_scale};
        float most = max;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            s[n][0] = s[n][1] = 0;
#pragma unroll
            for (int p = 0; p < KEYS; p++) {
                mma_upper(s[n], q[p].x, q[p].y, key[n][p].x, key[n][p].y);
                mma_upper(s[n], q[p].z, q[p].w, key[n][p].z, key[n][p].w);
            }
#pragma unroll
            for (int j = 0; j < 2; j++) {
                s[n][j] = first + n * 8 + i4 * 2 + j < end ? s[n][j] * scale : -1e30f;
                most = fmaxf(most, s[n][j]);
            }
        }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const float shrink = exp2f(max - most);
        max = most;
        sum *= shrink;
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                s[n][j] = exp2f(s[n][j] - most);
                sum += s[n][j];
            }
        }
        return shrink;
    }

    __device__ __forceinline__ void add(const uint4 q[KEYS], int first, int end, int lane)
    {
        float s[2][2];
        const float shrink = score(s, q, first, end, lane % 4);
        const uint32_t p0 = bf16_pair(s[0][0], s[0][1]), p1 = bf16_pair(s[1][0], s[1][1]);
#pragma unroll
        for (int h = 0; h < VALUES; h++) {
#pragma unroll
            for (int d = 0; d < 8; d++) {
                float *o = out[h * 8 + d];
                o[0] *= shrink, o[1] *= shrink;
                const uint32_t pick = d % 2 == 0 ? 0x5410 : 0x7632;
                mma_upper(o, p0, p1,
                          __byte_perm(word(value[0][h], d / 2), word(value[1][h], d / 2), pick),
                          __byte_perm(word(value[2][h], d / 2), word(value[3][h], d / 2), pick));
            }
        }
    }

    /* This warp's maximum, sum and outputs beside those of the others. */
    __device__ __forceinline__ void leave(Shared *s, int warp, int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (i4 == 0) {
            s->attention.max[warp][g] = max, s->attention.sum[warp][g] = sum;
        }
        if (g < GROUP) {
#pragma unroll
            for (int i = 0; i < HEAD_DIM / 8; i++) {
                const int d = i / 8 * 64 + i4 * 16 + i % 8;
                s->attention.out[warp][g][d] = out[i][0];
                s->attention.out[warp][g][d + 8] = out[i][1];
            }
        }
    }
};
