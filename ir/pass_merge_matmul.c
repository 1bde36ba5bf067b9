/* pass_merge_matmul.c - matmuls that share their input become one over concatenated weights.
 *
 *   %q = matmul %x, @q {epilogue = add(acc, @q_bias)}      %qkv_w = concat_rows @q, @k, @v
 *   %k = matmul %x, @k {epilogue = add(acc, @k_bias)}  =>  %qkv_bias = concat_rows @q_bias,
 * @k_bias, @v_bias %v = matmul %x, @v {epilogue = add(acc, @v_bias)}      %qkv = matmul %x, %qkv_w
 * {epilogue = add(acc, %qkv_bias)} %q, %k, %v = split %qkv {sizes = [N1, N2, N3]}
 *
 * Legal when everything but constants of per-output-feature shape is equal: the input and its
 * scales, the form of the epilogue, group and zero of the quantised slots, the result's dtype. As
 * no operand of one can then depend on the result of another, no cycle arises. A gate/up pair that
 * feeds act(gate) * up stays apart under the strategy mlp = none. Up to three at a time, in order
 * of their weights' declaration. Requires: dequants folded as far as they go. Keeps: order
 * (sorted), names of results. */
#include <string.h>

#include "ir/pass.h"
#include "ir/slots.h"

enum { MAX_MERGED = 3 }; /* operands of concat_rows */

typedef struct Group {
    OpId op[MAX_MERGED];
    int n;
} Group;

/* ---- legality -------------------------------------------------------------------------------- */

/* One number (or row of numbers) per output feature: must be concatenated with the weights. */
static bool is_per_output(const Func *f, const Op *op, ValueId v)
{
    const Value *value = &f->value[v];
    return value->constant && value->type->rank == 1 &&
           value->type->dim[0] == f->value[op->in[MATMUL_W]].type->dim[0];
}

/* The same value for every output feature: shared by the merged operator. */
static bool is_shared(const Func *f, ValueId v)
{
    const Type *t = f->value[v].type;
    return t->rank == 0 || t->dim[t->rank - 1] == 1;
}

static bool same_leaf(const Func *f, const Op *a, int i, const Op *b, int k)
{
    if (a->in[i] == b->in[k] && is_shared(f, a->in[i])) {
        return true;
    }
    return is_per_output(f, a, a->in[i]) && is_per_output(f, b, b->in[k]) &&
           f->value[a->in[i]].type->dtype == f->value[b->in[k]].type->dtype;
}

static bool same_epilogue(const Func *f, const Op *a, const Expr *x, const Op *b, const Expr *y)
{
    if (x == NULL || y == NULL) {
        return x == y;
    }
    if (x->kind != y->kind || x->way != y->way || x->number != y->number) {
        return false;
    }
    if (x->kind == EXPR_INPUT) {
        return same_leaf(f, a, x->input, b, y->input);
    }
    return same_epilogue(f, a, x->a, b, y->a) && same_epilogue(f, a, x->b, b, y->b);
}

/* Two weights, scales or zero points that concat_rows can put together. */
static bool same_columns(const Func *f, ValueId a, ValueId b)
{
    if (a == 0 || b == 0) {
        return a == b;
    }
    const Type *s = f->value[a].type, *t = f->value[b].type;
    return f->value[a].constant && f->value[b].constant && s->dtype == t->dtype &&
           s->rank == t->rank && (s->rank < 2 || s->dim[1] == t->dim[1]) && s->layout.rows == 0 &&
           t->layout.rows == 0;
}

static const char *differing_slot(const Func *f, const Op *a, const Op *b)
{
    if (!same_columns(f, a->in[MATMUL_W], b->in[MATMUL_W])) {
        return "weights";
    }
    if (!same_columns(f, a->in[MATMUL_W_SCALE], b->in[MATMUL_W_SCALE])) {
        return "weight scales";
    }
    if (!same_columns(f, a->in[MATMUL_W_ZERO], b->in[MATMUL_W_ZERO])) {
        return "zero points";
    }
    if (a->in[MATMUL_X_SCALE] != b->in[MATMUL_X_SCALE]) {
        return "activation scales";
    }
    return NULL;
}

/* How a dequantised weight is grouped; -1 when it is not one. */
static int64_t dequant_group(const Func *f, ValueId w)
{
    const Value *v = &f->value[w];
    bool dequant = v->kind == VALUE_RESULT && f->op[v->def].kind == OP_DEQUANT;
    return dequant ? f->op[v->def].a.group : -1;
}

/* NULL, or why b cannot join a. */
static const char *why_apart(const Func *f, const Op *a, const Op *b)
{
    Arena *arena = f->module->ctx->arena;
    const char *an = f->value[a->out[0]].name, *bn = f->value[b->out[0]].name;
    const char *slot = differing_slot(f, a, b);
    if (slot != NULL) {
        return arena_printf(arena, "the %s of %%%s and %%%s differ in kind", slot, an, bn);
    }
    if (a->a.group != b->a.group || a->a.zero != b->a.zero ||
        dequant_group(f, a->in[MATMUL_W]) != dequant_group(f, b->in[MATMUL_W])) {
        return arena_printf(arena, "%%%s and %%%s are quantised differently", an, bn);
    }
    if (f->value[a->out[0]].type->dtype != f->value[b->out[0]].type->dtype) {
        return arena_printf(arena, "%%%s and %%%s have results of different dtype", an, bn);
    }
    if (!same_epilogue(f, a, a->expr, b, b->expr)) {
        return arena_printf(arena, "%%%s and %%%s have different epilogues", an, bn);
    }
    return NULL;
}

/* Weights that are already put together stay: with four or more matmuls, each group of three has
 * its own kernel. */
static bool is_concatenated(const Func *f, ValueId w)
{
    const Value *v = &f->value[w];
    return v->kind == VALUE_RESULT && f->op[v->def].kind == OP_CONCAT_ROWS;
}

static bool is_candidate(const Func *f, OpId id)
{
    const Op *op = &f->op[id];
    return op->kind == OP_MATMUL && !op->dead && op->a.interleave == 0 && op->a.n == 0 &&
           f->value[op->in[MATMUL_W]].constant && !is_concatenated(f, op->in[MATMUL_W]);
}

/* ---- the gate/up pair ------------------------------------------------------------------------ */

static bool is_activation(OpKind k)
{
    return k == OP_SILU || k == OP_GELU || k == OP_GELU_TANH || k == OP_RELU || k == OP_TANH;
}

/* Is there a mul of act(a) and b? */
static bool act_times(const Func *f, ValueId a, ValueId b)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind != OP_MUL) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            const Value *v = &f->value[op->in[i]];
            bool act = v->kind == VALUE_RESULT && is_activation(f->op[v->def].kind);
            if (act && f->op[v->def].in[0] == a && op->in[1 - i] == b) {
                return true;
            }
        }
    }
    return false;
}

static bool is_glu_pair(const Func *f, const Op *a, const Op *b)
{
    return act_times(f, a->out[0], b->out[0]) || act_times(f, b->out[0], a->out[0]);
}

/* ---- grouping -------------------------------------------------------------------------------- */

/* Where the weights behind constant v were declared: the first of them. */
static ValueId declared_at(const Func *f, ValueId v)
{
    if (f->value[v].kind != VALUE_RESULT) {
        return v;
    }
    const Op *op = &f->op[f->value[v].def];
    ValueId first = v;
    for (int i = 0; i < op->n_in; i++) {
        ValueId at = op->in[i] == 0 ? first : declared_at(f, op->in[i]);
        first = at < first ? at : first;
    }
    return first;
}

/* q, k, v in the order of the signature, whatever order earlier rewrites left them in. */
static void sort_by_declaration(const Func *f, Group *g)
{
    for (int i = 1; i < g->n; i++) {
        for (int k = i; k > 0; k--) {
            ValueId a = declared_at(f, f->op[g->op[k - 1]].in[MATMUL_W]);
            ValueId b = declared_at(f, f->op[g->op[k]].in[MATMUL_W]);
            if (b < a) {
                OpId swap = g->op[k];
                g->op[k] = g->op[k - 1];
                g->op[k - 1] = swap;
            }
        }
    }
}

/* The matmuls that can join `first`; those that cannot are reported. */
static Group collect(Func *f, OpId first, PassEnv *env)
{
    Group g = {.op = {first}, .n = 1};
    Str site = f->value[f->op[first].out[0]].name;
    bool seen = false;
    FOR_EACH_OP(f, id)
    {
        const Op *a = &f->op[first], *b = &f->op[id];
        seen = seen || id == first;
        if (!seen || id == first || !is_candidate(f, id) || a->in[MATMUL_X] != b->in[MATMUL_X]) {
            continue;
        }
        const char *why = why_apart(f, a, b);
        if (why == NULL && env->mlp == MLP_NONE && is_glu_pair(f, a, b)) {
            why = "the strategy mlp = none keeps gate and up apart";
        }
        if (why != NULL) {
            pass_refused(env, f, "merge_matmul", "merge_matmul", site, "%s", why);
        } else if (g.n < MAX_MERGED) {
            g.op[g.n++] = id;
        }
    }
    sort_by_declaration(f, &g);
    return g;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The longest suffix from an underscore on that all names share: "_bias" of q_bias, k_bias. */
static const char *common_suffix(const char *const *names, int n)
{
    for (const char *s = strchr(names[0], '_'); s != NULL; s = strchr(s + 1, '_')) {
        bool all = true;
        for (int i = 1; i < n; i++) {
            size_t have = strlen(names[i]), want = strlen(s);
            all = all && have > want && strcmp(names[i] + have - want, s) == 0;
        }
        if (all) {
            return s;
        }
    }
    return "";
}

/* q, k, v -> qkv; gate, up -> gate_up; q_bias, k_bias, v_bias -> qkv_bias. */
static Str join_names(Func *f, const ValueId *v, int n)
{
    Ctx *ctx = f->module->ctx;
    const char *names[MAX_MERGED] = {""};
    for (int i = 0; i < n; i++) {
        names[i] = f->value[v[i]].name;
    }
    const char *suffix = common_suffix(names, n);
    bool letters = true;
    for (int i = 0; i < n; i++) {
        letters = letters && strlen(names[i]) - strlen(suffix) == 1;
    }
    Buf b = buf_create(ctx->arena);
    for (int i = 0; i < n; i++) {
        buf_puts(&b, i > 0 && !letters ? "_" : "");
        buf_add(&b, names[i], strlen(names[i]) - strlen(suffix));
    }
    buf_puts(&b, suffix);
    return str_intern(ctx->strings, b.data);
}

/* ---- rewriting ------------------------------------------------------------------------------- */

static Str origin(const Func *f)
{
    return str_intern(f->module->ctx->strings, "merge_matmul");
}

/* concat_rows of operand `slot` (per operator: they may differ) over the group; 0 stays 0. */
static ValueId concat(Func *f, const Group *g, const int *slot)
{
    Op op = {.kind = OP_CONCAT_ROWS, .n_in = (uint8_t)g->n, .at = f->op[g->op[0]].at};
    op.origin = origin(f);
    for (int i = 0; i < g->n; i++) {
        op.in[i] = f->op[g->op[i]].in[slot[i]];
    }
    return op.in[0] == 0 ? 0 : ir_op1(f, &op, join_names(f, op.in, g->n));
}

static ValueId concat_slot(Func *f, const Group *g, int slot)
{
    int slots[MAX_MERGED] = {slot, slot, slot};
    return concat(f, g, slots);
}

/* The first operator's epilogue over concatenated leaves; x[i] is the matching node of operator i.
 */
static const Expr *merge_epilogue(Func *f, const Group *g, const Expr *const *x, Op *merged)
{
    Arena *arena = f->module->ctx->arena;
    if (x[0]->kind == EXPR_INPUT) {
        int slot[MAX_MERGED];
        for (int i = 0; i < g->n; i++) {
            slot[i] = x[i]->input;
        }
        ValueId first = f->op[g->op[0]].in[slot[0]];
        ValueId v = is_per_output(f, &f->op[g->op[0]], first) ? concat(f, g, slot) : first;
        return expr_input(arena, ir_expr_operand(merged, v));
    }
    if (expr_arity(x[0]->kind) == 0) {
        return x[0];
    }
    const Expr *a[MAX_MERGED], *b[MAX_MERGED];
    for (int i = 0; i < g->n; i++) {
        a[i] = x[i]->a;
        b[i] = x[i]->b;
    }
    const Expr *left = merge_epilogue(f, g, a, merged);
    return expr_node(arena, x[0]->kind, left, b[0] ? merge_epilogue(f, g, b, merged) : NULL);
}

static ValueId merged_matmul(Func *f, const Group *g, Str name)
{
    Op op = f->op[g->op[0]];
    int slots = op_slots(OP_MATMUL);
    const Expr *epilogue[MAX_MERGED];
    for (int i = 0; i < g->n; i++) {
        epilogue[i] = f->op[g->op[i]].expr;
    }
    memset(op.in + slots, 0, sizeof op.in - (size_t)slots * sizeof op.in[0]);
    op.n_in = (uint8_t)slots;
    op.in[MATMUL_W] = concat_slot(f, g, MATMUL_W);
    op.in[MATMUL_W_SCALE] = concat_slot(f, g, MATMUL_W_SCALE);
    op.in[MATMUL_W_ZERO] = concat_slot(f, g, MATMUL_W_ZERO);
    op.expr = op.expr == NULL ? NULL : merge_epilogue(f, g, epilogue, &op);
    op.origin = origin(f);
    return ir_op1(f, &op, name);
}

static void split_merged(Func *f, const Group *g, ValueId merged)
{
    Op split = {.kind = OP_SPLIT, .n_in = 1, .in = {merged}, .at = f->op[g->op[0]].at};
    Str names[MAX_MERGED];
    ValueId old[MAX_MERGED];
    split.a.sizes.n = g->n;
    split.origin = origin(f);
    for (int i = 0; i < g->n; i++) {
        old[i] = f->op[g->op[i]].out[0];
        names[i] = f->value[old[i]].name;
        split.a.sizes.v[i] = f->value[old[i]].type->dim[1];
        ir_kill(f, g->op[i]); /* frees the name */
    }
    OpId id = ir_op(f, &split, names);
    for (int i = 0; i < g->n; i++) {
        ir_replace_uses(f, old[i], f->op[id].out[i]);
    }
}

static void merge(Func *f, const Group *g, PassEnv *env)
{
    ValueId out[MAX_MERGED];
    for (int i = 0; i < g->n; i++) {
        out[i] = f->op[g->op[i]].out[0];
    }
    Str name = join_names(f, out, g->n);
    PassSite site = pass_site(env, f, "merge_matmul", "merge_matmul", name);
    split_merged(f, g, merged_matmul(f, g, name));
    if (!ir_sort(f)) {
        BUG("merge_matmul made a cycle in @%s", f->name);
    }
    pass_fired(env, f, &site);
}

int pass_merge_matmul(Func *f, PassEnv *env)
{
    int changes = 0;
    for (OpId id = 1; id < f->n_ops; id++) {
        if (!is_candidate(f, id)) {
            continue;
        }
        Group g = collect(f, id, env);
        if (g.n > 1) {
            merge(f, &g, env);
            changes++;
        }
    }
    return changes;
}
