/* pass_norm_prologue.c - a decode matmul normalises its rows while it reads them, so that a norm is
 * neither a kernel nor a trip through memory.
 *
 *   %n = rmsnorm %x, gain = @g {eps}      %y = matmul %n, @w
 *     =>  %y = matmul %x, @w, norm_gain = @g {norm_eps}
 *   %r = row_rms %x {eps}                 %y = matmul %x, @w {epilogue = ... mul(acc, %r) ...}
 *     =>  %y = matmul %x, @w {norm_eps, epilogue = ... acc ...}
 *
 * Every matmul then reads x and computes 1/rms again; at T <= 8 that is less than a kernel of its
 * own. Requires: epilogues and matmul_qkv in their final form. Only where env->norm_prologue. */
#include "ir/pass.h"
#include "ir/slots.h"

static bool is_matmul(const Op *op)
{
    return op->kind == OP_MATMUL || op->kind == OP_MATMUL_QKV;
}

static int gain_slot(const Op *op)
{
    return op->kind == OP_MATMUL ? (int)MATMUL_NORM_GAIN : (int)QKV_NORM_GAIN;
}

/* The target's decode matmul takes it. */
static bool can_normalise(const Func *f, const Op *op, const PassEnv *env)
{
    if (!is_matmul(op) || op->a.norm_eps > 0 || op->in[gain_slot(op) - 1] != 0) {
        return false;
    }
    bool heads = op->kind == OP_MATMUL || pass_pairs_heads(f, op, env);
    return heads && env->norm_prologue(f, op);
}

static const Op *definition(const Func *f, ValueId v)
{
    return v != 0 && f->value[v].kind == VALUE_RESULT ? &f->op[f->value[v].def] : NULL;
}

static void kill_unused(Func *f, ValueId v)
{
    if (ir_use_count(f, v) == 0) {
        ir_kill(f, f->value[v].def);
    }
}

/* ---- rmsnorm in front ------------------------------------------------------------------------ */

static bool only_matmuls_read(const Func *f, ValueId v, const PassEnv *env)
{
    for (size_t i = 0; i < f->results.n; i++) {
        if (f->results.data[i] == v) {
            return false;
        }
    }
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        for (int i = 0; i < op->n_in; i++) {
            if (op->in[i] == v && (i != MATMUL_X || !can_normalise(f, op, env))) {
                return false;
            }
        }
    }
    return true;
}

static bool take_norm(Func *f, Op *op, const PassEnv *env)
{
    ValueId normed = op->in[MATMUL_X];
    const Op *norm = definition(f, normed);
    if (norm == NULL || norm->kind != OP_RMSNORM || norm->a.group > 0 || norm->a.eps <= 0 ||
        !only_matmuls_read(f, normed, env)) {
        return false;
    }
    op->in[MATMUL_X] = norm->in[0];
    op->in[gain_slot(op)] = norm->in[1];
    op->a.norm_eps = norm->a.eps;
    kill_unused(f, normed);
    return true;
}

/* ---- 1/rms in the epilogue ------------------------------------------------------------------- */

/* A product whose only other factors are leaves: acc, mul(acc, %s), ... */
static bool is_scaled_acc(const Expr *e)
{
    return e->kind == EXPR_ACC ||
           (e->kind == EXPR_MUL && e->b->kind == EXPR_INPUT && is_scaled_acc(e->a));
}

static int count_accs(const Expr *e)
{
    return e == NULL ? 0 : (e->kind == EXPR_ACC) + count_accs(e->a) + count_accs(e->b);
}

/* e without the factor `leaf` of its accumulators; *n counts those that had it. */
static const Expr *without(Arena *a, const Expr *e, int leaf, int *n)
{
    if (e == NULL || expr_arity(e->kind) == 0) {
        return e;
    }
    if (e->kind == EXPR_MUL && e->b->kind == EXPR_INPUT && e->b->input == leaf &&
        is_scaled_acc(e->a)) {
        ++*n;
        return e->a;
    }
    return expr_node(a, e->kind, without(a, e->a, leaf, n), without(a, e->b, leaf, n));
}

static bool take_row_scale(Func *f, Op *op, int leaf)
{
    ValueId scale = op->in[leaf];
    const Op *rms = definition(f, scale);
    int n = 0;
    if (rms == NULL || rms->kind != OP_ROW_RMS || rms->in[0] != op->in[MATMUL_X] ||
        rms->a.eps <= 0 || op->expr == NULL) {
        return false;
    }
    const Expr *rest = without(f->module->ctx->arena, op->expr, leaf, &n);
    if (n == 0 || n != count_accs(op->expr)) {
        return false;
    }
    op->expr = rest->kind == EXPR_ACC ? NULL : rest;
    op->a.norm_eps = rms->a.eps;
    pass_pack_leaves(f->module->ctx->arena, op);
    kill_unused(f, scale);
    return true;
}

static bool take_any(Func *f, Op *op, const PassEnv *env)
{
    if (take_norm(f, op, env)) {
        return true;
    }
    for (int i = op_slots(op->kind); i < op->n_in; i++) {
        if (take_row_scale(f, op, i)) {
            return true;
        }
    }
    return false;
}

static bool normalise(Func *f, OpId id, PassEnv *env)
{
    if (!can_normalise(f, &f->op[id], env)) {
        return false;
    }
    Str name = f->value[f->op[id].out[0]].name;
    PassSite site = pass_site(env, f, "norm_prologue", "norm_prologue", name);
    bool taken = take_any(f, &f->op[id], env);
    if (taken) {
        pass_fired(env, f, &site);
    }
    return taken;
}

int pass_norm_prologue(Func *f, PassEnv *env)
{
    int changes = 0;
    if (env->norm_prologue == NULL || f->module->phase != PHASE_DECODE) {
        return 0;
    }
    uint32_t n_ops = f->n_ops; /* by number: what is taken leaves the order */
    for (OpId id = 1; id < n_ops; id++) {
        changes += !f->op[id].dead && normalise(f, id, env);
    }
    return changes;
}
