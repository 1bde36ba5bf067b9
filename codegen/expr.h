/* expr.h - formulas as people write them in YAML values and in templates.
 *
 *   ceil_to(8 * d_model / 3, 256)        heads == kv_heads ? "mha" : "gqa"        rows % 16 != 0 &&
 * tail
 *
 * Called Formula (not Expr, which is the epilogue tree of ir.h). Integers are 64 bits and checked:
 * a result that does not fit is an error, never a wrapped number. `/` between integers is exact:
 * what is not a whole number stays a ratio until somebody rounds it, so 8 * d_model / 3 loses
 * nothing. A decimal literal makes the arithmetic double.
 *
 *   ?:   ||   &&   == !=   < <= > >=   + -   * / %   ! -   f(a, b)   names a, a.b.c   1 2.5 1e-5
 * "s" 's' true false ceil floor round (half away from zero) ceil_to(x, m) floor_to(x, m) min max (1
 * or more) abs sqrt log exp
 *
 * `&&`, `||` and `?:` evaluate only the side that is needed. `+` joins two strings. */
#ifndef SINTER_CODEGEN_EXPR_H
#define SINTER_CODEGEN_EXPR_H

#include "compiler/base/ctx.h"

/* ---- expr.c ---------------------------------------------------------------------------------- */

typedef enum FormulaType {
    FV_NONE,   /* no value */
    FV_INT,    /* i */
    FV_RATIO,  /* i / den in lowest terms, den > 1 */
    FV_DOUBLE, /* d */
    FV_STRING, /* s, interned */
    FV_BOOL,   /* i is 0 or 1 */
    FV_TYPE_COUNT
} FormulaType;

typedef struct FormulaValue {
    FormulaType type;
    int64_t i, den;
    double d;
    Str s;
} FormulaValue;

FormulaValue formula_int(int64_t i);
FormulaValue formula_double(double d);
FormulaValue formula_bool(bool b);
FormulaValue formula_string(Str s);
/* "integer", "fraction", "number", "string", "boolean". */
const char *formula_type_name(FormulaType t);
bool formula_is_number(const FormulaValue *v);
/* Any number as a double. */
double formula_number(const FormulaValue *v);
/* Decimal text: 11008, 0.125, 32768/3 for a ratio; a string without quotes; true or false. */
void formula_print(Buf *b, const FormulaValue *v);

typedef struct Formula Formula;

/* Parses text[0, n), whose first byte is at offset `base` of the source map (diag_add_source). NULL
 * after a diagnostic with a caret inside the text. The text must outlive nothing: names and strings
 * are interned. */
Formula *formula_parse(Ctx *ctx, const char *text, size_t n, uint32_t base);
Span formula_span(const Formula *f);
/* The formula is nothing but a literal (2.5, "s", true) or a literal with a minus. */
bool formula_is_literal(const Formula *f);
/* The formula is nothing but a name: that name, else NULL. */
Str formula_name(const Formula *f);

/* ---- expr_eval.c ----------------------------------------------------------------------------- */

/* What the surroundings know. Both callbacks report their own errors (diag_error at `at`) and
 * return false then; `call` may be NULL and sets *known to false for a function that it does not
 * have. */
typedef struct FormulaEnv {
    Ctx *ctx;
    void *user;
    bool (*lookup)(void *user, Str name, Span at, FormulaValue *out);
    bool (*call)(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                 FormulaValue *out, bool *known);
} FormulaEnv;

/* False after a diagnostic. */
bool formula_eval(const FormulaEnv *env, const Formula *f, FormulaValue *out);
/* The same, and the result must be a boolean (a number counts as false when it is 0). */
bool formula_eval_bool(const FormulaEnv *env, const Formula *f, bool *out);

#endif
