// chain.cu - a whole decode step as a chain of kernels in one CUDA graph: every layer's qkv,
// attention, o, gate/up, down, then the head, with weights of their own; with and without
// programmatic launch (results must be equal bit for bit), at several contexts.
#include "attention_decode.cuh"
#include "harness.cuh"
#include "matmul_decode.cuh"

template <int LAYERS_, int D_MODEL_, int D_FF_, int HEADS_, int KV_, int HEAD_DIM_>
struct ModelShape {
    enum {
        LAYERS = LAYERS_,
        D_MODEL = D_MODEL_,
        D_FF = D_FF_,
        HEADS = HEADS_,
        KV = KV_,
        HEAD_DIM = HEAD_DIM_,
        VOCAB = 128256
    };
};
typedef ModelShape<32, 4096, 14336, 32, 8, 128> Llama8B;
typedef ModelShape<16, 2048, 8192, 32, 8, 64> Llama1B;

template <int BITS_, int T_, int K_, int N_, bool NORM_, bool GLU_, bool RESIDUAL_, bool F32_,
          int WARPS_, int CHUNK_, int BUDGET_, int CLUSTER_>
struct Matmul {
    enum {
        BITS = BITS_,
        T = T_,
        K = K_,
        N = N_,
        WARPS = WARPS_,
        CHUNK = CHUNK_,
        CLUSTER = CLUSTER_,
        ROUND = 4
    };
    // The ring takes what x and the partial sums leave of BUDGET_ KiB: two kernels and attention
    // fit an SM.
    enum {
        SLOT_BYTES = CHUNK * (1024 + (BITS == 4 ? 32 : 0)) + 8,
        OTHER = T * (K / CLUSTER * 2 + 64) + (BITS == 4 ? T * K / 32 : 0) +
                2 * ROUND * WARPS * T * 64 + T * (WARPS + 1) * 4,
        SLOTS = (BUDGET_ * 1024 - OTHER) / (WARPS * SLOT_BYTES),
    };
    static_assert(SLOTS >= 2, "no room for a ring");
    static constexpr int ASKED =
        BUDGET_ * 1024; // in full, so that two of 115 KiB never share an SM
    static constexpr bool BULK = true, NORM = NORM_, GLU = GLU_, RESIDUAL = RESIDUAL_,
                          F32_OUT = F32_;
    typedef typename std::conditional<BITS_ == 4, u16, float>::type Scale;
    static __device__ __host__ constexpr float eps()
    {
        return 1e-5f;
    }
};

template <class M, int SPLITS_, int WARPS_, int CONTEXT_> struct Attend {
    enum {
        D = M::HEAD_DIM,
        G = M::HEADS / M::KV,
        KV_HEADS = M::KV,
        WARPS = WARPS_,
        SPLITS = SPLITS_,
        CONTEXT = CONTEXT_
    };
    static __device__ __host__ constexpr float scale()
    {
        return M::HEAD_DIM == 128 ? 0.08838834764f : 0.125f;
    }
};

static cudaStream_t stream;
static int sms;

template <class C> static size_t weight_bytes()
{
    return (size_t)C::N * C::K * C::BITS / 8;
}
template <class C> static size_t scale_bytes()
{
    return C::BITS == 16
               ? 0
               : sizeof(typename C::Scale) * (C::BITS == 4 ? (size_t)C::N * C::K / 128 : C::N);
}

struct Stored {
    u8 *w;
    u8 *scale;
};

template <class C> static Stored store(u8 *&w, u8 *&s)
{
    const Stored r = {w, s};
    static u64 seed = 100;
    make_weights<C::BITS><<<2048, 256, 0, stream>>>(w, ++seed, C::K, C::N);
    if (C::BITS != 16) {
        make_scales<C::BITS><<<512, 256, 0, stream>>>((typename C::Scale *)s, seed, C::K,
                                                      scale_bytes<C>() / sizeof(typename C::Scale));
    }
    w += weight_bytes<C>();
    s += scale_bytes<C>();
    return r;
}

template <class C>
static void matmul(const Stored &m, const u16 *x, const u16 *residual, void *out, bool pdl)
{
    const int grid = sms / C::CLUSTER * C::CLUSTER;
    launch(matmul_decode<C>, grid, C::WARPS * 32, C::ASKED, C::CLUSTER, pdl, stream,
           (const u8 *)m.w, (const typename C::Scale *)m.scale, x, residual, out);
}

template <class M, int BITS, int T, int WARPS, int CHUNK, int BUDGET, int QKV_CLUSTER,
          int DOWN_CLUSTER, int SPLITS, int ATT_WARPS, int ODD, int PAD>
static void step(const char *name, const std::vector<int> &contexts)
{
    enum { QKV = (M::HEADS + 2 * M::KV) * M::HEAD_DIM, CONTEXT = 4160 };
    typedef Matmul<BITS, T, M::D_MODEL, QKV, true, false, false, false, WARPS, CHUNK, BUDGET,
                   QKV_CLUSTER>
        Qkv;
    typedef Matmul<BITS, T, M::HEADS * M::HEAD_DIM, M::D_MODEL, false, false, true, false, WARPS,
                   CHUNK, ODD, 1>
        O;
    typedef Matmul<BITS, T, M::D_MODEL, 2 * M::D_FF, true, true, false, false, WARPS, CHUNK, BUDGET,
                   1>
        GateUp;
    typedef Matmul<BITS, T, M::D_FF, M::D_MODEL, false, false, true, false, WARPS, CHUNK, ODD,
                   DOWN_CLUSTER>
        Down;
    typedef Matmul<BITS, T, M::D_MODEL, M::VOCAB, true, false, false, true, WARPS, CHUNK, BUDGET, 1>
        Head;
    typedef Attend<M, SPLITS, ATT_WARPS, CONTEXT> Att;
    const size_t layer =
        weight_bytes<Qkv>() + weight_bytes<O>() + weight_bytes<GateUp>() + weight_bytes<Down>();
    const size_t layer_scale =
        scale_bytes<Qkv>() + scale_bytes<O>() + scale_bytes<GateUp>() + scale_bytes<Down>();
    const size_t bytes = layer * M::LAYERS + weight_bytes<Head>();
    const size_t scales = layer_scale * M::LAYERS + scale_bytes<Head>();
    u8 *w = device_alloc<u8>(bytes), *s = device_alloc<u8>(scales + 16), *w_at = w, *s_at = s;
    std::vector<Stored> stored;
    for (int l = 0; l < M::LAYERS; l++) {
        stored.push_back(store<Qkv>(w_at, s_at));
        stored.push_back(store<O>(w_at, s_at));
        stored.push_back(store<GateUp>(w_at, s_at));
        stored.push_back(store<Down>(w_at, s_at));
    }
    stored.push_back(store<Head>(w_at, s_at));
    const size_t cache =
        (size_t)M::KV * CONTEXT * M::HEAD_DIM; // elements of k of one layer and sequence
    u16 *kv = device_alloc<u16>(cache * 2 * M::LAYERS * T);
    make_bf16<<<2048, 256, 0, stream>>>(kv, 9, cache * 2 * M::LAYERS * T);
    u16 *input = device_alloc<u16>(T * M::D_MODEL), *x = device_alloc<u16>(T * M::D_MODEL),
        *y = device_alloc<u16>(T * M::D_MODEL);
    u16 *qkv = device_alloc<u16>(T * QKV), *mixed = device_alloc<u16>(T * M::HEADS * M::HEAD_DIM),
        *h = device_alloc<u16>(T * M::D_FF);
    float *logits = device_alloc<float>((size_t)T * M::VOCAB),
          *angles = device_alloc<float>(T * M::HEAD_DIM);
    int *pos = device_alloc<int>(T);
    make_bf16<<<64, 256, 0, stream>>>(input, 10, T * M::D_MODEL);
    std::vector<float> angle(T * M::HEAD_DIM);
    for (int i = 0; i < T * M::HEAD_DIM; i++) {
        const float a = 0.37f * (i % (M::HEAD_DIM / 2));
        angle[i] = i % M::HEAD_DIM < M::HEAD_DIM / 2 ? cosf(a) : sinf(a);
    }
    CHECK(cudaMemcpyAsync(angles, angle.data(), angle.size() * 4, cudaMemcpyHostToDevice, stream));
    CHECK(cudaStreamSynchronize(stream));

    auto record = [&](bool pdl, bool attention, bool head) {
        CHECK(cudaMemcpyAsync(x, input, T * M::D_MODEL * 2, cudaMemcpyDeviceToDevice, stream));
        for (int l = 0; l < M::LAYERS; l++) {
            const Stored *m = &stored[l * 4];
            u16 *k = kv + cache * 2 * l, *v = k + cache;
            matmul<Qkv>(m[0], x, NULL, qkv, pdl && l > 0);
            if (attention) {
                launch(attention_decode<Att>, SPLITS * M::KV * T, ATT_WARPS * 32, PAD * 1024,
                       SPLITS, pdl, stream, (const u16 *)qkv, (const float *)angles,
                       (const int *)pos, k, v, cache * 2 * M::LAYERS, mixed);
            }
            matmul<O>(m[1], mixed, x, y, pdl);
            matmul<GateUp>(m[2], y, NULL, h, pdl);
            matmul<Down>(m[3], h, y, x, pdl);
        }
        if (head) {
            matmul<Head>(stored.back(), x, NULL, logits, pdl);
        }
    };
    for (int context : contexts) {
        std::vector<int> at(T, context);
        CHECK(cudaMemcpyAsync(pos, at.data(), T * 4, cudaMemcpyHostToDevice, stream));
        CHECK(cudaStreamSynchronize(stream));
        double us[3];
        std::vector<float> result[3];
        for (int i = 0; i < 3; i++) { // 0: plain, 1: programmatic, 2: the same without attention
            CHECK(cudaMemsetAsync(logits, 0xff, (size_t)T * M::VOCAB * 4, stream));
            us[i] = time_graph(stream, 30, [&] { record(i > 0, i < 2, true); });
            result[i].resize((size_t)T * M::VOCAB);
            CHECK(
                cudaMemcpy(result[i].data(), logits, result[i].size() * 4, cudaMemcpyDeviceToHost));
        }
        double sum = 0;
        bool equal = true;
        for (size_t i = 0; i < result[0].size(); i++) {
            sum += (double)result[0][i] * result[0][i];
            equal = equal && result[0][i] == result[1][i];
        }
        if (!equal || !(sum > 0) || !std::isfinite(sum)) {
            failures++;
            printf("FAIL %s: %s, sum of squares %g\n", name,
                   equal ? "not finite" : "differs with programmatic launch", sum);
        }
        const double kv_bytes = (double)M::LAYERS * 2 * M::KV * M::HEAD_DIM * 2 * context * T;
        printf("%-34s ctx %4d: plain %7.3f ms, pdl %7.3f ms (%4.2f TB/s), no attention %7.3f ms\n",
               name, context, us[0] * 1e-3, us[1] * 1e-3,
               (bytes + scales + kv_bytes) / us[1] * 1e-6, us[2] * 1e-3);
    }
    for (void *p :
         {(void *)w, (void *)s, (void *)kv, (void *)input, (void *)x, (void *)y, (void *)qkv,
          (void *)mixed, (void *)h, (void *)logits, (void *)angles, (void *)pos}) {
        CHECK(cudaFree(p));
    }
}

// attention_decode against double precision.
template <class M, int SPLITS, int WARPS, int T> static void test_attention(int context)
{
    enum {
        CONTEXT = 1100,
        D = M::HEAD_DIM,
        HEADS = M::HEADS,
        KV = M::KV,
        ROW = (HEADS + 2 * KV) * D
    };
    typedef Attend<M, SPLITS, WARPS, CONTEXT> Att;
    const size_t cache = (size_t)KV * CONTEXT * D;
    u16 *kv = device_alloc<u16>(cache * 2 * T), *qkv = device_alloc<u16>(T * ROW),
        *out = device_alloc<u16>(T * HEADS * D);
    float *angles = device_alloc<float>(T * D);
    int *pos = device_alloc<int>(T);
    std::vector<u16> hkv(cache * 2 * T), hqkv(T * ROW), hout(T * HEADS * D);
    std::vector<float> angle(T * D);
    std::vector<int> at(T);
    for (int t = 0; t < T; t++) {
        at[t] = context - t * 3 < 0 ? 0 : context - t * 3;
        for (int d = 0; d < D / 2; d++) {
            const double a = at[t] * std::pow(500000.0, -2.0 * d / D);
            angle[t * D + d] = (float)std::cos(a), angle[t * D + D / 2 + d] = (float)std::sin(a);
        }
    }
    for (size_t i = 0; i < hkv.size(); i++) {
        hkv[i] = bf16_round(uniform(21, i) * 2);
    }
    for (size_t i = 0; i < hqkv.size(); i++) {
        hqkv[i] = bf16_round(uniform(22, i) * 3);
    }
    CHECK(cudaMemcpy(kv, hkv.data(), hkv.size() * 2, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(qkv, hqkv.data(), hqkv.size() * 2, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(angles, angle.data(), angle.size() * 4, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(pos, at.data(), T * 4, cudaMemcpyHostToDevice));
    CHECK(cudaMemset(out, 0xff, hout.size() * 2));
    launch(attention_decode<Att>, SPLITS * KV * T, WARPS * 32, 0, SPLITS, true, stream,
           (const u16 *)qkv, (const float *)angles, (const int *)pos, kv, kv + cache, cache * 2,
           out);
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(hout.data(), out, hout.size() * 2, cudaMemcpyDeviceToHost));
    std::vector<u16> new_kv(hkv.size());
    CHECK(cudaMemcpy(new_kv.data(), kv, new_kv.size() * 2, cudaMemcpyDeviceToHost));
    std::vector<double> got, want;
    auto rotate = [&](const u16 *v, int t, double *to) {
        for (int d = 0; d < D / 2; d++) {
            const double c = angle[t * D + d], s = angle[t * D + D / 2 + d], lo = bf16_value(v[d]),
                         hi = bf16_value(v[d + D / 2]);
            to[d] = lo * c - hi * s, to[d + D / 2] = hi * c + lo * s;
        }
    };
    for (int t = 0; t < T; t++) {
        for (int head = 0; head < HEADS; head++) {
            const int kvh = head / (HEADS / KV);
            const u16 *row = &hqkv[(size_t)t * ROW];
            double q[D], k_new[D], out_d[D] = {}, total = 0;
            rotate(row + head * D, t, q);
            rotate(row + (HEADS + kvh) * D, t, k_new);
            const u16 *k = &hkv[t * cache * 2 + (size_t)kvh * CONTEXT * D], *v = k + cache;
            std::vector<double> score(at[t] + 1);
            for (int p = 0; p <= at[t]; p++) {
                for (int d = 0; d < D; d++) {
                    score[p] += q[d] * (p == at[t] ? k_new[d] : bf16_value(k[p * D + d]));
                }
            }
            const double most = *std::max_element(score.begin(), score.end());
            for (int p = 0; p <= at[t]; p++) {
                const double e = std::exp((score[p] - most) * Att::scale());
                total += e;
                for (int d = 0; d < D; d++) {
                    out_d[d] +=
                        e * bf16_value(p == at[t] ? row[(HEADS + KV + kvh) * D + d] : v[p * D + d]);
                }
            }
            for (int d = 0; d < D; d++) {
                want.push_back(out_d[d] / total);
                got.push_back(bf16_value(hout[(size_t)t * HEADS * D + head * D + d]));
                if (head % (HEADS / KV) == 0) { // what was appended
                    want.push_back(k_new[d]);
                    got.push_back(bf16_value(
                        new_kv[t * cache * 2 + ((size_t)kvh * CONTEXT + at[t]) * D + d]));
                }
            }
        }
    }
    char name[100];
    snprintf(name, sizeof name, "attention head_dim %d, %d splits, T %d, context %d", D, SPLITS, T,
             context);
    if (compare(name, got, want, 1e-2)) {
        printf("ok   %s\n", name);
    }
    for (void *p : {(void *)kv, (void *)qkv, (void *)out, (void *)angles, (void *)pos}) {
        CHECK(cudaFree(p));
    }
}

static void test_all(void)
{
    for (int context : {0, 1, 17, 128, 1000}) {
        test_attention<Llama8B, 8, 4, 1>(context);
        test_attention<Llama1B, 16, 4, 3>(context);
        test_attention<Llama8B, 1, 8, 2>(context);
    }
}

// A large and a small kernel in turn: both, and a CTA of attention, fit an SM; two large ones do
// not. Template arguments: model, bits, T, warps, chunk, KiB of qkv, gate_up and head, clusters of
// qkv and of down, attention's splits and warps, KiB of o and down, KiB that attention asks for
// besides.
static void time_all(void)
{
    step<Llama8B, 16, 1, 8, 2, 92, 1, 1, 8, 4, 116, 0>("8b bf16", {16, 128, 1024, 4096});
    step<Llama8B, 16, 1, 8, 2, 92, 1, 1, 16, 4, 116, 0>("8b bf16 16 splits", {4096});
    step<Llama8B, 8, 1, 8, 4, 84, 1, 1, 8, 4, 116, 0>("8b int8", {128, 1024});
    step<Llama8B, 4, 1, 8, 4, 84, 1, 1, 8, 4, 116, 0>("8b int4", {128, 1024});
    step<Llama8B, 16, 8, 8, 2, 200, 1, 2, 8, 4, 200, 0>("8b bf16 batch 8", {128});
    step<Llama1B, 16, 1, 8, 2, 92, 1, 1, 8, 4, 116, 4>("1b bf16", {16, 128, 1024});
    step<Llama1B, 16, 1, 8, 2, 92, 1, 1, 16, 4, 116, 4>("1b bf16 16 splits", {1024, 4096});
}

int main(int argc, char **argv)
{
    (void)argv;
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    sms = device.multiProcessorCount;
    CHECK(cudaStreamCreate(&stream));
    test_all();
    if (argc == 1) { // any argument: correctness only
        time_all();
    }
    printf("%d failures\n", failures);
    return failures > 0;
}
