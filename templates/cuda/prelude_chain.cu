//# prelude_chain.cu - what blocks and kernels ask of one another: early launches, reads past L1,
//# clusters.
//% if used("dependents_launch")
/* The next kernel of the chain may start (programmatic dependent launch, sm_90 and later). */
__device__ inline void dependents_launch(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

//% end
//% if used("dependency_wait")
/* What earlier kernels wrote may be read from here on. Every kernel that starts early waits. */
__device__ inline void dependency_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

//% end
//% if used("load_fresh16")
/* 16 bytes past L1, where a line may be older than the kernel in front. */
__device__ inline uint4 load_fresh16(const void *p)
{
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}

//% end
//% if used("load_fresh32")
__device__ inline Float8 load_fresh32(const float *p)
{
    Float8 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.a.x), "=f"(v.a.y), "=f"(v.a.z), "=f"(v.a.w)
                 : "l"(p)
                 : "memory");
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.b.x), "=f"(v.b.y), "=f"(v.b.z), "=f"(v.b.w)
                 : "l"(p + 4)
                 : "memory");
    return v;
}

//% end
//% if used("load_fresh8")
__device__ inline uint2 load_fresh8(const void *p)
{
    uint2 v;
    asm volatile("ld.global.cg.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p) : "memory");
    return v;
}

//% end
//% if used("cluster_begin")
/* This block says that it has begun; the next cluster_wait waits for all. Blocks of a cluster that
 * have ended count as arrived. */
__device__ inline void cluster_begin(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}

//% end
//% if used("cluster_arrive")
__device__ inline void cluster_arrive(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

//% end
//% if used("cluster_wait")
__device__ inline void cluster_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

//% end
//% if used("store_remote")
/* Where `p` lies in the shared memory of the cluster's block `rank`. */
__device__ inline void store_remote(float2 *p, int rank, float2 v)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("{.reg .b32 there; mapa.shared::cluster.u32 there, %0, %1;"
                 " st.shared::cluster.v2.f32 [there], {%2, %3};}" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(p)),
                 "r"(rank), "f"(v.x), "f"(v.y)
                 : "memory");
#endif
}

//% end
