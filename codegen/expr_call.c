/* expr_call.c - the functions that every formula has: ceil, floor_to, min, sqrt ... (expr.h). */
#include <math.h>
#include <string.h>

#include "codegen/expr_eval.h"

typedef enum Rounding { ROUND_DOWN, ROUND_UP, ROUND_NEAR } Rounding;

static int64_t round_ratio(const FormulaValue *v, Rounding how)
{
    int64_t whole = v->i / v->den, rest = v->i % v->den;
    if (how == ROUND_DOWN) {
        return whole - (rest < 0);
    }
    if (how == ROUND_UP) {
        return whole + (rest > 0);
    }
    int64_t size = rest < 0 ? -rest : rest;
    bool away = size >= v->den - size;
    return away && rest != 0 ? whole + (rest < 0 ? -1 : 1) : whole;
}

static bool round_value(const FormulaEval *e, const FormulaValue *v, Rounding how,
                        FormulaValue *out)
{
    if (v->type != FV_DOUBLE) {
        *out = formula_int(round_ratio(v, how));
        return true;
    }
    double d = how == ROUND_DOWN ? floor(v->d) : how == ROUND_UP ? ceil(v->d) : round(v->d);
    if (!(fabs(d) < 9.2e18)) {
        return formula_fail_overflow(e);
    }
    *out = formula_int((int64_t)d);
    return true;
}

static bool call_ceil(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_UP, out);
}

static bool call_floor(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_DOWN, out);
}

static bool call_round(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_NEAR, out);
}

/* The multiple of arg[1] next to arg[0]. */
static bool round_to(const FormulaEval *e, const FormulaValue *arg, Rounding how, FormulaValue *out)
{
    FormulaValue quotient, whole;
    if (formula_number(&arg[1]) <= 0) {
        return diag_error(e->env->ctx->diag, e->at, "the second argument must be above 0");
    }
    return formula_arithmetic(e, FO_DIV, &arg[0], &arg[1], &quotient) &&
           round_value(e, &quotient, how, &whole) &&
           formula_arithmetic(e, FO_MUL, &whole, &arg[1], out);
}

static bool call_ceil_to(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_to(e, arg, ROUND_UP, out);
}

static bool call_floor_to(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_to(e, arg, ROUND_DOWN, out);
}

static bool call_min(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e;
    *out = arg[0];
    for (int i = 1; i < n; i++) {
        *out = formula_sign(&arg[i], out) < 0 ? arg[i] : *out;
    }
    return true;
}

static bool call_max(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e;
    *out = arg[0];
    for (int i = 1; i < n; i++) {
        *out = formula_sign(&arg[i], out) > 0 ? arg[i] : *out;
    }
    return true;
}

static bool call_abs(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e, (void)n;
    *out = arg[0];
    out->i = out->i < 0 ? -out->i : out->i;
    out->d = fabs(out->d);
    return true;
}

static bool call_sqrt(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return formula_make_double(e, sqrt(formula_number(&arg[0])), out);
}

static bool call_log(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return formula_make_double(e, log(formula_number(&arg[0])), out);
}

static bool call_exp(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return formula_make_double(e, exp(formula_number(&arg[0])), out);
}

typedef struct Builtin {
    const char *name;
    int min_args, max_args;
    bool (*fn)(const FormulaEval *e, const FormulaValue *arg, int n, FormulaValue *out);
} Builtin;

static const Builtin builtins[] = {
    {"ceil", 1, 1, call_ceil},
    {"floor", 1, 1, call_floor},
    {"round", 1, 1, call_round},
    {"ceil_to", 2, 2, call_ceil_to},
    {"floor_to", 2, 2, call_floor_to},
    {"min", 1, FORMULA_MAX_ARGS, call_min},
    {"max", 1, FORMULA_MAX_ARGS, call_max},
    {"abs", 1, 1, call_abs},
    {"sqrt", 1, 1, call_sqrt},
    {"log", 1, 1, call_log},
    {"exp", 1, 1, call_exp},
};
enum { N_BUILTINS = sizeof builtins / sizeof builtins[0] };

static bool fail_unknown_call(const FormulaEval *e, Str name)
{
    Ctx *ctx = e->env->ctx;
    const char *names[N_BUILTINS];
    for (size_t i = 0; i < N_BUILTINS; i++) {
        names[i] = builtins[i].name;
    }
    const char *near = str_nearest(name, names, N_BUILTINS);
    if (near != NULL) {
        return diag_error(ctx->diag, e->at, "unknown function '%s', did you mean '%s'?", name,
                          near);
    }
    Buf b = buf_create(ctx->arena);
    for (size_t i = 0; i < N_BUILTINS; i++) {
        buf_printf(&b, " %s", names[i]);
    }
    return diag_error(ctx->diag, e->at, "unknown function '%s', there are%s", name, b.data);
}

static bool call_builtin(const FormulaEval *e, const Builtin *fn, const FormulaValue *arg, int n,
                         FormulaValue *out)
{
    if (n < fn->min_args || n > fn->max_args) {
        return diag_error(e->env->ctx->diag, e->at, "%s takes %d argument%s, found %d", fn->name,
                          fn->min_args, fn->min_args == 1 ? "" : "s", n);
    }
    for (int i = 0; i < n; i++) {
        if (!formula_is_number(&arg[i])) {
            return diag_error(e->env->ctx->diag, e->at, "%s needs numbers, found a %s", fn->name,
                              formula_type_name(arg[i].type));
        }
    }
    return fn->fn(e, arg, n, out);
}

bool formula_call(const FormulaEval *e, Str name, const FormulaValue *arg, int n, FormulaValue *out)
{
    for (size_t i = 0; i < N_BUILTINS; i++) {
        if (strcmp(builtins[i].name, name) == 0) {
            return call_builtin(e, &builtins[i], arg, n, out);
        }
    }
    return fail_unknown_call(e, name);
}
