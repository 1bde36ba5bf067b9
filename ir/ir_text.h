/* ir_text.h - what the IR parser, the IR printer and the rule parser share: the attribute table,
 * values of attributes as they are written, names looked up with "did you mean", expressions
 * printed.
 *
 * The text_find_* functions report an unknown name with the nearest known one. */
#ifndef SINTER_IR_IR_TEXT_H
#define SINTER_IR_IR_TEXT_H

#include "ir/ir.h"

/* ---- ops.c: the attribute table -------------------------------------------------------------- */

typedef enum AttrKind { AK_F64, AK_INT, AK_INTS, AK_F64S, AK_DTYPE, AK_WORD } AttrKind;

const char *attr_name(AttrId id);
AttrKind attr_kind(AttrId id);
const char *attr_doc(AttrId id);
AttrId attr_parse(const char *name); /* ATTR_COUNT when unknown */
bool op_takes_attr(OpKind k, AttrId id);

/* ---- attr.c: attributes of an operator, one by one ------------------------------------------- */

bool attr_is_zero(const Attrs *a, AttrId id); /* absent */
bool attr_equal(const Attrs *a, const Attrs *b, AttrId id);
bool attrs_equal(const Attrs *a, const Attrs *b); /* every attribute */
void attr_copy(Attrs *to, const Attrs *from, AttrId id);
void attr_print(Buf *b, const Attrs *a,
                AttrId id); /* the value alone: "1e-05", "[1, 1.5]", "half" */

/* A number as written. `integer`: no point and no exponent, and it fits; d is set in both cases. */
typedef struct Number {
    double d;
    int64_t i;
    bool integer;
} Number;
/* False when the text is no finite number. */
bool number_parse(const char *s, size_t n, Number *out);

/* The right side of `name = ...` inside braces: a word, a number, or a list of numbers. */
typedef struct AttrText {
    Span at;
    Str word; /* NULL: numbers */
    bool list;
    size_t n; /* numbers; 1 unless list */
    const Number *number;
} AttrText;
/* Sets one attribute from text; false after a diagnostic that says what the attribute wants. */
bool attr_set(Ctx *ctx, Attrs *a, AttrId id, const AttrText *v);

/* ---- names with suggestions ------------------------------------------------------------------ */

OpKind text_find_op(Ctx *ctx, Str name, Span at);             /* OP_NONE after a diagnostic */
AttrId text_find_attr(Ctx *ctx, OpKind k, Str name, Span at); /* ATTR_COUNT after a diagnostic */
int text_find_slot(Ctx *ctx, OpKind k, Str name, Span at);    /* -1 after a diagnostic */
ExprKind text_find_expr(Ctx *ctx, Str name, int n_args, Span at); /* EXPR_NONE after a diagnostic */
DType text_find_dtype(Ctx *ctx, Str name, Span at);               /* DT_NONE after a diagnostic */

/* The word an expression attribute of this operator is written under: "epilogue", or "expr" for
 * map; NULL when it carries none. */
const char *op_expr_attr(OpKind k);

/* ---- ir_print.c ------------------------------------------------------------------------------ */

/* `leaf` prints operand number `input`. */
typedef void ExprLeafFn(Buf *b, void *user, int input);
void expr_print(Buf *b, const Expr *e, ExprLeafFn *leaf, void *user);
/* "%name" or "@name". */
void ir_print_value(Buf *b, const Func *f, ValueId v);

#endif
