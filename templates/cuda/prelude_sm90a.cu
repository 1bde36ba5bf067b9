//# prelude_sm90a.cu - helpers of kernels made for sm_90a alone: the copy engine, barriers in shared
//# memory, clusters, warpgroup multiplication. Names as in prelude.cu.
//% if used("uint64_t")
typedef unsigned long int uint64_t;

//% end
//% if used("TensorMap")
/* How the copy engine sees a matrix; made by the driver. */
struct alignas(64) TensorMap {
    uint64_t opaque[16];
};

//% end
//% if used("Split")
/* Where clusters leave their sums when a matmul's steps are dealt out evenly. */
struct Split {
    float *sums;     /* [blocks][a tile's] */
    uint32_t *ready; /* [blocks][warps] the launch whose sums are there */
    uint32_t turn;   /* this launch; 0: every cluster has whole tiles */
};

//% end
//% if used("store_release")
__device__ inline void store_release(uint32_t *p, uint32_t value)
{
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}

__device__ inline uint32_t load_acquire(const uint32_t *p)
{
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
    return value;
}

//% end
//% if used("shared_address")
__device__ inline uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

//% end
//% if used("barrier_init")
__device__ inline void barrier_init(uint32_t barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

//% end
//% if used("barrier_expect")
/* One arrival, and so many bytes of copies to come. */
__device__ inline void barrier_expect(uint32_t barrier, uint32_t bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
}

//% end
//% if used("barrier_arrive")
/* At the barrier of the same address in the cluster's block `rank`. */
__device__ inline void barrier_arrive(uint32_t barrier, int rank)
{
    asm volatile("{.reg .b32 there; mapa.shared::cluster.u32 there, %0, %1;"
                 " mbarrier.arrive.shared::cluster.b64 _, [there];}" ::"r"(barrier),
                 "r"(rank)
                 : "memory");
}

//% end
//% if used("barrier_wait")
/* Until the barrier's phase of that parity is over. */
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity)
{
    uint32_t over = 0;
    while (over == 0) {
        asm volatile("{.reg .pred p;"
                     " mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;"
                     " selp.u32 %0, 1, 0, p;}"
                     : "=r"(over)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    }
}

//% end
//% if used("cluster_rank")
__device__ inline int cluster_rank(void)
{
    int rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

//% end
//% if used("cluster_sync")
/* All threads of the cluster's blocks; barriers made before are there for all of them. */
__device__ inline void cluster_sync(void)
{
    asm volatile("fence.mbarrier_init.release.cluster;\n"
                 "barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

//% end
//% if used("tensor_copy_rows")
/* A box of a matrix into shared memory, at the same place of every block of the cluster. */
template <int BLOCKS>
__device__ inline void tensor_copy_rows(uint32_t to, const TensorMap *map, int column, int row,
                                        uint32_t barrier)
{
    if (BLOCKS == 1) {
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                     " [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                     "l"(map), "r"(column), "r"(row), "r"(barrier)
                     : "memory");
    } else {
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                     ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
                     "l"(map), "r"(column), "r"(row), "r"(barrier),
                     "h"((uint16_t)((1 << BLOCKS) - 1))
                     : "memory");
    }
}

//% end
//% if used("tensor_copy_tiles")
/* Tiles of 16 rows from tile (across, down) on, columns from `column` of the tile. */
__device__ inline void tensor_copy_tiles(uint32_t to, const TensorMap *map, int column, int across,
                                         int down, uint32_t barrier)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
                 "l"(map), "r"(column), "r"(0), "r"(across), "r"(down), "r"(barrier)
                 : "memory");
}

//% end
//% if used("load_shared")
__device__ inline uint32_t load_shared(uint32_t at)
{
    uint32_t v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(at) : "memory");
    return v;
}

//% end
//% if used("load_shared2")
__device__ inline uint2 load_shared2(uint32_t at)
{
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(at) : "memory");
    return v;
}

//% end
//% if used("floats_of_i8x2")
/* Codes 2 * half and 2 * half + 1 of four, as the low bits of 2^23 + 128 + code. */
__device__ inline float2 floats_of_i8x2(uint32_t four, int half, int zero)
{
    const float base = 8388608.0f + 128.0f + (float)zero;
    const uint32_t at = 0x7440 + half * 2, flipped = four ^ 0x80808080;
    return {__uint_as_float(__byte_perm(flipped, 0x4b000000, at)) - base,
            __uint_as_float(__byte_perm(flipped, 0x4b000000, at + 1)) - base};
}

//% end
//% if used("floats_of_e4m3x2")
/* Codes 2 * half and 2 * half + 1 of four: sign, exponent and mantissa in the places of f32, times
 * 2^120. */
__device__ inline float2 floats_of_e4m3x2(uint32_t four, int half, int)
{
    const uint32_t two = four >> 16 * half;
    return {__uint_as_float((two << 24 & 0x80000000) | (two << 20 & 0x07f00000)) * 0x1p120f,
            __uint_as_float((two << 16 & 0x80000000) | (two << 12 & 0x07f00000)) * 0x1p120f};
}

//% end
//% if used("floats_of_u4x2")
/* Codes 2 * pair and 2 * pair + 1 of eight, as the low bits of 2^23 + code. */
__device__ inline float2 floats_of_u4x2(uint32_t eight, int pair, int zero)
{
    const float base = 8388608.0f + (float)zero;
    const uint32_t two = eight >> 8 * pair;
    return {__uint_as_float((two & 15) | 0x4b000000) - base,
            __uint_as_float((two >> 4 & 15) | 0x4b000000) - base};
}

//% end
//% if used("transposed")
/* An 8 x 8 matrix of 16-bit elements over a warp, lane i with row i / 4, columns i % 4 * 2 and the
 * next. */
__device__ inline uint32_t transposed(uint32_t pair)
{
    uint32_t out;
    asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(pair));
    return out;
}

//% end
//% if used("warpgroup_operand")
/* Rows of ROW bytes (64 or 128), swizzled by as much, groups of 8 rows back to back. */
template <int ROW> __device__ inline uint64_t warpgroup_operand(uint32_t at)
{
    return (uint64_t)(at >> 4 & 0x3fff) | (uint64_t)1 << 16 | (uint64_t)(8 * ROW >> 4) << 32 |
           (uint64_t)(ROW == 128 ? 1 : 2) << 62;
}

//% end
//% if used("warpgroup_begin")
/* Registers and shared memory are as the next multiplications are to see them. */
__device__ inline void warpgroup_begin(void)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* The multiplications since the last end are one batch. */
__device__ inline void warpgroup_end(void)
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until at most so many batches are under way. */
template <int BATCHES> __device__ inline void warpgroup_wait(void)
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(BATCHES) : "memory");
}

//% end
//% if used("warpgroup_bf16_64")
${warpgroup_multiply("bf16", false, 64)};

//% end
//% if used("warpgroup_bf16_128")
${warpgroup_multiply("bf16", false, 128)};

//% end
//% if used("warpgroup_bf16_256")
${warpgroup_multiply("bf16", false, 256)};

//% end
//% if used("warpgroup_bf16_codes_64")
${warpgroup_multiply("bf16", true, 64)};

//% end
//% if used("warpgroup_bf16_codes_128")
${warpgroup_multiply("bf16", true, 128)};

//% end
//% if used("warpgroup_bf16_codes_256")
${warpgroup_multiply("bf16", true, 256)};

//% end
//% if used("warpgroup_f16_64")
${warpgroup_multiply("f16", false, 64)};

//% end
//% if used("warpgroup_f16_128")
${warpgroup_multiply("f16", false, 128)};

//% end
//% if used("warpgroup_f16_256")
${warpgroup_multiply("f16", false, 256)};

//% end
//% if used("warpgroup_f16_codes_64")
${warpgroup_multiply("f16", true, 64)};

//% end
//% if used("warpgroup_f16_codes_128")
${warpgroup_multiply("f16", true, 128)};

//% end
//% if used("warpgroup_f16_codes_256")
${warpgroup_multiply("f16", true, 256)};

//% end

//% if used("copies_to_warpgroup")
/* What this thread has copied or stored to shared memory may be read by wgmma. */
__device__ inline void copies_to_warpgroup(void)
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

//% end
