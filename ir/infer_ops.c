/* infer_ops.c - result types of norms, elementwise operators, expressions and matmul. */
#include <string.h>

#include "ir/infer.h"
#include "ir/slots.h"

enum { MAX_EXPR_DEPTH = 1000 };

/* ---- norms ----------------------------------------------------------------------------------- */

bool infer_rmsnorm(Infer *c)
{
    const Type *x = infer_in(c, 0);
    if (!infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !infer_group_divides(c, x->dim[1])) {
        return false;
    }
    int64_t width = c->op->a.group > 0 ? c->op->a.group : x->dim[1];
    return infer_want(c, 1, ANY_FLOAT, SHAPE(width)) && infer_result(c, 0, x->dtype, 2, x->dim);
}

bool infer_layernorm(Infer *c)
{
    const Type *x = infer_in(c, 0);
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) &&
           infer_want(c, 1, ANY_FLOAT, SHAPE(x->dim[1])) &&
           infer_want(c, 2, ANY_FLOAT, SHAPE(x->dim[1])) && infer_result(c, 0, x->dtype, 2, x->dim);
}

bool infer_row_rms(Infer *c)
{
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) &&
           infer_result(c, 0, DT_F32, SHAPE(infer_in(c, 0)->dim[0], 1));
}

bool infer_rmsnorm_quant(Infer *c)
{
    const Type *x = infer_in(c, 0);
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) &&
           infer_want(c, 1, ANY_FLOAT, SHAPE(x->dim[1])) && infer_code_attr(c) &&
           infer_result(c, 0, infer_code_dtype(c), 2, x->dim) &&
           infer_result(c, 1, DT_F32, SHAPE(x->dim[0], 1));
}

/* ---- expressions ----------------------------------------------------------------------------- */

/* [1], [N], [T, 1] and the shape itself. */
static bool broadcasts(const Type *t, const Type *to)
{
    if (type_elements(t) == 1) {
        return true;
    }
    int last = to->rank - 1;
    if (t->rank == 1) {
        return to->rank > 0 && t->dim[0] == to->dim[last];
    }
    bool fits = t->rank == to->rank;
    for (int i = 0; i < to->rank && fits; i++) {
        fits = t->dim[i] == to->dim[i] || (i == last && t->dim[i] == 1);
    }
    return fits;
}

static bool want_broadcast(const Infer *c, int slot, const Type *shape)
{
    const Type *t = infer_in(c, slot);
    if (dtype_is_float(t->dtype) && broadcasts(t, shape)) {
        return true;
    }
    return infer_fail(c, "%s is %s, which does not broadcast to float%s", infer_operand(c, slot),
                      infer_type_of(c, slot),
                      strchr(type_text(c->f->module->ctx->arena, shape), '['));
}

/* acc: only in an epilogue; acc.0 and acc.1 when the rows are interleaved, else plain. */
static bool check_acc(const Infer *c, const Expr *e)
{
    if (c->op->kind == OP_MAP) {
        return infer_fail(c, "acc is for epilogues, expr reads operands only");
    }
    bool ways = c->op->a.interleave > 0;
    if (ways && (e->way < 0 || e->way > 1)) {
        return infer_fail(c, "the rows are interleaved: write acc.0 and acc.1");
    }
    if (!ways && e->way >= 0) {
        return infer_fail(c, "acc.%d needs interleave", e->way);
    }
    return true;
}

/* Marks the operands that the tree reads. */
static bool check_expr(const Infer *c, const Expr *e, bool *read, int depth)
{
    if (depth > MAX_EXPR_DEPTH) {
        return infer_fail(c, "the expression is nested deeper than %d", MAX_EXPR_DEPTH);
    }
    if (e == NULL) {
        return infer_fail(c, "the expression lacks an argument");
    }
    if (e->kind == EXPR_ACC) {
        return check_acc(c, e);
    }
    if (e->kind == EXPR_META) {
        return infer_fail(c, "$%s is for rules only", e->meta);
    }
    if (e->kind == EXPR_INPUT) {
        if (e->input < op_slots(c->op->kind) || e->input >= c->op->n_in) {
            return infer_fail(c, "the expression reads operand %d of %d", e->input, c->op->n_in);
        }
        read[e->input] = true;
    }
    int arity = expr_arity(e->kind);
    return (arity < 1 || check_expr(c, e->a, read, depth + 1)) &&
           (arity < 2 || check_expr(c, e->b, read, depth + 1));
}

/* The tree reads every operand behind the slots, and these broadcast to the result. */
bool infer_check_tree(const Infer *c, const Type *shape)
{
    bool read[IR_MAX_IN] = {0};
    if (c->op->expr != NULL && !check_expr(c, c->op->expr, read, 0)) {
        return false;
    }
    for (int i = op_slots(c->op->kind); i < c->op->n_in; i++) {
        if (!read[i]) {
            return infer_fail(c, "%s is not in the expression", infer_operand(c, i));
        }
        if (!want_broadcast(c, i, shape)) {
            return false;
        }
    }
    return true;
}

/* The largest operand gives shape and dtype, the first of several. */
static const Type *widest(const Infer *c)
{
    const Type *wide = infer_in(c, 0);
    for (int i = 1; i < c->op->n_in; i++) {
        const Type *t = infer_in(c, i);
        bool wider =
            t->rank != wide->rank ? t->rank > wide->rank : type_elements(t) > type_elements(wide);
        wide = wider ? t : wide;
    }
    return wide;
}

bool infer_element(Infer *c)
{
    const Type *shape = widest(c);
    for (int i = 0; i < c->op->n_in; i++) {
        if (!want_broadcast(c, i, shape)) {
            return false;
        }
    }
    return infer_result(c, 0, shape->dtype, shape->rank, shape->dim);
}

bool infer_map(Infer *c)
{
    if (c->op->expr == NULL || c->op->n_in == 0) {
        return infer_fail(c, "expr is missing or reads no value");
    }
    const Type *shape = widest(c);
    return infer_check_tree(c, shape) && infer_result(c, 0, shape->dtype, shape->rank, shape->dim);
}

bool infer_split(Infer *c)
{
    const Type *x = infer_in(c, 0);
    const IntList *sizes = &c->op->a.sizes;
    if (!infer_want(c, 0, DT_NONE, SHAPE(-1, -1))) {
        return false;
    }
    if (sizes->n < 2) {
        return infer_fail(c, "sizes has %d parts, allowed are 2 to %d", sizes->n, IR_MAX_OUT);
    }
    int64_t rest = x->dim[1];
    for (int i = 0; i < sizes->n && rest >= 0; i++) {
        rest = sizes->v[i] <= rest ? rest - sizes->v[i] : -1;
    }
    if (rest != 0) {
        return infer_fail(c, "the sizes do not sum to the %lld columns of %s", (long long)x->dim[1],
                          infer_operand(c, 0));
    }
    for (int i = 0; i < sizes->n; i++) {
        if (!infer_result(c, i, x->dtype, SHAPE(x->dim[0], sizes->v[i]))) {
            return false;
        }
    }
    return true;
}

/* ---- matmul ---------------------------------------------------------------------------------- */

/* The gain of a norm in front, at `slot`, for x [T, K]. */
static bool want_norm(const Infer *c, int slot, const Type *x)
{
    bool norm = c->op->a.norm_eps > 0;
    if (norm && dtype_is_code(x->dtype)) {
        return infer_fail(c, "norm_eps is for float rows, but %s is %s", infer_operand(c, 0),
                          infer_type_of(c, 0));
    }
    if (!norm && infer_in(c, slot) != NULL) {
        return infer_fail(c, "norm_gain needs norm_eps above 0");
    }
    return infer_want(c, slot, ANY_FLOAT, SHAPE(x->dim[1]));
}

/* Slots x, w, w_scale, w_zero, x_scale, norm_gain of both matmuls; the latter from `scales` on. */
bool infer_want_product(const Infer *c, int scales)
{
    const Type *x = infer_in(c, 0), *w = infer_in(c, 1), *x_scale = infer_in(c, scales + 2);
    bool codes = x->dtype == DT_I8 || x->dtype == DT_E4M3;
    if (!codes && !infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1))) {
        return false;
    }
    bool both = (x->dtype == DT_E4M3) == (w->dtype == DT_E4M3);
    if (codes && !both) {
        return infer_fail(
            c, "%s is %s and %s is %s: codes of x and w are both integers or both e4m3",
            infer_operand(c, 0), infer_type_of(c, 0), infer_operand(c, 1), infer_type_of(c, 1));
    }
    if (!infer_want(c, 0, DT_NONE, SHAPE(-1, -1)) || !infer_group_divides(c, x->dim[1])) {
        return false;
    }
    if (x_scale != NULL && !codes) {
        return infer_fail(c, "x_scale is for codes, but %s is %s", infer_operand(c, 0),
                          infer_type_of(c, 0));
    }
    bool one = x_scale != NULL && x_scale->rank == 2 && x_scale->dim[1] == 1;
    int64_t groups = c->op->a.group > 0 && !one ? x->dim[1] / c->op->a.group : 1;
    return infer_want_per_group(c, scales, ANY_SCALE, w->dim[0], w->dim[1]) &&
           infer_want_per_group(c, scales + 1, DT_U8, w->dim[0], w->dim[1]) &&
           infer_want(c, scales + 2, DT_F32, SHAPE(x->dim[0], groups)) &&
           want_norm(c, scales + 3, x) && infer_float_attr(c);
}

/* Output features of a weight of `rows` rows, -1 after a diagnostic. */
int64_t infer_features(const Infer *c, int64_t rows)
{
    int64_t n = c->op->a.n, block = c->op->a.interleave;
    if (block > 0) {
        if (!infer_block_is_sane(c, "interleave", block)) {
            return -1;
        }
        if (n < 1 || n > rows || rows != 2 * infer_round_up(n, block)) {
            infer_fail(c,
                       "%s has %lld rows, expected 2 * round_up(n, interleave) for n = %lld, "
                       "interleave = %lld",
                       infer_operand(c, 1), (long long)rows, (long long)n, (long long)block);
            return -1;
        }
        if (c->op->expr == NULL) {
            infer_fail(c, "interleave needs an epilogue over acc.0 and acc.1");
            return -1;
        }
        return n;
    }
    if (n > rows) {
        infer_fail(c, "n is %lld, but %s has %lld rows", (long long)n, infer_operand(c, 1),
                   (long long)rows);
        return -1;
    }
    return n > 0 ? n : rows;
}

bool infer_matmul(Infer *c)
{
    const Type *x = infer_in(c, MATMUL_X), *w = infer_in(c, MATMUL_W);
    if (!infer_want(c, MATMUL_X, DT_NONE, SHAPE(-1, -1)) ||
        !infer_want_weight(c, MATMUL_W, MATMUL_W_SCALE, x->dim[1]) ||
        !infer_want_product(c, MATMUL_W_SCALE)) {
        return false;
    }
    int64_t n = infer_features(c, w->dim[0]);
    return n > 0 && infer_result(c, 0, infer_result_dtype(c, x), SHAPE(x->dim[0], n)) &&
           infer_check_tree(c, c->out[0]);
}
