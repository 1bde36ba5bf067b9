/* Every model spec of the tree: read, checked, built for both phases, verified; its weights counted
 * and compared with what is published. */
#include "unit.h"

#include <string.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/device.h"
#include "compiler/spec.h"

static const struct {
    const char *name;
    double billions; /* published, or worked out by hand from the config (tinytales, ffn-only) */
} published[] = {
    {"llama-2-7b", 6.738415616},      {"llama-3-8b", 8.030261248}, {"llama-3.2-1b", 1.2358144},
    {"llama-3.3-70b", 70.553706496},  {"qwen2.5-7b", 7.615616512}, {"qwen2.5-32b", 32.763876352},
    {"qwen3-8b", 8.190735360},        {"phi-3-mini", 3.821079552}, {"phi-3-mini-128k", 3.821079552},
    {"mistral-7b", 7.241732096},      {"gpt2", 0.124439808},       {"opt-6.7b", 6.658465792},
    {"deepseek-llm-7b", 6.910365696}, {"gpt3-175b", 174.60},       {"dense-32b-int8", 31.77},
    {"ffn-only", 0.176160768},        {"tinytales", 0.003541248},
};
enum { N_SPECS = sizeof published / sizeof published[0] };

static const ModelSpec *load(Ctx *ctx, const char *name)
{
    const char *path = arena_printf(ctx->arena, "model_specs/%s.yaml", name);
    const ModelSpec *s = spec_load(ctx, path, NULL, 0);
    if (s == NULL) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    return s;
}

static void parameters_are_the_published_ones(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        Ctx *ctx = ctx_create();
        const ModelSpec *s = load(ctx, published[i].name);
        assert_string_equal(s->name, published[i].name);
        double found = (double)spec_parameters(s) * 1e-9, wanted = published[i].billions;
        print_message("# %-16s %14.9f billion weights\n", s->name, found);
        if (found < wanted * 0.9995 || found > wanted * 1.0005) {
            fail_msg("%s: %.9f billion weights, published %.9f", s->name, found, wanted);
        }
        ctx_destroy(ctx);
    }
}

/* Numbers in the weights of a module: each function's, times its layers; shared names once. */
static int64_t module_weights(const Module *m)
{
    VEC(Str) seen = {0};
    int64_t sum = 0;
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *step = &m->steps.data[i];
        const Func *f = m->funcs.data[step->func[0]];
        for (size_t w = 0; w < f->weights.n; w++) {
            const Value *v = &f->value[f->weights.data[w]];
            bool again = false;
            for (size_t k = 0; k < seen.n && !step->layered; k++) {
                again = again || seen.data[k] == v->name;
            }
            sum += again ? 0 : type_elements(v->type) * step->repeat;
            vec_push(m->ctx->arena, &seen, v->name);
        }
    }
    return sum;
}

static void check_module(Ctx *ctx, const ModelSpec *s, Phase phase, int tokens)
{
    const Module *m = build_module(ctx, s, phase, tokens);
    if (m == NULL || !ir_verify(m, NULL)) {
        fail_msg("%s: %s", s->name, diag_text(ctx->diag));
    }
    assert_int_equal(module_weights(m), spec_parameters(s));
    assert_int_equal(m->tokens, tokens);
}

static void every_spec_builds_and_verifies(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        Ctx *ctx = ctx_create();
        const ModelSpec *s = load(ctx, published[i].name);
        check_module(ctx, s, PHASE_DECODE, 1);
        check_module(ctx, s, PHASE_DECODE, 4);
        check_module(ctx, s, PHASE_PREFILL, 64);
        ctx_destroy(ctx);
    }
}

/* Prints as IR text, which reads back and prints the same. */
static void built_modules_print_and_parse(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        Ctx *ctx = ctx_create();
        const ModelSpec *s = load(ctx, published[i].name);
        Buf first = buf_create(ctx->arena), second = buf_create(ctx->arena);
        ir_print_module(&first, build_module(ctx, s, PHASE_DECODE, 2));
        const Module *m = ir_parse(ctx, "printed.ir", first.data, first.len);
        if (m == NULL) {
            fail_msg("%s: %s", s->name, diag_text(ctx->diag));
        }
        ir_print_module(&second, m);
        assert_string_equal(first.data, second.data);
        ctx_destroy(ctx);
    }
}

/* Small models that use what no published spec of the tree does. */
static const char *const variants[] = {
    "residual: parallel\nnorm: layernorm\nmlp: {kind: plain, activation: gelu, bias: true}\n",
    "residual: parallel\nnorm: {shared: false}\n",
    "norm: {kind: layernorm, place: post}\nposition: {kind: learned, offset: 2}\nembed_dim: 32\n",
    "norm: {kind: layernorm, bias: false}\nposition: none\nattention: {softcap: 30, window: 7}\n",
    "rope: {theta: 1e4, partial: 0.5, style: adjacent, scaling: {kind: linear, factor: 4}}\n",
    "rope: {scaling: {kind: yarn, factor: 4, original_context: 16}}\ntied: true\nlogit_softcap: "
    "30\n",
    "rope: {scaling: {kind: longrope, original_context: 16, short_factors: [1, 1, 1, 2],\n"
    "  long_factors: [1, 2, 3, 4]}}\nembed_scale: 8\nlogit_scale: 0.5\n",
    "quant: {weights: int4, group: 32, zero_points: true, kv_cache: int8}\n",
    "quant: {weights: int8, activations: int8, kv_cache: int8}\nattention: {qk_norm: true, "
    "qkv_bias: true}\n",
    "head: false\n",
    "head: false\nnorm: {final: false}\n",
    "heads: 8\nkv_heads: 1\nhead_dim: 16\n",
};

static void variants_build_and_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        Ctx *ctx = ctx_create();
        const char *heads = strncmp(variants[i], "heads", 5) == 0 ? "" : "heads: 8\nkv_heads: 2\n";
        const char *text =
            arena_printf(ctx->arena,
                         "name: small\nlayers: 2\nd_model: 64\nd_ff: 96\nvocab: 100\n"
                         "context: 32\n%s%s",
                         heads, variants[i]);
        const ModelSpec *s = spec_read(ctx, "small.yaml", text, strlen(text), NULL, 0);
        if (s == NULL || !spec_check(ctx, s)) {
            fail_msg("%s", diag_text(ctx->diag));
        }
        check_module(ctx, s, PHASE_DECODE, 3);
        check_module(ctx, s, PHASE_PREFILL, 5);
        ctx_destroy(ctx);
    }
}

static void the_ffn_is_three_matmuls_and_two_elementwise_ops(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const Module *m = build_module(ctx, load(ctx, "ffn-only"), PHASE_DECODE, 4);
    const Func *f = m->funcs.data[0];
    static const OpKind wanted[] = {OP_MATMUL, OP_MATMUL, OP_SILU, OP_MUL, OP_MATMUL};
    assert_int_equal(f->order.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->op[f->order.data[i]].kind, wanted[i]);
    }
    ctx_destroy(ctx);
}

static void devices_are_read(void **state)
{
    (void)state;
    static const char *const name[] = {"h200", "h100", "a100", "rtx4090", "cpu"};
    for (size_t i = 0; i < 5; i++) {
        Ctx *ctx = ctx_create();
        const char *path = arena_printf(ctx->arena, "model_specs/devices/%s.yaml", name[i]);
        const Device *d = device_load(ctx, path);
        if (d == NULL) {
            fail_msg("%s", diag_text(ctx->diag));
        }
        assert_string_equal(d->name, name[i]);
        assert_true(d->bandwidth > 1e10 && d->flops_bf16 >= d->flops_f32 && d->sms > 0);
        assert_true(d->flops_int8 >= d->flops_bf16 && d->flops_fp8 > 0 && d->l2_bytes > 1 << 20);
        ctx_destroy(ctx);
    }
}

static void an_unknown_device_key_is_an_error(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    static const char text[] = "name: x\nbandwith: 1e12\n";
    assert_null(device_read(ctx, "x.yaml", text, sizeof text - 1));
    assert_non_null(strstr(diag_text(ctx->diag), "unknown key 'bandwith' in a device, did you mean "
                                                 "'bandwidth'?"));
    assert_non_null(strstr(diag_text(ctx->diag), "missing keys: bandwidth, flops_f32, flops_bf16, "
                                                 "launch_seconds, sms"));
    ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_the_published_ones),
        cmocka_unit_test(every_spec_builds_and_verifies),
        cmocka_unit_test(built_modules_print_and_parse),
        cmocka_unit_test(variants_build_and_verify),
        cmocka_unit_test(the_ffn_is_three_matmuls_and_two_elementwise_ops),
        cmocka_unit_test(devices_are_read),
        cmocka_unit_test(an_unknown_device_key_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
