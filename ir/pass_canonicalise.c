/* pass_canonicalise.c - one way to write each thing, so that rules need to know only one.
 *
 *   %y = cast %x {dtype = dtype of x}     =>  %x
 *   %y = add @b, %x                       =>  %y = add %x, @b      (constants second; also mul)
 *   matmul ... {epilogue = acc}           =>  matmul ...
 *   mul(e, 1), add(e, 0), sub(e, 0)       =>  e                    (in epilogues and maps)
 *   mul(%s, e with acc)                   =>  mul(e, %s)           (also add)
 *   operands of an expression: unused ones dropped, equal ones merged
 *
 * Requires: nothing. Keeps: order, names of results. */
#include <string.h>

#include "ir/pass.h"

/* ---- whole operators ------------------------------------------------------------------------- */

/* The operand that an operator merely repeats, or 0. */
static ValueId repeated_operand(const Func *f, const Op *op)
{
    bool same = op->kind == OP_CAST && f->value[op->in[0]].type == f->value[op->out[0]].type;
    return same ? op->in[0] : 0;
}

static bool drop_copy(Func *f, OpId id)
{
    ValueId from = repeated_operand(f, &f->op[id]);
    if (from == 0) {
        return false;
    }
    ir_replace_uses(f, f->op[id].out[0], from);
    ir_kill(f, id);
    return true;
}

static bool swap_constant(Func *f, Op *op)
{
    if (op->kind != OP_ADD && op->kind != OP_MUL) {
        return false;
    }
    const Value *a = &f->value[op->in[0]], *b = &f->value[op->in[1]];
    bool keeps_type = b->type == f->value[op->out[0]].type;
    if (!a->constant || b->constant || !keeps_type) {
        return false;
    }
    ValueId first = op->in[0];
    op->in[0] = op->in[1];
    op->in[1] = first;
    return true;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static bool is_number(const Expr *e, double x)
{
    return e != NULL && e->kind == EXPR_NUMBER && e->number == x;
}

static bool has_acc(const Expr *e)
{
    return e != NULL && (e->kind == EXPR_ACC || has_acc(e->a) || has_acc(e->b));
}

/* Which side of a node is the whole node, NULL when neither. */
static const Expr *neutral(ExprKind kind, const Expr *a, const Expr *b)
{
    double unit = kind == EXPR_MUL ? 1 : 0;
    if (kind != EXPR_MUL && kind != EXPR_ADD && kind != EXPR_SUB) {
        return NULL;
    }
    if (is_number(b, unit)) {
        return a;
    }
    return kind != EXPR_SUB && is_number(a, unit) ? b : NULL;
}

static const Expr *simplify(Arena *arena, const Expr *e, int *changes)
{
    if (e == NULL || expr_arity(e->kind) == 0) {
        return e;
    }
    const Expr *a = simplify(arena, e->a, changes);
    const Expr *b = expr_arity(e->kind) > 1 ? simplify(arena, e->b, changes) : NULL;
    const Expr *whole = neutral(e->kind, a, b);
    if (whole != NULL) {
        ++*changes;
        return whole;
    }
    bool commutes = e->kind == EXPR_ADD || e->kind == EXPR_MUL;
    if (commutes && !has_acc(a) && has_acc(b)) {
        ++*changes;
        return expr_node(arena, e->kind, b, a);
    }
    return a == e->a && b == e->b ? e : expr_node(arena, e->kind, a, b);
}

static bool is_identity(const Op *op)
{
    const Expr *e = op->expr;
    return op->kind != OP_MAP && e != NULL && e->kind == EXPR_ACC && e->way <= 0 &&
           op->a.interleave == 0;
}

static void mark_inputs(const Expr *e, bool *used)
{
    if (e == NULL) {
        return;
    }
    if (e->kind == EXPR_INPUT) {
        used[e->input] = true;
    }
    mark_inputs(e->a, used);
    mark_inputs(e->b, used);
}

static const Expr *renumber(Arena *arena, const Expr *e, const int *to)
{
    if (e == NULL) {
        return NULL;
    }
    if (e->kind == EXPR_INPUT) {
        return expr_input(arena, to[e->input]);
    }
    if (expr_arity(e->kind) == 0) {
        return e;
    }
    return expr_node(arena, e->kind, renumber(arena, e->a, to), renumber(arena, e->b, to));
}

static int earlier_leaf(const Op *op, int first, int n, ValueId v)
{
    for (int i = first; i < n; i++) {
        if (op->in[i] == v) {
            return i;
        }
    }
    return n;
}

/* In the order of first mention. */
bool pass_pack_leaves(Arena *arena, Op *op)
{
    bool used[IR_MAX_IN] = {false};
    int to[IR_MAX_IN], first = op_slots(op->kind), n = first;
    for (int i = 0; i < IR_MAX_IN; i++) {
        to[i] = i;
    }
    mark_inputs(op->expr, used);
    for (int i = first; i < op->n_in; i++) {
        if (!used[i]) {
            continue;
        }
        to[i] = earlier_leaf(op, first, n, op->in[i]);
        if (to[i] == n) {
            op->in[n++] = op->in[i];
        }
    }
    if (n >= op->n_in) {
        return false;
    }
    memset(op->in + n, 0, (size_t)(op->n_in - n) * sizeof op->in[0]);
    op->n_in = (uint8_t)n;
    op->expr = renumber(arena, op->expr, to);
    return true;
}

static int tidy_expr(Func *f, Op *op)
{
    int changes = 0;
    if ((op_flags(op->kind) & OPF_EXPR) == 0) {
        return 0;
    }
    Arena *arena = f->module->ctx->arena;
    op->expr = simplify(arena, op->expr, &changes);
    if (is_identity(op)) {
        op->expr = NULL;
        changes++;
    }
    return changes + pass_pack_leaves(arena, op);
}

int pass_canonicalise(Func *f, PassEnv *env)
{
    (void)env;
    int changes = 0;
    for (size_t i = 0; i < f->order.n;) {
        OpId id = f->order.data[i];
        if (drop_copy(f, id)) { /* the next operator moves to place i */
            changes++;
            continue;
        }
        changes += swap_constant(f, &f->op[id]);
        changes += tidy_expr(f, &f->op[id]);
        i++;
    }
    return changes;
}
