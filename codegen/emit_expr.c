/* emit_expr.c - epilogues and maps as C expressions over vectors of LANES columns. */
#include "codegen/emit_parts.h"

#include <math.h>
#include <string.h>

static const char *binary_operator(ExprKind k)
{
    return k == EXPR_ADD ? " + " : k == EXPR_SUB ? " - " : " * ";
}

static bool is_binary(const Expr *e)
{
    return e->kind == EXPR_ADD || e->kind == EXPR_SUB || e->kind == EXPR_MUL;
}

static bool is_sum(const Expr *e)
{
    return e->kind == EXPR_ADD || e->kind == EXPR_SUB;
}

static void put_expr(Buf *b, const KernelText *k, const Expr *e);

static void put_operand(Buf *b, const KernelText *k, const Expr *e, bool parens)
{
    buf_puts(b, parens ? "(" : "");
    put_expr(b, k, e);
    buf_puts(b, parens ? ")" : "");
}

static void put_binary(Buf *b, const KernelText *k, const Expr *e)
{
    bool product = e->kind == EXPR_MUL;
    put_operand(b, k, e->a, product && is_sum(e->a));
    buf_puts(b, binary_operator(e->kind));
    put_operand(b, k, e->b, is_sum(e->b) || (product && is_binary(e->b)));
}

static void put_expr(Buf *b, const KernelText *k, const Expr *e)
{
    if (is_binary(e)) {
        put_binary(b, k, e);
    } else if (e->kind == EXPR_ACC) {
        buf_printf(b, "acc%d", e->way > 0 ? e->way : 0);
    } else if (e->kind == EXPR_INPUT) {
        buf_printf(b, "v_%s", k->leaf_param[e->input]);
    } else if (e->kind == EXPR_NUMBER) {
        buf_puts(b, emit_f32(k->emit->ctx, e->number));
    } else if (expr_arity(e->kind) == 1) {
        buf_printf(b, "%s%s(", k->lanes > 1 ? "vec_" : "apply_", expr_name(e->kind));
        put_expr(b, k, e->a);
        buf_putc(b, ')');
    } else {
        BUG("expression '%s' has no C form", expr_name(e->kind));
    }
}

static bool has_vector(const Expr *e)
{
    return e->kind == EXPR_ACC || e->kind == EXPR_INPUT || (e->a != NULL && has_vector(e->a)) ||
           (e->b != NULL && has_vector(e->b));
}

static const char *expr_text(const KernelText *k, const Expr *e)
{
    Buf b = buf_create(k->emit->ctx->arena);
    put_expr(&b, k, e);
    return b.data;
}

/* A long product or sum of two terms gets a line for each: part0, part1. */
static bool in_parts(const KernelText *k)
{
    enum { LONG = 44 };
    return k->expr != NULL && is_binary(k->expr) && has_vector(k->expr->a) &&
           has_vector(k->expr->b) && strlen(expr_text(k, k->expr)) > LONG;
}

Str emit_value(const KernelText *k)
{
    StrTable *s = k->emit->ctx->strings;
    if (k->expr == NULL) {
        return str_intern(s, "acc0");
    }
    if (in_parts(k)) {
        return str_internf(s, "part0%spart1", binary_operator(k->expr->kind));
    }
    const char *text = expr_text(k, k->expr);
    return k->lanes == 1 || has_vector(k->expr) ? str_intern(s, text)
                                                : str_internf(s, "vec_splat(%s)", text);
}

static const char *load_suffix(DType t)
{
    return t == DT_BF16 ? "_bf16" : t == DT_F16 ? "_f16" : "";
}

/* The same for one column: GPU targets. */
static void put_scalar_leaf(Buf *b, const KernelText *k, const KernelParam *p, bool per_row)
{
    Arena *a = k->emit->ctx->arena;
    const char *at = per_row           ? "t"
                     : p->ir->rank < 2 ? "n"
                                       : arena_printf(a, "t * %lld + n", (long long)p->stride);
    const char *convert = p->stored == DT_BF16  ? "float_of_bf16"
                          : p->stored == DT_F16 ? "float_of_f16"
                                                : "";
    buf_printf(b, "const float v_%s = %s%s%s[%s]%s;\n", p->name, convert,
               convert[0] != '\0' ? "(" : "", p->name, at, convert[0] != '\0' ? ")" : "");
}

/* [T, 1]: one number a row; [N]: the same for all rows; else element by element. */
static void put_leaf(Buf *b, const KernelText *k, const KernelParam *p)
{
    bool per_row = p->ir->rank >= 2 && p->stride == 1 && k->columns > 1;
    bool vector = p->ir->rank < 2;
    if (k->lanes == 1) {
        put_scalar_leaf(b, k, p, per_row);
        return;
    }
    if (per_row) {
        buf_printf(b, "const VecF v_%s = vec_splat(%s[t]);\n", p->name, p->name);
        return;
    }
    buf_printf(b, "const VecF v_%s = vec_load%s%s(%s + ", p->name, load_suffix(p->stored),
               k->ragged ? "_n" : "", p->name);
    if (!vector) {
        buf_printf(b, "t * %lld + ", (long long)p->stride);
    }
    buf_puts(b, k->ragged ? "n, left);\n" : "n);\n");
}

static bool mentions(const Expr *e, int input)
{
    return e != NULL && ((e->kind == EXPR_INPUT && e->input == input) || mentions(e->a, input) ||
                         mentions(e->b, input));
}

Str emit_leaves(const KernelText *k)
{
    Ctx *ctx = k->emit->ctx;
    Buf b = buf_create(ctx->arena);
    for (int i = 0; k->op != NULL && i < k->op->n_in; i++) {
        bool again = false; /* an operand that two leaves name is loaded once */
        for (int j = 0; j < i; j++) {
            again = again || (k->leaf_param[j] == k->leaf_param[i] && mentions(k->expr, j));
        }
        if (k->leaf_param[i] != NULL && mentions(k->expr, i) && !again) {
            put_leaf(&b, k, emit_find_param(k, k->leaf_param[i]));
        }
    }
    if (in_parts(k)) {
        const char *type = k->lanes == 1 ? "float" : "VecF";
        buf_printf(&b, "const %s part0 = %s;\n", type, expr_text(k, k->expr->a));
        buf_printf(&b, "const %s part1 = %s;\n", type, expr_text(k, k->expr->b));
    }
    return str_intern(ctx->strings, b.data);
}
