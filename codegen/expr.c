/* expr.c - formulas: values, and the tree from text (language: expr.h).
 *
 *   expr_lex.l, expr_parse.y   text -> calls of formula_make_* here
 *   expr_eval.c                walks the tree
 *   expr_arith.c, expr_call.c  compute: operators, functions */
#include "codegen/expr.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

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
