/* The C passes: what each rewrites and what it must not, before = after through the interpreter on
 * written and on random functions, and the runner. */
#include "ir_case.h"

#include "ir/pass.h"
#include "ir/slots.h"

static uint64_t seed;

/* ---- helpers --------------------------------------------------------------------------------- */

static PassEnv env_for(const IrCase *c)
{
    PassEnv env = {.ctx = c->ctx, .mlp = MLP_EPILOGUE};
    env.ledger = ARENA_NEW(c->ctx->arena, Ledger);
    env.ledger->arena = c->ctx->arena;
    return env;
}

static const Func *copy_of(const IrCase *c)
{
    return ir_clone(c->module)->funcs.data[0];
}

static const char *text_of(const IrCase *c)
{
    Buf b = buf_create(c->ctx->arena);
    ir_print_func(&b, c->func);
    return b.data;
}

static void assert_text(const IrCase *c, const char *part)
{
    if (strstr(text_of(c), part) == NULL) {
        print_message("# expected '%s' in\n%s", part, text_of(c));
        fail();
    }
}

static void assert_ledger(const PassEnv *env, const char *part)
{
    Buf b = buf_create(env->ctx->arena);
    ledger_print(&b, env->ledger);
    if (b.data == NULL || strstr(b.data, part) == NULL) {
        print_message("# expected '%s' in\n%s", part, b.data == NULL ? "" : b.data);
        fail();
    }
}

/* Runs a pass; the function stays valid, computes the same, and a second run finds nothing. */
static int run_exact(IrCase *c, PassEnv *env, int (*pass)(Func *f, PassEnv *env))
{
    const Func *before = copy_of(c);
    int changes = pass(c->func, env);
    if (!ir_verify(c->module, "test")) {
        print_message("%s%s", text_of(c), diag_text(c->ctx->diag));
        fail();
    }
    assert_same_function(before, c->func, unit_random(&seed), 1e-12);
    Ledger *ledger = env->ledger;
    env->ledger = NULL;
    assert_int_equal(pass(c->func, env), 0);
    env->ledger = ledger;
    return changes;
}

static Str name_in(const IrCase *c, const char *name)
{
    return str_intern(c->ctx->strings, name);
}

/* ---- canonicalise, cse, dce ------------------------------------------------------------------ */

static void canonical_forms(void **state)
{
    (void)state;
    IrCase c =
        case_create(2, 1,
                    "func @f(%x: f32[2, 4], %s: f32[2, 1]) weights(@w: f32[4, 4], @b: f32[4]) "
                    "-> (%y: f32[2, 4]) {\n"
                    "  %a = cast %x {dtype = f32}\n"
                    "  %c = add @b, %a\n"
                    "  %d = matmul %c, @w {epilogue = mul(acc, 1)}\n"
                    "  %e = matmul %d, @w {epilogue = mul(%s, add(mul(acc, 1), 0))}\n"
                    "  return %e\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_canonicalise), 7);
    assert_text(&c, "%c = add %x, @b");
    assert_text(&c, "%d = matmul %c, @w :");
    assert_text(&c, "epilogue = mul(acc, %s)");
    ctx_destroy(c.ctx);
}

static void leaves_are_packed(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1,
                           "func @f(%x: f32[2, 4], %s: f32[2, 1], %t: f32[2, 4]) "
                           "weights(@w: f32[4, 4]) -> (%y: f32[2, 4]) {\n"
                           "  %y = matmul %x, @w {epilogue = add(mul(acc, %s), %t)}\n"
                           "  return %y\n}\n");
    Op *op = &c.func->op[c.func->order.data[0]];
    Arena *a = c.ctx->arena;
    int slots = op_slots(OP_MATMUL);
    /* as a rewrite may leave it: an unused leaf in front, %s twice */
    ValueId s = c.func->params.data[1], t = c.func->params.data[2];
    ValueId leaves[] = {t, s, s};
    memcpy(op->in + slots, leaves, sizeof leaves);
    op->n_in = (uint8_t)(slots + 3);
    const Expr *scaled = expr_node(a, EXPR_MUL, expr_acc(a, -1), expr_input(a, slots + 1));
    op->expr = expr_node(a, EXPR_ADD, scaled, expr_input(a, slots + 2));
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_canonicalise), 1);
    assert_int_equal(op->n_in, slots + 1);
    assert_text(&c, "epilogue = add(mul(acc, %s), %s)");
    ctx_destroy(c.ctx);
}

static void equal_operators_run_once(void **state)
{
    (void)state;
    IrCase c =
        case_create(1, 4,
                    "func @f(%x: f32[1, 4], %p: i32[1]) state(%k: f32[1, 4, 1, 4]) "
                    "weights(@w: f32[4, 4]) -> (%y: f32[1, 4]) {\n"
                    "  %a = matmul %x, @w {epilogue = silu(acc)}\n"
                    "  %b = matmul %x, @w {epilogue = silu(acc)}\n"
                    "  %c = matmul %x, @w {epilogue = relu(acc)}\n"
                    "  %m = rmsnorm %x {eps = 1e-05}\n"
                    "  %n = rmsnorm %x {eps = 1e-06}\n"
                    "  %s = kv_append %k, %x, %p\n"
                    "  %t = kv_append %s, %x, %p\n"
                    "  %e = attention %b, %t, %t, %p {heads = 1, kv_heads = 1, head_dim = 4}\n"
                    "  %u = add %a, %b\n  %v = add %c, %m\n  %o = add %n, %e\n"
                    "  %q = add %u, %v\n  %y = add %q, %o\n  return %y\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_cse), 1);
    assert_text(&c, "%u = add %a, %a");
    assert_int_equal(count_ops(c.func, OP_KV_APPEND), 2);
    assert_int_equal(count_ops(c.func, OP_RMSNORM), 2);
    ctx_destroy(c.ctx);
}

static void unused_operators_and_weights_go(void **state)
{
    (void)state;
    IrCase c = case_create(1, 4,
                           "func @f(%x: f32[1, 4], %p: i32[1]) state(%k: f32[1, 4, 4]) "
                           "weights(@w: f32[4, 4], @u: f32[4, 4]) -> (%y: f32[1, 4]) {\n"
                           "  %a = matmul %x, @u\n  %b = silu %a\n"
                           "  %s = kv_append %k, %x, %p\n"
                           "  %y = matmul %x, @w\n  return %y\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_dce), 3);
    assert_int_equal(c.func->order.n, 2);
    assert_int_equal(c.func->weights.n, 1);
    assert_text(&c, "weights(@w: f32[4, 4])");
    ctx_destroy(c.ctx);
}

/* ---- quantize -------------------------------------------------------------------------------- */

static const char quant_text[] =
    "func @f(%x: bf16[2, 8], %t: i32[2]) weights(@embedding: bf16[4, 8], @wq: bf16[8, 8], "
    "@up: bf16[6, 8], @b: bf16[8], @pos_embedding: bf16[4, 8]) "
    "-> (%a: bf16[2, 8], %b: bf16[2, 6], %c: bf16[2, 4]) {\n"
    "  %e = embed %t, @embedding\n  %p = embed %t, @pos_embedding\n  %z = add %e, %p\n"
    "  %q = matmul %x, @wq\n  %r = matmul %z, @wq\n  %s = add %q, %r\n  %o = add %s, @b\n"
    "  %u = matmul %x, @up\n  %h = matmul %o, @embedding\n  return %o, %u, %h\n}\n";

static double quantized_distance(IrCase *c, PassEnv *env)
{
    const Func *before = copy_of(c);
    assert_true(pass_quantize(c->func, env) > 0);
    assert_true(ir_verify(c->module, "quantize"));
    assert_int_equal(pass_quantize(c->func, env), 0);
    uint64_t s = unit_random(&seed);
    const Tensor *x = run_named_inputs(c->ctx->arena, before, s, false);
    const Tensor *y = run_named_inputs(c->ctx->arena, c->func, s, false);
    return tensor_distance(&x[1], &y[1]);
}

static void schemes_become_operators(void **state)
{
    (void)state;
    static const struct {
        QuantScheme scheme;
        int scales, zeros, dequants, quantizes;
        double limit;
    } cases[] = {
        {{.weights = DT_I8}, 2, 0, 2, 0, 0.05},
        {{.weights = DT_U4, .group = 4}, 2, 0, 2, 0, 0.5},
        {{.weights = DT_U4, .group = 4, .asym = true}, 2, 2, 2, 0, 0.5},
        {{.weights = DT_I8, .head = true}, 3, 0, 3, 0, 0.05},
        {{.weights = DT_I8, .activations = DT_I8}, 2, 0, 4, 2, 0.1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        IrCase c = case_create(2, 1, quant_text);
        PassEnv env = env_for(&c);
        env.quant = cases[i].scheme;
        double distance = quantized_distance(&c, &env);
        assert_true(distance > 0 && distance < cases[i].limit);
        assert_int_equal(count_ops(c.func, OP_QUANT_SCALE), cases[i].scales);
        assert_int_equal(count_ops(c.func, OP_QUANT_CODE), cases[i].scales);
        assert_int_equal(count_ops(c.func, OP_QUANT_ZERO), cases[i].zeros);
        assert_int_equal(count_ops(c.func, OP_DEQUANT), cases[i].dequants);
        assert_int_equal(count_ops(c.func, OP_QUANTIZE), cases[i].quantizes);
        ctx_destroy(c.ctx);
    }
}

static void tied_tables_share_their_codes(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1, quant_text);
    PassEnv env = env_for(&c);
    env.quant = (QuantScheme){.weights = DT_I8, .head = true};
    assert_true(pass_quantize(c.func, &env) > 0);
    assert_text(&c, "%e = embed %t, %embedding_dq");
    assert_text(&c, "%h = matmul %o, %embedding_dq");
    assert_text(&c, "%p = embed %t, @pos_embedding");
    ctx_destroy(c.ctx);
}

static void groups_must_divide(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1, quant_text);
    PassEnv env = env_for(&c);
    env.quant = (QuantScheme){.weights = DT_U4, .group = 3};
    assert_int_equal(pass_quantize(c.func, &env), -1);
    assert_non_null(
        strstr(diag_text(c.ctx->diag),
               "quant group 3 does not divide the 8 input features of wq; use group 2"));
    ctx_destroy(c.ctx);
}

/* ---- merge_matmul ---------------------------------------------------------------------------- */

static void qkv_with_biases_merges(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1,
                           "func @f(%x: f32[2, 8], %s: f32[2, 1]) weights(@q: f32[8, 8], @k: "
                           "f32[4, 8], @v: f32[4, 8], "
                           "@q_bias: f32[8], @k_bias: f32[4], @v_bias: f32[4]) "
                           "-> (%a: f32[2, 8], %b: f32[2, 4], %c: f32[2, 4]) {\n"
                           "  %xq = matmul %x, @q {epilogue = add(mul(acc, %s), @q_bias)}\n"
                           "  %qr = silu %xq\n"
                           "  %xk = matmul %x, @k {epilogue = add(mul(acc, %s), @k_bias)}\n"
                           "  %xv = matmul %x, @v {epilogue = add(mul(acc, %s), @v_bias)}\n"
                           "  return %qr, %xk, %xv\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 1);
    assert_text(&c, "%qkv = concat_rows @q, @k, c = @v");
    assert_text(&c, "%qkv_bias = concat_rows @q_bias, @k_bias, c = @v_bias");
    assert_text(&c, "{epilogue = add(mul(acc, %s), %qkv_bias)}");
    assert_text(&c, "%xq, %xk, %xv = split %xq_xk_xv {sizes = [8, 4, 4]}");
    assert_ledger(&env, "merge_matmul  @f     %xq_xk_xv  fired  kernels 4 -> 2");
    ctx_destroy(c.ctx);
}

static void quantised_slots_merge(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1,
                           "func @f(%x: f32[2, 8]) weights(@q: u4[8, 8], @k: u4[4, 8], @qs: f32[8, "
                           "2], @ks: f32[4, 2], "
                           "@qz: u8[8, 2], @kz: u8[4, 2]) -> (%a: f32[2, 8], %b: f32[2, 4]) {\n"
                           "  %a = matmul %x, @q, w_scale = @qs, w_zero = @qz {group = 4}\n"
                           "  %b = matmul %x, @k, w_scale = @ks, w_zero = @kz {group = 4}\n"
                           "  return %a, %b\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 1);
    assert_int_equal(count_ops(c.func, OP_CONCAT_ROWS), 3);
    assert_int_equal(count_ops(c.func, OP_MATMUL), 1);
    ctx_destroy(c.ctx);
}

static void four_matmuls_merge_by_three(void **state)
{
    (void)state;
    IrCase c = case_create(1, 1,
                           "func @f(%x: f32[1, 2]) weights(@w: f32[1, 2]) "
                           "-> (%a: f32[1, 1], %b: f32[1, 1], %c: f32[1, 1], %d: f32[1, 1]) {\n"
                           "  %a = matmul %x, @w\n  %b = matmul %x, @w\n  %c = matmul %x, @w\n"
                           "  %d = matmul %x, @w\n  return %a, %b, %c, %d\n}\n");
    PassEnv env = env_for(&c);
    assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 1);
    assert_int_equal(count_ops(c.func, OP_MATMUL), 2);
    ctx_destroy(c.ctx);
}

typedef struct NearMiss {
    const char *first, *second, *why;
} NearMiss;

static const NearMiss near_misses[] = {
    {"%a = matmul %x, @p", "%b = matmul %z, @q", NULL}, /* nothing shared: no site */
    {"%a = matmul %x, @p", "%b = matmul %x, @q {epilogue = add(acc, @s)}", "different epilogues"},
    {"%a = matmul %x, @p {epilogue = add(acc, @r)}", "%b = matmul %x, @q {epilogue = mul(acc, @s)}",
     "different epilogues"},
    {"%a = matmul %x, @p {epilogue = mul(acc, 2)}", "%b = matmul %x, @q {epilogue = mul(acc, 3)}",
     "different epilogues"},
    {"%a = matmul %x, @p {epilogue = add(acc, %x)}", "%b = matmul %x, @q {epilogue = add(acc, %z)}",
     "different epilogues"},
    /* the same residual, but each wants it for its own columns */
    {"%a = matmul %x, @p {epilogue = add(acc, %x)}", "%b = matmul %x, @q {epilogue = add(acc, %x)}",
     "different epilogues"},
    {"%a = matmul %x, @p {epilogue = mul(acc, %t)}", "%b = matmul %x, @q {epilogue = mul(acc, %u)}",
     "different epilogues"},
    {"%a = matmul %x, @p", "%b = matmul %x, @h", "the weights of %a and %b differ in kind"},
    {"%a = matmul %x, @p", "%b0 = matmul %x, @q {dtype = bf16}\n  %b = cast %b0 {dtype = f32}",
     "results of different dtype"},
    {"%a = matmul %x, @p", "%b = matmul %x, %z", "the weights of %a and %b differ in kind"},
};

static void near_misses_stay_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof near_misses / sizeof near_misses[0]; i++) {
        const NearMiss *n = &near_misses[i];
        Ctx *scratch = ctx_create();
        IrCase c = case_create(
            4, 1,
            arena_printf(
                scratch->arena,
                "func @f(%%x: f32[4, 4], %%z: f32[4, 4], %%t: f32[4, 1], %%u: f32[4, 1]) "
                "weights(@p: f32[4, 4], @q: f32[4, 4], @h: f16[4, 4], @r: f32[4], @s: f32[4]) "
                "-> (%%a: f32[4, 4], %%b: f32[4, 4]) {\n  %s\n  %s\n  return %%a, %%b\n}\n",
                n->first, n->second));
        PassEnv env = env_for(&c);
        assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 0);
        if (n->why == NULL) {
            assert_int_equal(env.ledger->entries.n, 0);
        } else if (strstr(n->second, "%x, %z") == NULL) { /* an activation is no candidate at all */
            assert_ledger(&env, n->why);
        }
        ctx_destroy(c.ctx);
        ctx_destroy(scratch);
    }
}

static const char glu_text[] =
    "func @f(%x: f32[2, 4]) weights(@gate: f32[6, 4], @up: f32[6, 4], @down: f32[4, 6]) "
    "-> (%y: f32[2, 4]) {\n"
    "  %g = matmul %x, @gate\n  %u = matmul %x, @up\n  %a = silu %g\n  %h = mul %u, %a\n"
    "  %y = matmul %h, @down\n  return %y\n}\n";

static void gate_and_up_obey_the_strategy(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1, glu_text);
    PassEnv env = env_for(&c);
    env.mlp = MLP_NONE;
    assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 0);
    assert_ledger(&env, "the strategy mlp = none keeps gate and up apart");
    env.mlp = MLP_ELEMENTWISE;
    assert_int_equal(run_exact(&c, &env, pass_merge_matmul), 1);
    assert_text(&c, "%gate_up = concat_rows @gate, @up");
    assert_text(&c, "%g, %u = split %gu {sizes = [6, 6]}");
    ctx_destroy(c.ctx);
}

/* ---- layout ---------------------------------------------------------------------------------- */

/* q, k and v of 2 + 2 * 1 heads of 8 rows, RoPE over the whole head. */
static void rotated_rows_are_paired(void **state)
{
    (void)state;
    IrCase c = case_create(
        2, 4,
        "func @f(%x: f32[2, 8], %a: f32[2, 8], %pos: i32[2])\n"
        "    state(%k: f32[1, 4, 1, 8], %v: f32[1, 4, 1, 8])\n"
        "    weights(@w: i8[32, 8], @s: f32[32, 2], @b: f32[32]) -> (%q: f32[2, 16]) {\n"
        "  %q, %kc, %vc = matmul_qkv %x, @w, %k, %v, %pos, angles = %a, w_scale = @s "
        "{group = 4, heads = 2, kv_heads = 1, head_dim = 8, dims = 8, epilogue = add(acc, @b)}\n"
        "  return %q\n}\n");
    PassEnv env = env_for(&c);
    env.block = 2;
    env.pair_heads = true;
    env.whole_tiles = true;
    env.tile[DT_I8] = (Layout){4, 4, 0};
    assert_int_equal(run_exact(&c, &env, pass_layout), 3);
    assert_text(&c, "pair_rows @w {block = 2, head_dim = 8}");
    assert_text(&c, "pair_rows @s {block = 2, head_dim = 8}");
    assert_text(&c, "{group = 4, block = 2");
    assert_text(&c, "i8[32, 8] tile(4, 4, 0)");
    ctx_destroy(c.ctx);
}

static bool any_matmul(const Func *f, const Op *op)
{
    (void)f;
    return op->in[MATMUL_X_SCALE] == 0;
}

/* One norm in front, one folded into a gated epilogue; what else reads the norm keeps it. */
static void norms_move_into_decode_matmuls(void **state)
{
    (void)state;
    IrCase c = case_create(
        2, 4,
        "func @f(%x: bf16[2, 8]) weights(@g: bf16[8], @w: bf16[6, 8], @gu: bf16[8, 8]) "
        "-> (%a: bf16[2, 6], %b: bf16[2, 3], %c: bf16[2, 6], %n2: bf16[2, 8]) {\n"
        "  %n = rmsnorm %x, gain = @g {eps = 0.1}\n  %a = matmul %n, @w\n"
        "  %r = row_rms %x {eps = 0.2}\n"
        "  %b = matmul %x, @gu {interleave = 2, n = 3, epilogue = mul(silu(mul(acc.0, %r)), "
        "mul(acc.1, %r))}\n"
        "  %n2 = rmsnorm %x, gain = @g {eps = 0.3}\n  %c = matmul %n2, @w\n"
        "  return %a, %b, %c, %n2\n}\n");
    PassEnv env = env_for(&c);
    env.norm_prologue = any_matmul;
    assert_int_equal(pass_norm_prologue(c.func, &env), 0); /* prefill */
    c.module->phase = PHASE_DECODE;
    assert_int_equal(run_exact(&c, &env, pass_norm_prologue), 2);
    assert_text(&c, "%a = matmul %x, @w, norm_gain = @g {norm_eps = 0.1}");
    assert_text(&c, "%b = matmul %x, @gu {norm_eps = 0.2, interleave = 2, n = 3, epilogue = "
                    "mul(silu(acc.0), acc.1)}");
    assert_text(&c, "%c = matmul %n2, @w :");
    assert_int_equal(count_ops(c.func, OP_ROW_RMS), 0);
    assert_int_equal(count_ops(c.func, OP_RMSNORM), 1);
    ctx_destroy(c.ctx);
}

static void ragged_columns_stay_in_rows(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1,
                           "func @f(%x: f32[2, 6]) weights(@w: bf16[8, 6]) -> (%y: f32[2, 8]) {\n"
                           "  %y = matmul %x, @w\n  return %y\n}\n");
    PassEnv env = env_for(&c);
    env.tile[DT_BF16] = (Layout){4, 4, 0};
    env.whole_tiles = true;
    assert_int_equal(run_exact(&c, &env, pass_layout), 0);
    env.whole_tiles = false;
    assert_int_equal(run_exact(&c, &env, pass_layout), 1);
    ctx_destroy(c.ctx);
}

static void weights_are_tiled(void **state)
{
    (void)state;
    IrCase c = case_create(
        2, 1,
        "func @f(%t: i32[2]) weights(@embedding: bf16[5, 8], @w: u4[6, 8], @s: f32[6, 2], "
        "@z: u8[6, 2], @i: i8[3, 8], @v: f32[3]) "
        "-> (%a: bf16[2, 5], %b: bf16[2, 6], %c: bf16[2, 3]) {\n"
        "  %x = embed %t, @embedding\n  %a = matmul %x, @embedding\n"
        "  %b = matmul %x, @w, w_scale = @s, w_zero = @z {group = 4}\n"
        "  %c = matmul %x, @i {epilogue = mul(acc, @v)}\n  return %a, %b, %c\n}\n");
    PassEnv env = env_for(&c);
    env.tile[DT_BF16] = (Layout){4, 2, 0};
    env.tile[DT_U4] = (Layout){4, 8, 4};
    assert_int_equal(run_exact(&c, &env, pass_layout), 5);
    assert_text(&c, "bf16[5, 8] tile(4, 2, 0)");
    assert_text(&c, "u4[6, 8] tile(4, 8, 4)");
    assert_text(&c, "f32[6, 2] tile(4, 1, 0)");
    assert_text(&c, "u8[6, 2] tile(4, 1, 0)");
    assert_text(&c, "%x = embed %t, %embedding_tiled");
    assert_text(&c, "%a = matmul %x, %embedding_tiled");
    assert_text(&c, "%c = matmul %x, @i {"); /* no layout for i8 here; vectors never */
    assert_int_equal(count_ops(c.func, OP_TILE), 4);
    ctx_destroy(c.ctx);
}

/* ---- random functions ------------------------------------------------------------------------ */

enum { ROWS = 3, COLS = 8, MAX_MADE = 40 };

typedef struct Maker {
    Func *f;
    ValueId made[MAX_MADE]; /* all f32[ROWS, COLS] */
    int n;
    ValueId weights[3], vectors[3];
} Maker;

static ValueId pick(const Maker *m)
{
    return m->made[unit_random(&seed) % (uint64_t)m->n];
}

static const Expr *random_epilogue(Maker *m, Op *op)
{
    Arena *a = m->f->module->ctx->arena;
    uint64_t kind = unit_random(&seed) % 6;
    const Expr *acc = expr_acc(a, -1);
    if (kind == 0) {
        return acc;
    }
    if (kind == 1) {
        return expr_node(a, EXPR_MUL, expr_number(a, 1), acc);
    }
    if (kind == 2) {
        return expr_node(a, EXPR_TANH, acc, NULL);
    }
    ValueId leaf = kind == 3 ? pick(m) : m->vectors[unit_random(&seed) % 3];
    return expr_node(a, EXPR_ADD, expr_input(a, ir_expr_operand(op, leaf)), acc);
}

static void make_one(Maker *m)
{
    static const OpKind unary[] = {OP_SILU, OP_GELU, OP_TANH, OP_RMSNORM, OP_SOFTMAX, OP_CAST};
    static const OpKind binary[] = {OP_ADD, OP_SUB, OP_MUL};
    uint64_t choice = unit_random(&seed) % 4;
    Op op = {.n_in = 1, .in = {pick(m)}};
    if (choice == 0) {
        op.kind = unary[unit_random(&seed) % 6];
        op.a.dtype = op.kind == OP_CAST ? DT_F32 : DT_NONE;
        op.a.eps = op.kind == OP_RMSNORM ? 0.01 : 0;
    } else if (choice == 1) {
        op.kind = binary[unit_random(&seed) % 3];
        op.n_in = 2;
        bool vector = unit_random(&seed) % 3 == 0;
        op.in[1] = vector ? m->vectors[unit_random(&seed) % 3] : pick(m);
        if (vector && unit_random(&seed) % 2 == 0) {
            op.in[1] = op.in[0];
            op.in[0] = m->vectors[unit_random(&seed) % 3];
        }
    } else {
        op.kind = OP_MATMUL;
        op.n_in = 2;
        op.in[0] = unit_random(&seed) % 4 > 0 ? m->made[0] : op.in[0]; /* several share it */
        op.in[1] = m->weights[unit_random(&seed) % 3];
        if (choice == 3) {
            op.expr = random_epilogue(m, &op);
        }
    }
    m->made[m->n++] = ir_op1(m->f, &op, NULL);
}

static IrCase random_case(void)
{
    IrCase c = case_create(ROWS, 1,
                           "func @f(%x: f32[3, 8], %z: f32[3, 8]) weights(@a: f32[8, 8], "
                           "@b: f32[8, 8], @c: f32[8, 8], @p: f32[8], @q: f32[8], @r: f32[8]) "
                           "-> (%x: f32[3, 8]) {\n  return %x\n}\n");
    Func *f = c.func;
    Maker m = {.f = f, .made = {f->params.data[0], f->params.data[1]}, .n = 2};
    memcpy(m.weights, f->weights.data, sizeof m.weights);
    memcpy(m.vectors, f->weights.data + 3, sizeof m.vectors);
    int n = 5 + (int)(unit_random(&seed) % 20);
    while (m.n < n) {
        make_one(&m);
    }
    f->results.data[0] = m.made[m.n - 1];
    ir_return(f, pick(&m), name_in(&c, "y"));
    return c;
}

static void passes_keep_random_functions(void **state)
{
    (void)state;
    int (*const all[])(Func *, PassEnv *) = {pass_canonicalise, pass_merge_matmul, pass_cse,
                                             pass_dce,          pass_layout,       pass_dce};
    int changes[6] = {0};
    for (int round = 0; round < 60; round++) {
        IrCase c = random_case();
        PassEnv env = env_for(&c);
        env.tile[DT_F32] = (Layout){4, 1, 0};
        for (int i = 0; i < 6; i++) {
            const Func *before = copy_of(&c);
            changes[i] += all[i](c.func, &env);
            if (!ir_verify(c.module, "test")) {
                print_message("%s%s", text_of(&c), diag_text(c.ctx->diag));
                fail();
            }
            assert_same_function(before, c.func, unit_random(&seed), 1e-9);
        }
        ctx_destroy(c.ctx);
    }
    for (int i = 0; i < 5; i++) {
        print_message("# changes of pass %d: %d\n", i, changes[i]);
        assert_true(changes[i] > 0); /* the functions gave every pass something to do */
    }
}

/* ---- runner ---------------------------------------------------------------------------------- */

static void count_pass(void *user, const Module *m, const char *pass, int changes, double seconds)
{
    (void)m;
    (void)changes;
    Buf *b = user;
    assert_true(seconds >= 0);
    buf_printf(b, "%s ", pass);
}

static void runner_follows_table_list_and_stop(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1, glu_text);
    PassEnv env = env_for(&c);
    Buf seen = buf_create(c.ctx->arena);
    env.after = count_pass;
    env.user = &seen;
    assert_true(pass_run(c.module, &env, NULL, "norm_fold"));
    assert_string_equal(seen.data, "canonicalise cse dce norm_fold ");
    seen.len = 0;
    assert_true(pass_run(c.module, &env, "dce,cse", NULL));
    assert_string_equal(seen.data, "dce cse ");
    assert_int_equal(count_ops(c.func, OP_MATMUL), 3);
    env.disabled = (const char *const[]){"merge_matmul"};
    env.n_disabled = 1;
    assert_true(pass_run(c.module, &env, NULL, NULL));
    assert_int_equal(count_ops(c.func, OP_MATMUL), 3);
    env.n_disabled = 0;
    assert_true(pass_run(c.module, &env, NULL, NULL));
    assert_int_equal(count_ops(c.func, OP_MATMUL), 2);
    assert_false(pass_run(c.module, &env, "merge_matmull", NULL));
    assert_non_null(strstr(diag_text(c.ctx->diag),
                           "there is no pass or rule merge_matmull; did you mean merge_matmul"));
    ctx_destroy(c.ctx);
}

static void refusals_are_kept_once(void **state)
{
    (void)state;
    IrCase c = case_create(2, 1, glu_text);
    PassEnv env = env_for(&c);
    for (int i = 0; i < 3; i++) {
        pass_refused(&env, c.func, "p", "r", name_in(&c, "s"), "reason %d", i / 2);
    }
    assert_int_equal(env.ledger->entries.n, 2);
    assert_ledger(&env, "r     @f     %s     no     reason 1");
    ctx_destroy(c.ctx);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms),
        cmocka_unit_test(leaves_are_packed),
        cmocka_unit_test(equal_operators_run_once),
        cmocka_unit_test(unused_operators_and_weights_go),
        cmocka_unit_test(schemes_become_operators),
        cmocka_unit_test(tied_tables_share_their_codes),
        cmocka_unit_test(groups_must_divide),
        cmocka_unit_test(qkv_with_biases_merges),
        cmocka_unit_test(quantised_slots_merge),
        cmocka_unit_test(four_matmuls_merge_by_three),
        cmocka_unit_test(near_misses_stay_apart),
        cmocka_unit_test(gate_and_up_obey_the_strategy),
        cmocka_unit_test(rotated_rows_are_paired),
        cmocka_unit_test(ragged_columns_stay_in_rows),
        cmocka_unit_test(norms_move_into_decode_matmuls),
        cmocka_unit_test(weights_are_tiled),
        cmocka_unit_test(passes_keep_random_functions),
        cmocka_unit_test(runner_follows_table_list_and_stop),
        cmocka_unit_test(refusals_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
