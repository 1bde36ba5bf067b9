/* expr_eval.h - what evaluating a formula computes with; for expr_eval.c, expr_arith.c and
 * expr_call.c only. What returns bool is false after a diagnostic at the operator. */
#ifndef SINTER_CODEGEN_EXPR_EVAL_H
#define SINTER_CODEGEN_EXPR_EVAL_H

#include "codegen/expr_tree.h"

typedef struct FormulaEval {
    const FormulaEnv *env;
    Span at; /* the operator or call at work, for messages */
} FormulaEval;

/* ---- expr_arith.c ---------------------------------------------------------------------------- */

/* + - * / % of two numbers; + of two strings. */
bool formula_arithmetic(const FormulaEval *e, FormulaOp op, const FormulaValue *a,
                        const FormulaValue *b, FormulaValue *out);
/* == != < <= > >= of two numbers or two strings; == != of two booleans. */
bool formula_compare(const FormulaEval *e, FormulaOp op, const FormulaValue *a,
                     const FormulaValue *b, FormulaValue *out);
/* Of a - b: -1, 0, 1; two numbers. */
int formula_sign(const FormulaValue *a, const FormulaValue *b);
/* d must be finite. */
bool formula_make_double(const FormulaEval *e, double d, FormulaValue *out);
/* Always false. */
bool formula_fail_overflow(const FormulaEval *e);

/* ---- expr_call.c ----------------------------------------------------------------------------- */

/* Calls the function of that name with n evaluated arguments. */
bool formula_call(const FormulaEval *e, Str name, const FormulaValue *arg, int n,
                  FormulaValue *out);

#endif
