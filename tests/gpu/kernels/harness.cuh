// harness.cuh - what every kernel test needs: checked calls, random weights made on the device in
// the order the kernels read, a naive double-precision reference, timing of captured graphs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "device.cuh"

#define CHECK(call)                                                                                \
    do {                                                                                           \
        cudaError_t error_ = (call);                                                               \
        if (error_ != cudaSuccess) {                                                               \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,                          \
                    cudaGetErrorString(error_));                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int failures;

template <class P> static P *device_alloc(size_t n)
{
    P *p;
    CHECK(cudaMalloc(&p, n * sizeof(P)));
    return p;
}

static __host__ __device__ u32 hash(u64 a)
{
    a = (a ^ (a >> 30)) * 0xbf58476d1ce4e5b9ull;
    a = (a ^ (a >> 27)) * 0x94d049bb133111ebull;
    return (u32)((a ^ (a >> 31)) >> 16);
}

// In [-1, 1).
static __host__ __device__ float uniform(u64 seed, u64 i)
{
    return (float)(int)hash(seed * 0x9e3779b97f4a7c15ull + i) * 0x1p-31f;
}

static __host__ __device__ u16 bf16_round(float f)
{
    union {
        float f;
        u32 u;
    } v = {f};
    return (u16)((v.u + 0x7fff + (v.u >> 16 & 1)) >> 16);
}

static __host__ __device__ float bf16_value(u16 h)
{
    union {
        u32 u;
        float f;
    } v = {(u32)h << 16};
    return v.f;
}

static __device__ float scale_value(float s)
{
    return s;
}
static __device__ float scale_value(u16 s)
{
    return bf16_value(s);
}
static __device__ void scale_set(float *s, float f)
{
    *s = f;
}
static __device__ void scale_set(u16 *s, float f)
{
    *s = bf16_round(f);
}

// Codes (or bf16) of row n, column k: a pure function, so that the reference needs no second copy.
template <int BITS> static __device__ int weight_code(u64 seed, int K, int n, int k)
{
    const u32 h = hash(seed * 0x9e3779b97f4a7c15ull + (u64)n * K + k);
    return BITS == 8 ? (int)(h % 255) - 127 : (int)(h % 16);
}

static __device__ u16 weight_bf16(u64 seed, int K, int n, int k)
{
    return bf16_round(uniform(seed, (u64)n * K + k) * sqrtf(3.0f / K));
}

template <int BITS> __global__ void make_weights(u8 *w, u64 seed, int K, size_t rows)
{
    const size_t blocks = rows / 16 * (K / (512 / BITS));
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < blocks * 256;
         i += (size_t)gridDim.x * blockDim.x) { // one 32-bit word each
        const size_t block = i / 256;
        const int per_row = K / (512 / BITS);
        const int n = (int)(block / per_row * 16 + i % 256 / 16);
        const int k = (int)(block % per_row * (512 / BITS) + i % 16 * (32 / BITS));
        u32 word = 0;
        for (int j = 0; j < 32 / BITS; j++) {
            const u32 code = BITS == 16 ? weight_bf16(seed, K, n, k + j)
                                        : (u32)weight_code<BITS>(seed, K, n, k + j);
            word |= (code & (u32)((1ull << BITS) - 1)) << (j * BITS);
        }
        ((u32 *)w)[i] = word;
    }
}

// int4: [tile][k block][16]; int8: [n].
template <int BITS, class Scale> __global__ void make_scales(Scale *s, u64 seed, int K, size_t n)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        scale_set(s + i,
                  sqrtf(3.0f / K) / (BITS == 8 ? 127 : 8) * (1 + 0.5f * uniform(seed + 7, i)));
    }
}

__global__ void make_bf16(u16 *x, u64 seed, size_t n)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        x[i] = bf16_round(uniform(seed, i) * 2);
    }
}

// acc[t][n] in double: one warp each.
template <int BITS, class Scale>
__global__ void reference_matmul(double *acc, u64 seed, const Scale *scale, const u16 *x, int K,
                                 int N, int T)
{
    const int lane = threadIdx.x % 32;
    for (size_t o = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32; o < (size_t)N * T;
         o += (size_t)gridDim.x * blockDim.x / 32) {
        const int n = (int)(o % N), t = (int)(o / N);
        double sum = 0;
        for (int k = lane; k < K; k += 32) {
            double v;
            if (BITS == 16) {
                v = bf16_value(weight_bf16(seed, K, n, k));
            } else if (BITS == 8) {
                v = (double)weight_code<8>(seed, K, n, k) * scale_value(scale[n]);
            } else {
                const size_t at = ((size_t)n / 16 * (K / 128) + k / 128) * 16 + n % 16;
                v = (double)(weight_code<4>(seed, K, n, k) - 8) * scale_value(scale[at]);
            }
            sum += v * bf16_value(x[(size_t)t * K + k]);
        }
        for (int i = 16; i > 0; i /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, i);
        }
        if (lane == 0) {
            acc[o] = sum;
        }
    }
}

__global__ void read_all(const uint4 *p, size_t n, u32 *sink)
{
    u32 v = 0;
    const size_t step = (size_t)gridDim.x * blockDim.x;
    size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    for (; i + 7 * step < n; i += 8 * step) {
        uint4 q[8];
        for (int j = 0; j < 8; j++) {
            q[j] = __ldcs(p + i + j * step);
        }
        for (int j = 0; j < 8; j++) {
            v ^= q[j].x ^ q[j].y ^ q[j].z ^ q[j].w;
        }
    }
    if (v == 0x12345678u) {
        *sink = v;
    }
}

// Relative L2 error and whether it is within the limit; NaN never passes.
static bool compare(const char *what, const std::vector<double> &got,
                    const std::vector<double> &want, double limit)
{
    double difference = 0, norm = 0, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < want.size(); i++) {
        const double d = got[i] - want[i];
        difference += d * d, norm += want[i] * want[i];
        if (!(std::fabs(d) <= worst)) {
            worst = std::fabs(d), at = i;
        }
    }
    const double error = std::sqrt(difference / norm);
    const bool good = error <= limit;
    if (!good) {
        failures++;
        printf("FAIL %s: relative error %.3g (limit %.3g), worst [%zu] %g instead of %g\n", what,
               error, limit, at, got[at], want[at]);
    }
    return good;
}

// One kernel of a chain; pdl: it may start before the one in front of it is done.
template <class... Params, class... Args>
static void launch(void (*kernel)(Params...), int grid, int threads, int shared, int cluster,
                   bool pdl, cudaStream_t stream, Args... args)
{
    if (shared > 227 * 1024) {
        printf("%d bytes of shared memory asked for\n", shared);
        exit(1);
    }
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    // All of L1 as shared memory: an SM that was set up for less takes no second kernel until it is
    // idle.
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    if (cluster > 8) {
        CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    }
    cudaLaunchAttribute attribute[2];
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(grid);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    config.attrs = attribute;
    if (pdl) {
        attribute[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster > 1) {
        attribute[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
        attribute[config.numAttrs].val.clusterDim = {(unsigned)cluster, 1, 1};
        config.numAttrs++;
    }
    CHECK(cudaLaunchKernelEx(&config, kernel, (Params)args...));
}

// Median microseconds of a replay of what `record` puts into the stream.
template <class F> static double time_graph(cudaStream_t stream, int repeats, F record)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    record();
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    std::vector<float> ms;
    for (int i = 0; i < repeats + 3; i++) {
        CHECK(cudaEventRecord(begin, stream));
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaEventRecord(end, stream));
        CHECK(cudaEventSynchronize(end));
        float t;
        CHECK(cudaEventElapsedTime(&t, begin, end));
        if (i >= 3) {
            ms.push_back(t);
        }
    }
    CHECK(cudaGetLastError());
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    std::sort(ms.begin(), ms.end());
    return ms[ms.size() / 2] * 1e3;
}
