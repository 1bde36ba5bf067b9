// attention_decode.cuh - one token's attention over its cache: RoPE on q and k, append, softmax(q .
// k) . v.
//
//   A cluster of SPLITS CTAs takes one key/value head of one sequence; chunks of 16 positions go
//   round all its warps. The GROUP query heads of that head are the rows of one mma tile, so K and
//   V are read once for all of them, straight from global memory into fragments (lane 4 * g + i:
//   16 bytes of key g; of values 2i, 2i + 1, 2i + 8, 2i + 9). Partial (max, sum, out) of the warps
//   meet in shared memory, those of the CTAs through distributed shared memory, in a fixed order.
//   The first chunk is read before pdl_wait: older positions were written by earlier steps.
#pragma once
#include "device.cuh"

template <class C> struct Attention {
    enum {
        D = C::D,
        G = C::G,
        PARTS = D / 32,  // 16-byte parts of a key that a lane holds
        HALVES = D / 64, // of a value
        OUT = G * D,
    };
    uint4 key[2][PARTS], value[4][HALVES];
    float out[D / 8][2], max, sum;

    __device__ __forceinline__ void clear(void)
    {
#pragma unroll
        for (int i = 0; i < D / 8; i++) {
            out[i][0] = out[i][1] = 0;
        }
        max = -1e30f, sum = 0;
    }

    // 16 positions from `first` on, those from `valid` on replaced by the last one before it.
    __device__ __forceinline__ void load(const u16 *k, const u16 *v, int first, int valid, int lane)
    {
        const int g = lane / 4, i4 = lane % 4;
#pragma unroll
        for (int n = 0; n < 2; n++) {
            const int at = min(first + n * 8 + g, valid - 1);
#pragma unroll
            for (int p = 0; p < PARTS; p++) {
                key[n][p] = *(const uint4 *)(k + (size_t)at * D + p * 32 + i4 * 8);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int at = min(first + i4 * 2 + j % 2 + j / 2 * 8, valid - 1);
#pragma unroll
            for (int h = 0; h < HALVES; h++) {
                value[j][h] = *(const uint4 *)(v + (size_t)at * D + h * 64 + g * 8);
            }
        }
    }

    __device__ __forceinline__ void add(const uint4 q[PARTS], int first, int valid, float scale,
                                        int lane)
    {
        const int i4 = lane % 4;
        float s[2][2] = {};
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int p = 0; p < PARTS; p++) {
                mma_upper(s[n], q[p].x, q[p].y, key[n][p].x, key[n][p].y);
                mma_upper(s[n], q[p].z, q[p].w, key[n][p].z, key[n][p].w);
            }
        }
        float most = max;
#pragma unroll
        for (int n = 0; n < 2; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int at = first + n * 8 + i4 * 2 + j;
                s[n][j] = at < valid ? s[n][j] * scale : -1e30f;
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
        const u32 p0 = bf16_pair(s[0][0], s[0][1]), p1 = bf16_pair(s[1][0], s[1][1]);
#pragma unroll
        for (int h = 0; h < HALVES; h++) {
#pragma unroll
            for (int d = 0; d < 8; d++) {
                float *o = out[h * 8 + d];
                o[0] *= shrink, o[1] *= shrink;
                const u32 pick = d % 2 == 0 ? 0x5410 : 0x7632;
                mma_upper(o, p0, p1,
                          __byte_perm(word(value[0][h], d / 2), word(value[1][h], d / 2), pick),
                          __byte_perm(word(value[2][h], d / 2), word(value[3][h], d / 2), pick));
            }
        }
    }

    static __device__ __forceinline__ u32 word(const uint4 &v, int i)
    {
        return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
    }
};

// qkv: bf16[T, (HEADS + 2 KV_HEADS) * D]; angles: f32[T, D], cos then sin; caches
// [KV_HEADS][CONTEXT][D] of sequence t at cache + t * sequence_stride elements; out: bf16[T, HEADS
// * D].
template <class C>
__global__ void __launch_bounds__(C::WARPS * 32)
    attention_decode(const u16 *qkv, const float *angles, const int *pos, u16 *k_cache,
                     u16 *v_cache, size_t sequence_stride, u16 *out)
{
    typedef Attention<C> A;
    enum {
        D = C::D,
        G = C::G,
        WARPS = C::WARPS,
        SPLITS = C::SPLITS,
        KV = C::KV_HEADS,
        HEADS = KV * G
    };
    enum { ROW = (HEADS + 2 * KV) * D };
    __shared__ __align__(16) u16 q_s[8][D + 32];
    __shared__ __align__(16) u16 k_s[D], v_s[D];
    __shared__ float w_out[WARPS][G][D], w_max[WARPS][8], w_sum[WARPS][8];
    __shared__ float c_out[G][D], c_max[8], c_sum[8];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    const int split = blockIdx.x % SPLITS, head = blockIdx.x / SPLITS % KV,
              t = blockIdx.x / SPLITS / KV;
    const int at = pos[t]; // host input of the step, not a kernel's result
    u16 *k = k_cache + t * sequence_stride + (size_t)head * C::CONTEXT * D;
    u16 *v = v_cache + t * sequence_stride + (size_t)head * C::CONTEXT * D;
    A a;
    a.clear();
    int first = (split + warp * SPLITS) * 16;
    if (first < at) {
        a.load(k, v, first, at, lane);
    }
    pdl_wait();
    pdl_launch(); // not before: this kernel is not on every SM, so the next one would gather on
                  // some

    // Rotated q of the group, rows from G on zero; the new k and v.
    const u16 *row = qkv + (size_t)t * ROW;
    for (int e = threadIdx.x; e < (8 + 2) * D / 2; e += WARPS * 32) {
        const int d = e % (D / 2), what = e / (D / 2);
        if (what < G || what == 8) {
            const u16 *from = row + (what < G ? head * G + what : HEADS + head) * D;
            u16 *to = what < G ? q_s[what] : k_s;
            const float c = angles[t * D + d], s = angles[t * D + D / 2 + d];
            const float lo = bf16_to_f32(load_fresh_u16(from + d));
            const float hi = bf16_to_f32(load_fresh_u16(from + d + D / 2));
            to[d] = bf16_of(lo * c - hi * s);
            to[d + D / 2] = bf16_of(hi * c + lo * s);
        } else if (what == 9) {
            const u16 *from = row + (HEADS + KV + head) * D;
            v_s[d] = load_fresh_u16(from + d);
            v_s[d + D / 2] = load_fresh_u16(from + d + D / 2);
        } else {
            q_s[what][d] = 0, q_s[what][d + D / 2] = 0;
        }
    }
    __syncthreads();
    if (split == 0 && at >= 0) {
        for (int e = threadIdx.x; e < D; e += WARPS * 32) {
            k[(size_t)at * D + e] = k_s[e];
            v[(size_t)at * D + e] = v_s[e];
        }
    }
    uint4 q[A::PARTS];
#pragma unroll
    for (int p = 0; p < A::PARTS; p++) {
        q[p] = *(const uint4 *)(q_s[g] + p * 32 + i4 * 8);
    }
    const float scale = C::scale() * 1.44269504f;
    while (first < at) {
        a.add(q, first, at, scale, lane);
        first += SPLITS * WARPS * 16;
        if (first < at) {
            a.load(k, v, first, at, lane);
        }
    }
    if (split == SPLITS - 1 && warp == WARPS - 1 && at >= 0) { // the new position
        a.load(k_s, v_s, 0, 1, lane);
        a.add(q, 0, 1, scale, lane);
    }
    a.sum += __shfl_xor_sync(0xffffffffu, a.sum, 1);
    a.sum += __shfl_xor_sync(0xffffffffu, a.sum, 2);
    if (i4 == 0) {
        w_max[warp][g] = a.max, w_sum[warp][g] = a.sum;
    }
    if (g < G) {
        for (int h = 0; h < A::HALVES; h++) {
            for (int d = 0; d < 8; d++) {
                w_out[warp][g][h * 64 + i4 * 16 + d] = a.out[h * 8 + d][0];
                w_out[warp][g][h * 64 + i4 * 16 + 8 + d] = a.out[h * 8 + d][1];
            }
        }
    }
    __syncthreads();
    for (int e = threadIdx.x; e < G * D; e += WARPS * 32) {
        const int h = e / D, d = e % D;
        float most = -1e30f, o = 0, total = 0;
        for (int i = 0; i < WARPS; i++) {
            most = fmaxf(most, w_max[i][h]);
        }
        for (int i = 0; i < WARPS; i++) {
            const float f = exp2f(w_max[i][h] - most);
            o += f * w_out[i][h][d];
            total += f * w_sum[i][h];
        }
        c_out[h][d] = o;
        if (d == 0) {
            c_max[h] = most, c_sum[h] = total;
        }
    }
    if constexpr (SPLITS > 1) {
        cluster_sync();
    } else {
        __syncthreads();
    }
    for (int e = threadIdx.x + split * WARPS * 32; e < G * D; e += WARPS * 32 * SPLITS) {
        const int h = e / D, d = e % D;
        float most = -1e30f, o = 0, total = 0;
        for (int c = 0; c < SPLITS; c++) {
            most = fmaxf(most, SPLITS > 1 ? cluster_load(shared_address(&c_max[h]), c) : c_max[h]);
        }
        for (int c = 0; c < SPLITS; c++) {
            const float m = SPLITS > 1 ? cluster_load(shared_address(&c_max[h]), c) : c_max[h];
            const float f = exp2f(m - most);
            o += f * (SPLITS > 1 ? cluster_load(shared_address(&c_out[h][d]), c) : c_out[h][d]);
            total += f * (SPLITS > 1 ? cluster_load(shared_address(&c_sum[h]), c) : c_sum[h]);
        }
        out[(size_t)t * HEADS * D + (head * G + h) * D + d] = bf16_of(total > 0 ? o / total : 0);
    }
    if constexpr (SPLITS > 1) {
        cluster_sync();
    }
}
