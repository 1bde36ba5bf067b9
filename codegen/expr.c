/* expr.c - formulas: building the tree and evaluating it (language: expr.h).
 *
 * Numbers are exact as long as they can be: integer, then ratio of two integers, then double. */
#include "codegen/expr.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/expr_tree.h"
/* generated */
#include "codegen/expr_parse.h"
#define YYSTYPE FORMULA_YYSTYPE
#define YYLTYPE Span
#include "codegen/expr_lex.h"

/* ---- values ---------------------------------------------------------------------------------- */

FormulaValue formula_int(int64_t i)
{
    return (FormulaValue){.type = FV_INT, .i = i, .den = 1};
}

FormulaValue formula_double(double d)
{
    return (FormulaValue){.type = FV_DOUBLE, .d = d, .den = 1};
}

FormulaValue formula_bool(bool b)
{
    return (FormulaValue){.type = FV_BOOL, .i = b, .den = 1};
}

FormulaValue formula_string(Str s)
{
    return (FormulaValue){.type = FV_STRING, .s = s, .den = 1};
}

const char *formula_type_name(FormulaType t)
{
    static const char *const name[FV_TYPE_COUNT] = {
        [FV_NONE] = "nothing",  [FV_INT] = "integer",   [FV_RATIO] = "fraction",
        [FV_DOUBLE] = "number", [FV_STRING] = "string", [FV_BOOL] = "boolean",
    };
    return name[t];
}

bool formula_is_number(const FormulaValue *v)
{
    return v->type == FV_INT || v->type == FV_RATIO || v->type == FV_DOUBLE;
}

double formula_number(const FormulaValue *v)
{
    return v->type == FV_DOUBLE ? v->d : (double)v->i / (double)v->den;
}

void formula_print(Buf *b, const FormulaValue *v)
{
    switch (v->type) {
    case FV_INT:
        buf_printf(b, "%" PRId64, v->i);
        break;
    case FV_RATIO:
        buf_printf(b, "%" PRId64 "/%" PRId64, v->i, v->den);
        break;
    case FV_DOUBLE:
        buf_put_double(b, v->d);
        break;
    case FV_STRING:
        buf_puts(b, v->s);
        break;
    case FV_BOOL:
        buf_puts(b, v->i != 0 ? "true" : "false");
        break;
    case FV_NONE:
    case FV_TYPE_COUNT:
        break;
    }
}

/* ---- tree ------------------------------------------------------------------------------------ */

static Formula *new_node(FormulaParse *p, FormulaOp op, Span at, int n, Formula *const *arg)
{
    Formula *f = ARENA_NEW(p->ctx->arena, Formula);
    *f = (Formula){.op = op, .at = at, .depth = 1, .n_args = n};
    f->arg = ARENA_ARRAY(p->ctx->arena, Formula *, n);
    for (int i = 0; i < n; i++) {
        if (arg[i] == NULL) {
            return NULL;
        }
        f->arg[i] = arg[i];
        f->depth = arg[i]->depth >= f->depth ? arg[i]->depth + 1 : f->depth;
    }
    if (f->depth > FORMULA_MAX_DEPTH) {
        if (!p->failed) {
            diag_error(p->ctx->diag, at, "the formula is nested deeper than %d", FORMULA_MAX_DEPTH);
        }
        p->failed = true;
        return NULL;
    }
    return f;
}

Formula *formula_make_literal(FormulaParse *p, FormulaValue v, Span at)
{
    Formula *f = new_node(p, FO_LITERAL, at, 0, NULL);
    f->value = v;
    return f;
}

Formula *formula_make_name(FormulaParse *p, Str name, Span at)
{
    Formula *f = new_node(p, FO_NAME, at, 0, NULL);
    f->name = name;
    return f;
}

Formula *formula_make(FormulaParse *p, FormulaOp op, Span at, Formula *a, Formula *b, Formula *c)
{
    bool one = op == FO_NOT || op == FO_NEGATE;
    return new_node(p, op, at, op == FO_CHOOSE ? 3 : one ? 1 : 2, (Formula *[]){a, b, c});
}

Formula *formula_make_call(FormulaParse *p, Str name, Span at, const FormulaArgs *args)
{
    Formula *f = new_node(p, FO_CALL, at, args->n, args->v);
    if (f != NULL) {
        f->name = name;
    }
    return f;
}

void formula_args_add(FormulaParse *p, FormulaArgs *args, Formula *f, Span at)
{
    if (args->n == FORMULA_MAX_ARGS) {
        if (!p->failed) {
            diag_error(p->ctx->diag, at, "more than %d arguments", FORMULA_MAX_ARGS);
        }
        p->failed = true;
        return;
    }
    args->v[args->n++] = f;
}

bool formula_read_int(FormulaParse *p, const char *s, Span at, FormulaValue *out)
{
    errno = 0;
    long long i = strtoll(s, NULL, 10);
    *out = formula_int(i);
    if (errno == ERANGE) {
        p->failed = true;
        return diag_error(p->ctx->diag, at, "%s does not fit in 64 bits", s);
    }
    return true;
}

bool formula_read_double(FormulaParse *p, const char *s, Span at, FormulaValue *out)
{
    *out = formula_double(strtod(s, NULL));
    if (!isfinite(out->d)) {
        p->failed = true;
        return diag_error(p->ctx->diag, at, "%s is not a finite number", s);
    }
    return true;
}

Formula *formula_parse(Ctx *ctx, const char *text, size_t n, uint32_t base)
{
    if (n > FORMULA_MAX_BYTES) {
        diag_error(ctx->diag, (Span){base, base + 1}, "the formula is longer than %d bytes",
                   FORMULA_MAX_BYTES);
        return NULL;
    }
    FormulaParse p = {.ctx = ctx, .at = base};
    yyscan_t scanner;
    if (formula_yylex_init_extra(&p, &scanner) != 0) {
        BUG("no memory for the formula's scanner");
    }
    formula_yy_scan_bytes(text, (int)n, scanner);
    int rc = formula_yyparse(scanner, &p);
    formula_yylex_destroy(scanner);
    if (rc != 0 && !p.failed) {
        diag_error(ctx->diag, (Span){base, p.at}, "not a formula");
    }
    return rc == 0 && !p.failed ? p.result : NULL;
}

Span formula_span(const Formula *f)
{
    return f->at;
}

bool formula_is_literal(const Formula *f)
{
    return f->op == FO_LITERAL || (f->op == FO_NEGATE && f->arg[0]->op == FO_LITERAL);
}

Str formula_name(const Formula *f)
{
    return f->op == FO_NAME ? f->name : NULL;
}

/* ---- exact arithmetic ------------------------------------------------------------------------ */

typedef struct Eval {
    const FormulaEnv *env;
    Span at; /* the operator at work, for messages */
} Eval;

static bool fail_overflow(const Eval *e)
{
    return diag_error(e->env->ctx->diag, e->at, "the result does not fit in 64 bits");
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* num / den in lowest terms, as an integer when it is one. INT64_MIN is refused: -x must exist. */
static bool make_ratio(const Eval *e, int64_t num, int64_t den, FormulaValue *out)
{
    if (num == INT64_MIN || den == INT64_MIN) {
        return fail_overflow(e);
    }
    int64_t g = gcd(num, den);
    g = den < 0 ? -g : g;
    *out = (FormulaValue){.i = num / g, .den = den / g};
    out->type = out->den == 1 ? FV_INT : FV_RATIO;
    return true;
}

static bool exact_add(const Eval *e, const FormulaValue *a, const FormulaValue *b, int sign,
                      FormulaValue *out)
{
    int64_t x, y, num, den;
    if (__builtin_mul_overflow(a->i, b->den, &x) ||
        __builtin_mul_overflow(b->i * sign, a->den, &y) || __builtin_add_overflow(x, y, &num) ||
        __builtin_mul_overflow(a->den, b->den, &den)) {
        return fail_overflow(e);
    }
    return make_ratio(e, num, den, out);
}

static bool exact_mul(const Eval *e, const FormulaValue *a, const FormulaValue *b,
                      FormulaValue *out)
{
    int64_t g = gcd(a->i, b->den), h = gcd(b->i, a->den), num, den;
    if (__builtin_mul_overflow(a->i / g, b->i / h, &num) ||
        __builtin_mul_overflow(a->den / h, b->den / g, &den)) {
        return fail_overflow(e);
    }
    return make_ratio(e, num, den, out);
}

static bool fail_zero(const Eval *e)
{
    return diag_error(e->env->ctx->diag, e->at, "division by zero");
}

static bool exact_div(const Eval *e, const FormulaValue *a, const FormulaValue *b,
                      FormulaValue *out)
{
    if (b->i == 0) {
        return fail_zero(e);
    }
    FormulaValue inverse = {.type = FV_RATIO, .i = b->den, .den = b->i};
    if (inverse.den < 0) {
        inverse.i = -inverse.i;
        inverse.den = -inverse.den;
    }
    return exact_mul(e, a, &inverse, out);
}

static bool arithmetic_exact(const Eval *e, FormulaOp op, const FormulaValue *a,
                             const FormulaValue *b, FormulaValue *out)
{
    if (op == FO_MOD) {
        if (a->type != FV_INT || b->type != FV_INT) {
            return diag_error(e->env->ctx->diag, e->at, "%% needs two integers");
        }
        if (b->i == 0) {
            return fail_zero(e);
        }
        *out = formula_int(a->i % b->i);
        return true;
    }
    return op == FO_MUL   ? exact_mul(e, a, b, out)
           : op == FO_DIV ? exact_div(e, a, b, out)
                          : exact_add(e, a, b, op == FO_SUB ? -1 : 1, out);
}

static bool make_double(const Eval *e, double d, FormulaValue *out)
{
    if (!isfinite(d)) {
        return diag_error(e->env->ctx->diag, e->at, "the result is not a finite number");
    }
    *out = formula_double(d);
    return true;
}

static bool arithmetic_double(const Eval *e, FormulaOp op, double a, double b, FormulaValue *out)
{
    if ((op == FO_DIV || op == FO_MOD) && b == 0) {
        return fail_zero(e);
    }
    double d = op == FO_ADD   ? a + b
               : op == FO_SUB ? a - b
               : op == FO_MUL ? a * b
               : op == FO_DIV ? a / b
                              : fmod(a, b);
    return make_double(e, d, out);
}

static bool fail_types(const Eval *e, const char *what, const FormulaValue *a,
                       const FormulaValue *b)
{
    return diag_error(e->env->ctx->diag, e->at, "%s needs numbers, found %s and %s", what,
                      formula_type_name(a->type), formula_type_name(b->type));
}

static bool arithmetic(const Eval *e, FormulaOp op, const FormulaValue *a, const FormulaValue *b,
                       FormulaValue *out)
{
    if (op == FO_ADD && a->type == FV_STRING && b->type == FV_STRING) {
        *out = formula_string(str_internf(e->env->ctx->strings, "%s%s", a->s, b->s));
        return true;
    }
    if (!formula_is_number(a) || !formula_is_number(b)) {
        return fail_types(e, "arithmetic", a, b);
    }
    if (a->type == FV_DOUBLE || b->type == FV_DOUBLE) {
        return arithmetic_double(e, op, formula_number(a), formula_number(b), out);
    }
    return arithmetic_exact(e, op, a, b, out);
}

/* ---- comparison ------------------------------------------------------------------------------ */

static int sign_of_ratio(const FormulaValue *a, const FormulaValue *b)
{
    __extension__ typedef __int128 Wide;
    Wide x = (Wide)a->i * b->den, y = (Wide)b->i * a->den;
    return (x > y) - (x < y);
}

static int sign_of(const FormulaValue *a, const FormulaValue *b)
{
    if (a->type != FV_DOUBLE && b->type != FV_DOUBLE) {
        return sign_of_ratio(a, b);
    }
    double x = formula_number(a), y = formula_number(b);
    return (x > y) - (x < y);
}

static bool compare(const Eval *e, FormulaOp op, const FormulaValue *a, const FormulaValue *b,
                    FormulaValue *out)
{
    int sign;
    if (formula_is_number(a) && formula_is_number(b)) {
        sign = sign_of(a, b);
    } else if (a->type != b->type) {
        return diag_error(e->env->ctx->diag, e->at, "cannot compare %s with %s",
                          formula_type_name(a->type), formula_type_name(b->type));
    } else if (a->type == FV_STRING) {
        sign = strcmp(a->s, b->s);
    } else if (op == FO_EQ || op == FO_NE) {
        sign = a->i != b->i;
    } else {
        return fail_types(e, "an ordering", a, b);
    }
    bool yes = op == FO_EQ   ? sign == 0
               : op == FO_NE ? sign != 0
               : op == FO_LT ? sign < 0
               : op == FO_LE ? sign <= 0
               : op == FO_GT ? sign > 0
                             : sign >= 0;
    *out = formula_bool(yes);
    return true;
}

/* ---- functions ------------------------------------------------------------------------------- */

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

static bool round_value(const Eval *e, const FormulaValue *v, Rounding how, FormulaValue *out)
{
    if (v->type != FV_DOUBLE) {
        *out = formula_int(round_ratio(v, how));
        return true;
    }
    double d = how == ROUND_DOWN ? floor(v->d) : how == ROUND_UP ? ceil(v->d) : round(v->d);
    if (!(fabs(d) < 9.2e18)) {
        return fail_overflow(e);
    }
    *out = formula_int((int64_t)d);
    return true;
}

static bool call_ceil(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_UP, out);
}

static bool call_floor(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_DOWN, out);
}

static bool call_round(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_value(e, &arg[0], ROUND_NEAR, out);
}

/* The multiple of arg[1] next to arg[0]. */
static bool round_to(const Eval *e, const FormulaValue *arg, Rounding how, FormulaValue *out)
{
    FormulaValue quotient, whole;
    if (formula_number(&arg[1]) <= 0) {
        return diag_error(e->env->ctx->diag, e->at, "the second argument must be above 0");
    }
    return arithmetic(e, FO_DIV, &arg[0], &arg[1], &quotient) &&
           round_value(e, &quotient, how, &whole) && arithmetic(e, FO_MUL, &whole, &arg[1], out);
}

static bool call_ceil_to(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_to(e, arg, ROUND_UP, out);
}

static bool call_floor_to(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return round_to(e, arg, ROUND_DOWN, out);
}

static bool call_min(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e;
    *out = arg[0];
    for (int i = 1; i < n; i++) {
        *out = sign_of(&arg[i], out) < 0 ? arg[i] : *out;
    }
    return true;
}

static bool call_max(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e;
    *out = arg[0];
    for (int i = 1; i < n; i++) {
        *out = sign_of(&arg[i], out) > 0 ? arg[i] : *out;
    }
    return true;
}

static bool call_abs(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)e, (void)n;
    *out = arg[0];
    out->i = out->i < 0 ? -out->i : out->i;
    out->d = fabs(out->d);
    return true;
}

static bool call_sqrt(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return make_double(e, sqrt(formula_number(&arg[0])), out);
}

static bool call_log(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return make_double(e, log(formula_number(&arg[0])), out);
}

static bool call_exp(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out)
{
    (void)n;
    return make_double(e, exp(formula_number(&arg[0])), out);
}

typedef struct Builtin {
    const char *name;
    int min_args, max_args;
    bool (*fn)(const Eval *e, const FormulaValue *arg, int n, FormulaValue *out);
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

static bool fail_unknown_call(const FormulaEnv *env, const Formula *f)
{
    const char *names[N_BUILTINS];
    for (size_t i = 0; i < N_BUILTINS; i++) {
        names[i] = builtins[i].name;
    }
    const char *near = str_nearest(f->name, names, N_BUILTINS);
    if (near != NULL) {
        return diag_error(env->ctx->diag, f->at, "unknown function '%s', did you mean '%s'?",
                          f->name, near);
    }
    Buf b = buf_create(env->ctx->arena);
    for (size_t i = 0; i < N_BUILTINS; i++) {
        buf_printf(&b, " %s", names[i]);
    }
    return diag_error(env->ctx->diag, f->at, "unknown function '%s', there are%s", f->name, b.data);
}

static bool call_builtin(const Eval *e, const Builtin *fn, const FormulaValue *arg, int n,
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

static bool eval_call(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue arg[FORMULA_MAX_ARGS];
    for (int i = 0; i < f->n_args; i++) {
        if (!formula_eval(env, f->arg[i], &arg[i])) {
            return false;
        }
    }
    if (env->call != NULL) {
        bool known = true;
        bool done = env->call(env->user, f->name, arg, f->n_args, f->at, out, &known);
        if (known) {
            return done;
        }
    }
    Eval e = {env, f->at};
    for (size_t i = 0; i < N_BUILTINS; i++) {
        if (strcmp(builtins[i].name, f->name) == 0) {
            return call_builtin(&e, &builtins[i], arg, f->n_args, out);
        }
    }
    return fail_unknown_call(env, f);
}

/* ---- evaluation ------------------------------------------------------------------------------ */

bool formula_eval_bool(const FormulaEnv *env, const Formula *f, bool *out)
{
    FormulaValue v;
    if (!formula_eval(env, f, &v)) {
        return false;
    }
    if (v.type != FV_BOOL && !formula_is_number(&v)) {
        return diag_error(env->ctx->diag, f->at, "a condition must be true or false, found a %s",
                          formula_type_name(v.type));
    }
    *out = v.type == FV_DOUBLE ? v.d != 0 : v.i != 0;
    return true;
}

static bool eval_logic(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    bool b = false;
    if (!formula_eval_bool(env, f->arg[0], &b)) {
        return false;
    }
    if (f->op == FO_NOT) {
        b = !b;
    } else if (b == (f->op == FO_AND) && !formula_eval_bool(env, f->arg[1], &b)) {
        return false;
    }
    *out = formula_bool(b);
    return true;
}

static bool eval_choose(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    bool b = false;
    return formula_eval_bool(env, f->arg[0], &b) && formula_eval(env, f->arg[b ? 1 : 2], out);
}

static bool eval_binary(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue a, b;
    if (!formula_eval(env, f->arg[0], &a) || !formula_eval(env, f->arg[1], &b)) {
        return false;
    }
    Eval e = {env, f->at};
    return f->op >= FO_EQ && f->op <= FO_GE ? compare(&e, f->op, &a, &b, out)
                                            : arithmetic(&e, f->op, &a, &b, out);
}

static bool eval_negate(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue zero = formula_int(0), a;
    Eval e = {env, f->at};
    return formula_eval(env, f->arg[0], &a) && arithmetic(&e, FO_SUB, &zero, &a, out);
}

bool formula_eval(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    switch (f->op) {
    case FO_LITERAL:
        *out = f->value;
        return true;
    case FO_NAME:
        return env->lookup(env->user, f->name, f->at, out);
    case FO_CALL:
        return eval_call(env, f, out);
    case FO_NEGATE:
        return eval_negate(env, f, out);
    case FO_NOT:
    case FO_AND:
    case FO_OR:
        return eval_logic(env, f, out);
    case FO_CHOOSE:
        return eval_choose(env, f, out);
    case FO_ADD:
    case FO_SUB:
    case FO_MUL:
    case FO_DIV:
    case FO_MOD:
    case FO_EQ:
    case FO_NE:
    case FO_LT:
    case FO_LE:
    case FO_GT:
    case FO_GE:
        return eval_binary(env, f, out);
    }
    BUG("formula operator %d", (int)f->op);
}
