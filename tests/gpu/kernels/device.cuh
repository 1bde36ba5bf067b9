// device.cuh - the few PTX instructions that the kernels are made of, one function each, and bf16
// arithmetic on raw bits. No host headers: the same text compiles with nvcc and with NVRTC.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16; // bf16 bits
typedef unsigned int u32;
typedef unsigned long long u64;

static __device__ __forceinline__ float bf16_to_f32(u16 h)
{
    return __uint_as_float((u32)h << 16);
}

static __device__ __forceinline__ float bf16_low(u32 pair)
{
    return __uint_as_float(pair << 16);
}

static __device__ __forceinline__ float bf16_high(u32 pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

// Two floats as one register of bf16, `low` in the lower half; ties to even.
static __device__ __forceinline__ u32 bf16_pair(float low, float high)
{
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

static __device__ __forceinline__ u16 bf16_of(float f)
{
    return (u16)bf16_pair(f, 0.0f);
}

// a - b on two bf16 at once.
static __device__ __forceinline__ u32 bf16_sub(u32 a, u32 b)
{
    u32 r;
    asm("{ .reg .b32 one; mov.b32 one, 0xbf80bf80; fma.rn.bf16x2 %0, %2, one, %1; }"
        : "=r"(r)
        : "r"(a), "r"(b));
    return r;
}

// (a & mask) | bits in one instruction: it has room for one constant, so the other is kept in a
// register that the compiler cannot see through.
static __device__ __forceinline__ u32 and_or(u32 a, u32 mask, u32 bits)
{
    u32 r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "r"(mask), "r"(bits));
    return r;
}

static __device__ __forceinline__ u32 opaque(u32 value)
{
    u32 r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(value));
    return r;
}

static __device__ __forceinline__ u32 shared_address(const void *p)
{
    return (u32)__cvta_generic_to_shared(p);
}

// Activations are read past L1: with programmatic launch a line may have been cached there before
// the kernel that writes it ran.
static __device__ __forceinline__ uint4 load_fresh(const void *p)
{
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}

static __device__ __forceinline__ u16 load_fresh_u16(const void *p)
{
    u16 v;
    asm volatile("ld.global.cg.u16 %0, [%1];" : "=h"(v) : "l"(p) : "memory");
    return v;
}

// Programmatic dependent launch. Everything that an earlier kernel wrote may be read only after
// pdl_wait; every kernel of a chain calls it, or the order of kernels two apart is lost.
static __device__ __forceinline__ void pdl_wait(void)
{
    asm volatile("griddepcontrol.wait;" ::: "memory");
}

static __device__ __forceinline__ void pdl_launch(void)
{
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

// d += a . b on 16 x 16 times 16 x 8, bf16 in, f32 out. Lane = 4 * g + i holds of a the rows g
// (a0, a2) and g + 8 (a1, a3), of b column g, of d columns 2i, 2i + 1 of rows g and g + 8.
static __device__ __forceinline__ void mma(float d[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0,
                                           u32 b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// The same with rows 8 to 15 of a zero: only d's columns of row g remain.
static __device__ __forceinline__ void mma_upper(float d[2], u32 a0, u32 a2, u32 b0, u32 b1)
{
    asm("{ .reg .f32 no0, no1; .reg .b32 zero;\n"
        "mov.f32 no0, 0f00000000; mov.f32 no1, 0f00000000; mov.b32 zero, 0;\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, no0, no1}, "
        "{%2, zero, %3, zero}, {%4, %5}, {%0, %1, no0, no1}; }"
        : "+f"(d[0]), "+f"(d[1])
        : "r"(a0), "r"(a2), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ void barrier_init(u32 barrier, u32 arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                 : "memory");
}

static __device__ __forceinline__ void barrier_init_visible(void)
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

static __device__ __forceinline__ void barrier_expect(u32 barrier, u32 bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
}

static __device__ __forceinline__ void barrier_arrive(u32 barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Waits until the phase of the given parity is over.
static __device__ __forceinline__ void barrier_wait(u32 barrier, u32 parity)
{
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

// Weights pass through L2 once: they go first when room is needed.
static __device__ __forceinline__ u64 policy_evict_first(void)
{
    u64 policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

// bytes (a multiple of 16) from global to shared memory, counted on the barrier.
static __device__ __forceinline__ void bulk_copy(u32 to, const void *from, u32 bytes, u32 barrier,
                                                 u64 policy)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
                 "[%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier), "l"(policy)
                 : "memory");
}

static __device__ __forceinline__ void async_copy16(u32 to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

static __device__ __forceinline__ void async_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int LEFT> static __device__ __forceinline__ void async_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

static __device__ __forceinline__ u32 cluster_rank(void)
{
    u32 r;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

static __device__ __forceinline__ void cluster_sync(void)
{
    asm volatile("barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

// A float at the same place of another CTA's shared memory.
static __device__ __forceinline__ float cluster_load(u32 address, u32 rank)
{
    float f;
    asm volatile("{ .reg .b32 peer; mapa.shared::cluster.u32 peer, %1, %2;\n"
                 "ld.shared::cluster.f32 %0, [peer]; }"
                 : "=f"(f)
                 : "r"(address), "r"(rank)
                 : "memory");
    return f;
}

static __device__ __forceinline__ float warp_sum(float f)
{
    for (int i = 16; i > 0; i /= 2) {
        f += __shfl_xor_sync(0xffffffffu, f, i);
    }
    return f;
}
