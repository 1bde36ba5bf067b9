/* check.c - `sinter check`: the spec shrunk to small dims, then
 *
 *   1. every function of every phase through the interpreter after each pass: same results as
 * before it (a lossy pass sets the new reference and shows what it cost);
 *   2. the generated program on the same random weights against the interpreter, prefill and
 * decode.
 *
 * Errors are relative L2 norms of the difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/driver.h"
#include "compiler/pack.h"
#include "compiler/program.h"
#include "compiler/toolchain.h"
#include "ir/interp.h"

enum { CHECK_TOKENS = 21, CHECK_SEED = 1 };

static const double pass_limit = 1e-9;
static const Span nowhere = {0, 0};

/* ---- shrinking ------------------------------------------------------------------------------- */

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const char *number_text(Arena *a, int64_t x)
{
    return arena_printf(a, "%lld", (long long)x);
}

static void set(Ctx *ctx, Overrides *list, const char *key, int64_t value)
{
    SpecOverride x = {key, number_text(ctx->arena, value)};
    vec_push(ctx->arena, list, x);
}

/* The first n factors of a list as YAML text. */
static void set_factors(Ctx *ctx, Overrides *list, const char *key, DoubleList x, int64_t n)
{
    Buf b = buf_create(ctx->arena);
    for (int i = 0; i < x.n && i < n; i++) {
        buf_puts(&b, i ? ", " : "[");
        buf_put_double(&b, x.v[i]);
    }
    if (b.len) {
        buf_puts(&b, "]");
        SpecOverride o = {key, b.data};
        vec_push(ctx->arena, list, o);
    }
}

/* The same kinds of everything at dims that the double-precision interpreter runs in milliseconds:
 * the ratio of query to key heads, windows and scalings that bite, sizes that are not round. */
static void shrink(Ctx *ctx, const ModelSpec *s, Overrides *list)
{
    int64_t head_dim = 16, group = s->quant_group ? 32 : 0;
    set(ctx, list, "d_model", 64);
    set(ctx, list, "d_ff", group ? 96 : 84);
    if (group) {
        set(ctx, list, "quant.group", group);
    }
    if (s->parts == SPEC_FFN) {
        return;
    }
    int64_t kv_heads = min_i64(s->kv_heads, 2), ratio = s->heads / s->kv_heads;
    int64_t dims = s->rope_dims < s->head_dim ? head_dim / 2 : head_dim;
    set(ctx, list, "layers", min_i64(s->layers, 2));
    set(ctx, list, "kv_heads", kv_heads);
    set(ctx, list, "heads", kv_heads * min_i64(ratio, 3));
    set(ctx, list, "head_dim", head_dim);
    set(ctx, list, "vocab", 101);
    set(ctx, list, "context", 40);
    set(ctx, list, "bos", -1);
    set(ctx, list, "eos", -1);
    set(ctx, list, "embed_dim", s->embed_dim == s->d_model ? 64 : 32);
    if (s->position_kind == SPEC_ROPE) {
        set(ctx, list, "rope.dims", dims);
    }
    if (s->window) {
        set(ctx, list, "attention.window", 8);
    }
    if (s->scaling_kind != SPEC_DEFAULT) {
        set(ctx, list, "rope.scaling.original_context", s->original_context < s->context ? 16 : 40);
    }
    set_factors(ctx, list, "rope.scaling.short_factors", s->short_factors, dims / 2);
    set_factors(ctx, list, "rope.scaling.long_factors", s->long_factors, dims / 2);
}

static bool open_shrunk(Compilation *c, Ctx *ctx, const Options *o)
{
    Overrides list = {0};
    const ModelSpec *full = NULL;
    if (!compilation_overrides(ctx, o, &list) ||
        !(full = spec_load(ctx, o->operand, list.data, (int)list.n))) {
        return false;
    }
    shrink(ctx, full, &list);
    return compilation_open_with(c, ctx, o, &list);
}

/* ---- one function through the interpreter ---------------------------------------------------- */

/* Splitmix64 (Steele, Lea, Flood 2014): a number in [-1, 1) from any key. */
static double noise(uint64_t key)
{
    key += 0x9e3779b97f4a7c15u;
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return (double)(int64_t)(key ^ (key >> 31)) * 0x1p-63;
}

static uint64_t name_key(Str name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++) {
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    }
    return h;
}

static int64_t smallest_table(const Func *f)
{
    int64_t rows = 1 << 30;
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind == OP_EMBED) {
            rows = min_i64(rows, f->value[op->in[1]].type->dim[0]);
        }
    }
    return min_i64(rows, f->module->context);
}

static Tensor random_value(Arena *a, const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    Tensor t = tensor_create(a, value->type);
    int64_t n = type_elements(value->type);
    if (value->kind == VALUE_WEIGHT) {
        int64_t rows = value->type->rank ? value->type->dim[0] : 1;
        pack_random_rows(CHECK_SEED, 0, value->name, value->type, 0, rows, t.v);
        return t;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = noise(name_key(value->name) + (uint64_t)i);
        if (value->type->dtype == DT_I32) {
            t.v[i] = floor((x + 1) / 2 * (double)smallest_table(f));
        } else {
            bool codes = dtype_is_code(value->type->dtype);
            t.v[i] = codes ? dtype_round(value->type->dtype, 100 * x) : x;
        }
    }
    return t;
}

typedef struct Numbers {
    size_t n, cap;
    double *data;
} Numbers;

static void append(Arena *a, Numbers *out, const Tensor *t)
{
    int64_t n = type_elements(t->type);
    for (int64_t i = 0; i < n; i++) {
        vec_push(a, out, t->v[i]);
    }
}

/* Results and updated states of f on random arguments that depend on their names alone. */
static bool run_func(Arena *a, const Func *f, Numbers *out)
{
    Tensor *params = ARENA_ARRAY(a, Tensor, f->params.n + 1);
    Tensor *states = ARENA_ARRAY(a, Tensor, f->states.n + 1);
    Tensor *weights = ARENA_ARRAY(a, Tensor, f->weights.n + 1);
    Tensor *results = ARENA_ARRAY(a, Tensor, f->results.n + 1);
    for (size_t i = 0; i < f->params.n; i++) {
        params[i] = random_value(a, f, f->params.data[i]);
    }
    for (size_t i = 0; i < f->states.n; i++) {
        states[i] = random_value(a, f, f->states.data[i]);
    }
    for (size_t i = 0; i < f->weights.n; i++) {
        weights[i] = random_value(a, f, f->weights.data[i]);
    }
    InterpArgs args = {.params = params, .weights = weights, .states = states};
    if (!interp_func(a, f, &args, results)) {
        return false;
    }
    for (size_t i = 0; i < f->results.n; i++) {
        append(a, out, &results[i]);
    }
    for (size_t i = 0; i < f->states.n; i++) {
        append(a, out, &states[i]);
    }
    return true;
}

static double relative_error(const double *x, const double *reference, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += (x[i] - reference[i]) * (x[i] - reference[i]);
        norm += reference[i] * reference[i];
    }
    return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

/* ---- pass by pass ---------------------------------------------------------------------------- */

typedef struct PassCheck {
    Ctx *ctx;
    Numbers *reference; /* one a function */
    const char *phase;
    int tokens, failed, compared;
    bool broken; /* the interpreter refused */
} PassCheck;

static void report(const char *phase, int tokens, const char *what, double error, double limit,
                   const char *note)
{
    bool ok = error <= limit;
    printf("%-8s T=%-3d %-22s %10.2e  %s%s\n", phase, tokens, what, error, ok ? "ok" : "WRONG",
           note);
}

static void after_pass(void *user, const Module *m, const char *pass, int changes, double seconds)
{
    (void)seconds;
    PassCheck *check = user;
    const Pass *p = pass_find(pass);
    double worst = 0;
    if (changes == 0 || check->broken) {
        return;
    }
    for (size_t i = 0; i < m->funcs.n; i++) {
        Numbers now = {0}, *before = &check->reference[i];
        if (!run_func(check->ctx->arena, m->funcs.data[i], &now) || now.n != before->n) {
            check->broken = true;
            return;
        }
        worst = fmax(worst, relative_error(now.data, before->data, now.n));
        if (p && p->lossy) {
            *before = now;
        }
    }
    double limit = p && p->lossy ? 1 : pass_limit;
    report(check->phase, check->tokens, pass, worst, limit,
           p && p->lossy ? " (lossy by design: the new reference)" : "");
    check->failed += !(worst <= limit);
    check->compared++;
}

static bool check_passes(Compilation *c, Phase phase, int tokens, int *failed)
{
    Module *m = build_module(c->ctx, c->spec, phase, tokens);
    PassCheck check = {
        .ctx = c->ctx, .phase = phase == PHASE_DECODE ? "decode" : "prefill", .tokens = tokens};
    if (!m) {
        return false;
    }
    check.reference = ARENA_ARRAY(c->ctx->arena, Numbers, m->funcs.n);
    for (size_t i = 0; i < m->funcs.n; i++) {
        if (!run_func(c->ctx->arena, m->funcs.data[i], &check.reference[i])) {
            return false;
        }
    }
    PassEnv env = c->env;
    env.after = after_pass;
    env.user = &check;
    bool ok = pass_run_auto(&m, &env) && !check.broken;
    *failed += check.failed;
    return ok || diag_error_count(c->ctx->diag) > 0
               ? ok
               : diag_error(c->ctx->diag, nowhere, "the interpreter could not run the result");
}

/* ---- the generated program ------------------------------------------------------------------- */

static bool random_weight(void *user, int layer, Str name, const Type *type, Tensor *out)
{
    *out = tensor_create(user, type);
    pack_random_rows(CHECK_SEED, layer, name, type, 0, type->rank ? type->dim[0] : 1, out->v);
    return true;
}

/* The logits of all tokens, by the interpreter on the module that was compiled. */
static bool expected_logits(Program *p, const int32_t *ids, Numbers *out)
{
    Ctx *ctx = p->c->ctx;
    Module *m = p->module[0];
    InterpModel model = {.module = m, .weight = random_weight, .user = ctx->arena};
    interp_states(ctx->arena, &model);
    for (int32_t i = 0; i < CHECK_TOKENS; i++) {
        Tensor logits = {0};
        if (!interp_module(ctx->arena, &model, &ids[i], &i, &logits)) {
            return false;
        }
        append(ctx->arena, out, &logits);
    }
    return true;
}

static bool run_binary(Program *p, const char *dir, bool decode, const char *logits)
{
    Ctx *ctx = p->c->ctx;
    TextList argv = {0};
    vec_push(ctx->arena, &argv,
             (const char *)path_join(ctx->arena, dir, arena_strdup(ctx->arena, p->c->spec->name)));
    vec_push(ctx->arena, &argv, "--tokens");
    vec_push(ctx->arena, &argv, (const char *)path_join(ctx->arena, dir, "ids.i32"));
    vec_push(ctx->arena, &argv, "--logits");
    vec_push(ctx->arena, &argv, logits);
    if (decode) {
        vec_push(ctx->arena, &argv, "--decode");
    }
    return toolchain_run(ctx, &argv, p->c->o->verbose, NULL);
}

static bool compare_logits(Program *p, const char *dir, bool decode, const Numbers *want,
                           int *failed)
{
    Ctx *ctx = p->c->ctx;
    const char *path = path_join(ctx->arena, dir, "logits.f32");
    size_t n = 0;
    const char *bytes =
        run_binary(p, dir, decode, path) ? file_read(ctx->arena, ctx->diag, path, &n) : NULL;
    if (!bytes || n != want->n * sizeof(float)) {
        return bytes ? diag_error(ctx->diag, nowhere,
                                  "the program wrote %zu bytes of logits, not %zu", n,
                                  want->n * sizeof(float))
                     : false;
    }
    double *got = ARENA_ARRAY(ctx->arena, double, want->n);
    for (size_t i = 0; i < want->n; i++) {
        float x = 0;
        memcpy(&x, bytes + i * sizeof x, sizeof x);
        got[i] = (double)x;
    }
    const ModelSpec *s = p->c->spec;
    QuantScheme q = spec_quant(s);
    bool exact = s->dtype == SPEC_F32 && q.activations == DT_NONE && q.kv_cache == DT_NONE;
    /* rows of e4m3: a code on the other side of a rounding is off by an eighth */
    double error = relative_error(got, want->data, want->n);
    double limit = exact ? 1e-4 : q.activations == DT_E4M3 ? 6e-2 : 2e-2;
    report(decode ? "decode" : "prefill", CHECK_TOKENS,
           arena_printf(ctx->arena, "%s %s", p->c->target->name, p->c->target->isa->name), error,
           limit, " (generated program)");
    *failed += !(error <= limit);
    return true;
}

static bool check_program(Compilation *c, int *failed)
{
    Ctx *ctx = c->ctx;
    Program p;
    Numbers want = {0};
    int32_t ids[CHECK_TOKENS];
    char *dir = arena_strdup(ctx->arena, "/tmp/sinter-check-XXXXXX");
    if (!mkdtemp(dir)) {
        return diag_env_error(ctx->diag, "cannot make a folder in /tmp");
    }
    for (int i = 0; i < CHECK_TOKENS; i++) {
        ids[i] = (int32_t)((noise((uint64_t)i) + 1) / 2 * (double)c->spec->vocab);
    }
    bool ok = program_plan(&p, c) && program_emit(&p) && program_write(&p, dir) &&
              program_pack_random(&p, dir, CHECK_SEED) && program_build(&p, dir) &&
              file_write(ctx->diag, path_join(ctx->arena, dir, "ids.i32"), (const char *)ids,
                         sizeof ids) &&
              expected_logits(&p, ids, &want) && compare_logits(&p, dir, false, &want, failed) &&
              compare_logits(&p, dir, true, &want, failed);
    TextList rm = {0};
    vec_push(ctx->arena, &rm, "rm");
    vec_push(ctx->arena, &rm, "-rf");
    vec_push(ctx->arena, &rm, (const char *)dir);
    return toolchain_run(ctx, &rm, false, NULL) && ok;
}

bool check_run(Ctx *ctx, const Options *o)
{
    Compilation c;
    int failed = 0;
    if (!open_shrunk(&c, ctx, o)) {
        return false;
    }
    printf("%-8s %-5s %-22s %10s\n", "phase", "", "after", "error");
    bool ok = check_passes(&c, PHASE_DECODE, 1, &failed) &&
              check_passes(&c, PHASE_DECODE, 4, &failed) &&
              check_passes(&c, PHASE_PREFILL, o->tokens ? (int)o->tokens : 13, &failed);
    bool whole = c.spec->parts != SPEC_FFN && c.spec->head;
    ok = ok && (!whole || check_program(&c, &failed));
    if (ok && failed) {
        return diag_error(ctx->diag, nowhere, "%d results are wrong", failed);
    }
    return ok;
}
