/* The rules one after another, as the pass table runs them: whatever the norm, the biases and the
 * quantisation, a gated MLP ends in two kernels of work (merged gate and up, then down with the
 * residual) and computes what the graph computed before. */
#include "ir_case.h"

#include "compiler/base/file.h"
#include "ir/pass.h"

static uint64_t seed;

typedef struct Scheme {
    const char *name;
    QuantScheme quant;
} Scheme;

static const Scheme schemes[] = {
    {"floats", {0}},
    {"int8 per channel", {.weights = DT_I8}},
    {"int8 weights and activations", {.weights = DT_I8, .activations = DT_I8}},
    {"int8 with zero points", {.weights = DT_I8, .asym = true}},
    {"int4 in groups", {.weights = DT_U4, .group = 4}},
    {"int4 in groups with zero points", {.weights = DT_U4, .group = 4, .asym = true}},
    {"int4 per channel", {.weights = DT_U4}},
    {"fp8 weights", {.weights = DT_E4M3}},
    {"fp8 weights and activations", {.weights = DT_E4M3, .activations = DT_E4M3}},
    {"int4 in groups, int8 activations", {.weights = DT_U4, .group = 4, .activations = DT_I8}},
    {"int4 per channel with zero points, int8 activations",
     {.weights = DT_U4, .asym = true, .activations = DT_I8}},
};

typedef struct Block {
    const char *name, *norm, *gate, *up, *down;
} Block;

static const Block blocks[] = {
    {"plain", "  %n = rmsnorm %x, gain = @norm {eps = 0.01}\n", "  %g = matmul %n, @gate\n",
     "  %u = matmul %n, @up\n", "  %d = matmul %h, @down\n"},
    {"with biases", "  %n = rmsnorm %x, gain = @norm {eps = 0.01}\n",
     "  %g0 = matmul %n, @gate\n  %g = add %g0, @gate_bias\n",
     "  %u0 = matmul %n, @up\n  %u = add %u0, @up_bias\n",
     "  %d0 = matmul %h, @down\n  %d = add %d0, @down_bias\n"},
    {"layernorm", "  %n = layernorm %x, gain = @norm {eps = 0.01}\n", "  %g = matmul %n, @gate\n",
     "  %u = matmul %n, @up\n", "  %d = matmul %h, @down\n"},
};

static const char *block_text(Arena *a, const Block *b, int tokens)
{
    return arena_printf(
        a,
        "func @f(%%x: f32[%d, 12]) weights(@norm: f32[12], @gate: f32[20, 12], @up: f32[20, 12], "
        "@down: f32[12, 20], @gate_bias: f32[20], @up_bias: f32[20], @down_bias: f32[12])"
        " -> (%%y: f32[%d, 12]) {\n"
        "%s%s%s  %%a = silu %%g\n  %%h = mul %%a, %%u\n%s  %%y = add %%x, %%d\n  return %%y\n}\n",
        tokens, tokens, b->norm, b->gate, b->up, b->down);
}

static RuleSet *shipped_rules(Ctx *ctx)
{
    static const char *const files[] = {"norm", "dequant", "epilogue", "glu"};
    RuleSet *set = ruleset_create(ctx);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t n;
        const char *path = arena_printf(ctx->arena, "ir/rules/%s.rules", files[i]);
        const char *text = file_read(ctx->arena, ctx->diag, path, &n);
        assert_true(text != NULL && ruleset_add(set, path, text, n));
    }
    return set;
}

static void run_passes(const IrCase *c, const Scheme *s, MlpFusion mlp, const char *list)
{
    PassEnv env = {.ctx = c->ctx,
                   .rules = shipped_rules(c->ctx),
                   .mlp = mlp,
                   .norm = NORM_FOLD,
                   .quant = s->quant,
                   .block = 8,
                   .kv_len = 8};
    if (!pass_run(c->module, &env, list, NULL)) {
        print_message("%s", diag_text(c->ctx->diag));
        fail();
    }
}

/* Operators that run per token, views and small row statistics left out. */
static int count_kernels(const Func *f)
{
    int n = 0;
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        bool small = op->kind == OP_ROW_RMS || op->kind == OP_QUANTIZE ||
                     op->kind == OP_RMSNORM_QUANT || op->kind == OP_LAYERNORM ||
                     op->kind == OP_RMSNORM || op->kind == OP_SPLIT;
        n += !small && !f->value[op->out[0]].constant;
    }
    return n;
}

static void check_kernels(const IrCase *c, const Block *b, const Scheme *s, int wanted)
{
    int n = count_kernels(c->func);
    if (n == wanted && count_ops(c->func, OP_MATMUL) == 2) {
        return;
    }
    Buf text = buf_create(c->ctx->arena);
    ir_print_func(&text, c->func);
    print_message("%s# %s, %s: %d kernels, expected %d\n", text.data, b->name, s->name, n, wanted);
    fail();
}

/* The lossy pass runs on both; what follows must keep its numbers. */
static void check_block(const Block *b, const Scheme *s, MlpFusion mlp, int kernels)
{
    int tokens = (int)(1 + unit_random(&seed) % 3);
    Arena *a = arena_create();
    const char *text = block_text(a, b, tokens);
    IrCase before = case_create(tokens, 8, text), after = case_create(tokens, 8, text);
    run_passes(&before, s, mlp, "canonicalise,norm_fold,cse,quantize");
    run_passes(
        &after, s, mlp,
        "canonicalise,norm_fold,cse,quantize,dequant_fold,epilogue,glu,merge_matmul,residual,"
        "dequant_group,quant_fuse,canonicalise,cse,dce");
    check_kernels(&after, b, s, kernels);
    assert_same_function(before.func, after.func, unit_random(&seed), 1e-9);
    ctx_destroy(before.ctx);
    ctx_destroy(after.ctx);
    arena_destroy(a);
}

static void check_all(MlpFusion mlp, int kernels)
{
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        for (size_t j = 0; j < sizeof schemes / sizeof schemes[0]; j++) {
            check_block(&blocks[i], &schemes[j], mlp, kernels);
        }
    }
}

static void test_epilogue_strategy_gives_two_kernels(void **state)
{
    (void)state;
    check_all(MLP_EPILOGUE, 2);
}

static void test_elementwise_strategy_gives_three_kernels(void **state)
{
    (void)state;
    check_all(MLP_ELEMENTWISE, 3);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epilogue_strategy_gives_two_kernels),
        cmocka_unit_test(test_elementwise_strategy_gives_three_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
