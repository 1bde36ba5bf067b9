// matmul_decode.cuh - out = epilogue(x . w^T) for T <= 8 tokens: one pass over the weights.
//
//   w: tiles of 16 rows x 64 bytes, row-major inside, along k first ("block" = one such KiB):
//      tile(16, 32) of bf16, tile(16, 64) of int8, tile(16, 128) of int4 (group 128 = one block).
//      Lane 4 * g + i of a warp takes 16 bytes of row g and 16 of row g + 8; whatever order of k
//      that means for mma, x in shared memory has the same.
//   A CTA takes whole tiles; their chunks (CHUNK blocks) go round its warps. Every warp has a ring
//   of SLOTS chunks of its own, filled by bulk copies (BULK) or by cp.async, so that no warp
//   waits for another but at the end of ROUND tiles, when the partial sums are added, always in
//   the same order. CLUSTER > 1: the CTAs of a cluster share the tiles and split k.
//   Filling the rings needs nothing from earlier kernels: it starts before pdl_wait.
//   int4: codes become 128 + code by one lop3; the accumulators start at -136 * sum of x instead.
#pragma once
#include "device.cuh"

// Row g (first) or g + 8 (second) of a lane: eight weights as four pairs of bf16, of q-th part.
// exponent: 0x43004300, in a register.
template <int BITS>
static __device__ __forceinline__ void unpack(u32 p[4], const uint4 &v, int q, u32 exponent)
{
    if constexpr (BITS == 16) {
        p[0] = v.x, p[1] = v.y, p[2] = v.z, p[3] = v.w;
    } else if constexpr (BITS == 8) {
        // A byte s.b6..b0 is b - 128 s: 128 + b and 128 + 128 s are both bf16 with exponent 2^7.
        const u32 word[2] = {q == 0 ? v.x : v.z, q == 0 ? v.y : v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const u32 b = i % 2 == 0 ? word[i / 2] : word[i / 2] >> 8;
            p[i] = bf16_sub(and_or(b, 0x007f007fu, exponent), and_or(b, 0x00800080u, exponent));
        }
    } else {
        const u32 word = q == 0 ? v.x : q == 1 ? v.y : q == 2 ? v.z : v.w;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            p[i] = and_or(word >> (4 * i), 0x000f000fu, exponent); // 128 + code
        }
    }
}

// Order of eight x in shared memory: that of unpack's pairs.
template <int BITS> static __device__ __forceinline__ uint4 order_like(uint4 v)
{
    if constexpr (BITS == 16) {
        return v;
    } else if constexpr (BITS == 8) { // 0 2 1 3, 4 6 5 7
        return make_uint4(__byte_perm(v.x, v.y, 0x5410), __byte_perm(v.x, v.y, 0x7632),
                          __byte_perm(v.z, v.w, 0x5410), __byte_perm(v.z, v.w, 0x7632));
    } else { // 0 4 1 5 2 6 3 7
        return make_uint4(__byte_perm(v.x, v.z, 0x5410), __byte_perm(v.x, v.z, 0x7632),
                          __byte_perm(v.y, v.w, 0x5410), __byte_perm(v.y, v.w, 0x7632));
    }
}

static __device__ __forceinline__ float scale_f32(float s)
{
    return s;
}

static __device__ __forceinline__ float scale_f32(u16 s)
{
    return bf16_to_f32(s);
}

template <class C> struct MatmulShape {
    enum {
        BLOCK_K = 512 / C::BITS, // columns of a block
        BLOCKS = C::K / BLOCK_K, // in a tile
        TILES = C::N / 16,
        CHUNKS = BLOCKS / C::CLUSTER / C::CHUNK, // of a tile, in one CTA
        SCALE_BYTES = C::BITS == 4 ? C::CHUNK * 16 * (int)sizeof(typename C::Scale) : 0,
        SLOT = C::CHUNK * 1024 + SCALE_BYTES,
        RING = C::WARPS * C::SLOTS * SLOT,
        K_HERE = C::K / C::CLUSTER,
        X_STRIDE = K_HERE * 2 + 64, // bytes; two rows never meet in the same banks
        X_BYTES = C::T * X_STRIDE,
        PART = C::ROUND * C::WARPS * C::T * 16, // floats of one of two buffers of partial sums
        OFFSETS =
            C::BITS == 4 ? (BLOCKS / C::CLUSTER * C::T + 1) / 2 * 2 : 0, // floats, an even number
        SHARED = RING + X_BYTES + OFFSETS * 4 + 2 * PART * 4 + C::WARPS * C::SLOTS * 8 +
                 C::T * (C::WARPS + 1) * 4,
    };
    static_assert(C::K % BLOCK_K == 0 && BLOCKS % (C::CLUSTER * C::CHUNK) == 0, "ragged k");
    static_assert(C::N % 16 == 0, "ragged n");
};

// Registers for two CTAs of 8 warps on an SM: this kernel and the next one.
template <class C>
__global__ void __launch_bounds__(C::WARPS * 32, C::WARPS > 8 || C::T > 4 ? 1 : 16 / C::WARPS)
    matmul_decode(const u8 *__restrict__ w, const typename C::Scale *__restrict__ w_scale,
                  const u16 *x, const u16 *residual, void *out)
{
    typedef MatmulShape<C> S;
    enum { T = C::T, K = C::K, WARPS = C::WARPS, SLOTS = C::SLOTS, CHUNK = C::CHUNK };
    extern __shared__ __align__(1024) u8 shared[];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, i4 = lane % 4;
    const u32 rank = C::CLUSTER > 1 ? cluster_rank() : 0;
    const int cta = blockIdx.x / C::CLUSTER, ctas = gridDim.x / C::CLUSTER;
    u8 *x_at = shared + S::RING;
    float *offset = (float *)(x_at + S::X_BYTES); // int4: -136 * sum of x over a block
    float *part = offset + S::OFFSETS;
    u64 *full = (u64 *)(part + 2 * S::PART);
    float *row_sum = (float *)(full + WARPS * SLOTS);
    float *row_scale = row_sum + T * WARPS;
    u8 *const ring = shared + warp * SLOTS * S::SLOT;
    const u32 my_full = shared_address(full + warp * SLOTS);
    const u64 policy = policy_evict_first();
    const u32 exponent = opaque(0x43004300u); // of a pair of bf16 from 128 on

    const int my_tiles = (S::TILES - cta + ctas - 1) / ctas;
    const int chunks = my_tiles * S::CHUNKS; // the CTA's stream; this warp: warp, warp + WARPS, ...
    // What this warp fills next: chunk next_c of a tile, at next (in blocks of the whole matrix).
    int next_f = warp, next_c = warp;
    u32 next = (u32)cta * S::BLOCKS + rank * (S::BLOCKS / C::CLUSTER) + warp * CHUNK;
    auto settle = [&] {
        while (next_c >= S::CHUNKS) {
            next_c -= S::CHUNKS;
            next += ctas * S::BLOCKS - S::CHUNKS * CHUNK;
        }
    };
    settle();
    auto fill = [&](int stage) {
        const u8 *from = w + (size_t)next * 1024;
        const u8 *scales = (const u8 *)(w_scale + (size_t)next * 16);
        const u32 to = shared_address(ring) + stage * S::SLOT;
        if constexpr (C::BULK) {
            if (lane == 0) {
                barrier_expect(my_full + stage * 8, S::SLOT);
                bulk_copy(to, from, CHUNK * 1024, my_full + stage * 8, policy);
                if constexpr (C::BITS == 4) {
                    bulk_copy(to + CHUNK * 1024, scales, S::SCALE_BYTES, my_full + stage * 8,
                              policy);
                }
            }
        } else {
            for (int b = 0; b < CHUNK * 2; b++) {
                async_copy16(to + b * 512 + lane * 16, from + b * 512 + lane * 16);
            }
            if (C::BITS == 4 && lane < S::SCALE_BYTES / 16) {
                async_copy16(to + CHUNK * 1024 + lane * 16, scales + lane * 16);
            }
        }
        next_f += WARPS, next_c += WARPS, next += WARPS * CHUNK;
        settle();
    };
    if constexpr (C::BULK) {
        if (lane == 0) {
            for (int s = 0; s < SLOTS; s++) {
                barrier_init(my_full + s * 8, 1);
            }
            barrier_init_visible();
        }
        __syncwarp();
    }
    for (int s = 0; s < SLOTS; s++) {
        if (next_f < chunks) {
            fill(s);
        }
        if constexpr (!C::BULK) {
            async_commit();
        }
    }
    pdl_launch();
    pdl_wait();

    // x to shared memory in the order of the weights; its sum of squares on the way.
    {
        float squares[T] = {};
#pragma unroll
        for (int t = 0; t < T; t++) {
            for (int v = threadIdx.x; v < K / 8; v += WARPS * 32) {
                const uint4 eight = load_fresh(x + (size_t)t * K + v * 8);
                if constexpr (C::NORM) {
                    const u32 pair[4] = {eight.x, eight.y, eight.z, eight.w};
                    for (int j = 0; j < 4; j++) {
                        squares[t] += bf16_low(pair[j]) * bf16_low(pair[j]);
                        squares[t] += bf16_high(pair[j]) * bf16_high(pair[j]);
                    }
                }
                const int k = v * 8 - (int)rank * S::K_HERE;
                if (C::CLUSTER == 1 || (k >= 0 && k < S::K_HERE)) {
                    // lane i4 has BLOCK_K / 4 columns of a block in parts of 8
                    const int in = k % S::BLOCK_K, run = S::BLOCK_K / 4;
                    const int at = k - in + in % run * 4 + in / run * 8;
                    *(uint4 *)(x_at + t * S::X_STRIDE + at * 2) = order_like<C::BITS>(eight);
                    if constexpr (C::BITS == 4) { // half a warp has one block
                        const u32 half = 0xffffu << (lane & 16);
                        float sum = bf16_low(eight.x) + bf16_high(eight.x) + bf16_low(eight.y) +
                                    bf16_high(eight.y) + bf16_low(eight.z) + bf16_high(eight.z) +
                                    bf16_low(eight.w) + bf16_high(eight.w);
                        for (int i = 8; i > 0; i /= 2) {
                            sum += __shfl_xor_sync(half, sum, i);
                        }
                        if (lane % 16 == 0) {
                            offset[k / S::BLOCK_K * T + t] = -136 * sum;
                        }
                    }
                }
            }
            if constexpr (C::NORM) {
                squares[t] = warp_sum(squares[t]);
                if (lane == 0) {
                    row_sum[t * WARPS + warp] = squares[t];
                }
            }
        }
    }
    __syncthreads();
    if constexpr (C::NORM) { // read after the next barrier
        if (threadIdx.x < T) {
            float sum = 0;
            for (int i = 0; i < WARPS; i++) {
                sum += row_sum[threadIdx.x * WARPS + i];
            }
            row_scale[threadIdx.x] = rsqrtf(sum / K + C::eps());
        }
    }

    const u8 *const x_row = x_at + (g < T ? g : T - 1) * S::X_STRIDE + i4 * 16;
    int f = warp, stage = 0;
    u32 phase = 0;
    for (int r = 0; r < my_tiles; r++) {
        float acc[2][4] = {};
        for (; f < (r + 1) * S::CHUNKS; f += WARPS) {
            if constexpr (C::BULK) {
                barrier_wait(my_full + stage * 8, phase);
            } else {
                async_wait<SLOTS - 1>();
                if (C::BITS == 4) {
                    __syncwarp();
                }
            }
            const u8 *slot = ring + stage * S::SLOT;
            const u8 *x_chunk = x_row + (f - r * S::CHUNKS) * CHUNK * S::BLOCK_K * 2;
#pragma unroll
            for (int b = 0; b < CHUNK; b++) {
                const uint4 low = *(const uint4 *)(slot + b * 1024 + lane * 16);
                const uint4 high = *(const uint4 *)(slot + b * 1024 + 512 + lane * 16);
                float group[2][4] = {};
                if constexpr (C::BITS == 4) {
                    const float *start = offset + ((f - r * S::CHUNKS) * CHUNK + b) * T;
                    group[0][0] = group[0][2] = start[i4 * 2 < T ? i4 * 2 : T - 1];
                    group[0][1] = group[0][3] = start[i4 * 2 + 1 < T ? i4 * 2 + 1 : T - 1];
                }
                float(*sum)[4] = C::BITS == 4 ? group : acc;
#pragma unroll
                for (int q = 0; q < 16 / C::BITS; q++) {
                    const uint4 xs = *(const uint4 *)(x_chunk + b * S::BLOCK_K * 2 + q * 64);
                    u32 a[4], c[4];
                    unpack<C::BITS>(a, low, q, exponent);
                    unpack<C::BITS>(c, high, q, exponent);
                    mma(sum[0], a[0], c[0], a[1], c[1], xs.x, xs.y);
                    mma(sum[1], a[2], c[2], a[3], c[3], xs.z, xs.w);
                }
                if constexpr (C::BITS == 4) {
                    const typename C::Scale *scale =
                        (const typename C::Scale *)(slot + CHUNK * 1024) + b * 16 + g;
                    const float s0 = scale_f32(scale[0]), s1 = scale_f32(scale[8]);
                    for (int j = 0; j < 4; j++) {
                        acc[0][j] += (j < 2 ? s0 : s1) * (group[0][j] + group[1][j]);
                    }
                }
            }
            __syncwarp();
            if (next_f < chunks) {
                fill(stage);
            }
            if constexpr (!C::BULK) {
                async_commit();
            }
            stage = stage + 1 == SLOTS ? 0 : stage + 1;
            phase ^= stage == 0;
        }

        const int in_round = r % C::ROUND;
        float *buffer = part + (r / C::ROUND % 2) * S::PART;
        {
            float *mine = buffer + (in_round * WARPS + warp) * T * 16;
            for (int j = 0; j < 4; j++) {
                const int t = i4 * 2 + j % 2;
                if (t < T) {
                    mine[t * 16 + g + j / 2 * 8] = acc[0][j] + acc[1][j];
                }
            }
        }
        if (in_round != C::ROUND - 1 && r != my_tiles - 1) {
            continue;
        }
        if constexpr (C::CLUSTER > 1) {
            cluster_sync();
        } else {
            __syncthreads();
        }
        // A warp takes 16 sums at a time: lane % 16 is the row, lane / 16 which half of the warps.
        for (int e = warp + rank * WARPS; e < (in_round + 1) * T; e += C::CLUSTER * WARPS) {
            const int row = lane % 16, t = e % T, tile_in_round = e / T;
            const int tile = cta + (r - in_round + tile_in_round) * ctas;
            const float *sums = buffer + (tile_in_round * WARPS * T + t) * 16 + row;
            float v = 0;
            for (int c = 0; c < C::CLUSTER; c++) {
#pragma unroll
                for (int i = 0; i < WARPS; i += 2) {
                    const float *at = sums + (i + lane / 16) * T * 16;
                    v += C::CLUSTER > 1 ? cluster_load(shared_address(at), c) : *at;
                }
            }
            v += __shfl_xor_sync(0xffffffffu, v, 16);
            if constexpr (C::BITS == 8) {
                v *= w_scale[tile * 16 + row];
            }
            if constexpr (C::NORM) {
                v *= row_scale[t];
            }
            if constexpr (C::GLU) {
                const float up = __shfl_xor_sync(0xffffffffu, v, 8);
                if (lane < 8) {
                    ((u16 *)out)[(size_t)t * (C::N / 2) + tile * 8 + row] =
                        bf16_of(v / (1 + __expf(-v)) * up);
                }
            } else if (lane < 16) {
                const size_t at = (size_t)t * C::N + tile * 16 + row;
                if constexpr (C::RESIDUAL) {
                    v += bf16_to_f32(load_fresh_u16(residual + at));
                }
                if constexpr (C::F32_OUT) {
                    ((float *)out)[at] = v;
                } else {
                    ((u16 *)out)[at] = bf16_of(v);
                }
            }
        }
    }
    if constexpr (C::CLUSTER > 1) {
        cluster_sync(); // nobody leaves while its sums are read
    }
}
