// matmul_test.cu - matmul_decode against a double-precision reference (poisoned outputs, two runs
// bit for bit), then its rate on shapes of Llama-3-8B and Llama-3.2-1B with rotated weights.
#include "harness.cuh"
#include "matmul_decode.cuh"

enum { PLAIN = 0, WITH_NORM = 1, WITH_GLU = 2, WITH_RESIDUAL = 4, WITH_F32 = 8 };

template <int BITS_, int T_, int K_, int N_, int EPI, bool BULK_ = true, int WARPS_ = 8,
          int CHUNK_ = 2, int SLOTS_ = 6, int CLUSTER_ = 1, class Scale_ = float>
struct Config {
    enum {
        BITS = BITS_,
        T = T_,
        K = K_,
        N = N_,
        WARPS = WARPS_,
        CHUNK = CHUNK_,
        SLOTS = SLOTS_,
        CLUSTER = CLUSTER_,
        ROUND = 4,
    };
    static constexpr bool BULK = BULK_, NORM = EPI & WITH_NORM, GLU = EPI & WITH_GLU,
                          RESIDUAL = EPI & WITH_RESIDUAL, F32_OUT = EPI & WITH_F32;
    typedef Scale_ Scale;
    static __device__ __host__ constexpr float eps()
    {
        return 1e-5f;
    }
};

static cudaStream_t stream;
static u8 *pool; // of weights
static const size_t pool_bytes = (size_t)6 << 30;
static void *scale_pool;
static u16 *x, *residual;
static u8 *out;
static double *acc;
static int sms;

template <class C> static int grid_of()
{
    // All SMs, even if some have a tile less: with programmatic launch a free place on an SM draws
    // two CTAs of the next kernel, and from then on kernels share fewer and fewer SMs.
    return sms / C::CLUSTER * C::CLUSTER;
}

template <class C> static void run(const u8 *w, const void *scale, bool pdl)
{
    launch(matmul_decode<C>, grid_of<C>(), C::WARPS * 32, MatmulShape<C>::SHARED, C::CLUSTER, pdl,
           stream, w, (const typename C::Scale *)scale, x, residual, (void *)out);
}

template <class C> static void test(const char *name)
{
    typedef typename C::Scale Scale;
    const int outs = C::GLU ? C::N / 2 : C::N;
    const size_t n = (size_t)C::T * outs;
    const size_t bytes = n * (C::F32_OUT ? 4 : 2);
    make_weights<C::BITS><<<1024, 256>>>(pool, 11, C::K, C::N);
    make_scales<C::BITS><<<1024, 256>>>((Scale *)scale_pool, 11, C::K,
                                        C::BITS == 4 ? (size_t)C::N * C::K / 128 : C::N);
    CHECK(cudaDeviceSynchronize());
    reference_matmul<C::BITS>
        <<<4096, 256>>>(acc, 11, (const Scale *)scale_pool, x, C::K, C::N, C::T);
    std::vector<double> sums((size_t)C::T * C::N), got(n), want(n);
    std::vector<u16> hx((size_t)C::T * C::K), hr(n);
    std::vector<u8> first(bytes), second(bytes);
    CHECK(cudaMemcpy(sums.data(), acc, sums.size() * 8, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(hx.data(), x, hx.size() * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(hr.data(), residual, n * 2, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 2; i++) {
        CHECK(cudaMemset(out, 0xff, bytes + 64));
        run<C>(pool, scale_pool, i == 1);
        CHECK(cudaStreamSynchronize(stream));
        CHECK(
            cudaMemcpy(i == 0 ? first.data() : second.data(), out, bytes, cudaMemcpyDeviceToHost));
    }
    for (int t = 0; t < C::T; t++) {
        double squares = 0;
        for (int k = 0; k < C::K; k++) {
            squares += std::pow(bf16_value(hx[(size_t)t * C::K + k]), 2);
        }
        const double r = C::NORM ? 1 / std::sqrt(squares / C::K + 1e-5) : 1;
        for (int o = 0; o < outs; o++) {
            double v;
            if (C::GLU) {
                const size_t at = (size_t)t * C::N + o / 8 * 16 + o % 8;
                const double a = r * sums[at], b = r * sums[at + 8];
                v = a / (1 + std::exp(-a)) * b;
            } else {
                v = r * sums[(size_t)t * C::N + o];
            }
            const size_t at = (size_t)t * outs + o;
            want[at] = v + (C::RESIDUAL ? bf16_value(hr[at]) : 0.0);
            got[at] =
                C::F32_OUT ? ((float *)first.data())[at] : bf16_value(((u16 *)first.data())[at]);
        }
    }
    const bool good = compare(name, got, want, C::F32_OUT ? 1e-5 : 3e-3);
    if (first != second) {
        failures++;
        printf("FAIL %s: two runs differ\n", name);
    } else if (good) {
        printf("ok   %s\n", name);
    }
}

// A chain of the same matmul over different weights: time and rate of one.
template <class C> static void rate(const char *name)
{
    typedef typename C::Scale Scale;
    const size_t bytes = (size_t)C::N * C::K * C::BITS / 8;
    const size_t scale_bytes =
        C::BITS == 16 ? 0 : sizeof(Scale) * (C::BITS == 4 ? (size_t)C::N * C::K / 128 : C::N);
    const int copies = (int)std::min<size_t>(pool_bytes / bytes, 24);
    make_scales<C::BITS>
        <<<1024, 256>>>((Scale *)scale_pool, 11, C::K, scale_bytes / sizeof(Scale) * copies);
    CHECK(cudaDeviceSynchronize());
    double us[2];
    for (int pdl = 0; pdl < 2; pdl++) {
        us[pdl] =
            time_graph(stream, 15,
                       [&] {
                           for (int i = 0; i < copies; i++) {
                               run<C>(pool + i * bytes, (u8 *)scale_pool + i * scale_bytes, pdl);
                           }
                       }) /
            copies;
    }
    printf("%-46s %6d KB smem %4d ctas | %8.2f us %5.2f TB/s | pdl %8.2f us %5.2f TB/s\n", name,
           MatmulShape<C>::SHARED / 1024, grid_of<C>(), us[0], (bytes + scale_bytes) / us[0] * 1e-6,
           us[1], (bytes + scale_bytes) / us[1] * 1e-6);
}

#define TEST(...) test<Config<__VA_ARGS__>>(#__VA_ARGS__)
#define RATE(...) rate<Config<__VA_ARGS__>>(#__VA_ARGS__)

static void test_all(void)
{
    TEST(16, 1, 4096, 6144, WITH_NORM);
    TEST(16, 8, 4096, 1040, WITH_NORM | WITH_GLU);
    TEST(16, 3, 2048, 3072, WITH_RESIDUAL, true, 8, 2, 6, 2);
    TEST(16, 1, 14336, 4096, WITH_RESIDUAL);
    TEST(16, 2, 4096, 8208, WITH_NORM | WITH_F32, false);
    TEST(8, 1, 4096, 6144, WITH_NORM);
    TEST(8, 8, 4096, 1040, WITH_NORM | WITH_GLU);
    TEST(8, 1, 14336, 4096, WITH_RESIDUAL, false);
    TEST(4, 1, 4096, 6144, WITH_NORM);
    TEST(4, 8, 4096, 1040, WITH_NORM | WITH_GLU);
    TEST(4, 2, 14336, 4096, WITH_RESIDUAL, true, 8, 2, 6, 1, u16);
    TEST(4, 1, 4096, 6144, WITH_NORM, false);
    TEST(4, 5, 4096, 6144, WITH_NORM | WITH_F32, true, 16, 2, 3, 2);
}

static void rate_all(void)
{
    make_weights<16><<<2048, 256>>>(pool, 5, 4096, pool_bytes / 8192);
    CHECK(cudaDeviceSynchronize());
    const size_t bytes = (size_t)5 << 30;
    const double us = time_graph(stream, 9, [&] {
        read_all<<<132 * 8, 256, 0, stream>>>((uint4 *)pool, bytes / 16, (u32 *)out);
    });
    printf("read: %.2f TB/s\n", bytes / us * 1e-6);
    RATE(16, 1, 4096, 6144, WITH_NORM);
    RATE(16, 1, 4096, 4096, WITH_RESIDUAL);
    RATE(16, 1, 4096, 28672, WITH_NORM | WITH_GLU);
    RATE(16, 1, 4096, 28672, WITH_NORM | WITH_GLU, false);
    RATE(16, 1, 14336, 4096, WITH_RESIDUAL, true, 8, 2, 4);
    RATE(16, 1, 4096, 128256, WITH_NORM | WITH_F32);
    RATE(16, 8, 4096, 28672, WITH_NORM | WITH_GLU);
    RATE(8, 1, 4096, 28672, WITH_NORM | WITH_GLU, true, 16, 2, 3);
    RATE(8, 1, 4096, 28672, WITH_NORM | WITH_GLU, true, 8, 4, 3);
    RATE(8, 1, 14336, 4096, WITH_RESIDUAL, true, 8, 4, 2);
    RATE(4, 1, 4096, 28672, WITH_NORM | WITH_GLU, true, 16, 2, 3, 1, u16);
    RATE(4, 1, 4096, 28672, WITH_NORM | WITH_GLU, true, 16, 2, 3, 1, float);
    RATE(4, 1, 4096, 28672, WITH_NORM | WITH_GLU, true, 8, 4, 3, 1, u16);
    RATE(4, 1, 14336, 4096, WITH_RESIDUAL, true, 8, 4, 2, 1, u16);
    RATE(4, 8, 4096, 28672, WITH_NORM | WITH_GLU, true, 8, 4, 3, 1, u16);
}

int main(int argc, char **argv)
{
    (void)argv;
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    sms = device.multiProcessorCount;
    CHECK(cudaStreamCreate(&stream));
    pool = device_alloc<u8>(pool_bytes);
    scale_pool = device_alloc<u8>((size_t)1 << 30);
    x = device_alloc<u16>(1 << 20);
    residual = device_alloc<u16>(1 << 20);
    out = device_alloc<u8>((size_t)8 << 20);
    acc = device_alloc<double>((size_t)2 << 20);
    make_bf16<<<64, 256>>>(x, 3, 1 << 20);
    make_bf16<<<64, 256>>>(residual, 4, 1 << 20);
    CHECK(cudaDeviceSynchronize());
    test_all();
    if (argc == 1) { // any argument: correctness only
        rate_all();
    }
    printf("%d failures\n", failures);
    return failures > 0;
}
