// gemm_test.cu - gemm_prefill against a double-precision reference on ragged token counts (poisoned
// outputs), then its rate on shapes of Llama-3-8B, weights and inputs rotated.
#include "harness.cuh"
#include "gemm_prefill.cuh"
#include <cuda.h>

template <int K_, int N_, bool NORM_, bool GLU_, bool RESIDUAL_> struct Gemm {
    enum { K = K_, N = N_ };
    static constexpr bool NORM = NORM_, GLU = GLU_, RESIDUAL = RESIDUAL_;
};

static cudaStream_t stream;
static u8 *pool;
static const size_t pool_bytes = (size_t)2 << 30;
static u16 *x, *residual, *out;
static float *row_scale;
static double *acc;
static int sms;

static TensorMap encode(void *p, int rank, const cuuint64_t *dim, const cuuint64_t *stride,
                        const cuuint32_t *box, CUtensorMapSwizzle swizzle)
{
    static decltype(&cuTensorMapEncodeTiled) encode_tiled;
    if (encode_tiled == NULL) {
        cudaDriverEntryPointQueryResult found;
        CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void **)&encode_tiled,
                                               12000, cudaEnableDefault, &found));
    }
    const cuuint32_t one[5] = {1, 1, 1, 1, 1};
    union {
        CUtensorMap map;
        TensorMap ours;
    } u;
    const CUresult result =
        encode_tiled(&u.map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, rank, p, dim, stride, box, one,
                     CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS) {
        printf("tensor map: error %d\n", (int)result);
        exit(1);
    }
    return u.ours;
}

template <class C> static void run(u8 *w, u16 *input, int tokens)
{
    const cuuint64_t x_dim[] = {C::K, (cuuint64_t)tokens}, x_stride[] = {C::K * 2};
    const cuuint32_t x_box[] = {64, 128};
    const cuuint64_t w_dim[] = {32, 16, C::K / 32, C::N / 16},
                     w_stride[] = {64, 1024, (cuuint64_t)C::K * 32};
    const cuuint32_t w_box[] = {32, 16, 1, 16};
    const TensorMap x_map = encode(input, 2, x_dim, x_stride, x_box, CU_TENSOR_MAP_SWIZZLE_128B);
    const TensorMap w_map = encode(w, 4, w_dim, w_stride, w_box, CU_TENSOR_MAP_SWIZZLE_64B);
    launch(gemm_prefill<C>, sms, GemmShape<C>::THREADS, GemmShape<C>::SHARED, 1, true, stream,
           x_map, w_map, tokens, (const float *)row_scale, (const u16 *)residual, out);
}

template <class C> static void test(const char *name, int tokens)
{
    const int outs = C::GLU ? C::N / 2 : C::N;
    const size_t n = (size_t)tokens * outs;
    make_weights<16><<<1024, 256>>>(pool, 11, C::K, C::N);
    CHECK(cudaDeviceSynchronize());
    reference_matmul<16><<<4096, 256>>>(acc, 11, (const float *)NULL, x, C::K, C::N, tokens);
    CHECK(cudaMemset(out, 0xff, n * 2 + 4096));
    run<C>(pool, x, tokens);
    CHECK(cudaStreamSynchronize(stream));
    std::vector<double> sums((size_t)tokens * C::N), got(n), want(n);
    std::vector<u16> first(n + 2048), hr(n);
    std::vector<float> scale(tokens);
    CHECK(cudaMemcpy(sums.data(), acc, sums.size() * 8, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(first.data(), out, (n + 2048) * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(hr.data(), residual, n * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(scale.data(), row_scale, tokens * 4, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < n; i++) {
        const size_t t = i / outs, o = i % outs;
        const double r = C::NORM ? scale[t] : 1;
        if (C::GLU) {
            const size_t at = t * C::N + o / 8 * 16 + o % 8;
            want[i] = r * sums[at] / (1 + std::exp(-r * sums[at])) * r * sums[at + 8];
        } else {
            want[i] = r * sums[i] + (C::RESIDUAL ? bf16_value(hr[i]) : 0.0);
        }
        got[i] = bf16_value(first[i]);
    }
    for (int i = 0; i < 2048; i++) {
        if (first[n + i] != 0xffff) {
            failures++;
            printf("FAIL %s: wrote past the last token\n", name);
            break;
        }
    }
    if (compare(name, got, want, 3e-3)) {
        printf("ok   %s, %d tokens\n", name, tokens);
    }
}

template <class C> static double rate(const char *name, int tokens)
{
    const size_t bytes = (size_t)C::N * C::K * 2, input = (size_t)tokens * C::K;
    const int copies = (int)std::min<size_t>(pool_bytes / bytes, 8);
    const double us = time_graph(stream, 9,
                                 [&] {
                                     for (int i = 0; i < copies; i++) {
                                         run<C>(pool + i * bytes, x + i % 2 * input, tokens);
                                     }
                                 }) /
                      copies;
    printf("%-40s %5d tokens: %8.1f us, %6.1f TFLOP/s\n", name, tokens, us,
           2.0 * C::N * C::K * tokens / us * 1e-6);
    return us;
}

int main(int argc, char **argv)
{
    (void)argv;
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    sms = device.multiProcessorCount;
    CHECK(cudaStreamCreate(&stream));
    pool = device_alloc<u8>(pool_bytes);
    x = device_alloc<u16>((size_t)1 << 28);
    residual = device_alloc<u16>((size_t)1 << 27);
    out = device_alloc<u16>((size_t)1 << 28);
    row_scale = device_alloc<float>(1 << 16);
    acc = device_alloc<double>((size_t)4 << 20);
    make_bf16<<<1024, 256>>>(x, 3, (size_t)1 << 28);
    make_bf16<<<1024, 256>>>(residual, 4, (size_t)1 << 27);
    std::vector<float> scale(1 << 16);
    for (size_t i = 0; i < scale.size(); i++) {
        scale[i] = 0.5f + (float)(i % 17) / 16;
    }
    CHECK(cudaMemcpy(row_scale, scale.data(), scale.size() * 4, cudaMemcpyHostToDevice));
    test<Gemm<1024, 768, false, false, false>>("plain", 300);
    test<Gemm<1024, 768, true, true, false>>("norm glu", 1);
    test<Gemm<1024, 768, true, true, false>>("norm glu", 1000);
    test<Gemm<4096, 512, true, false, true>>("norm residual", 129);
    make_weights<16><<<2048, 256>>>(pool, 5, 4096, pool_bytes / 8192);
    CHECK(cudaDeviceSynchronize());
    // any argument: correctness only
    for (int tokens : argc > 1 ? std::vector<int>{} : std::vector<int>{512, 2048, 8192}) {
        double us = rate<Gemm<4096, 6144, true, false, false>>("qkv 6144 x 4096", tokens);
        us += rate<Gemm<4096, 4096, false, false, true>>("o 4096 x 4096", tokens);
        us += rate<Gemm<4096, 28672, true, true, false>>("gate_up 28672 x 4096, silu mul", tokens);
        us += rate<Gemm<14336, 4096, false, false, true>>("down 4096 x 14336", tokens);
        printf("32 layers, matmuls only, %d tokens: %.2f ms\n", tokens, us * 32e-3);
    }
    printf("%d failures\n", failures);
    return failures > 0;
}
