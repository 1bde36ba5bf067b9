/* expr_arith.c - what the operators of a formula compute: + - * / % and comparisons.
 *
 * Numbers are exact as long as they can be: integer, then ratio of two integers, then double. An
 * exact result that does not fit in 64 bits is an error, never a rounded number. */
#include <math.h>
#include <string.h>

#include "codegen/expr_eval.h"

/* ---- arithmetic ------------------------------------------------------------------------------ */

bool formula_fail_overflow(const FormulaEval *e)
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
static bool make_ratio(const FormulaEval *e, int64_t num, int64_t den, FormulaValue *out)
{
    if (num == INT64_MIN || den == INT64_MIN) {
        return formula_fail_overflow(e);
    }
    int64_t g = gcd(num, den);
    g = den < 0 ? -g : g;
    *out = (FormulaValue){.i = num / g, .den = den / g};
    out->type = out->den == 1 ? FV_INT : FV_RATIO;
    return true;
}

static bool exact_add(const FormulaEval *e, const FormulaValue *a, const FormulaValue *b, int sign,
                      FormulaValue *out)
{
    int64_t x, y, num, den;
    if (__builtin_mul_overflow(a->i, b->den, &x) ||
        __builtin_mul_overflow(b->i * sign, a->den, &y) || __builtin_add_overflow(x, y, &num) ||
        __builtin_mul_overflow(a->den, b->den, &den)) {
        return formula_fail_overflow(e);
    }
    return make_ratio(e, num, den, out);
}

static bool exact_mul(const FormulaEval *e, const FormulaValue *a, const FormulaValue *b,
                      FormulaValue *out)
{
    int64_t g = gcd(a->i, b->den), h = gcd(b->i, a->den), num, den;
    if (__builtin_mul_overflow(a->i / g, b->i / h, &num) ||
        __builtin_mul_overflow(a->den / h, b->den / g, &den)) {
        return formula_fail_overflow(e);
    }
    return make_ratio(e, num, den, out);
}

static bool fail_zero(const FormulaEval *e)
{
    return diag_error(e->env->ctx->diag, e->at, "division by zero");
}

static bool exact_div(const FormulaEval *e, const FormulaValue *a, const FormulaValue *b,
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

static bool arithmetic_exact(const FormulaEval *e, FormulaOp op, const FormulaValue *a,
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

bool formula_make_double(const FormulaEval *e, double d, FormulaValue *out)
{
    if (!isfinite(d)) {
        return diag_error(e->env->ctx->diag, e->at, "the result is not a finite number");
    }
    *out = formula_double(d);
    return true;
}

static bool arithmetic_double(const FormulaEval *e, FormulaOp op, double a, double b,
                              FormulaValue *out)
{
    if ((op == FO_DIV || op == FO_MOD) && b == 0) {
        return fail_zero(e);
    }
    double d = op == FO_ADD   ? a + b
               : op == FO_SUB ? a - b
               : op == FO_MUL ? a * b
               : op == FO_DIV ? a / b
                              : fmod(a, b);
    return formula_make_double(e, d, out);
}

static bool fail_types(const FormulaEval *e, const char *what, const FormulaValue *a,
                       const FormulaValue *b)
{
    return diag_error(e->env->ctx->diag, e->at, "%s needs numbers, found %s and %s", what,
                      formula_type_name(a->type), formula_type_name(b->type));
}

bool formula_arithmetic(const FormulaEval *e, FormulaOp op, const FormulaValue *a,
                        const FormulaValue *b, FormulaValue *out)
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

int formula_sign(const FormulaValue *a, const FormulaValue *b)
{
    if (a->type != FV_DOUBLE && b->type != FV_DOUBLE) {
        return sign_of_ratio(a, b);
    }
    double x = formula_number(a), y = formula_number(b);
    return (x > y) - (x < y);
}

bool formula_compare(const FormulaEval *e, FormulaOp op, const FormulaValue *a,
                     const FormulaValue *b, FormulaValue *out)
{
    int sign;
    if (formula_is_number(a) && formula_is_number(b)) {
        sign = formula_sign(a, b);
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
