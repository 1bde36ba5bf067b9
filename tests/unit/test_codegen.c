/* test_codegen.c - generated programs against the interpreter: operators fused and not, weight
 * dtypes and quantisation schemes, decode and prefill, for this machine and for any machine.
 *
 * Memory is poisoned with NaN before every step, so that a value read before it is written shows.
 */
#include "codegen_run.h"

#include "codegen/emit.h"

static uint64_t seed;

/* How matrices are stored, and how matmuls read them. */
typedef enum Weights {
    W_PLAIN,
    W_I8,
    W_I8_SLOT,
    W_U4,
    W_U4_ZEROS,
    W_E4M3,
    W_E4M3_SLOT,
    W_I8I8,
    W_U4I8,
    W_E4M3_BOTH
} Weights;

typedef struct Shape {
    const char *phase;
    int tokens, dim, ff, heads, kv_heads, head_dim, vocab, context;
    const char *dtype, *cache; /* of matrices; of caches ("i8": with scales) */
    Weights weights;
    bool fused;
    const char *style, *activation;
    int window;
    double softcap;
    bool untiled; /* weights as they come: no vector kernel reads them */
    int steps;    /* decode; 0: 4 */
} Shape;

static bool coded_cache(const Shape *s)
{
    return strcmp(s->cache, "i8") == 0 || strcmp(s->cache, "e4m3") == 0;
}

/* ---- IR text --------------------------------------------------------------------------------- */

/* Lines that make the operand `w` of a matmul from @name, and the matmul. */
static void put_matmul(Buf *b, const Shape *s, const char *y, const char *x, const char *name,
                       const char *epilogue, const char *extra)
{
    bool codes = s->weights >= W_I8I8;
    bool e4m3 = s->weights == W_E4M3 || s->weights == W_E4M3_SLOT || s->weights == W_E4M3_BOTH;
    bool u4 = s->weights == W_U4 || s->weights == W_U4_ZEROS || s->weights == W_U4I8;
    bool zeros = s->weights == W_U4_ZEROS;
    const char *attrs = u4 ? ", group = 8" : "", *dtype = e4m3 ? ", dtype = e4m3" : "";
    /* one operand of an epilogue has the name of an absent slot */
    const char *scale = strcmp(name, "o") == 0 ? "x_scale" : arena_printf(b->arena, "%s_xs", name);
    if (s->weights == W_PLAIN) {
        buf_printf(b, "  %%%s = matmul %%%s, @%s {epilogue = %s%s}\n", y, x, name, epilogue, extra);
        return;
    }
    buf_printf(b, "  %%%s_s = quant_scale @%s {bits = %d%s%s%s}\n", name, name, u4 ? 4 : 8, attrs,
               dtype, zeros ? ", asym = 1" : "");
    if (zeros) {
        buf_printf(b, "  %%%s_z = quant_zero @%s, %%%s_s {bits = 4, group = 8}\n", name, name,
                   name);
    }
    buf_printf(b, "  %%%s_c = quant_code @%s, %%%s_s%s%s%s {bits = %d%s%s%s}\n", name, name, name,
               zeros ? ", zero = %" : "", zeros ? name : "", zeros ? "_z" : "", u4 ? 4 : 8, attrs,
               dtype, u4 && !zeros ? ", zero = 8" : "");
    if (codes) {
        buf_printf(b, "  %%%s_xc, %%%s = quantize %%%s%s\n", name, scale, x,
                   e4m3 ? " {dtype = e4m3}" : "");
    }
    buf_printf(b, "  %%%s = matmul ", y);
    buf_printf(b, codes ? "%%%s_xc" : "%%%s", codes ? name : x);
    buf_printf(b, ", %%%s_c", name);
    bool slot = u4 || s->weights == W_I8_SLOT || s->weights == W_E4M3_SLOT;
    if (slot) {
        buf_printf(b, ", w_scale = %%%s_s", name);
    }
    if (zeros) {
        buf_printf(b, ", w_zero = %%%s_z", name);
    }
    if (s->weights == W_U4I8) {
        buf_printf(b, ", x_scale = %%%s", scale);
    }
    /* per-channel scales are factors of the accumulator */
    const char *rest = strstr(epilogue, "acc") + strlen("acc");
    buf_puts(b, " {epilogue = ");
    buf_add(b, epilogue, (size_t)(rest - epilogue) - strlen("acc"));
    if (slot) {
        buf_puts(b, "acc");
    } else if (codes) {
        buf_printf(b, "mul(mul(acc, %%%s_s), %%%s)", name, scale);
    } else {
        buf_printf(b, "mul(acc, %%%s_s)", name);
    }
    buf_puts(b, rest);
    buf_printf(b, "%s%s%s%s}\n", attrs, u4 && !zeros ? ", zero = 8" : "",
               codes ? ", dtype = f32" : "", extra);
}

static void put_signature(Buf *b, const Shape *s)
{
    const char *d = s->dtype;
    int q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim, seqs = s->tokens;
    if (strcmp(s->phase, "prefill") == 0) {
        seqs = 1;
    }
    buf_printf(b, "func @layer(%%x: f32[%d, %d], %%angles: f32[%d, %d], %%pos: i32[%d])\n",
               s->tokens, s->dim, s->tokens, s->head_dim, s->tokens);
    buf_printf(b, "    state(%%kc: %s[%d, %d, %d, %d], %%vc: %s[%d, %d, %d, %d]", s->cache, seqs,
               s->context, s->kv_heads, s->head_dim, s->cache, seqs, s->context, s->kv_heads,
               s->head_dim);
    if (coded_cache(s)) {
        buf_printf(b, ", %%ks: f32[%d, %d, %d], %%vs: f32[%d, %d, %d]", seqs, s->context,
                   s->kv_heads, seqs, s->context, s->kv_heads);
    }
    buf_printf(b,
               ")\n    weights(@norm1: %s[%d], @q: %s[%d, %d], @k: %s[%d, %d], @v: %s[%d, %d], "
               "@bias: %s[%d], @qn: %s[%d], @kn: %s[%d], @o: %s[%d, %d], @norm2: %s[%d], "
               "@gate: %s[%d, %d], @up: %s[%d, %d], @down: %s[%d, %d])\n"
               "    -> (%%x: f32[%d, %d]) {\n",
               d, s->dim, d, q, s->dim, d, kv, s->dim, d, kv, s->dim, d, q + 2 * kv, d, s->head_dim,
               d, s->head_dim, d, s->dim, q, d, s->dim, d, s->ff, s->dim, d, s->ff, s->dim, d,
               s->dim, s->ff, s->tokens, s->dim);
}

static void put_attention(Buf *b, const Shape *s, const char *k, const char *v)
{
    if (s->fused) {
        buf_printf(b,
                   "  %%a = attention %%qr, %%%s, %%%s, %%pos%s {heads = %d, kv_heads = %d, "
                   "head_dim = %d, scale = 0.3, window = %d, softcap = %g}\n",
                   k, v, coded_cache(s) ? ", k_scale = %ks2, v_scale = %vs2" : "", s->heads,
                   s->kv_heads, s->head_dim, s->window, s->softcap);
        return;
    }
    if (coded_cache(s)) {
        buf_printf(b, "  %%kd = dequant %%%s, %%ks2\n  %%vd = dequant %%%s, %%vs2\n", k, v);
        k = "kd";
        v = "vd";
    }
    buf_printf(b,
               "  %%s = attn_scores %%qr, %%%s, %%pos {heads = %d, kv_heads = %d, head_dim = %d, "
               "scale = 0.3, window = %d, softcap = %g}\n  %%p = softmax %%s\n"
               "  %%a = attn_mix %%p, %%%s, %%pos {heads = %d, kv_heads = %d, head_dim = %d, dtype "
               "= f32}\n",
               k, s->heads, s->kv_heads, s->head_dim, s->window, s->softcap, v, s->heads,
               s->kv_heads, s->head_dim);
}

static void put_plain_qkv(Buf *b, const Shape *s)
{
    put_matmul(b, s, "q2", "n", "q", "acc", "");
    put_matmul(b, s, "k2", "n", "k", "acc", "");
    put_matmul(b, s, "v2", "n", "v", "acc", "");
    buf_printf(b,
               "  %%q3 = rmsnorm %%q2, gain = @qn {eps = 1e-06, group = %d}\n"
               "  %%k3 = rmsnorm %%k2, gain = @kn {eps = 1e-06, group = %d}\n"
               "  %%qr = rope %%q3, %%angles {head_dim = %d, dims = %d, style = %s}\n"
               "  %%kr = rope %%k3, %%angles {head_dim = %d, dims = %d, style = %s}\n",
               s->head_dim, s->head_dim, s->head_dim, s->head_dim, s->style, s->head_dim,
               s->head_dim, s->style);
    if (coded_cache(s)) {
        const char *dtype = strcmp(s->cache, "e4m3") == 0 ? ", dtype = e4m3" : "";
        buf_printf(
            b,
            "  %%kq, %%kqs = quantize %%kr {group = %d%s}\n"
            "  %%vq, %%vqs = quantize %%v2 {group = %d%s}\n"
            "  %%kc2 = kv_append %%kc, %%kq, %%pos\n  %%vc2 = kv_append %%vc, %%vq, %%pos\n"
            "  %%ks2 = kv_append %%ks, %%kqs, %%pos\n  %%vs2 = kv_append %%vs, %%vqs, %%pos\n",
            s->head_dim, dtype, s->head_dim, dtype);
    } else {
        buf_puts(b, "  %kc2 = kv_append %kc, %kr, %pos\n  %vc2 = kv_append %vc, %v2, %pos\n");
    }
}

static void put_fused_qkv(Buf *b, const Shape *s)
{
    buf_printf(
        b,
        "  %%qkv = concat_rows @q, @k, c = @v\n"
        "  %%qr, %%kc2, %%vc2 = matmul_qkv %%n, %%qkv, %%kc, %%vc, %%pos, angles = %%angles, "
        "q_gain = @qn, k_gain = @kn {heads = %d, kv_heads = %d, head_dim = %d, dims = %d, "
        "style = %s, eps = 1e-06, epilogue = add(acc, @bias)}\n",
        s->heads, s->kv_heads, s->head_dim, s->head_dim, s->style);
}

/* The same with caches of codes. */
static void put_coded_qkv(Buf *b, const Shape *s)
{
    buf_printf(
        b,
        "  %%qkv = concat_rows @q, @k, c = @v\n"
        "  %%all = matmul %%n, %%qkv {epilogue = add(acc, @bias)}\n"
        "  %%qr, %%kc2, %%vc2, %%ks2, %%vs2 = qkv_append %%all, %%kc, %%vc, %%ks, %%vs, %%pos, "
        "angles = %%angles, q_gain = @qn, k_gain = @kn {heads = %d, kv_heads = %d, head_dim "
        "= %d, dims = %d, style = %s, eps = 1e-06}\n",
        s->heads, s->kv_heads, s->head_dim, s->head_dim, s->style);
}

static void put_mlp(Buf *b, const Shape *s, int block)
{
    if (s->fused && s->weights == W_PLAIN) {
        buf_printf(b,
                   "  %%gu = interleave_rows @gate, @up {block = %d}\n"
                   "  %%h = matmul %%m, %%gu {interleave = %d, n = %d, "
                   "epilogue = mul(%s(acc.0), acc.1)}\n",
                   block, block, s->ff, s->activation);
        put_matmul(b, s, "y", "h", "down", "add(acc, %x1)", "");
        return;
    }
    put_matmul(b, s, "g", "m", "gate", "acc", "");
    put_matmul(b, s, "u", "m", "up", "acc", "");
    buf_printf(b, "  %%act = %s %%g\n  %%h = mul %%act, %%u\n", s->activation);
    put_matmul(b, s, "d", "h", "down", "acc", "");
    buf_puts(b, "  %y = add %x1, %d\n");
}

static const char *module_text(Ctx *ctx, const Shape *s, int block)
{
    Buf b = buf_create(ctx->arena);
    buf_printf(
        &b,
        "module @test {phase = %s, tokens = %d, context = %d}\n"
        "schedule embed; 2 x layer; head\n\n"
        "func @embed(%%tokens: i32[%d], %%pos: i32[%d]) weights(@embedding: %s[%d, %d])\n"
        "    -> (%%x: f32[%d, %d], %%angles: f32[%d, %d]) {\n"
        "  %%x = embed %%tokens, @embedding {dtype = f32}\n"
        "  %%freqs = rope_freqs {dims = %d, theta = 10000}\n"
        "  %%angles = rope_angles %%pos, %%freqs {scale = 1.1}\n  return %%x, %%angles\n}\n\n",
        s->phase, s->tokens, s->context, s->tokens, s->tokens, s->dtype, s->vocab, s->dim,
        s->tokens, s->dim, s->tokens, s->head_dim, s->head_dim);
    put_signature(&b, s);
    buf_puts(&b, "  %n = rmsnorm %x, gain = @norm1 {eps = 1e-05}\n");
    if (s->fused && s->weights == W_PLAIN) {
        (coded_cache(s) ? put_coded_qkv : put_fused_qkv)(&b, s);
    } else {
        put_plain_qkv(&b, s);
    }
    put_attention(&b, s, "kc2", "vc2");
    put_matmul(&b, s, "o2", "a", "o", "acc", "");
    buf_puts(&b, "  %x1 = add %x, %o2\n");
    buf_puts(&b, "  %m = layernorm %x1, gain = @norm2 {eps = 1e-05}\n");
    put_mlp(&b, s, block);
    buf_printf(
        &b,
        "  return %%y\n}\n\nfunc @head(%%x: f32[%d, %d]) weights(@final: %s[%d], @embedding: "
        "%s[%d, %d])\n    -> (%%logits: f32[%d, %d]) {\n"
        "  %%r = row_rms %%x {eps = 1e-05}\n  %%w = scale_cols @embedding, @final\n"
        "  %%wf = cast %%w {dtype = f32}\n"
        "  %%logits = matmul %%x, %%wf {dtype = f32, epilogue = mul(acc, %%r)}\n"
        "  return %%logits\n}\n",
        s->tokens, s->dim, s->dtype, s->dim, s->dtype, s->vocab, s->dim, s->tokens, s->vocab);
    return b.data;
}

/* ---- running --------------------------------------------------------------------------------- */

static void random_tokens(const Shape *s, int32_t *tokens)
{
    for (int t = 0; t < s->tokens; t++) {
        tokens[t] = (int32_t)(unit_random(&seed) % (uint64_t)s->vocab);
    }
}

static void check_distance(const Shape *s, const char *cpu, int step, double d, double limit)
{
    if (!(d <= limit)) {
        fail_msg("%s %s T %d weights %d %s cache %s fused %d, step %d: relative L2 %g > %g", cpu,
                 s->phase, s->tokens, (int)s->weights, s->dtype, s->cache, s->fused, step, d,
                 limit);
    }
}

/* Each sequence at a position of its own; the last step leaves a row unused. */
static void run_decode(Program *p, const Shape *s, const char *cpu, double limit)
{
    int32_t tokens[SINTER_MAX_BATCH], pos[SINTER_MAX_BATCH];
    int steps = s->steps > 0 ? s->steps : 4;
    for (int step = 0; step < steps; step++) {
        random_tokens(s, tokens);
        int rows = step == steps - 1 && s->tokens > 1 ? s->tokens - 1 : s->tokens;
        for (int t = 0; t < s->tokens; t++) {
            pos[t] = t % 2 == 1 && step == 0 ? -1 : step - t % 2;
        }
        double d = program_step(p, tokens, pos, rows, SINTER_LOGITS_ALL);
        check_distance(s, cpu, step, d, limit);
    }
}

/* A whole chunk, then a part of one. */
static void run_prefill(Program *p, const Shape *s, const char *cpu, double limit)
{
    int32_t tokens[64], pos[64];
    for (int step = 0, at = 0; step < 3; step++) {
        int rows = step == 0 ? s->tokens : s->tokens - 2 * step;
        random_tokens(s, tokens);
        for (int t = 0; t < rows; t++) {
            pos[t] = at + t;
        }
        int wanted = step == 1 ? SINTER_LOGITS_LAST : SINTER_LOGITS_ALL;
        check_distance(s, cpu, step, program_step(p, tokens, pos, rows, wanted), limit);
        at += rows;
    }
}

static void run_shape(const Shape *s, const char *cpu)
{
    Ctx *ctx = ctx_create();
    const Target *target = target_c(ctx, cpu);
    const char *text = module_text(ctx, s, target->block);
    Program *p = program_create(ctx, cpu, text, unit_random(&seed));
    bool rounded = strcmp(s->cache, "f32") != 0;
    /* a code on the verge between two integers moves a quantised row by 1 / 127, one between two
     * numbers of e4m3 an element by 1 / 8 */
    bool e4m3 = s->weights == W_E4M3_BOTH || strcmp(s->cache, "e4m3") == 0;
    double limit = e4m3 ? 6e-2 : s->weights >= W_I8I8 ? 3e-2 : rounded ? 5e-3 : 2e-5;
    if (strcmp(s->phase, "decode") == 0) {
        run_decode(p, s, cpu, limit);
    } else {
        run_prefill(p, s, cpu, limit);
    }
    program_destroy(p);
    ctx_destroy(ctx);
}

/* Instruction sets take turns, this machine's best every other time. */
static const char *next_cpu(void)
{
    static int turn;
    const char *const others[] = {"portable", "avx2", "avx512-base"};
    const Isa *best = isa_native();
    int n = best->avx512 ? 3 : best->avx2 ? 2 : 1;
    turn++;
    return turn % 2 == 1 ? "native" : others[turn / 2 % n];
}

static void run_one(const Shape *s)
{
    run_shape(s, next_cpu());
}

static Shape base_shape(void)
{
    return (Shape){.phase = "decode",
                   .tokens = 1,
                   .dim = 32,
                   .ff = 48,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = 16,
                   .vocab = 64,
                   .context = 64,
                   .dtype = "f32",
                   .cache = "f32",
                   .style = "half",
                   .activation = "silu"};
}

static void test_dtypes(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"f32", "bf16", "f16"};
    for (int i = 0; i < 3; i++) {
        for (int fused = 0; fused < 2; fused++) {
            Shape s = base_shape();
            s.dtype = dtypes[i];
            s.fused = fused == 1;
            run_one(&s);
        }
    }
}

static void test_caches(void **state)
{
    (void)state;
    static const char *const caches[] = {"bf16", "f16", "i8", "e4m3"};
    for (int i = 0; i < 4; i++) {
        for (int fused = 0; fused < 2; fused++) {
            Shape s = base_shape();
            s.cache = caches[i];
            s.tokens = 2;
            s.fused = fused == 1;
            run_one(&s);
        }
    }
}

static void test_batches(void **state)
{
    (void)state;
    for (int tokens = 2; tokens <= 8; tokens *= 2) {
        Shape s = base_shape();
        s.tokens = tokens;
        s.fused = tokens != 4;
        s.dtype = "bf16";
        s.activation = tokens == 2 ? "gelu" : tokens == 4 ? "gelu_tanh" : "relu";
        s.style = tokens == 4 ? "half" : "adjacent";
        run_one(&s);
    }
}

static void test_odd_shapes(void **state)
{
    (void)state;
    for (int fused = 0; fused < 2; fused++) {
        for (int i = 0; i < 3; i++) {
            Shape s = base_shape();
            s.dim = i == 0 ? 33 : 23;
            s.ff = i == 1 ? 37 : 50;
            s.head_dim = i == 2 ? 20 : 6;
            s.vocab = 71;
            s.tokens = 1 + i;
            s.dtype = i == 0 ? "bf16" : i == 1 ? "f16" : "f32";
            s.fused = fused == 1;
            s.window = i == 1 ? 2 : 0;
            s.softcap = i == 2 ? 3 : 0;
            run_one(&s);
        }
    }
}

static void test_prefill(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        Shape s = base_shape();
        s.phase = "prefill";
        s.tokens = i == 3 ? 11 : 16;
        s.fused = i != 1;
        s.dtype = i == 2 ? "f32" : "bf16";
        s.window = i == 2 ? 7 : 0;
        s.softcap = i == 2 ? 3 : 0;
        run_one(&s);
    }
}

/* Contexts of several blocks of positions, heads that share keys or do not, windows, caches. */
static void test_long_contexts(void **state)
{
    (void)state;
    static const char *const caches[] = {"f32", "bf16", "f16", "i8", "e4m3"};
    for (int i = 0; i < 15; i++) {
        Shape s = base_shape();
        bool prefill = i % 3 < 2;
        s.phase = prefill ? "prefill" : "decode";
        s.tokens = !prefill ? 1 + i / 3 % 2 : i % 2 == 0 ? 60 : 37;
        s.steps = 140;
        s.context = 192;
        s.fused = true;
        s.cache = caches[i % 5];
        s.kv_heads = i % 5 == 0 ? 4 : i % 5 == 1 ? 1 : 2;
        if (i % 6 == 2) { /* heads divide evenly among the threads: fewer barriers */
            s.heads = 6;
            s.kv_heads = i == 2 ? 3 : 6;
        }
        s.head_dim = i % 4 == 1 ? 22 : i % 4 == 2 ? 80 : 32;
        s.window = i % 4 == 3 ? 70 : 0;
        s.softcap = i % 6 == 5 ? 3 : 0;
        run_one(&s);
    }
}

static void test_quantised(void **state)
{
    (void)state;
    for (int w = W_I8; w <= W_E4M3_BOTH; w++) {
        for (int i = 0; i < 3; i++) {
            Shape s = base_shape();
            s.weights = (Weights)w;
            s.tokens = i == 1 ? 4 : 1;
            s.fused = i == 1;
            if (i == 2) {
                s.phase = "prefill";
                s.tokens = 16;
            }
            run_one(&s);
        }
    }
}

/* Without the layout pass every dtype and scheme still runs, in plain loops. */
static void test_untiled(void **state)
{
    (void)state;
    for (int w = W_PLAIN; w <= W_E4M3_BOTH; w += w == W_PLAIN ? 2 : 1) {
        Shape s = base_shape();
        s.weights = (Weights)w;
        s.untiled = true;
        s.fused = w == W_PLAIN;
        s.tokens = 1 + w % 3;
        s.dtype = w % 2 == 0 ? "f16" : "bf16";
        run_one(&s);
    }
}

/* Integer inputs have integer codes and scale 1: sums must be exact, and the model has no @embed.
 */
static void check_exact(const char *cpu, int tokens, int columns, bool u4)
{
    Ctx *ctx = ctx_create();
    bool decode = tokens <= 8;
    const char *text = arena_printf(
        ctx->arena,
        "module @ffn {phase = %s, tokens = %d, context = 8}\nschedule ffn\n\n"
        "func @ffn(%%x: f32[%d, %d]) weights(@w: f32[48, %d]) -> (%%y: f32[%d, 48]) {\n"
        "  %%xc, %%xs = quantize %%x\n  %%s = quant_scale @w {bits = %d}\n"
        "  %%c = quant_code @w, %%s {bits = %d%s}\n"
        "  %%y = matmul %%xc, %%c {dtype = f32%s}\n  return %%y\n}\n",
        decode ? "decode" : "prefill", tokens, tokens, columns, columns, tokens, u4 ? 4 : 8,
        u4 ? 4 : 8, u4 ? ", zero = 8" : "", u4 ? ", zero = 8" : "");
    Program *p = program_create(ctx, cpu, text, unit_random(&seed));
    const Type *type =
        p->module->funcs.data[0]->value[p->module->funcs.data[0]->params.data[0]].type;
    Tensor x = tensor_create(ctx->arena, type), want;
    float *input = ARENA_ARRAY(ctx->arena, float, tokens *columns);
    float *out = ARENA_ARRAY(ctx->arena, float, tokens * 48);
    for (int i = 0; i < tokens * columns; i++) {
        x.v[i] = i % columns == 3 ? 127 : (double)(int64_t)(unit_random(&seed) % 255) - 127;
        input[i] = (float)x.v[i];
    }
    InterpArgs args = {.params = &x};
    args.weights = program_weight(
        p, -1, str_intern(ctx->strings, "w"),
        p->module->funcs.data[0]->value[p->module->funcs.data[0]->weights.data[0]].type);
    assert_true(interp_func(ctx->arena, p->module->funcs.data[0], &args, &want));
    SinterRun run = {.weights = p->file, .scratch = p->scratch, .input = input, .logits = out};
    run.rows = tokens;
    program_run_threads(&run, decode ? p->model->decode[0].fn : p->model->prefill.fn);
    for (int i = 0; i < tokens * 48; i++) {
        if ((double)out[i] < want.v[i] || (double)out[i] > want.v[i]) {
            fail_msg("%s T %d K %d: element %d is %g, expected %g", cpu, tokens, columns, i,
                     (double)out[i], want.v[i]);
        }
    }
    program_destroy(p);
    ctx_destroy(ctx);
}

static void test_exact_integers(void **state)
{
    (void)state;
    for (int u4 = 0; u4 < 2; u4++) {
        check_exact("native", 1, 64, u4 == 1);
        check_exact("portable", 2, 69, u4 == 1);
        check_exact(next_cpu(), 12, 75, u4 == 1);
        check_exact("native", 8, 70, u4 == 1);
    }
}

static const char *emitted(Ctx *ctx, const Target *target)
{
    Shape s = base_shape();
    s.fused = true;
    Module *m = program_module(ctx, target, module_text(ctx, &s, target->block));
    Buf source = buf_create(ctx->arena), header = buf_create(ctx->arena);
    EmitOptions options = {.bos_id = -1, .eos_id = -1};
    Plan *plan = plan_build(ctx, target, &m, 1);
    assert_true(emit_c(plan, &options, ".", &source, &header));
    return source.data;
}

/* The same plan, emitted twice, is the same bytes. */
static void test_deterministic(void **state)
{
    (void)state;
    Ctx *a = ctx_create(), *b = ctx_create();
    assert_string_equal(emitted(a, target_c(a, "portable")), emitted(b, target_c(b, "portable")));
    ctx_destroy(a);
    ctx_destroy(b);
}

/* Decode asks for a matmul's weights at the barrier in front of it, for the next layer's at the end
 * of a layer; not on a device that asks for none. */
static void test_weights_at_barriers(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Target target = *target_c(ctx, "portable");
    const char *text = emitted(ctx, &target);
    int n = 0;
    for (const char *s = text; (s = strstr(s, "    barrier_before(run, w + AT_LAYER_")) != NULL;
         n++) {
        s = strchr(s, ';');
    }
    assert_int_equal(n, 4);
    assert_non_null(strstr(text, "barrier_before(run, w + AT_LAYER_DOWN"));
    target.caches.ahead = 0;
    assert_null(strstr(emitted(ctx, &target), "barrier_before("));
    ctx_destroy(ctx);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_prefill),
        cmocka_unit_test(test_quantised),
        cmocka_unit_test(test_untiled),
        cmocka_unit_test(test_exact_integers),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_long_contexts),
        cmocka_unit_test(test_weights_at_barriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
