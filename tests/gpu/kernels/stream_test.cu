// stream_test.cu - the decode step as one persistent kernel: logits, cache and sampled token
// against a step of naive kernels in double precision, equal bits from run to run, then times.
#include <cstring>
#include "harness.cuh"
#include "stream.cuh"

template <int LAYERS_, int D_MODEL_, int D_FF_, int HEADS_, int KV_, int D_, int VOCAB_, int BITS_,
          int CHUNK_, int SLOTS_, int CAP_, int COPIES_, bool PROFILE_>
struct Model {
    enum {
        LAYERS = LAYERS_,
        D_MODEL = D_MODEL_,
        D_FF = D_FF_,
        HEADS = HEADS_,
        KV = KV_,
        G = HEADS_ / KV_,
        D = D_,
        VOCAB = VOCAB_,
        BITS = BITS_,
        CHUNK = CHUNK_,
        SLOTS = SLOTS_,
        CAP = CAP_,
        COPIES = COPIES_,
        SMS = 132,
        CONTEXT = 4352,
    };
    static constexpr bool PROFILE = PROFILE_;
    static __device__ __host__ constexpr float scale()
    {
        return D == 128 ? 0.08838834764f : 0.125f;
    }
};
template <int BITS, int CHUNK, int SLOTS, int CAP, int COPIES, bool PROFILE = false>
using Llama1B = Model<16, 2048, 8192, 32, 8, 64, 128256, BITS, CHUNK, SLOTS, CAP, COPIES, PROFILE>;
template <int BITS, int CHUNK, int SLOTS, int CAP, int COPIES, bool PROFILE = false>
using Llama8B =
    Model<32, 4096, 14336, 32, 8, 128, 128256, BITS, CHUNK, SLOTS, CAP, COPIES, PROFILE>;

static cudaStream_t stream;
enum { EMBED_SEED = 7, CACHE_SEED = 9, SEEDS = 100 };

// ---- the same step, naive, in double ------------------------------------------------------------

__global__ void to_bf16(u16 *to, const double *from, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        to[i] = bf16_round((float)from[i]);
    }
}

__global__ void embed_naive(double *x, int token, int K)
{
    for (int k = threadIdx.x; k < K; k += blockDim.x) {
        x[k] = bf16_value(weight_bf16(EMBED_SEED, K, token, k));
    }
}

// 1 / rms of x rounded to bf16.
__global__ void inverse_rms(double *scale, const u16 *x, int K)
{
    double sum = 0;
    for (int k = 0; k < K; k++) {
        sum += (double)bf16_value(x[k]) * bf16_value(x[k]);
    }
    *scale = 1 / sqrt(sum / K + 1e-5);
}

__global__ void add_scaled(double *to, const double *from, const double *scale, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        to[i] = (scale ? *scale : 1) * from[i] + (scale ? 0 : to[i]);
    }
}

// Rows in packed order (q, k: 8 of the first half, 8 of the second in turn) to rotated heads; k
// and v to the cache of the layer.
__global__ void rope_append(u16 *q, u16 *cache, const double *qkv, const float *angles,
                            int position, int heads, int kv, int D, int context)
{
    const int head = blockIdx.x, i = threadIdx.x; // i < D / 2
    const int packed = head * D + i / 8 * 16 + i % 8;
    double low = qkv[packed], high = qkv[packed + 8];
    if (head >= heads + kv) {
        low = qkv[head * D + i], high = qkv[head * D + i + D / 2];
    } else {
        const double c = angles[position * D + i], s = angles[position * D + D / 2 + i], l = low;
        low = low * c - high * s, high = high * c + l * s;
    }
    const int plane = head >= heads + kv;
    u16 *to = head < heads
                  ? q + head * D
                  : cache + ((size_t)(head - heads) % kv + (size_t)plane * kv) * context * D +
                        (size_t)position * D;
    to[i] = bf16_round((float)low), to[i + D / 2] = bf16_round((float)high);
}

__global__ void attention_naive(u16 *out, double *score, const u16 *q, const u16 *cache,
                                int position, int group, int kv, int D, int context, double scale)
{
    const int head = blockIdx.x, d = threadIdx.x; // D threads
    const u16 *k = cache + (size_t)(head / group) * context * D, *v = k + (size_t)kv * context * D;
    score += (size_t)head * context;
    for (int p = d; p <= position; p += D) {
        double sum = 0;
        for (int i = 0; i < D; i++) {
            sum += (double)bf16_value(q[head * D + i]) * bf16_value(k[(size_t)p * D + i]);
        }
        score[p] = exp(sum * scale);
    }
    __syncthreads();
    double sum = 0, total = 0;
    for (int p = 0; p <= position; p++) {
        sum += score[p] * bf16_value(v[(size_t)p * D + d]), total += score[p];
    }
    out[head * D + d] = bf16_round((float)(sum / total));
}

__global__ void silu_mul(u16 *h, const double *gate_up, const double *scale, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const double g = *scale * gate_up[i / 8 * 16 + i % 8],
                     up = *scale * gate_up[i / 8 * 16 + i % 8 + 8];
        h[i] = bf16_round((float)(g / (1 + exp(-g)) * up));
    }
}

template <class C> struct Naive {
    double *x, *acc, *scale, *score;
    u16 *xb, *q, *a, *h, *cache;
    static constexpr size_t plane = (size_t)C::KV * C::CONTEXT * C::D;

    Naive(void)
    {
        x = device_alloc<double>(C::D_MODEL), acc = device_alloc<double>(C::VOCAB);
        scale = device_alloc<double>(1), score = device_alloc<double>(C::HEADS * C::CONTEXT);
        xb = device_alloc<u16>(C::D_MODEL), q = device_alloc<u16>(C::HEADS * C::D);
        a = device_alloc<u16>(C::HEADS * C::D), h = device_alloc<u16>(C::D_FF);
        cache = device_alloc<u16>(plane * 2 * C::LAYERS);
    }
    ~Naive(void)
    {
        for (void *v : {(void *)x, (void *)acc, (void *)scale, (void *)score, (void *)xb, (void *)q,
                        (void *)a, (void *)h, (void *)cache}) {
            CHECK(cudaFree(v));
        }
    }
    void multiply(u64 seed, const u8 *scales, const u16 *v, int K, int N)
    {
        if (C::BITS == 4) {
            reference_matmul<4>
                <<<1024, 256, 0, stream>>>(acc, seed, (const u16 *)scales, v, K, N, 1);
        } else {
            reference_matmul<C::BITS>
                <<<1024, 256, 0, stream>>>(acc, seed, (const float *)scales, v, K, N, 1);
        }
    }
    void norm(void)
    {
        to_bf16<<<16, 256, 0, stream>>>(xb, x, C::D_MODEL);
        inverse_rms<<<1, 1, 0, stream>>>(scale, xb, C::D_MODEL);
    }
    // Logits in acc.
    void step(int token, int position, const float *angles, const u8 *scales)
    {
        embed_naive<<<1, 256, 0, stream>>>(x, token, C::D_MODEL);
        for (int l = 0; l < C::LAYERS; l++) {
            u16 *at = cache + plane * 2 * l;
            const u64 seed = SEEDS + l * 4;
            norm();
            multiply(seed, scales + phase_offset<C, PHASE_QKV, true>(l), xb, C::D_MODEL,
                     PhaseShape<C, PHASE_QKV>::N);
            add_scaled<<<16, 256, 0, stream>>>(acc, acc, scale, PhaseShape<C, PHASE_QKV>::N);
            rope_append<<<C::HEADS + 2 * C::KV, C::D / 2, 0, stream>>>(
                q, at, acc, angles, position, C::HEADS, C::KV, C::D, C::CONTEXT);
            attention_naive<<<C::HEADS, C::D, 0, stream>>>(a, score, q, at, position, C::G, C::KV,
                                                           C::D, C::CONTEXT, C::scale());
            multiply(seed + 1, scales + phase_offset<C, PHASE_O, true>(l), a, C::HEADS * C::D,
                     C::D_MODEL);
            add_scaled<<<16, 256, 0, stream>>>(x, acc, NULL, C::D_MODEL);
            norm();
            multiply(seed + 2, scales + phase_offset<C, PHASE_GATE_UP, true>(l), xb, C::D_MODEL,
                     2 * C::D_FF);
            silu_mul<<<16, 256, 0, stream>>>(h, acc, scale, C::D_FF);
            multiply(seed + 3, scales + phase_offset<C, PHASE_DOWN, true>(l), h, C::D_FF,
                     C::D_MODEL);
            add_scaled<<<16, 256, 0, stream>>>(x, acc, NULL, C::D_MODEL);
        }
        norm();
        multiply(C::BITS == 16 ? EMBED_SEED : SEEDS + 999,
                 scales + phase_offset<C, PHASE_HEAD, true>(C::LAYERS), xb, C::D_MODEL, C::VOCAB);
        add_scaled<<<16, 256, 0, stream>>>(acc, acc, scale, C::VOCAB);
    }
};

// ---- the model under test -----------------------------------------------------------------------

template <class C> struct Run {
    StreamParams p = {};
    size_t bytes;
    u8 *embedding = NULL, *flush;
    static constexpr size_t flush_bytes = 200 << 20;
    static constexpr size_t plane = (size_t)C::KV * C::CONTEXT * C::D;

    template <int P> void store(int layer, u64 seed)
    {
        typedef PhaseShape<C, P> S;
        const size_t at = phase_offset<C, P, true>(layer);
        make_weights<C::BITS><<<2048, 256, 0, stream>>>(
            (u8 *)p.weights + phase_offset<C, P, false>(layer), seed, S::K, S::N);
        if (C::BITS == 8) {
            make_scales<8>
                <<<512, 256, 0, stream>>>((float *)(p.scales + at), seed, S::K, S::scale_bytes / 4);
        } else if (C::BITS == 4) {
            make_scales<4>
                <<<512, 256, 0, stream>>>((u16 *)(p.scales + at), seed, S::K, S::scale_bytes / 2);
        }
    }

    Run(void)
    {
        const size_t scale_bytes =
            phase_offset<C, PHASE_HEAD, true>(C::LAYERS) + PhaseShape<C, PHASE_HEAD>::scale_bytes;
        bytes = phase_offset<C, PHASE_HEAD, false>(C::LAYERS) + PhaseShape<C, PHASE_HEAD>::bytes;
        p.weights = device_alloc<u8>(bytes), p.scales = device_alloc<u8>(scale_bytes + 16);
        for (int l = 0; l < C::LAYERS; l++) {
            store<PHASE_QKV>(l, SEEDS + l * 4), store<PHASE_O>(l, SEEDS + l * 4 + 1);
            store<PHASE_GATE_UP>(l, SEEDS + l * 4 + 2), store<PHASE_DOWN>(l, SEEDS + l * 4 + 3);
        }
        store<PHASE_HEAD>(C::LAYERS, C::BITS == 16 ? EMBED_SEED : SEEDS + 999);
        p.head = p.weights + phase_offset<C, PHASE_HEAD, false>(C::LAYERS);
        p.head_scales = p.scales + phase_offset<C, PHASE_HEAD, true>(C::LAYERS);
        p.embedding = p.weights + phase_offset<C, PHASE_HEAD, false>(C::LAYERS);
        if (C::BITS != 16) {
            p.embedding = embedding = device_alloc<u8>((size_t)C::VOCAB * C::D_MODEL * 2);
            make_weights<16><<<2048, 256, 0, stream>>>(embedding, EMBED_SEED, C::D_MODEL, C::VOCAB);
        }
        bytes += scale_bytes;
        flush = device_alloc<u8>(flush_bytes);
        p.cache = device_alloc<u16>(plane * 2 * C::LAYERS);
        make_bf16<<<2048, 256, 0, stream>>>(p.cache, CACHE_SEED, plane * 2 * C::LAYERS);
        p.exchange = device_alloc<u64>(Exchange<C>::WORDS);
        CHECK(cudaMemsetAsync(p.exchange, 0, Exchange<C>::WORDS * 8, stream));
        p.state = device_alloc<int>(4), p.logits = device_alloc<float>(C::VOCAB);
        CHECK(cudaHostAlloc(&p.error, 4, cudaHostAllocMapped));
        *p.error = 0;
        p.stamps = device_alloc<u64>((C::LAYERS + 1) * PHASE_COUNT * C::SMS * 4);
        CHECK(cudaMemsetAsync(p.stamps, 0, (C::LAYERS + 1) * PHASE_COUNT * C::SMS * 32, stream));
        std::vector<float> angle((size_t)C::CONTEXT * C::D);
        for (size_t i = 0; i < angle.size(); i++) {
            const int d = i % C::D % (C::D / 2);
            const double a = i / C::D * pow(500000.0, -2.0 * d / C::D);
            angle[i] = (float)(i % C::D < C::D / 2 ? cos(a) : sin(a));
        }
        float *angles = device_alloc<float>(angle.size());
        CHECK(cudaMemcpyAsync(angles, angle.data(), angle.size() * 4, cudaMemcpyHostToDevice,
                              stream));
        CHECK(cudaStreamSynchronize(stream));
        p.angles = angles;
    }
    ~Run(void)
    {
        for (void *v : {(void *)p.weights, (void *)p.scales, (void *)p.cache, (void *)p.exchange,
                        (void *)p.state, (void *)p.logits, (void *)p.stamps, (void *)p.angles,
                        (void *)embedding, (void *)flush}) {
            CHECK(cudaFree(v));
        }
        CHECK(cudaFreeHost(p.error));
    }
    void set(int token, int position, int advance)
    {
        int state[4];
        CHECK(cudaMemcpy(state, p.state, 16, cudaMemcpyDeviceToHost));
        state[0] = token, state[1] = position;
        state[2] = started ? state[2] : 0, started = true;
        CHECK(cudaMemcpy(p.state, state, 16, cudaMemcpyHostToDevice));
        p.advance = advance;
        p.splits = 1;
        while (p.splits < 16 && p.splits * 128 < position) {
            p.splits *= 2;
        }
    }
    bool started = false;

    // All CTAs have to be resident at once: a cooperative launch.
    void launch(void)
    {
        const int shared = sizeof(StreamShared<C>);
        static_assert(sizeof(StreamShared<C>) <= 227 * 1024, "too much shared memory");
        CHECK(cudaFuncSetAttribute(decode_stream<C>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   shared));
        cudaLaunchAttribute attribute;
        attribute.id = cudaLaunchAttributeCooperative;
        attribute.val.cooperative = 1;
        cudaLaunchConfig_t config = {};
        config.gridDim = dim3(C::SMS), config.blockDim = dim3(320);
        config.dynamicSmemBytes = shared, config.stream = stream;
        config.attrs = &attribute, config.numAttrs = 1;
        CHECK(cudaLaunchKernelEx(&config, decode_stream<C>, p));
    }
    bool finished(const char *what)
    {
        CHECK(cudaStreamSynchronize(stream));
        if (*p.error != 0) {
            failures++;
            printf("FAIL %s: stalled: layer %u, wait %u, SM %u\n", what, *p.error >> 20 & 0x7ff,
                   *p.error >> 16 & 15, *p.error & 0xffff);
            return false;
        }
        return true;
    }
};

// Several steps from `position` on, each against the naive step, and ten more times
// for the same bits.
template <class C>
static void test_steps(const char *name, Run<C> &run, int position, int steps, double limit)
{
    Naive<C> naive;
    const size_t cache_bytes = Run<C>::plane * 2 * C::LAYERS * 2;
    CHECK(cudaMemcpy(naive.cache, run.p.cache, cache_bytes, cudaMemcpyDeviceToDevice));
    std::vector<float> logits(C::VOCAB), again(C::VOCAB);
    std::vector<double> want(C::VOCAB);
    int token = 1234 + position;
    for (int i = 0; i < steps; i++, position++) {
        char what[100];
        snprintf(what, sizeof what, "%s, context %d", name, position);
        run.set(token, position, 1);
        CHECK(cudaMemset(run.p.logits, 0xff, C::VOCAB * 4));
        run.launch();
        if (!run.finished(what)) {
            return;
        }
        naive.step(token, position, run.p.angles, run.p.scales);
        CHECK(cudaStreamSynchronize(stream));
        int state[4];
        CHECK(cudaMemcpy(state, run.p.state, 16, cudaMemcpyDeviceToHost));
        CHECK(cudaMemcpy(logits.data(), run.p.logits, C::VOCAB * 4, cudaMemcpyDeviceToHost));
        CHECK(cudaMemcpy(want.data(), naive.acc, C::VOCAB * 8, cudaMemcpyDeviceToHost));
        const bool good =
            compare(what, std::vector<double>(logits.begin(), logits.end()), want, limit);
        const int best = (int)(std::max_element(logits.begin(), logits.end()) - logits.begin());
        if (state[0] != best || state[1] != position + 1) {
            failures++;
            printf("FAIL %s: token %d, position %d instead of %d, %d\n", what, state[0], state[1],
                   best, position + 1);
        } else if (good) {
            printf("ok   %s\n", what);
        }
        for (int repeat = 0; repeat < 10; repeat++) { // every second time with nothing in L2
            CHECK(cudaMemset(run.flush, repeat, repeat % 2 * Run<C>::flush_bytes));
            run.set(token, position, 0);
            run.launch();
            run.finished(what);
            CHECK(cudaMemcpy(again.data(), run.p.logits, C::VOCAB * 4, cudaMemcpyDeviceToHost));
            if (memcmp(logits.data(), again.data(), C::VOCAB * 4)) {
                failures++;
                printf("FAIL %s: another result in run %d\n", what, repeat);
            }
        }
        token = best;
    }
}

// Two layers of a model, at contexts around the borders of attention's chunks and splits.
template <class C> static void test_model(const char *name)
{
    Run<C> run;
    for (int at : {0, 1, 127, 129, 1000, 4096}) {
        test_steps(name, run, at, at == 127 ? 3 : 1, 1e-2);
    }
}

template <class C> static double time_steps(Run<C> &run, int position)
{
    run.set(1234, position, 0);
    const double us = time_graph(stream, 50, [&] { run.launch(); });
    run.finished("timing");
    const double kv = (double)C::LAYERS * 2 * C::KV * C::D * 2 * position;
    printf(" ctx %d %.3f ms (%.2f TB/s)", position, us * 1e-3, (run.bytes + kv) / us * 1e-6);
    return us;
}

template <class C> static void time_model(const char *name, const std::vector<int> &contexts)
{
    Run<C> run;
    printf("%-10s chunk %d slots %2d cap %2d copies %d:", name, C::CHUNK, C::SLOTS, C::CAP,
           C::COPIES);
    run.p.blind = 1;
    time_steps(run, 0);
    printf(" without waits;");
    run.p.blind = 0;
    for (int at : contexts) {
        time_steps(run, at);
    }
    printf("\n");
}

// Where the time goes: per phase, over the inner layers, in microseconds.
template <class C> static void profile(const char *name, int position)
{
    Run<C> run;
    run.set(1234, position, 0);
    for (int i = 0; i < 3; i++) {
        run.launch();
    }
    if (!run.finished(name)) {
        return;
    }
    static const char *const phases[] = {"qkv", "o", "gate_up", "down", "head"};
    std::vector<u64> t((C::LAYERS + 1) * PHASE_COUNT * C::SMS * 4);
    CHECK(cudaMemcpy(t.data(), run.p.stamps, t.size() * 8, cudaMemcpyDeviceToHost));
    auto at = [&](int l, int ph, int sm, int what) {
        return (double)t[((size_t)(l * PHASE_COUNT + ph) * C::SMS + sm) * 4 + what] * 1e-3;
    };
    printf("%s, context %d: means over layers, us (warp 7 of each SM)\n", name, position);
    printf("  phase    length  x ready after last published: mean  max   multiply mean  max   last "
           "published after median\n");
    double stalled = 0, wait_q = 0, mixed = 0, attending = 0;
    for (int sm = 0; sm < C::SMS; sm++) {
        stalled += (double)t[(size_t)C::LAYERS * PHASE_COUNT * C::SMS * 4 + sm * 4] / C::SMS;
        for (int l = 1; l < C::LAYERS; l++) {
            if (at(l, PHASE_HEAD, sm, 1) > 0) {
                attending++;
                wait_q += at(l, PHASE_HEAD, sm, 1) - at(l, PHASE_HEAD, sm, 0);
                mixed += at(l, PHASE_HEAD, sm, 2) - at(l, PHASE_HEAD, sm, 1);
            }
        }
    }
    printf("  ring full: %.0f kilocycles; attention: q awaited %.2f, then %.2f us\n",
           stalled * 1e-3, wait_q / attending, mixed / attending);
    for (int ph = 0; ph < 4; ph++) {
        double length = 0, ready = 0, ready_max = 0, mult = 0, mult_max = 0, skew = 0;
        int n = 0;
        for (int l = 1; l < C::LAYERS; l++, n++) {
            const int before = ph == 0 ? 3 : ph - 1, before_l = ph == 0 ? l - 1 : l;
            double last = 0, end = 0, m_ready = 0, m_mult = 0, x_ready = 0, x_mult = 0;
            std::vector<double> ends;
            int sms = 0;
            for (int sm = 0; sm < C::SMS; sm++) {
                last = std::max(last, at(before_l, before, sm, 3));
            }
            for (int sm = 0; sm < C::SMS; sm++) {
                if (at(l, ph, sm, 1) == 0) {
                    continue;
                }
                sms++;
                ends.push_back(at(l, ph, sm, 3));
                m_ready += at(l, ph, sm, 1) - last;
                x_ready = std::max(x_ready, at(l, ph, sm, 1) - last);
                m_mult += at(l, ph, sm, 2) - at(l, ph, sm, 1);
                x_mult = std::max(x_mult, at(l, ph, sm, 2) - at(l, ph, sm, 1));
            }
            std::sort(ends.begin(), ends.end());
            end = ends.back();
            length += end - last, ready += m_ready / sms, ready_max += x_ready;
            mult += m_mult / sms, mult_max += x_mult, skew += end - ends[ends.size() / 2];
        }
        printf("  %-8s %6.2f  %26.2f %6.2f %14.2f %6.2f %10.2f\n", phases[ph], length / n,
               ready / n, ready_max / n, mult / n, mult_max / n, skew / n);
    }
}

static void read_probe(void)
{
    const size_t n = (size_t)1 << 31;
    u8 *a = device_alloc<u8>(n);
    u32 *sink = device_alloc<u32>(1);
    make_bf16<<<2048, 256, 0, stream>>>((u16 *)a, 3, n / 2);
    const double us = time_graph(stream, 10, [&] {
        read_all<<<132 * 16, 256, 0, stream>>>((const uint4 *)a, n / 16, sink);
    });
    printf("read probe %.2f TB/s\n", n / us * 1e-6);
    CHECK(cudaFree(a));
    CHECK(cudaFree(sink));
}

int main(int argc, char **argv)
{
    (void)argv;
    CHECK(cudaStreamCreate(&stream));
    test_model<Model<2, 2048, 8192, 32, 8, 64, 128256, 16, 2, 12, 3, 4, false>>("1b bf16");
    test_model<Model<2, 4096, 14336, 32, 8, 128, 128256, 16, 2, 12, 3, 4, false>>("8b bf16");
    test_model<Model<2, 4096, 14336, 32, 8, 128, 128256, 8, 2, 12, 3, 4, false>>("8b int8");
    test_model<Model<2, 4096, 14336, 32, 8, 128, 128256, 4, 2, 11, 3, 4, false>>("8b int4");
    if (argc == 1) { // any argument: correctness only
        read_probe();
        time_model<Llama1B<16, 2, 12, 3, 4>>("1b bf16", {128, 4096});
        time_model<Llama8B<16, 2, 12, 3, 4>>("8b bf16", {128, 4096});
        time_model<Llama8B<8, 2, 12, 3, 4>>("8b int8", {128});
        time_model<Llama8B<4, 2, 11, 3, 4>>("8b int4", {128});
        profile<Llama8B<16, 2, 12, 3, 4, true>>("8b bf16", 128);
        profile<Llama8B<4, 2, 11, 3, 4, true>>("8b int4", 128);
    }
    printf("%d failures\n", failures);
    return failures > 0;
}
