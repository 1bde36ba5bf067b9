/* expr_tree.h - the tree behind a Formula; for expr*.c, the lexer and the parser only. */
#ifndef SINTER_CODEGEN_EXPR_TREE_H
#define SINTER_CODEGEN_EXPR_TREE_H

#include "codegen/expr.h"

enum { FORMULA_MAX_DEPTH = 200, FORMULA_MAX_ARGS = 8, FORMULA_MAX_BYTES = 4096 };

typedef enum FormulaOp {
    FO_LITERAL,
    FO_NAME,
    FO_CALL,
    FO_NOT,
    FO_NEGATE,
    FO_ADD,
    FO_SUB,
    FO_MUL,
    FO_DIV,
    FO_MOD,
    FO_EQ,
    FO_NE,
    FO_LT,
    FO_LE,
    FO_GT,
    FO_GE,
    FO_AND,
    FO_OR,
    FO_CHOOSE /* arg[0] ? arg[1] : arg[2] */
} FormulaOp;

struct Formula {
    FormulaOp op;
    int depth;
    Span at;
    FormulaValue value; /* FO_LITERAL */
    Str name;           /* FO_NAME, FO_CALL */
    int n_args;
    struct Formula **arg;
};

typedef struct FormulaArgs {
    int n;
    Formula *v[FORMULA_MAX_ARGS];
} FormulaArgs;

/* One run of the parser. */
typedef struct FormulaParse {
    Ctx *ctx;
    uint32_t at; /* source offset of the next byte */
    Formula *result;
    bool failed; /* something was reported */
} FormulaParse;

/* Each returns NULL after a diagnostic or when an operand is NULL. */
Formula *formula_make_literal(FormulaParse *p, FormulaValue v, Span at);
Formula *formula_make_name(FormulaParse *p, Str name, Span at);
Formula *formula_make(FormulaParse *p, FormulaOp op, Span at, Formula *a, Formula *b, Formula *c);
Formula *formula_make_call(FormulaParse *p, Str name, Span at, const FormulaArgs *args);
void formula_args_add(FormulaParse *p, FormulaArgs *args, Formula *f, Span at);

/* Literals as the lexer finds them. */
bool formula_read_int(FormulaParse *p, const char *s, Span at, FormulaValue *out);
bool formula_read_double(FormulaParse *p, const char *s, Span at, FormulaValue *out);

#endif
