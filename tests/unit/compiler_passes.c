/* Every model spec shrunk to small dims, every quantisation scheme and fusion strategy, both
 * phases: after each pass that rewrote something, the whole model computes what it did before the
 * pass. */
#include "ir_case.h"

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/spec.h"
#include "ir/pass.h"

static uint64_t seed;

static const char *const specs[] = {
    "llama-2-7b", "llama-3-8b",     "llama-3.2-1b", "qwen2.5-7b", "qwen3-8b",
    "phi-3-mini", "mistral-7b",     "gpt2",         "opt-6.7b",   "deepseek-llm-7b",
    "gpt3-175b",  "dense-32b-int8", "ffn-only",     "tinytales",
};
enum { N_SPECS = sizeof specs / sizeof specs[0], MAX_OVERRIDES = 16 };

typedef struct Setting {
    const char *name;
    SpecOverride quant[5];
    int n_quant;
    MlpFusion mlp;
    NormFusion norm;
    bool tiles;
} Setting;

static const Setting settings[] = {
    {"plain", {{0}}, 0, MLP_NONE, NORM_NONE, false},
    {"elementwise, folded", {{0}}, 0, MLP_ELEMENTWISE, NORM_FOLD, true},
    {"epilogue", {{0}}, 0, MLP_EPILOGUE, NORM_AUTO, true},
    {"int8", {{"quant.weights", "int8"}, {"quant.head", "true"}}, 2, MLP_EPILOGUE, NORM_AUTO, true},
    {"int8 x int8",
     {{"quant.weights", "int8"}, {"quant.activations", "int8"}, {"quant.kv_cache", "int8"}},
     3,
     MLP_EPILOGUE,
     NORM_NONE,
     true},
    {"int4",
     {{"quant.weights", "int4"}, {"quant.group", "8"}, {"quant.head", "true"}},
     3,
     MLP_EPILOGUE,
     NORM_AUTO,
     true},
    {"int4, zero points",
     {{"quant.weights", "int4"}, {"quant.group", "16"}, {"quant.zero_points", "true"}},
     3,
     MLP_ELEMENTWISE,
     NORM_FOLD,
     true},
};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

/* ---- the shrunken spec ----------------------------------------------------------------------- */

static const ModelSpec *small_spec(Ctx *ctx, const char *name, const Setting *setting)
{
    SpecOverride o[MAX_OVERRIDES];
    int n = 0;
    bool ffn = strcmp(name, "ffn-only") == 0;
    o[n++] = (SpecOverride){"d_model", "32"};
    o[n++] = (SpecOverride){"d_ff", "48"};
    if (!ffn) {
        o[n++] = (SpecOverride){"layers", "2"};
        o[n++] = (SpecOverride){"heads", "4"};
        o[n++] = (SpecOverride){"vocab", "40"};
        o[n++] = (SpecOverride){"context", "8"};
        o[n++] = (SpecOverride){"head_dim", "8"};
        o[n++] = (SpecOverride){"bos", "0"};
        o[n++] = (SpecOverride){"eos", "1"};
    }
    for (int i = 0; i < setting->n_quant; i++) {
        const char *key = setting->quant[i].key;
        bool table_or_cache = strcmp(key, "quant.head") == 0 || strcmp(key, "quant.kv_cache") == 0;
        if (!ffn || !table_or_cache) {
            o[n++] = setting->quant[i];
        }
    }
    const char *path = arena_printf(ctx->arena, "model_specs/%s.yaml", name);
    const ModelSpec *first = spec_load(ctx, path, NULL, 0);
    if (first != NULL && !ffn && first->kv_heads != first->heads) {
        o[n++] = (SpecOverride){"kv_heads", "2"};
    }
    const ModelSpec *s = spec_load(ctx, path, o, n);
    if (s == NULL) {
        fail_msg("%s, %s: %s", name, setting->name, diag_text(ctx->diag));
    }
    return s;
}

static RuleSet *load_rules(Ctx *ctx)
{
    static const char *const files[] = {"norm", "dequant", "epilogue", "glu", "attention"};
    RuleSet *rules = ruleset_create(ctx);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t n = 0;
        const char *path = arena_printf(ctx->arena, "ir/rules/%s.rules", files[i]);
        const char *text = file_read(ctx->arena, ctx->diag, path, &n);
        if (text == NULL || !ruleset_add(rules, path, text, n)) {
            fail_msg("%s", diag_text(ctx->diag));
        }
    }
    return rules;
}

/* ---- running a model ------------------------------------------------------------------------- */

typedef struct Watch {
    Arena *arena; /* results of the state before */
    const char *spec, *setting;
    uint64_t seed;
    Tensor *before; /* results of the three calls, then the states */
    int n_before;
    int checked;
} Watch;

static bool random_weight(void *user, int layer, Str name, const Type *type, Tensor *out)
{
    const Watch *w = user;
    Value v = {.name = name, .type = type};
    *out = named_tensor(w->arena, &v, w->seed + (uint64_t)(layer + 1) * 1000003);
    for (int64_t i = 0; i < type_elements(type); i++) {
        out->v[i] *= 0.25; /* quiet enough for two layers */
    }
    return true;
}

/* Decode: three steps of every sequence. Prefill: three chunks of one. The last has an unused row.
 */
static void positions(const Module *m, int step, int32_t *tokens, int32_t *pos)
{
    for (int t = 0; t < m->tokens; t++) {
        tokens[t] = (step * 7 + t * 3) % 40;
        pos[t] = m->phase == PHASE_DECODE ? step + t : step * 2 + t;
        if (step == 2 && t == m->tokens - 1) {
            pos[t] = -1;
        }
    }
}

/* ffn-only takes %x, which no schedule supplies: its function is run by itself. */
static int run_function(Watch *w, const Func *f, Tensor *out)
{
    const Tensor *all = run_named_inputs(w->arena, f, w->seed, false);
    memcpy(out, all, f->results.n * sizeof *all);
    return (int)f->results.n;
}

static bool needs_schedule(const Module *m)
{
    const Func *f = m->funcs.data[0];
    return strcmp(f->value[f->params.data[0]].name, "x") != 0;
}

static int run_model(Watch *w, const Module *m, Tensor *out)
{
    if (!needs_schedule(m)) {
        return run_function(w, m->funcs.data[0], out);
    }
    InterpModel model = {.module = m, .weight = random_weight, .user = w};
    interp_states(w->arena, &model);
    int n = 0;
    for (int step = 0; step < 3; step++) {
        int32_t tokens[IR_MAX_BATCH], pos[IR_MAX_BATCH];
        positions(m, step, tokens, pos);
        if (!interp_module(w->arena, &model, tokens, pos, &out[n++])) {
            fail_msg("%s", diag_text(m->ctx->diag));
        }
    }
    for (int i = 0; i < model.n_states; i++) {
        out[n++] = model.states[i];
    }
    return n;
}

/* Rows of an unused position differ freely between forms (they are never read). */
static void compare(const Watch *w, const Module *m, const char *pass, const Tensor *after, int n)
{
    assert_int_equal(n, w->n_before);
    for (int i = 0; i < n; i++) {
        Tensor a = after[i], b = w->before[i];
        int64_t elements = type_elements(a.type);
        bool unused_row = i == 2 && needs_schedule(m);
        int64_t used = unused_row ? elements / m->tokens * (m->tokens - 1) : elements;
        for (int64_t k = 0; k < used; k++) {
            if (!(fabs(a.v[k] - b.v[k]) <= 1e-9 * (1 + fabs(b.v[k])))) {
                fail_msg("%s, %s: %s changed output %d[%lld] from %.12g to %.12g", w->spec,
                         w->setting, pass, i, (long long)k, b.v[k], a.v[k]);
            }
        }
    }
}

static void after_pass(void *user, const Module *m, const char *pass, int changes, double seconds)
{
    (void)seconds;
    Watch *w = user;
    if (changes == 0) {
        return;
    }
    Arena *old = w->arena;
    w->arena = arena_create();
    Tensor *out = ARENA_ARRAY(w->arena, Tensor, 64);
    int n = run_model(w, m, out);
    if (w->before != NULL && !pass_find(pass)->lossy) {
        compare(w, m, pass, out, n);
        w->checked++;
    }
    w->before = out;
    w->n_before = n;
    if (old != NULL) {
        arena_destroy(old);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int check_pipeline(const char *name, const Setting *setting, Phase phase, int tokens)
{
    Ctx *ctx = ctx_create();
    const ModelSpec *spec = small_spec(ctx, name, setting);
    Module *m = build_module(ctx, spec, phase, tokens);
    if (m == NULL) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    Watch w = {.spec = name, .setting = setting->name, .seed = unit_random(&seed)};
    PassEnv env = {.ctx = ctx,
                   .rules = load_rules(ctx),
                   .mlp = setting->mlp,
                   .norm = setting->norm,
                   .quant = spec_quant(spec),
                   .kv_len = 8,
                   .block = 4,
                   .after = after_pass,
                   .user = &w};
    for (int t = 0; t < DT_COUNT && setting->tiles; t++) {
        env.tile[t] = t == DT_U4 ? (Layout){4, 8, 4} : (Layout){4, 2, 0};
    }
    after_pass(&w, m, "canonicalise", 1, 0); /* what the builder made */
    if (!pass_run(m, &env, NULL, NULL)) {
        fail_msg("%s, %s: %s", name, setting->name, diag_text(ctx->diag));
    }
    arena_destroy(w.arena);
    ctx_destroy(ctx);
    return w.checked;
}

static void every_pass_keeps_every_model(void **state)
{
    (void)state;
    int checked = 0;
    for (int i = 0; i < N_SPECS; i++) {
        for (int k = 0; k < N_SETTINGS; k++) {
            checked += check_pipeline(specs[i], &settings[k], PHASE_DECODE, 2);
            if (k % 2 == i % 2) { /* the same passes: half of them is enough */
                checked += check_pipeline(specs[i], &settings[k], PHASE_PREFILL, 3);
            }
        }
    }
    print_message("# %d rewrites compared\n", checked);
    assert_true(checked > N_SPECS * N_SETTINGS * 2);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pass_keeps_every_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
