/* ir_read_op.c - one line of a function: operands find their slots, expressions become trees,
 * attributes are set, then the operator is typed and its types are compared with those given. */
#include <string.h>

#include "ir/ir_read_parts.h"

/* An operator while it is read. `good` turns false at the first message or poisoned operand. */
typedef struct Draft {
    Reader *r;
    Op op;
    bool good;
    uint32_t slots, attrs; /* given so far, as bits */
    bool expr;
} Draft;

/* ---- operands -------------------------------------------------------------------------------- */

static void refuse_position(Draft *d, const Item *item)
{
    Buf b = buf_create(d->r->ctx->arena);
    int n = 0;
    for (int i = 0; i < op_slots(d->op.kind); i++) {
        if (!op_slot_optional(d->op.kind, i)) {
            buf_printf(&b, "%s%s", n++ > 0 ? ", " : " (", op_slot_name(d->op.kind, i));
        }
    }
    buf_puts(&b, n > 0 ? ")" : "");
    d->good = diag_error(read_diag(d->r), item->value->at,
                         "%s takes %d operand%s%s by position, others as name = %%value",
                         op_name(d->op.kind), n, n == 1 ? "" : "s", b.data);
}

/* The next required slot that was not given; -1 when all were. */
static int next_required(const Draft *d)
{
    for (int i = 0; i < op_slots(d->op.kind); i++) {
        if (!op_slot_optional(d->op.kind, i) && (d->slots >> i & 1) == 0) {
            return i;
        }
    }
    return -1;
}

static void read_operand(Draft *d, const Item *item)
{
    bool named = item->name.s != NULL;
    int slot = named ? text_find_slot(d->r->ctx, d->op.kind, item->name.s, item->name.at)
                     : next_required(d);
    if (slot < 0) {
        if (!named) {
            refuse_position(d, item);
        }
        d->good = false;
        return;
    }
    if ((d->slots >> slot & 1) != 0) {
        d->good =
            diag_error(read_diag(d->r), item->name.at, "operand %s is given twice", item->name.s);
        return;
    }
    d->slots |= UINT32_C(1) << slot;
    d->op.in[slot] = read_find_value(d->r, item->value->name);
    d->good = d->good && d->op.in[slot] != 0;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static const Expr *read_expr(Draft *d, const Node *n);

static const Expr *read_leaf(Draft *d, const Node *n)
{
    ValueId v = read_find_value(d->r, n->name);
    if (v == 0) {
        return NULL;
    }
    int input = ir_expr_operand(&d->op, v);
    if (input < 0) {
        diag_error(read_diag(d->r), n->at, "more than %d operands", IR_MAX_IN);
        return NULL;
    }
    return expr_input(d->r->ctx->arena, input);
}

/* Arguments are read in order, so that operands get theirs as they stand. */
static const Expr *read_call(Draft *d, const Node *n)
{
    ExprKind k = text_find_expr(d->r->ctx, n->name.s, (int)n->args.n, n->name.at);
    if (k == EXPR_NONE) {
        return NULL;
    }
    const Expr *arg[2] = {0};
    for (size_t i = 0; i < n->args.n; i++) {
        arg[i] = read_expr(d, n->args.data[i]);
        if (arg[i] == NULL) {
            return NULL;
        }
    }
    return expr_node(d->r->ctx->arena, k, arg[0], arg[1]);
}

static const Expr *read_expr(Draft *d, const Node *n)
{
    Arena *a = d->r->ctx->arena;
    switch (n->kind) {
    case NODE_NUMBER:
        return expr_number(a, n->number.d);
    case NODE_ACC:
        return expr_acc(a, n->way);
    case NODE_VALUE:
        return read_leaf(d, n);
    case NODE_CALL:
        return read_call(d, n);
    case NODE_WORD:
    case NODE_LIST:
        break;
    }
    diag_error(read_diag(d->r), n->at,
               "an expression is acc, a number, a value or a function of them such as silu(acc)");
    return NULL;
}

static void read_expr_attr(Draft *d, const Item *item)
{
    if (d->expr) {
        d->good = diag_error(read_diag(d->r), item->name.at, "%s is given twice", item->name.s);
        return;
    }
    d->expr = true;
    d->op.expr = read_expr(d, item->value);
    d->good = d->good && d->op.expr != NULL;
    /* acc alone is the identity: no epilogue */
    if (d->op.expr != NULL && d->op.expr->kind == EXPR_ACC && d->op.expr->way < 0) {
        d->op.expr = NULL;
    }
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* The value as attr_set wants it; false when it is neither word nor numbers. */
static bool attr_text(Reader *r, const Node *n, AttrText *out)
{
    *out = (AttrText){.at = n->at, .n = 1, .number = &n->number};
    if (n->kind == NODE_WORD) {
        out->word = n->name.s;
    }
    if (n->kind != NODE_LIST) {
        return n->kind == NODE_WORD || n->kind == NODE_NUMBER;
    }
    Number *number = ARENA_ARRAY(r->ctx->arena, Number, n->args.n);
    for (size_t i = 0; i < n->args.n; i++) {
        if (n->args.data[i]->kind != NODE_NUMBER) {
            return false;
        }
        number[i] = n->args.data[i]->number;
    }
    out->list = true;
    out->n = n->args.n;
    out->number = number;
    return true;
}

static bool read_attr(Draft *d, const Item *item)
{
    Reader *r = d->r;
    AttrId id = text_find_attr(r->ctx, d->op.kind, item->name.s, item->name.at);
    if (id == ATTR_COUNT) {
        return false;
    }
    if ((d->attrs >> id & 1) != 0) {
        return diag_error(read_diag(r), item->name.at, "%s is given twice", item->name.s);
    }
    d->attrs |= UINT32_C(1) << id;
    AttrText text;
    if (!attr_text(r, item->value, &text)) {
        return diag_error(read_diag(r), item->value->at,
                          "an attribute is a word, a number or a list of numbers");
    }
    return attr_set(r->ctx, &d->op.a, id, &text);
}

static void read_braces(Draft *d, const Items *attrs)
{
    const char *expr = op_expr_attr(d->op.kind);
    for (size_t i = 0; i < attrs->n; i++) {
        const Item *item = &attrs->data[i];
        if (expr != NULL && strcmp(item->name.s, expr) == 0) {
            read_expr_attr(d, item);
        } else {
            d->good = read_attr(d, item) && d->good;
        }
    }
}

/* ---- the line -------------------------------------------------------------------------------- */

static bool check_result_names(Reader *r, const ReadNames *results)
{
    bool good = true;
    for (size_t i = 0; i < results->n; i++) {
        good = read_check_new_name(r, results->data[i]) && good;
        for (size_t j = 0; j < i; j++) {
            if (results->data[j].s == results->data[i].s) {
                good = diag_error(read_diag(r), results->data[i].at, "'%%%s' is defined twice",
                                  results->data[i].s);
            }
        }
    }
    return good;
}

static bool check_result_count(Reader *r, const Op *op, size_t n, Span at)
{
    int want = op_outs(op->kind) > 0 ? op_outs(op->kind) : op->a.sizes.n;
    return n == (size_t)want || diag_error(read_diag(r), at, "%s has %d result%s, found %zu names",
                                           op_name(op->kind), want, want == 1 ? "" : "s", n);
}

/* Given types must be the inferred ones. */
static void check_types(Reader *r, OpId id, const TypeTexts *types, Span at)
{
    const Op *op = &r->func->op[id];
    if (types->n > 0 && types->n != op->n_out) {
        diag_error(read_diag(r), at, "%s has %d result%s, found %zu types", op_name(op->kind),
                   op->n_out, op->n_out == 1 ? "" : "s", types->n);
        return;
    }
    for (size_t i = 0; i < types->n; i++) {
        const Value *v = &r->func->value[op->out[i]];
        const TypeText *given = &types->data[i];
        if (given->type != NULL && given->type != v->type) {
            diag_error(read_diag(r), given->at, "%%%s is %s, but the type given is %s", v->name,
                       type_text(r->ctx->arena, v->type), type_text(r->ctx->arena, given->type));
        }
    }
}

static OpId build_op(Draft *d, const ReadNames *results)
{
    Str names[IR_MAX_OUT] = {0};
    for (size_t i = 0; i < results->n; i++) {
        names[i] = results->data[i].s;
    }
    OpId id = ir_op(d->r->func, &d->op, names);
    for (size_t i = 0; id != 0 && i < results->n; i++) {
        d->r->func->value[d->r->func->op[id].out[i]].at = results->data[i].at;
    }
    return id;
}

void read_op(Reader *r, ReadNames results, ReadName op, Items operands, Items attrs,
             TypeTexts types, Span at)
{
    Draft d = {.r = r, .op = {.kind = text_find_op(r->ctx, op.s, op.at), .at = at}, .good = true};
    OpId id = 0;
    if (r->returned) {
        d.good = diag_error(read_diag(r), at, "an operator after 'return'");
    }
    bool named = check_result_names(r, &results);
    if (d.op.kind != OP_NONE) {
        for (size_t i = 0; i < operands.n; i++) {
            read_operand(&d, &operands.data[i]);
        }
        read_braces(&d, &attrs);
        bool good = d.good && named && check_result_count(r, &d.op, results.n, results.data[0].at);
        id = good ? build_op(&d, &results) : 0;
    }
    if (id != 0) {
        check_types(r, id, &types, at);
        return;
    }
    for (size_t i = 0; i < results.n; i++) {
        read_poison(r, results.data[i].s);
    }
}
