// gemm_prefill.cuh - out = epilogue(x . w^T) for many tokens on sm_90a: wgmma fed by the tensor
// copy engine.
//
//   persistent CTAs, one an SM: 1 warp asks for tiles, 2 warpgroups of 64 x 256 accumulators
//   multiply
//
//     x [tokens, K] row-major    --> stage: 128 tokens x 64 k, swizzled by 128 bytes  (16 KB)
//     w tiles of 16 rows x 64 B  --> stage: two halves of 256 rows x 32 k, swizzled by 64 (2 x 16
//     KB)
//
//   w is stored as decode reads it (tile(16, 32)): its 64-byte rows make the halves. Tiles of out
//   are taken tokens first, so that the CTAs at work share weights and all of x stays in L2.
//   GLU: a tile of 16 rows is 8 of gate, 8 of up: both of a pair are in one thread.
#pragma once
#include "device.cuh"

struct alignas(64) TensorMap {
    u64 opaque[16];
};

static __device__ __forceinline__ void tensor_copy_2d(u32 to, const TensorMap *map, int c0, int c1,
                                                      u32 barrier)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4}], [%2];" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(c0), "r"(c1)
                 : "memory");
}

static __device__ __forceinline__ void tensor_copy_4d(u32 to, const TensorMap *map, int c0, int c1,
                                                      int c2, int c3, u32 barrier)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
                 : "memory");
}

// d += a . b on 64 x 16 times 16 x 256 by a warpgroup, operands in shared memory (descriptors).
// Thread: d[4 * j + c] is row 16 * warp + lane / 4 + 8 * (c / 2), column 8 * j + 2 * (lane % 4) + c
// % 2.
static __device__ __forceinline__ void wgmma(float (&d)[128], u64 a, u64 b)
{
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
        "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
        "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, "
        "%111, "
        "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
        "%127"
        "}, %128, %129, 1, 1, 1, 0, 0;"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
          "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
          "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
          "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
          "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]),
          "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
          "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]),
          "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
          "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]),
          "+f"(d[63]), "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]),
          "+f"(d[70]), "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]),
          "+f"(d[77]), "+f"(d[78]), "+f"(d[79]), "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]),
          "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]),
          "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95]), "+f"(d[96]), "+f"(d[97]),
          "+f"(d[98]), "+f"(d[99]), "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103]),
          "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]),
          "+f"(d[110]), "+f"(d[111]), "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]),
          "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]), "+f"(d[120]), "+f"(d[121]),
          "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])
        : "l"(a), "l"(b)
        : "memory");
}

// Operand with rows of `row` bytes (64 or 128, swizzled by as much), groups of 8 rows back to back.
static __device__ __forceinline__ u64 wgmma_operand(u32 address, u32 row)
{
    return (u64)(address >> 4 & 0x3fff) | (u64)1 << 16 | (u64)(8 * row >> 4) << 32 |
           (u64)(row == 128 ? 1 : 2) << 62;
}

template <class C> struct GemmShape {
    enum {
        BM = 128,
        BN = 256,
        BK = 64,
        STAGES = 4,
        X_STAGE = BM * BK * 2,
        W_HALF = BN * 32 * 2,
        STAGE = X_STAGE + 2 * W_HALF,
        SHARED = STAGES * STAGE + 1024 + 2 * STAGES * 8,
        THREADS = 3 * 128,
    };
    static_assert(C::N % BN == 0 && C::K % BK == 0, "ragged tile");
};

template <class C>
__global__ void __launch_bounds__(GemmShape<C>::THREADS, 1)
    gemm_prefill(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap w_map,
                 int tokens, const float *row_scale, const u16 *residual, u16 *out)
{
    typedef GemmShape<C> S;
    enum { BM = S::BM, BN = S::BN, BK = S::BK, STAGES = S::STAGES, STEPS = C::K / BK };
    extern __shared__ u8 raw[];
    u8 *const shared = raw + (1024 - shared_address(raw) % 1024) % 1024;
    const u32 stage_at = shared_address(shared);
    const u32 full = stage_at + STAGES * S::STAGE, empty = full + STAGES * 8;
    const int group = threadIdx.x / 128, lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    const int m_tiles = (tokens + BM - 1) / BM, tiles = m_tiles * (C::N / BN);
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(full + s * 8, 1);
            barrier_init(empty + s * 8, 8);
        }
        barrier_init_visible();
    }
    __syncthreads();
    pdl_launch();
    if (group == 2) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (warp == 0 && lane == 0) {
            pdl_wait();
            u32 n = 0; // stages filled
            for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
                const int m = tile % m_tiles, c = tile / m_tiles;
                for (int k = 0; k < STEPS; k++, n++) {
                    const u32 s = n % STAGES, at = stage_at + s * S::STAGE;
                    barrier_wait(empty + s * 8, (n / STAGES & 1) ^ 1);
                    barrier_expect(full + s * 8, S::STAGE);
                    tensor_copy_2d(at, &x_map, k * BK, m * BM, full + s * 8);
                    tensor_copy_4d(at + S::X_STAGE, &w_map, 0, 0, k * 2, c * (BN / 16),
                                   full + s * 8);
                    tensor_copy_4d(at + S::X_STAGE + S::W_HALF, &w_map, 0, 0, k * 2 + 1,
                                   c * (BN / 16), full + s * 8);
                }
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        pdl_wait();
        u32 n = 0;
        for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            float d[128];
#pragma unroll
            for (int i = 0; i < 128; i++) {
                d[i] = 0;
            }
            for (int k = 0; k < STEPS; k++, n++) {
                const u32 s = n % STAGES, at = stage_at + s * S::STAGE;
                barrier_wait(full + s * 8, n / STAGES & 1);
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
                for (int i = 0; i < 4; i++) { // 16 columns each
                    wgmma(d, wgmma_operand(at + group * 64 * 128 + i * 32, 128),
                          wgmma_operand(at + S::X_STAGE + i / 2 * S::W_HALF + i % 2 * 32, 64));
                }
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
                if (k > 0 && lane == 0) {
                    barrier_arrive(empty + (n - 1) % STAGES * 8);
                }
            }
            asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
            if (lane == 0) {
                barrier_arrive(empty + (n - 1) % STAGES * 8);
            }
            const int m = tile % m_tiles, c = tile / m_tiles;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = m * BM + group * 64 + warp * 16 + half * 8 + lane / 4;
                if (row >= tokens) {
                    continue;
                }
                const float scale = C::NORM ? row_scale[row] : 1.0f;
                if constexpr (C::GLU) {
                    u16 *to = out + (size_t)row * (C::N / 2) + c * (BN / 2) + lane % 4 * 2;
#pragma unroll
                    for (int j = 0; j < BN / 16; j++) {
                        float h[2];
                        for (int e = 0; e < 2; e++) {
                            const float a = scale * d[j * 8 + half * 2 + e],
                                        b = scale * d[j * 8 + 4 + half * 2 + e];
                            h[e] = a / (1 + __expf(-a)) * b;
                        }
                        *(u32 *)(to + j * 8) = bf16_pair(h[0], h[1]);
                    }
                } else {
                    const size_t at = (size_t)row * C::N + c * BN + lane % 4 * 2;
#pragma unroll
                    for (int j = 0; j < BN / 8; j++) {
                        float a = scale * d[j * 4 + half * 2], b = scale * d[j * 4 + half * 2 + 1];
                        if constexpr (C::RESIDUAL) {
                            const u32 r = *(const u32 *)(residual + at + j * 8);
                            a += bf16_low(r), b += bf16_high(r);
                        }
                        *(u32 *)(out + at + j * 8) = bf16_pair(a, b);
                    }
                }
            }
        }
    }
}
