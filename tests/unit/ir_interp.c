/* The interpreter: operators on numbers worked out by hand, operators against their definition
 * written another way on random numbers, rounding, and the constant half by rows. */
#include "ir_case.h"

#include "ir/interp.h"
#include "ir/slots.h"

static uint64_t seed;

/* ---- by hand --------------------------------------------------------------------------------- */

enum { MAX_VALUES = 48, MAX_INPUTS = 8 };

typedef struct Values {
    int n;
    double v[MAX_VALUES];
} Values;

#define V(...)                                                                                     \
    {                                                                                              \
        (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                                   \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

typedef struct ByHand {
    const char *text;
    Values in[MAX_INPUTS]; /* params, states, weights */
    Values out[3];         /* results, states (n = 0: not looked at) */
} ByHand;

#define INF ((double)INFINITY)

static const ByHand by_hand[] = {
    {"func @f(%x: f32[1, 2]) weights(@a: f32[2, 2], @b: f32[1, 2]) -> (%y: f32[1, 3]) {\n"
     "  %w = concat_rows @a, @b\n  %y = matmul %x, %w\n  return %y\n}\n",
     {V(1, 10), V(1, 2, 3, 4), V(5, 6)},
     {V(21, 43, 65)}},
    /* blocks of 2: a0 a1 b0 b1 a2 0 b2 0 */
    {"func @f(%x: f32[1, 1]) weights(@a: f32[3, 1], @b: f32[3, 1]) -> (%y: f32[1, 8]) {\n"
     "  %w = interleave_rows @a, @b {block = 2}\n  %y = matmul %x, %w\n  return %y\n}\n",
     {V(1), V(1, 2, 3), V(4, 5, 6)},
     {V(1, 2, 4, 5, 3, 0, 6, 0)}},
    {"func @f(%x: f32[1, 2]) weights(@w: f32[2, 2], @g: f32[2]) -> (%y: f32[1, 2]) {\n"
     "  %s = scale_cols @w, @g\n  %y = matmul %x, %s\n  return %y\n}\n",
     {V(1, 1), V(1, 2, 3, 4), V(10, 100)},
     {V(210, 430)}},
    /* 8 bits: scale 1 and 0; ties to even */
    {"func @f(%x: f32[1, 2]) weights(@w: f32[2, 2]) -> (%y: f32[1, 2]) {\n"
     "  %s = quant_scale @w {bits = 8}\n  %c = quant_code @w, %s {bits = 8}\n"
     "  %d = dequant %c, %s\n  %y = matmul %x, %d\n  return %y\n}\n",
     {V(1, 1000), V(-127, 2.5, 0, 0)},
     {V(1873, 0)}},
    /* 4 bits symmetric in groups of 2: scales 1 and 2; codes 15 7 | 1 8 */
    {"func @f(%x: f32[1, 4]) weights(@w: f32[1, 4]) -> (%y: f32[1, 1]) {\n"
     "  %s = quant_scale @w {bits = 4, group = 2}\n"
     "  %c = quant_code @w, %s {bits = 4, group = 2, zero = 8}\n"
     "  %d = dequant %c, %s {group = 2, zero = 8}\n  %y = matmul %x, %d\n  return %y\n}\n",
     {V(1, 10, 100, 1000), V(7, -1.4, -14, 0.9)},
     {V(7 - 10 - 1400 + 0)}},
    /* scales of groups are f16 before codes are made: 7.003 / 7 is 1, so 1.5 is code 2 and not 1;
       the smallest there is, 2^-24, where the nearest is 0 */
    {"func @f(%x: f32[1, 4]) weights(@w: f32[1, 4]) -> (%y: f32[1, 1]) {\n"
     "  %s = quant_scale @w {bits = 4, group = 2}\n"
     "  %c = quant_code @w, %s {bits = 4, group = 2, zero = 8}\n"
     "  %d = dequant %c, %s {group = 2, zero = 8}\n  %y = matmul %x, %d\n  return %y\n}\n",
     {V(1, 10, 0x1p24, 1), V(7.003, 1.5, 2e-7, 0)},
     {V(7 + 20 + 3)}},
    /* 4 bits asymmetric: lo -5, hi 10, scale 1, zero 5, codes 0 15 8 5 */
    {"func @f(%x: f32[1, 4]) weights(@w: f32[1, 4]) -> (%y: f32[1, 1]) {\n"
     "  %s = quant_scale @w {bits = 4, asym = 1}\n  %z = quant_zero @w, %s {bits = 4}\n"
     "  %c = quant_code @w, %s, zero = %z {bits = 4}\n"
     "  %d = dequant %c, %s, zero = %z\n  %y = matmul %x, %d\n  return %y\n}\n",
     {V(1, 10, 100, 1000), V(-5, 10, 2.6, 0.1)},
     {V(-5 + 100 + 300 + 0)}},
    /* 4 bits asymmetric, all positive: lo is 0, so that 0 stays exact */
    {"func @f(%x: f32[1, 2]) weights(@w: f32[1, 2]) -> (%y: f32[1, 1]) {\n"
     "  %s = quant_scale @w {bits = 4, asym = 1}\n  %z = quant_zero @w, %s {bits = 4}\n"
     "  %c = quant_code @w, %s, zero = %z {bits = 4}\n"
     "  %d = dequant %c, %s, zero = %z\n  %y = matmul %x, %d\n  return %y\n}\n",
     {V(1, 10), V(30, 15)},
     {V(30 + 160)}}, /* 15 / 2 = 7.5 -> 8 */
    {"func @f(%x: f32[2, 3]) -> (%c: i8[2, 3], %s: f32[2, 1]) {\n"
     "  %c, %s = quantize %x\n  return %c, %s\n}\n",
     {V(254, -3, 1, 0, 0, 0)},
     {V(127, -2, 0, 0, 0, 0), V(2, 0)}}, /* -1.5 -> -2, 0.5 -> 0 */
    {"func @f(%x: f32[1, 4]) -> (%c: i8[1, 4], %s: f32[1, 2]) {\n"
     "  %c, %s = quantize %x {group = 2}\n  return %c, %s\n}\n",
     {V(127, 1, 254, 2)},
     {V(127, 1, 127, 1), V(1, 2)}},
    {"func @f(%ids: i32[3]) weights(@w: f32[2, 2]) -> (%y: f32[3, 2]) {\n"
     "  %y = embed %ids, @w\n  return %y\n}\n",
     {V(1, 0, -1), V(1, 2, 3, 4)},
     {V(3, 4, 1, 2, 0, 0)}},
    {"func @f(%ids: i32[1]) weights(@c: u4[2, 4], @s: f32[2, 2], @z: u8[2, 2]) -> (%y: f32[1, 4]) "
     "{\n"
     "  %y = embed %ids, @c, w_scale = @s, w_zero = @z {group = 2}\n  return %y\n}\n",
     {V(1), V(0, 0, 0, 0, 1, 2, 3, 4), V(1, 1, 10, 100), V(0, 0, 1, 5)},
     {V(0, 10, -200, -100)}},
    {"func @f(%x: f32[1, 2]) weights(@g: f32[2]) -> (%y: f32[1, 2]) {\n"
     "  %y = rmsnorm %x, gain = @g {eps = 0.5}\n  return %y\n}\n",
     {V(1, -2), V(1, 3)}, /* mean square 2.5 */
     {V(0.57735026918962576, -3.4641016151377544)}},
    {"func @f(%x: f32[1, 4]) weights(@g: f32[2]) -> (%y: f32[1, 4]) {\n"
     "  %y = rmsnorm %x, gain = @g {group = 2}\n  return %y\n}\n",
     {V(3, 3, 0, 2), V(1, 2)},
     {V(1, 2, 0, 2 * 1.4142135623730951)}},
    {"func @f(%x: f32[1, 2]) weights(@g: f32[2], @b: f32[2]) -> (%y: f32[1, 2]) {\n"
     "  %y = layernorm %x, gain = @g, bias = @b\n  return %y\n}\n",
     {V(1, 5), V(1, 2), V(10, 20)}, /* mean 3, biased variance 4 */
     {V(9, 22)}},
    {"func @f(%x: f32[2, 2]) -> (%y: f32[2, 1]) {\n  %y = row_rms %x {eps = 1}\n  return %y\n}\n",
     {V(1, -1, 4, 4), V(0)},
     {V(0.70710678118654746, 0.24253562503633297)}},
    {"func @f(%x: f32[1, 2]) -> (%c: i8[1, 2], %s: f32[1, 1]) {\n"
     "  %c, %s = rmsnorm_quant %x\n  return %c, %s\n}\n",
     {V(3, -3)},
     {V(127, -127), V((double)(float)(1.0 / 127))}},
    /* acc = 12, 21 */
    {"func @f(%x: f32[1, 2], %r: f32[1, 2]) weights(@w: f32[2, 2], @b: f32[2]) -> (%y: f32[1, 2]) "
     "{\n"
     "  %y = matmul %x, @w {epilogue = add(mul(relu(add(acc, @b)), 2), %r)}\n  return %y\n}\n",
     {V(1, 2), V(100, 200), V(2, 5, 1, 10), V(1, -30)},
     {V(126, 200)}},
    /* interleaved blocks of 1: acc.0 from rows 0 and 2, acc.1 from rows 1 and 3 */
    {"func @f(%x: f32[1, 1]) weights(@w: f32[4, 1]) -> (%y: f32[1, 2]) {\n"
     "  %y = matmul %x, @w {n = 2, interleave = 1, epilogue = sub(acc.0, acc.1)}\n  return %y\n}\n",
     {V(2), V(1, 10, 100, 1000)},
     {V(-18, -1800)}},
    /* codes with a zero point: 2 groups of (3 - 1) + (5 - 1) = 6 and (2 - 2) + (4 - 2) = 2 */
    {"func @f(%x: i8[1, 4], %xs: f32[1, 1]) weights(@w: u4[1, 4], @s: f32[1, 2], @z: u8[1, 2]) "
     "-> (%y: f32[1, 1]) {\n"
     "  %y = matmul %x, @w, w_scale = @s, w_zero = @z, x_scale = %xs {group = 2}\n  return %y\n}\n",
     {V(1, 1, 1, 1), V(0.5), V(3, 5, 2, 4), V(10, 100), V(1, 2)},
     {V(0.5 * (60 + 200))}},
    {"func @f(%a: f32[2, 2], %b: f32[2, 1]) weights(@c: f32[2]) -> (%y: f32[2, 2]) {\n"
     "  %p = mul %a, %b\n  %y = sub %p, @c\n  return %y\n}\n",
     {V(1, 2, 3, 4), V(10, 100), V(1, 2)},
     {V(9, 18, 299, 398)}},
    {"func @f(%a: f32[1, 3]) -> (%s: f32[1, 3], %g: f32[1, 3], %t: f32[1, 3]) {\n"
     "  %s = silu %a\n  %g = gelu %a\n  %t = gelu_tanh %a\n  return %s, %g, %t\n}\n",
     {V(0, 1, -1)},
     {V(0, 0.73105857863000487, -0.26894142136999512),
      V(0, 0.84134474606854293, -0.15865525393145707),
      V(0, 0.84119199060827676, -0.15880800939172324)}},
    {"func @f(%a: f32[1, 2]) -> (%s: f32[1, 2], %g: f32[1, 2]) {\n"
     "  %s = relu %a\n  %g = tanh %a\n  return %s, %g\n}\n",
     {V(2, -2)},
     {V(2, 0), V(0.9640275800758169, -0.9640275800758169)}},
    {"func @f(%a: f32[1, 2], %b: f32[1, 1]) -> (%y: f32[1, 2]) {\n"
     "  %y = map {expr = mul(add(%a, 1), %b)}\n  return %y\n}\n",
     {V(2, 3), V(10)},
     {V(30, 40)}},
    {"func @f(%x: f32[2, 3]) -> (%a: f32[2, 1], %b: f32[2, 2]) {\n"
     "  %a, %b = split %x {sizes = [1, 2]}\n  return %a, %b\n}\n",
     {V(1, 2, 3, 4, 5, 6)},
     {V(1, 4), V(2, 3, 5, 6)}},
    /* a quarter turn for the first pair, none for the second; the fifth column stays */
    {"func @f(%x: f32[1, 5], %a: f32[1, 4]) -> (%h: f32[1, 5], %j: f32[1, 5]) {\n"
     "  %h = rope %x, %a {head_dim = 5, dims = 4, style = half}\n"
     "  %j = rope %x, %a {head_dim = 5, dims = 4, style = adjacent}\n  return %h, %j\n}\n",
     {V(1, 2, 3, 4, 5), V(0, 1, 1, 0)},
     {V(-3, 2, 1, 4, 5), V(-2, 1, 3, 4, 5)}},
    {"func @f(%p: i32[2]) weights(@f: f32[2]) -> (%y: f32[2, 4]) {\n"
     "  %y = rope_angles %p, @f {scale = 2}\n  return %y\n}\n",
     {V(0, 1), V(0, 1.5707963267948966)},
     {V(2, 2, 0, 0, 2, 0, 0, 2)}},
    /* two rows of one sequence, the second unused */
    {"func @f(%x: f32[2, 2], %p: i32[2]) state(%c: f32[1, 4, 2]) -> (%x: f32[2, 2]) {\n"
     "  %y = kv_append %c, %x, %p\n  return %x\n}\n",
     {V(1, 2, 3, 4), V(2, -1), V(9, 9, 9, 9, 9, 9, 9, 9)},
     {V(1, 2, 3, 4), V(9, 9, 9, 9, 1, 2, 9, 9)}},
    /* two query heads share one kv head; window 2; positions after pos are not visible */
    {"func @f(%q: f32[1, 2], %p: i32[1]) state(%k: f32[1, 4, 1, 1]) -> (%y: f32[1, 2, 4]) {\n"
     "  %y = attn_scores %q, %k, %p {heads = 2, kv_heads = 1, head_dim = 1, scale = 0.5, window = "
     "2}\n"
     "  return %y\n}\n",
     {V(2, 4), V(2), V(1, 2, 3, 4)},
     {V(-INF, 2, 3, -INF, -INF, 4, 6, -INF)}},
    {"func @f(%q: f32[1, 1], %p: i32[1]) state(%k: f32[1, 4, 1, 1]) -> (%y: f32[1, 1, 4]) {\n"
     "  %y = attn_scores %q, %k, %p {heads = 1, kv_heads = 1, head_dim = 1, softcap = 2}\n"
     "  return %y\n}\n",
     {V(2), V(0), V(1, 0, 0, 0)},
     {V(2 * 0.76159415595576485, -INF, -INF, -INF)}},
    {"func @f(%x: f32[2, 2]) -> (%y: f32[2, 2]) {\n  %y = softmax %x\n  return %y\n}\n",
     {V(1000, 1000, -INF, 3)},
     {V(0.5, 0.5, 0, 1)}},
    {"func @f(%p: f32[1, 1, 4], %pos: i32[1]) state(%v: f32[1, 4, 1, 2]) -> (%y: f32[1, 2]) {\n"
     "  %y = attn_mix %p, %v, %pos {heads = 1, kv_heads = 1, head_dim = 2}\n  return %y\n}\n",
     {V(0.25, 0.75, 0, 0), V(1), V(4, 8, 12, 16, 9, 9, 9, 9)},
     {V(10, 14)}},
    /* pos -1 sees nothing: zeros */
    {"func @f(%q: f32[2, 1], %p: i32[2]) state(%k: f32[1, 4, 1, 1], %v: f32[1, 4, 1, 1]) "
     "-> (%y: f32[2, 1]) {\n"
     "  %y = attention %q, %k, %v, %p {heads = 1, kv_heads = 1, head_dim = 1}\n  return %y\n}\n",
     {V(1, 1), V(1, -1), V(3, 3, 3, 3), V(10, 20, 30, 40)},
     {V(15, 0)}},
};

/* Decode: each row has a cache of its own. */
static const ByHand by_hand_two_sequences[] = {
    /* one row in each of two sequences */
    {"func @f(%x: f32[2, 1], %p: i32[2]) state(%c: f32[2, 4, 1]) -> (%x: f32[2, 1]) {\n"
     "  %y = kv_append %c, %x, %p\n  return %x\n}\n",
     {V(5, 6), V(1, 0), V(0, 0, 0, 0, 0, 0, 0, 0)},
     {V(5, 6), V(0, 5, 0, 0, 6, 0, 0, 0)}},
};

static Tensor given(Arena *a, const Func *f, ValueId v, const Values *values)
{
    Tensor t = tensor_create(a, f->value[v].type);
    memcpy(t.v, values->v, (size_t)type_elements(t.type) * sizeof(double));
    return t;
}

static Tensor *given_all(Arena *a, const Func *f, const ValueId *ids, size_t n,
                         const Values *values)
{
    Tensor *t = ARENA_ARRAY(a, Tensor, n + 1);
    for (size_t i = 0; i < n; i++) {
        t[i] = given(a, f, ids[i], &values[i]);
    }
    return t;
}

static void compare_by_hand(const ByHand *h, int which, const Tensor *got)
{
    const Values *want = &h->out[which];
    for (int i = 0; i < want->n; i++) {
        double x = got->v[i], y = want->v[i];
        if (x != y && !(fabs(x - y) <= 1e-14 * (1 + fabs(y)))) {
            print_message("%s# result %d, element %d: %.17g, expected %.17g\n", h->text, which, i,
                          x, y);
            fail();
        }
    }
    assert_true(want->n == 0 || want->n == type_elements(got->type));
}

static void check_by_hand(const ByHand *h, int sequences)
{
    IrCase c = case_phase(sequences > 1 ? "decode" : "prefill", sequences, 4, h->text);
    Func *f = c.func;
    Arena *a = c.ctx->arena;
    const Values *in = h->in;
    InterpArgs args = {0};
    args.params = given_all(a, f, f->params.data, f->params.n, in);
    args.states = given_all(a, f, f->states.data, f->states.n, in + f->params.n);
    args.weights = given_all(a, f, f->weights.data, f->weights.n, in + f->params.n + f->states.n);
    Tensor out[3];
    assert_true(interp_func(a, f, &args, out));
    for (size_t r = 0; r < f->results.n; r++) {
        assert_true(h->out[r].n > 0);
        compare_by_hand(h, (int)r, &out[r]);
    }
    for (size_t s = 0; s < f->states.n && f->results.n + s < 3; s++) {
        compare_by_hand(h, (int)(f->results.n + s), &args.states[s]);
    }
    ctx_destroy(c.ctx);
}

static void operators_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof by_hand / sizeof by_hand[0]; i++) {
        check_by_hand(&by_hand[i], 1);
    }
    check_by_hand(&by_hand_two_sequences[0], 2);
}

/* ---- RoPE frequencies ------------------------------------------------------------------------ */

static void check_freqs(const char *attrs, int n, const double *want)
{
    Ctx *scratch = ctx_create();
    IrCase c = case_create(1, 4,
                           arena_printf(scratch->arena,
                                        "func @f(%%p: i32[1]) -> (%%y: f32[1, %d]) {\n"
                                        "  %%q = rope_freqs {%s}\n  %%y = rope_angles %%p, %%q\n"
                                        "  return %%y\n}\n",
                                        2 * n, attrs));
    ValueId q = ir_find_value(c.func, str_intern(c.ctx->strings, "q"));
    double got[8];
    ConstSource none = {0};
    assert_true(interp_const_rows(c.ctx->arena, c.func, q, 0, n, &none, got));
    for (int i = 0; i < n; i++) {
        assert_true(got[i] == (double)(float)want[i]);
    }
    ctx_destroy(c.ctx);
    ctx_destroy(scratch);
}

/* Worked out from the formulas in Hugging Face transformers' modeling_rope_utils.py. */
static void rope_frequencies(void **state)
{
    (void)state;
    check_freqs("dims = 8, theta = 10000", 4, (double[]){1, 0.1, 0.01, 0.001});
    check_freqs("dims = 4, theta = 10000, kind = linear, factor = 4", 2, (double[]){0.25, 0.0025});
    check_freqs("dims = 16, theta = 500000, kind = llama3, factor = 8, low_freq_factor = 1, "
                "high_freq_factor = 4, original_context = 8192",
                8,
                (double[]){1.0, 0.19392274474868576, 0.03760603093086393, 0.007292664737217109,
                           0.0005248461609929547, 3.428102195952591e-05, 6.647869871181235e-06,
                           1.2891731721515574e-06});
    check_freqs("dims = 16, theta = 10000, kind = yarn, factor = 4, beta_fast = 32, beta_slow = 1, "
                "original_context = 4096",
                8,
                (double[]){1.0, 0.31622776601683794, 0.1, 0.02569350598886808, 0.00625,
                           0.001383496476323666, 0.00025, 7.905694150420948e-05});
    check_freqs("dims = 4, theta = 10000, kind = longrope, factors = [1.25, 5]", 2,
                (double[]){0.8, 0.002});
}

/* ---- one form against another ---------------------------------------------------------------- */

typedef struct Pair {
    int tokens;
    const char *a, *b;
} Pair;

#define ATTN "{heads = 4, kv_heads = 2, head_dim = 3, scale = 0.3, window = 3, softcap = 1.5}"
#define MIX "{heads = 4, kv_heads = 2, head_dim = 3}"
#define CACHES "state(%k: f32[1, 5, 2, 3], %v: f32[1, 5, 2, 3])"
#define QKV_SIG                                                                                    \
    "(%x: f32[2, 6], %pos: i32[2], %r: f32[2, 2]) state(%k: f32[1, 5, 2, 4], %v: f32[1, 5, 2, "    \
    "4]) "                                                                                         \
    "weights(@w: f32[32, 6], @b: f32[32], @g: f32[4], @h: f32[4]) "                                \
    "-> (%q: f32[2, 16])"

static const Pair pairs[] = {
    {4,
     "func @f(%q: f32[4, 12], %pos: i32[4]) " CACHES " -> (%y: f32[4, 12]) {\n"
     "  %y = attention %q, %k, %v, %pos " ATTN "\n  return %y\n}\n",
     "func @f(%q: f32[4, 12], %pos: i32[4]) " CACHES " -> (%y: f32[4, 12]) {\n"
     "  %s = attn_scores %q, %k, %pos " ATTN "\n  %p = softmax %s\n"
     "  %y = attn_mix %p, %v, %pos " MIX "\n  return %y\n}\n"},
    /* codes and scales against dequantised caches */
    {4,
     "func @f(%q: f32[4, 12], %pos: i32[4]) state(%k: i8[1, 5, 2, 3], %v: i8[1, 5, 2, 3], "
     "%s: f32[1, 5, 2], %t: f32[1, 5, 2]) -> (%y: f32[4, 12]) {\n"
     "  %y = attention %q, %k, %v, %pos, k_scale = %s, v_scale = %t " ATTN "\n  return %y\n}\n",
     "func @f(%q: f32[4, 12], %pos: i32[4]) state(%k: i8[1, 5, 2, 3], %v: i8[1, 5, 2, 3], "
     "%s: f32[1, 5, 2], %t: f32[1, 5, 2]) -> (%y: f32[4, 12]) {\n"
     "  %kd = dequant %k, %s\n  %vd = dequant %v, %t\n"
     "  %y = attention %q, %kd, %vd, %pos " ATTN "\n  return %y\n}\n"},
    {2,
     "func @f" QKV_SIG " {\n"
     "  %f = rope_freqs {dims = 2, theta = 100}\n  %a = rope_angles %pos, %f\n"
     "  %q, %kc, %vc = matmul_qkv %x, @w, %k, %v, %pos, angles = %a, q_gain = @g, k_gain = @h "
     "{heads = 4, kv_heads = 2, head_dim = 4, dims = 2, eps = 0.01, epilogue = add(acc, @b)}\n"
     "  return %q\n}\n",
     "func @f" QKV_SIG " {\n"
     "  %f = rope_freqs {dims = 2, theta = 100}\n  %a = rope_angles %pos, %f\n"
     "  %m = matmul %x, @w\n  %n = add %m, @b\n  %q0, %k0, %v0 = split %n {sizes = [16, 8, 8]}\n"
     "  %q1 = rmsnorm %q0, gain = @g {group = 4, eps = 0.01}\n"
     "  %k1 = rmsnorm %k0, gain = @h {group = 4, eps = 0.01}\n"
     "  %q2 = rope %q1, %a {head_dim = 4, dims = 2}\n  %k2 = rope %k1, %a {head_dim = 4, dims = "
     "2}\n"
     "  %kc = kv_append %k, %k2, %pos\n  %vc = kv_append %v, %v0, %pos\n"
     "  return %q2\n}\n"},
    /* the main loop with groups against dequantised operands */
    {3,
     "func @f(%x: f32[3, 8]) weights(@c: u4[5, 8], @s: f32[5, 2], @z: u8[5, 2]) -> (%y: f32[3, 5]) "
     "{\n"
     "  %y = matmul %x, @c, w_scale = @s, w_zero = @z {group = 4}\n  return %y\n}\n",
     "func @f(%x: f32[3, 8]) weights(@c: u4[5, 8], @s: f32[5, 2], @z: u8[5, 2]) -> (%y: f32[3, 5]) "
     "{\n"
     "  %w = dequant @c, @s, zero = @z {group = 4}\n  %y = matmul %x, %w\n  return %y\n}\n"},
    /* per-channel and per-token scales in the epilogue against dequantised operands */
    {3,
     "func @f(%x: f32[3, 8]) weights(@c: i8[5, 8], @s: f32[5]) -> (%y: f32[3, 5]) {\n"
     "  %xc, %xs = quantize %x\n"
     "  %y = matmul %xc, @c {epilogue = mul(mul(acc, @s), %xs)}\n  return %y\n}\n",
     "func @f(%x: f32[3, 8]) weights(@c: i8[5, 8], @s: f32[5]) -> (%y: f32[3, 5]) {\n"
     "  %xc, %xs = quantize %x\n  %xd = dequant %xc, %xs\n"
     "  %w = dequant @c, @s\n  %y = matmul %xd, %w\n  return %y\n}\n"},
    /* interleaved gate and up against two matmuls; 5 features do not fill blocks of 2 */
    {3,
     "func @f(%x: f32[3, 4]) weights(@g: f32[5, 4], @u: f32[5, 4]) -> (%y: f32[3, 5]) {\n"
     "  %w = interleave_rows @g, @u {block = 2}\n"
     "  %y = matmul %x, %w {n = 5, interleave = 2, epilogue = mul(silu(acc.0), acc.1)}\n"
     "  return %y\n}\n",
     "func @f(%x: f32[3, 4]) weights(@g: f32[5, 4], @u: f32[5, 4]) -> (%y: f32[3, 5]) {\n"
     "  %a = matmul %x, @g\n  %b = matmul %x, @u\n  %c = silu %a\n  %y = mul %c, %b\n"
     "  return %y\n}\n"},
    {3,
     "func @f(%x: f32[3, 4]) weights(@g: f32[4]) -> (%c: i8[3, 4], %s: f32[3, 1]) {\n"
     "  %c, %s = rmsnorm_quant %x, gain = @g {eps = 0.1}\n  return %c, %s\n}\n",
     "func @f(%x: f32[3, 4]) weights(@g: f32[4]) -> (%c: i8[3, 4], %s: f32[3, 1]) {\n"
     "  %n = rmsnorm %x, gain = @g {eps = 0.1}\n  %c, %s = quantize %n\n  return %c, %s\n}\n"},
    {3,
     "func @f(%x: f32[3, 4]) weights(@g: f32[4], @w: f32[2, 4]) -> (%y: f32[3, 2]) {\n"
     "  %n = rmsnorm %x, gain = @g {eps = 0.1}\n  %y = matmul %n, @w\n  return %y\n}\n",
     "func @f(%x: f32[3, 4]) weights(@g: f32[4], @w: f32[2, 4]) -> (%y: f32[3, 2]) {\n"
     "  %r = row_rms %x {eps = 0.1}\n  %v = scale_cols @w, @g\n  %t = tile %v {rows = 2, cols = "
     "2}\n"
     "  %y = matmul %x, %t {epilogue = mul(acc, %r)}\n  return %y\n}\n"},
};

static void fused_forms_equal_plain_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (int round = 0; round < 10; round++) {
            IrCase a = case_create(pairs[i].tokens, 5, pairs[i].a);
            IrCase b = case_create(pairs[i].tokens, 5, pairs[i].b);
            assert_same_function(a.func, b.func, unit_random(&seed), 1e-13);
            ctx_destroy(a.ctx);
            ctx_destroy(b.ctx);
        }
    }
}

/* ---- against the definition ------------------------------------------------------------------ */

/* Attention as one formula with complex bookkeeping left out: weights exp(score), then a quotient.
 */
static double attention_definition(const Tensor *q, const Tensor *k, const Tensor *v, int t, int h,
                                   int d, int pos)
{
    enum { HEADS = 4, DIM = 3, KV = 2, WINDOW = 3 };
    double top = 0, bottom = 0;
    for (int p = pos - WINDOW + 1 > 0 ? pos - WINDOW + 1 : 0; p <= pos; p++) {
        int kv = h * KV / HEADS;
        double dot = 0;
        for (int i = 0; i < DIM; i++) {
            dot += q->v[(t * HEADS + h) * DIM + i] * k->v[(p * KV + kv) * DIM + i];
        }
        double weight = exp(1.5 * tanh(0.3 * dot / 1.5));
        top += weight * v->v[(p * KV + kv) * DIM + d];
        bottom += weight;
    }
    return top / bottom;
}

static void attention_is_its_definition(void **state)
{
    (void)state;
    IrCase c = case_create(4, 5, pairs[0].a);
    Arena *a = c.ctx->arena;
    uint64_t s = unit_random(&seed);
    const Tensor *params = named_tensors(a, c.func, c.func->params.data, c.func->params.n, s);
    const Tensor *caches = named_tensors(a, c.func, c.func->states.data, c.func->states.n, s);
    const Tensor *y = run_named_inputs(a, c.func, s, false);
    for (int i = 0; i < 4 * 12; i++) {
        int t = i / 12, h = i % 12 / 3, d = i % 3;
        double want = attention_definition(&params[0], &caches[0], &caches[1], t, h, d, t);
        assert_true(fabs(y->v[i] - want) < 1e-13);
    }
    ctx_destroy(c.ctx);
}

/* ---- rounding -------------------------------------------------------------------------------- */

static double bf16_by_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u += 0x7fff + (u >> 16 & 1);
    u &= 0xffff0000;
    memcpy(&x, &u, sizeof x);
    return (double)x;
}

static void rounding_to_dtypes(void **state)
{
    (void)state;
    assert_true(dtype_round(DT_F16, 65519.99) == 65504);
    assert_true(dtype_round(DT_F16, -65520) == -INF);
    assert_true(dtype_round(DT_F16, 0x1p-25) == 0); /* half of the least subnormal: to even */
    assert_true(dtype_round(DT_F16, 0x1.01p-25) == 0x1p-24);
    assert_true(dtype_round(DT_F16, 2049) == 2048 && dtype_round(DT_F16, 2051) == 2052);
    assert_true(dtype_round(DT_BF16, 257) == 256 && dtype_round(DT_BF16, 259) == 260);
    assert_true(dtype_round(DT_BF16, 3.4e38) == INF);
    /* one rounding, not two by way of f32: just above the middle of 1 and 1 + 2^-7 */
    assert_true(dtype_round(DT_BF16, 1 + 0x1p-8 + 0x1p-40) == 1 + 0x1p-7);
    assert_true(dtype_round(DT_F32, 1 + 0x1p-24) == 1 && dtype_round(DT_F32, 1e39) == INF);
    assert_true(isnan(dtype_round(DT_BF16, (double)NAN)));
    assert_true(dtype_round(DT_I8, 127.4) == 127 && dtype_round(DT_I8, -1000) == -128);
    assert_true(dtype_round(DT_U4, 2.5) == 2 && dtype_round(DT_U4, -3) == 0);
    assert_true(dtype_round(DT_E4M3, 464) == 448 && dtype_round(DT_E4M3, -INF) == -448);
    assert_true(dtype_round(DT_E4M3, 0x1p-10) == 0 && dtype_round(DT_E4M3, 0x3p-10) == 0x1p-8);
    assert_true(dtype_round(DT_E4M3, 17) == 16 && dtype_round(DT_E4M3, 19) == 20);
    assert_true(isnan(dtype_round(DT_E4M3, (double)NAN)));
    assert_true(dtype_round(DT_U8, 300) == 255 && dtype_round(DT_I32, 3e9) == 2147483647);
    for (int i = 0; i < 10000; i++) {
        float x = (float)ldexp(random_double(&seed), (int)(unit_random(&seed) % 250) - 140);
        assert_true(dtype_round(DT_BF16, (double)x) == bf16_by_bits(x));
    }
}

/* With `round`, activations and stored constants are rounded, what only feeds constants is not. */
static void constants_are_rounded_once(void **state)
{
    (void)state;
    IrCase c = case_create(1, 1,
                           "func @f(%x: bf16[1, 1]) weights(@w: bf16[1, 1], @g: bf16[1]) "
                           "-> (%y: bf16[1, 1], %z: bf16[1, 1]) {\n"
                           "  %s = scale_cols @w, @g\n"
                           "  %d = scale_cols %s, @g\n"
                           "  %y = matmul %x, %d\n"
                           "  %z = add %y, %x\n"
                           "  return %y, %z\n}\n");
    double w = 1 + 5 / 128.0, x = 0x1p-9;
    Tensor params[] = {tensor_create(c.ctx->arena, c.func->value[c.func->params.data[0]].type)};
    Tensor weights[] = {tensor_create(c.ctx->arena, c.func->value[c.func->weights.data[0]].type),
                        tensor_create(c.ctx->arena, c.func->value[c.func->weights.data[1]].type)};
    params[0].v[0] = x;
    weights[0].v[0] = weights[1].v[0] = w;
    InterpArgs args = {.params = params, .weights = weights, .round = true};
    Tensor out[2];
    assert_true(interp_func(c.ctx->arena, c.func, &args, out));
    double stored = dtype_round(DT_BF16, w * w * w), y = dtype_round(DT_BF16, stored * x);
    assert_true(stored != dtype_round(DT_BF16, dtype_round(DT_BF16, w * w) * w));
    assert_true(out[0].v[0] == y);
    assert_true(out[1].v[0] == dtype_round(DT_BF16, y + x));
    ctx_destroy(c.ctx);
}

/* ---- the constant half by rows --------------------------------------------------------------- */

#define CONST_FUNC(n, body)                                                                        \
    "func @f(%x: f32[1, 8]) weights(@a: bf16[7, 8], @b: bf16[7, 8], @c: bf16[3, 8], @g: bf16[8], " \
    "@p: f32[7], @q: f32[7]) -> (%y: f32[1, " #n "]) {\n" body "  return %y\n}\n"

static const char *const constant_texts[] = {
    CONST_FUNC(17, "  %w = concat_rows @a, @b, c = @c\n  %y = matmul %x, %w {dtype = f32}\n"),
    CONST_FUNC(17, "  %s = scale_cols @a, @g\n  %v = concat_rows %s, @b, c = @c\n"
                   "  %t = tile %v {rows = 4, cols = 2}\n  %y = matmul %x, %t\n"),
    CONST_FUNC(15, "  %i = interleave_rows @a, @b {block = 4}\n  %d = cast %i {dtype = f16}\n"
                   "  %m = matmul %x, %d\n  %y, %rest = split %m {sizes = [15, 1]}\n"),
    CONST_FUNC(7,
               "  %s = scale_cols @a, @g\n  %qs = quant_scale %s {bits = 4, group = 4, asym = 1}\n"
               "  %qz = quant_zero %s, %qs {bits = 4, group = 4}\n"
               "  %qc = quant_code %s, %qs, zero = %qz {bits = 4, group = 4}\n"
               "  %y = matmul %x, %qc, w_scale = %qs, w_zero = %qz {group = 4}\n"),
    CONST_FUNC(16, "  %qs = quant_scale @b {bits = 8}\n  %qc = quant_code @b, %qs {bits = 8}\n"
                   "  %i = interleave_rows %qc, %qc {block = 2}\n"
                   "  %is = interleave_rows %qs, %qs {block = 2}\n  %cs = concat_rows @p, @q\n"
                   "  %dq = dequant %i, %is {dtype = bf16}\n  %l = matmul %x, %dq\n"
                   "  %m = matmul %x, %i {epilogue = mul(acc, %is)}\n  %y = add %l, %m\n"),
};

typedef struct Loader {
    Arena *arena;
    const Func *f;
    uint64_t seed;
} Loader;

static bool load_rows(void *user, Str weight, int64_t row, int64_t n, double *out)
{
    const Loader *l = user;
    ValueId v = ir_find_value(l->f, weight);
    Tensor t = named_tensor(l->arena, &l->f->value[v], l->seed);
    int64_t cols = type_elements(t.type) / t.type->dim[0];
    memcpy(out, t.v + row * cols, (size_t)(n * cols) * sizeof(double));
    return true;
}

/* The value as the whole-tensor interpreter stores it: made a result of a copy of the function. */
static Tensor whole_tensor(Arena *a, Func *f, ValueId v, uint64_t s)
{
    f->results.data[0] = v;
    return run_named_inputs(a, f, s, true)[0];
}

static void check_rows(IrCase *c, ValueId v, uint64_t s)
{
    Arena *a = c->ctx->arena;
    Tensor want = whole_tensor(a, c->func, v, s);
    int64_t rows = want.type->dim[0], cols = type_elements(want.type) / rows;
    Loader loader = {a, c->func, s};
    ConstSource src = {load_rows, &loader};
    for (int i = 0; i < 20; i++) {
        int64_t first = (int64_t)(unit_random(&seed) % (uint64_t)rows);
        int64_t n = 1 + (int64_t)(unit_random(&seed) % (uint64_t)(rows - first));
        double *got = ARENA_ARRAY(a, double, n *cols);
        assert_true(interp_const_rows(a, c->func, v, first, n, &src, got));
        assert_memory_equal(got, want.v + first * cols, (size_t)(n * cols) * sizeof(double));
    }
}

static void rows_equal_whole_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof constant_texts / sizeof constant_texts[0]; i++) {
        IrCase c = case_create(1, 1, constant_texts[i]);
        uint64_t s = unit_random(&seed);
        for (ValueId v = 1; v < c.func->n_values; v++) {
            if (c.func->value[v].constant && c.func->value[v].kind == VALUE_RESULT) {
                check_rows(&c, v, s);
            }
        }
        ctx_destroy(c.ctx);
    }
}

/* ---- errors and schedules -------------------------------------------------------------------- */

static void check_error(const char *text, double x, const char *message)
{
    IrCase c = case_create(1, 4, text);
    Arena *a = c.ctx->arena;
    Tensor *params = named_tensors(a, c.func, c.func->params.data, c.func->params.n, 1);
    params[0].v[0] = x;
    InterpArgs args = {
        .params = params,
        .weights = named_tensors(a, c.func, c.func->weights.data, c.func->weights.n, 1),
        .states = named_tensors(a, c.func, c.func->states.data, c.func->states.n, 1)};
    Tensor out[1];
    assert_false(interp_func(a, c.func, &args, out));
    assert_non_null(strstr(diag_text(c.ctx->diag), message));
    ctx_destroy(c.ctx);
}

static void ids_and_positions_are_checked(void **state)
{
    (void)state;
    check_error("func @f(%ids: i32[1]) weights(@w: f32[3, 2]) -> (%y: f32[1, 2]) {\n"
                "  %y = embed %ids, @w\n  return %y\n}\n",
                3, "id 3 at row 0 is out of range, the table has 3 rows");
    check_error("func @f(%p: i32[1], %x: f32[1, 2]) state(%c: f32[1, 4, 2]) "
                "-> (%x: f32[1, 2]) {\n  %y = kv_append %c, %x, %p\n  return %x\n}\n",
                4, "position 4 is beyond the context of 4");
}

static bool layer_weight(void *user, int layer, Str name, const Type *type, Tensor *out)
{
    *out = tensor_create(user, type);
    double base = strcmp(name, "head") == 0 ? 10 : layer + 1;
    for (int64_t i = 0; i < type_elements(type); i++) {
        out->v[i] = base;
    }
    return layer >= 0 || strcmp(name, "embedding") == 0 || strcmp(name, "head") == 0;
}

static void schedules_run_layers_in_order(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Module *m = case_module(
        ctx, "module @test {phase = decode, tokens = 1, context = 2}\n"
             "schedule embed; 2 x (scale; append); head\n\n"
             "func @embed(%tokens: i32[1]) weights(@embedding: f32[4, 1]) -> (%x: f32[1, 1]) {\n"
             "  %y = embed %tokens, @embedding\n  return %y\n}\n\n"
             "func @scale(%x: f32[1, 1]) weights(@w: f32[1, 1]) -> (%x: f32[1, 1]) {\n"
             "  %y = matmul %x, @w\n  %z = add %y, %x\n  return %z\n}\n\n"
             "func @append(%x: f32[1, 1], %pos: i32[1]) state(%c: f32[1, 2, 1, 1]) "
             "-> (%x: f32[1, 1]) {\n"
             "  %d = kv_append %c, %x, %pos\n"
             "  %s = attn_scores %x, %d, %pos {heads = 1, kv_heads = 1, head_dim = 1, scale = 1}\n"
             "  %p = softmax %s\n"
             "  %y = attn_mix %p, %d, %pos {heads = 1, kv_heads = 1, head_dim = 1}\n"
             "  return %y\n}\n\n"
             "func @head(%x: f32[1, 1]) weights(@head: f32[2, 1]) -> (%logits: f32[1, 2]) {\n"
             "  %y = matmul %x, @head\n  return %y\n}\n");
    InterpModel model = {.module = m, .weight = layer_weight, .user = ctx->arena};
    interp_states(ctx->arena, &model);
    assert_int_equal(model.n_states, 2);
    Tensor logits;
    /* embedding has layer -1: rows of 0; the layers scale by 1 + 1 (layer 0) and 3 + 1 (layer 2) */
    assert_true(interp_module(ctx->arena, &model, (int32_t[]){0}, (int32_t[]){0}, &logits));
    assert_true(logits.v[0] == 0 && type_elements(logits.type) == 2);
    model.states[0].v[0] = 3;
    model.states[1].v[0] = 5;
    assert_true(interp_module(ctx->arena, &model, (int32_t[]){0}, (int32_t[]){1}, &logits));
    /* x = 0 attends evenly to (3, 0): 1.5, times 4: 6; then to (5, 6) with weights e^30, e^36 */
    double e = exp(30.0 - 36.0);
    assert_true(fabs(logits.v[1] - 10 * (5 * e + 6) / (e + 1)) < 1e-12);
    assert_true(model.states[1].v[1] == 6);
    ctx_destroy(ctx);
}

static void slots_match_the_table(void **state)
{
    (void)state;
    assert_int_equal(op_slot(OP_EMBED, "w_zero"), EMBED_W_ZERO);
    assert_int_equal(op_slot(OP_MATMUL, "x_scale"), MATMUL_X_SCALE);
    assert_int_equal(op_slot(OP_MATMUL, "w_scale"), MATMUL_W_SCALE);
    assert_int_equal(op_slot(OP_MATMUL, "norm_gain"), MATMUL_NORM_GAIN);
    assert_int_equal(op_slot(OP_MATMUL_QKV, "norm_gain"), QKV_NORM_GAIN);
    assert_int_equal(op_slot(OP_MATMUL_QKV, "angles"), QKV_ANGLES);
    assert_int_equal(op_slot(OP_MATMUL_QKV, "k_gain"), QKV_K_GAIN);
    assert_int_equal(op_slot(OP_MATMUL_QKV, "x_scale"), QKV_X_SCALE);
    assert_int_equal(op_slot(OP_ATTENTION, "v_scale"), ATTN_V_SCALE);
    assert_int_equal(op_slot(OP_ATTENTION, "pos"), ATTN_POS);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_match_the_table),
        cmocka_unit_test(operators_by_hand),
        cmocka_unit_test(rope_frequencies),
        cmocka_unit_test(fused_forms_equal_plain_ones),
        cmocka_unit_test(attention_is_its_definition),
        cmocka_unit_test(rounding_to_dtypes),
        cmocka_unit_test(constants_are_rounded_once),
        cmocka_unit_test(rows_equal_whole_tensors),
        cmocka_unit_test(ids_and_positions_are_checked),
        cmocka_unit_test(schedules_run_layers_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
