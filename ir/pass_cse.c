/* pass_cse.c - equal operators on equal operands are computed once.
 *
 *   %p = silu %g                 %p = silu %g
 *   %q = silu %g           =>
 *   %y = mul %p, %q              %y = mul %p, %p
 *
 * Operators that write a cache or read one in its state before the call are left alone.
 * Requires: order is topological. Keeps: order. */
#include <string.h>

#include "ir/ir_text.h"
#include "ir/pass.h"

bool expr_equal(const Expr *a, const Expr *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->kind == b->kind && a->way == b->way && a->input == b->input &&
           a->number == b->number && a->meta == b->meta && expr_equal(a->a, b->a) &&
           expr_equal(a->b, b->b);
}

static bool touches_state(const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0 && f->value[op->in[i]].kind == VALUE_STATE) {
            return true;
        }
    }
    return (op_flags(op->kind) & OPF_STATE) != 0;
}

static bool equal_ops(const Op *a, const Op *b)
{
    return a->kind == b->kind && a->n_in == b->n_in && a->n_out == b->n_out &&
           memcmp(a->in, b->in, a->n_in * sizeof a->in[0]) == 0 && attrs_equal(&a->a, &b->a) &&
           expr_equal(a->expr, b->expr);
}

/* The first operator in order equal to the one at `at`, or 0. */
static OpId find_equal(const Func *f, size_t at)
{
    const Op *op = &f->op[f->order.data[at]];
    for (size_t i = 0; i < at; i++) {
        if (equal_ops(&f->op[f->order.data[i]], op)) {
            return f->order.data[i];
        }
    }
    return 0;
}

int pass_cse(Func *f, PassEnv *env)
{
    (void)env;
    int changes = 0;
    for (size_t i = 0; i < f->order.n;) {
        OpId id = f->order.data[i];
        OpId same = touches_state(f, &f->op[id]) ? 0 : find_equal(f, i);
        if (same == 0) {
            i++;
            continue;
        }
        for (int r = 0; r < f->op[id].n_out; r++) {
            ir_replace_uses(f, f->op[id].out[r], f->op[same].out[r]);
        }
        ir_kill(f, id); /* the next operator moves to place i */
        changes++;
    }
    return changes;
}
