/* ir_case.h - IR in unit tests: a function from text, tensors from numbers, runs through the
 * interpreter. */
#ifndef SINTER_TESTS_IR_CASE_H
#define SINTER_TESTS_IR_CASE_H

#include "unit.h"

#include <math.h>
#include <string.h>

#include "ir/interp.h"

typedef struct IrCase {
    Ctx *ctx;
    Module *module;
    Func *func; /* the only (or first) function */
} IrCase;

static inline Module *case_module(Ctx *ctx, const char *text)
{
    Module *m = ir_parse(ctx, "test.ir", text, strlen(text));
    if (m == NULL) {
        print_message("%s\n%s", text, diag_text(ctx->diag));
        fail();
    }
    return m;
}

/* One function, without the lines around it. */
static inline IrCase case_phase(const char *phase, int tokens, int context, const char *func_text)
{
    IrCase c = {.ctx = ctx_create()};
    const char *paren = strchr(func_text, '(');
    const char *at = strchr(func_text, '@');
    char *text = arena_printf(c.ctx->arena,
                              "module @test {phase = %s, tokens = %d, context = %d}\n"
                              "schedule %.*s\n\n%s",
                              phase, tokens, context, (int)(paren - at - 1), at + 1, func_text);
    c.module = case_module(c.ctx, text);
    c.func = c.module->funcs.data[0];
    return c;
}

static inline IrCase case_create(int tokens, int context, const char *func_text)
{
    return case_phase("prefill", tokens, context, func_text);
}

static inline double random_double(uint64_t *seed) /* in (-1, 1) */
{
    return (double)(int64_t)unit_random(seed) * 0x1p-63;
}

/* Floats: about N(0, 1/2) and as the dtype holds them; codes: over the whole range. */
static inline double random_element(DType t, uint64_t *seed)
{
    double x = random_double(seed) + random_double(seed) * random_double(seed);
    switch (t) {
    case DT_I8:
        return (double)(unit_random(seed) % 255) - 127;
    case DT_U4:
        return (double)(unit_random(seed) % 16);
    case DT_U8:
        return (double)(unit_random(seed) % 16);
    case DT_I32:
        return (double)(unit_random(seed) % 4);
    case DT_F32:
    case DT_BF16:
    case DT_F16:
        return dtype_round(t, x);
    case DT_E4M3:
        return dtype_round(t, ldexp(x, (int)(unit_random(seed) % 18) - 9));
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    return 0;
}

static inline Tensor random_tensor(Arena *a, const Type *t, uint64_t *seed)
{
    Tensor x = tensor_create(a, t);
    for (int64_t i = 0; i < type_elements(t); i++) {
        x.v[i] = random_element(t->dtype, seed);
    }
    return x;
}

/* A value as a stream of random numbers that depends on its name only: two functions that name
 * their inputs alike get the same ones, whatever their order. Positions count up from 0. */
static inline Tensor named_tensor(Arena *a, const Value *v, uint64_t seed)
{
    for (const char *s = v->name; *s != '\0'; s++) {
        seed = seed * 31 + (uint64_t)*s;
    }
    Tensor x = random_tensor(a, v->type, &seed);
    for (int64_t i = 0; strcmp(v->name, "pos") == 0 && i < type_elements(v->type); i++) {
        x.v[i] = (double)i;
    }
    return x;
}

static inline Tensor *named_tensors(Arena *a, const Func *f, const ValueId *ids, size_t n,
                                    uint64_t seed)
{
    Tensor *t = ARENA_ARRAY(a, Tensor, n + 1);
    for (size_t i = 0; i < n; i++) {
        t[i] = named_tensor(a, &f->value[ids[i]], seed);
    }
    return t;
}

/* Runs f on named random inputs; the results, with the states behind them. */
static inline Tensor *run_named_inputs(Arena *a, const Func *f, uint64_t seed, bool round)
{
    Tensor *states = named_tensors(a, f, f->states.data, f->states.n, seed);
    InterpArgs args = {.params = named_tensors(a, f, f->params.data, f->params.n, seed),
                       .weights = named_tensors(a, f, f->weights.data, f->weights.n, seed),
                       .states = states,
                       .round = round};
    Tensor *out = ARENA_ARRAY(a, Tensor, f->results.n + f->states.n + 1);
    assert_true(interp_func(a, f, &args, out));
    memcpy(out + f->results.n, states, f->states.n * sizeof *states);
    return out;
}

/* max |a - b| / (1 + |b|) */
static inline double tensor_distance(const Tensor *a, const Tensor *b)
{
    double worst = 0;
    assert_int_equal(type_elements(a->type), type_elements(b->type));
    for (int64_t i = 0; i < type_elements(a->type); i++) {
        double d = a->v[i] == b->v[i] ? 0 : fabs(a->v[i] - b->v[i]) / (1 + fabs(b->v[i]));
        worst = fmax(worst, isnan(d) ? (double)INFINITY : d);
    }
    return worst;
}

/* Both functions on the same named inputs give the same results and leave the same states. */
static inline void assert_same_function(const Func *a, const Func *b, uint64_t seed, double limit)
{
    Arena *arena = arena_create();
    const Tensor *x = run_named_inputs(arena, a, seed, false);
    const Tensor *y = run_named_inputs(arena, b, seed, false);
    assert_int_equal(a->results.n, b->results.n);
    assert_int_equal(a->states.n, b->states.n);
    for (size_t i = 0; i < a->results.n + a->states.n; i++) {
        double d = tensor_distance(&x[i], &y[i]);
        if (!(d <= limit)) {
            Buf text = buf_create(arena);
            ir_print_func(&text, a);
            ir_print_func(&text, b);
            print_message("%s# result %zu differs by %g\n", text.data, i, d);
            fail();
        }
    }
    arena_destroy(arena);
}

static inline int count_ops(const Func *f, OpKind kind)
{
    int n = 0;
    FOR_EACH_OP(f, id)
    {
        n += f->op[id].kind == kind;
    }
    return n;
}

#endif
