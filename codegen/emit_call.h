/* emit_call.h - a call of a function in a template, for the files that have such functions; not for
 * other layers. */
#ifndef SINTER_CODEGEN_EMIT_CALL_H
#define SINTER_CODEGEN_EMIT_CALL_H

#include "codegen/emit_parts.h"

typedef struct Call {
    KernelText *k;
    Ctx *ctx;
    const FormulaValue *arg;
    int n;
    Span at;
    FormulaValue *out;
} Call;

typedef struct TemplateFunction {
    const char *name;
    int n_args;
    bool (*fn)(const Call *c);
} TemplateFunction;

/* Sets the result; always true. */
bool call_text(const Call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Argument i: a string ("" when it is none), the parameter of that name (NULL after a diagnostic),
 * an index as a factor (parenthesised unless it is one word). */
const char *call_string(const Call *c, int i);
const KernelParam *call_param(const Call *c, int i);
const char *call_factor(const Call *c, int i);
/* Columns of a matrix or of rows of activations. */
int64_t call_columns(const Type *t);

/* Those that templates of matmuls call for their register block (emit_dot.c), and those that the
 * block's own template calls (emit_dot_block.c). */
const TemplateFunction *emit_dot_functions(size_t *n);
const TemplateFunction *emit_dot_block_functions(size_t *n);

#endif
