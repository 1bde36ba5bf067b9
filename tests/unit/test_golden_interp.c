/* Importer, builder and interpreter against the logits in tests/golden, which Hugging Face
 * transformers computed (opt_post: tools/make_opt_postnorm.py): no passes and no generated code in
 * between. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/import_hf.h"
#include "ir/interp.h"

enum { MAX_TOKENS = 64 };

typedef struct Golden {
    Ctx *ctx;
    const char *dir;
    ModelSpec spec;
    Importer *importer;
    int n_tokens;
    int32_t tokens[MAX_TOKENS], pos[MAX_TOKENS];
    const float *logits; /* [n_tokens, vocab] */
} Golden;

static void check_diag(const Golden *g)
{
    if (diag_error_count(g->ctx->diag) > 0) {
        fail_msg("%s", diag_text(g->ctx->diag));
    }
}

static void open_golden(Golden *g, const char *family)
{
    *g = (Golden){.ctx = ctx_create()};
    Arena *a = g->ctx->arena;
    g->dir = path_join(a, "tests/golden", family);
    bool ok = import_config(g->ctx, g->dir, &g->spec);
    check_diag(g);
    assert_true(ok);
    g->importer = import_open(g->ctx, &g->spec, g->dir);
    check_diag(g);
    assert_non_null(g->importer);
    size_t n = 0;
    const char *tokens = file_read(a, g->ctx->diag, path_join(a, g->dir, "tokens.i32"), &n);
    assert_non_null(tokens);
    assert_true(n > 0 && n <= sizeof g->tokens);
    memcpy(g->tokens, tokens, n);
    g->n_tokens = (int)(n / sizeof(int32_t));
    for (int i = 0; i < g->n_tokens; i++) {
        g->pos[i] = i;
    }
    g->logits = (const float *)(const void *)file_read(a, g->ctx->diag,
                                                       path_join(a, g->dir, "logits.f32"), &n);
    assert_non_null(g->logits);
    assert_int_equal(n, (size_t)g->n_tokens * (size_t)g->spec.vocab * sizeof(float));
}

static void close_golden(Golden *g)
{
    import_close(g->importer);
    ctx_destroy(g->ctx);
}

static bool load_weight(void *user, int layer, Str name, const Type *type, Tensor *out)
{
    Golden *g = user;
    WeightRef ref;
    if (!import_locate(g->importer, layer, name, type, &ref)) {
        return false;
    }
    *out = tensor_create(g->ctx->arena, type);
    checkpoint_read(&ref, 0, ref.rows, out->v);
    return true;
}

static int64_t argmax(const double *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

/* Relative L2 error over all positions; greedy ids must agree at each when `same_ids`. */
static double compare(const Golden *g, const double *got, bool same_ids)
{
    double error = 0, norm = 0;
    int64_t vocab = g->spec.vocab;
    double *want = ARENA_ARRAY(g->ctx->arena, double, vocab);
    for (int t = 0; t < g->n_tokens; t++) {
        for (int64_t i = 0; i < vocab; i++) {
            want[i] = (double)g->logits[t * vocab + i];
            double d = got[t * vocab + i] - want[i];
            error += d * d;
            norm += want[i] * want[i];
        }
        if (same_ids) {
            assert_int_equal(argmax(got + t * vocab, vocab), argmax(want, vocab));
        }
    }
    return sqrt(error / norm);
}

static double *run_prefill(Golden *g, bool round)
{
    Ctx *ctx = g->ctx;
    Module *m = build_module(ctx, &g->spec, PHASE_PREFILL, g->n_tokens);
    check_diag(g);
    InterpModel model = {.module = m, .weight = load_weight, .user = g, .round = round};
    interp_states(ctx->arena, &model);
    Tensor logits = {0};
    bool ok = interp_module(ctx->arena, &model, g->tokens, g->pos, &logits);
    check_diag(g);
    assert_true(ok);
    return logits.v;
}

static double *run_decode(Golden *g)
{
    Ctx *ctx = g->ctx;
    Module *m = build_module(ctx, &g->spec, PHASE_DECODE, 1);
    check_diag(g);
    InterpModel model = {.module = m, .weight = load_weight, .user = g};
    interp_states(ctx->arena, &model);
    double *all = ARENA_ARRAY(ctx->arena, double, g->n_tokens * g->spec.vocab);
    for (int t = 0; t < g->n_tokens; t++) {
        Tensor logits = {0};
        bool ok = interp_module(ctx->arena, &model, g->tokens + t, g->pos + t, &logits);
        check_diag(g);
        assert_true(ok);
        memcpy(all + t * g->spec.vocab, logits.v, (size_t)g->spec.vocab * sizeof(double));
    }
    return all;
}

static void check_family(void **state)
{
    Golden g;
    open_golden(&g, *state);
    double prefill = compare(&g, run_prefill(&g, false), true);
    double decode = compare(&g, run_decode(&g), true);
    double rounded = compare(&g, run_prefill(&g, true), false);
    print_message("# %s: relative L2 prefill %.2e, decode %.2e, rounded to bf16 %.2e\n",
                  (const char *)*state, prefill, decode, rounded);
    assert_true(prefill <= 1e-5);
    assert_true(decode <= 1e-5);
    assert_true(rounded <= 3e-2); /* every intermediate rounded: the plain graph's worst case */
    assert_true(import_check_unused(g.importer));
    check_diag(&g);
    assert_string_equal(diag_text(g.ctx->diag), "");
    close_golden(&g);
}

#define FAMILY(name)                                                                               \
    {                                                                                              \
#name, check_family, NULL, NULL, (void *)(uintptr_t) #name                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAMILY(llama2), FAMILY(llama3), FAMILY(mistral), FAMILY(qwen2),    FAMILY(qwen3),
        FAMILY(phi3),   FAMILY(gpt2),   FAMILY(opt),     FAMILY(opt_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
