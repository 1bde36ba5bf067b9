/* pass_dce.c - operators whose results nobody uses go, and then the weights that nobody reads.
 *
 *   %a = silu %g : ...                      (nothing reads %a)   =>   gone
 *   weights(@q, @unused)                                         =>   weights(@q)
 *
 * Operators that write a cache stay. Requires: nothing. Keeps: order. */
#include "ir/pass.h"

static bool is_unused(const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_out; i++) {
        if (ir_use_count(f, op->out[i]) > 0) {
            return false;
        }
    }
    return (op_flags(op->kind) & OPF_STATE) == 0;
}

static int drop_weights(Func *f)
{
    size_t kept = 0;
    int dropped = 0;
    for (size_t i = 0; i < f->weights.n; i++) {
        ValueId w = f->weights.data[i];
        if (ir_use_count(f, w) > 0) {
            f->weights.data[kept++] = w;
        } else {
            f->value[w].kind = VALUE_NONE;
            dropped++;
        }
    }
    f->weights.n = kept;
    return dropped;
}

int pass_dce(Func *f, PassEnv *env)
{
    (void)env;
    int changes = 0;
    for (size_t i = f->order.n; i-- > 0;) { /* users come after: one sweep backwards is enough */
        OpId id = f->order.data[i];
        if (is_unused(f, &f->op[id])) {
            ir_kill(f, id);
            changes++;
        }
    }
    return changes + drop_weights(f);
}
