/* passes.c - any bytes as IR text: a small module that verifies computes the same before and after
 * all passes, in double precision. The input's size chooses the fusion settings; quantisation,
 * which changes values by design, is left to tests/fuzz/ir.c. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ir/interp.h"
#include "ir/pass.h"
#include "tests/fuzz/shipped_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ELEMENTS = 8192, MAX_OPS = 64 };
static const double allowed = 1e-7;

/* splitmix64 of the value's name and the index: in [-1, 1) */
static double noise(Str name, int64_t i)
{
    uint64_t z = (uint64_t)i * 0x9e3779b97f4a7c15u;
    for (; *name != '\0'; name++) {
        z = (z ^ (unsigned char)*name) * 1099511628211u;
    }
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(int64_t)(z ^ (z >> 31)) * 0x1p-63;
}

static Tensor random_value(Arena *a, const Value *v)
{
    Tensor t = tensor_create(a, v->type);
    for (int64_t i = 0, n = type_elements(v->type); i < n; i++) {
        double x = noise(v->name, i);
        bool is_float = dtype_is_float(v->type->dtype);
        t.v[i] = is_float ? x : v->type->dtype == DT_I8 ? rint(100 * x) : floor(2 * (x + 1));
    }
    return t;
}

static bool small(const Module *m)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        for (ValueId v = 1; v < f->n_values; v++) {
            if (type_elements(f->value[v].type) > MAX_ELEMENTS) {
                return false;
            }
        }
        if (f->order.n > MAX_OPS) {
            return false;
        }
    }
    return true;
}

static Tensor *random_values(Arena *a, const Func *f, const ValueId *id, size_t n)
{
    Tensor *t = ARENA_ARRAY(a, Tensor, n + 1);
    for (size_t i = 0; i < n; i++) {
        t[i] = random_value(a, &f->value[id[i]]);
    }
    return t;
}

/* Results, then states; NULL when the interpreter refuses (an id out of range). */
static Tensor *run_func(Arena *a, const Func *f)
{
    size_t n = f->results.n + f->states.n;
    Tensor *out = ARENA_ARRAY(a, Tensor, n + 1);
    InterpArgs args = {.params = random_values(a, f, f->params.data, f->params.n),
                       .weights = random_values(a, f, f->weights.data, f->weights.n),
                       .states = random_values(a, f, f->states.data, f->states.n)};
    if (!interp_func(a, f, &args, out)) {
        return NULL;
    }
    for (size_t i = 0; i < f->states.n; i++) {
        out[f->results.n + i] = args.states[i];
    }
    return out;
}

/* Relative L2 distance; 0 when either has a number that is not finite. */
static double distance(const Tensor *x, const Tensor *y)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0, n = type_elements(x->type); i < n; i++) {
        difference += (x->v[i] - y->v[i]) * (x->v[i] - y->v[i]);
        norm += x->v[i] * x->v[i];
    }
    return isfinite(difference) && isfinite(norm) ? sqrt(difference / (norm + 1e-30)) : 0;
}

static const char *print(Ctx *ctx, const Module *m)
{
    Buf b = buf_create(ctx->arena);
    ir_print_module(&b, m);
    return b.data;
}

static void compare(Ctx *ctx, const Module *before, const Module *after)
{
    for (size_t i = 0; i < before->funcs.n; i++) {
        const Func *f = before->funcs.data[i], *g = after->funcs.data[i];
        Tensor *x = run_func(ctx->arena, f), *y = x ? run_func(ctx->arena, g) : NULL;
        for (size_t k = 0; y != NULL && k < f->results.n + f->states.n; k++) {
            double d = distance(&x[k], &y[k]);
            if (d > allowed) {
                fprintf(stderr, "@%s, result or state %zu: %g apart\n---- before\n%s---- after\n%s",
                        f->name, k, d, print(ctx, before), print(ctx, after));
                abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const MlpFusion mlp[] = {MLP_EPILOGUE, MLP_ELEMENTWISE, MLP_NONE};
    Ctx *ctx = ctx_create();
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    Module *m = ir_parse(ctx, "fuzz.ir", text, size);
    if (m != NULL && small(m)) {
        const Module *before = ir_clone(m);
        PassEnv env = {.ctx = ctx,
                       .rules = shipped_rules(ctx),
                       .mlp = mlp[size % 3],
                       .norm = size % 2 ? NORM_FOLD : NORM_NONE,
                       .kv_len = 16,
                       .block = 4};
        env.tile[DT_F32] = (Layout){.rows = 4, .cols = 1};
        env.tile[DT_BF16] = env.tile[DT_F16] = (Layout){.rows = 4, .cols = 2};
        env.tile[DT_I8] = (Layout){.rows = 4, .cols = 4};
        env.tile[DT_U4] = (Layout){.rows = 4, .cols = 8, .sub = 4};
        if (pass_run(m, &env, NULL, NULL)) {
            compare(ctx, before, m);
        }
    }
    ctx_destroy(ctx);
    return 0;
}
