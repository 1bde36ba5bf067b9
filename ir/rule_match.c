/* rule_match.c - finds the places where the left side of a rule fits a function.
 *
 * Line 0 is tried on the anchor; each further line shares a value with the lines before
 * (rule_check.c), so its candidates are the operator that defines a known value or the users of
 * one. A binding is a plain struct, copied at every choice: backtracking is returning. */
#include "ir/rule_ast.h"

typedef struct Matcher {
    const Func *f;
    const RuleCase *c;
    RuleFoundFn *found;
    void *user;
} Matcher;

static bool match_from(const Matcher *m, int line, const RuleBinding *b);

/* ---- one operator ---------------------------------------------------------------------------- */

static bool bind_value(const Matcher *m, RuleBinding *b, int var, ValueId v)
{
    if (var < 0) {
        return true;
    }
    if (b->var[var] != 0) {
        return b->var[var] == v;
    }
    if (v != VALUE_ABSENT && m->c->var[var].constant && !m->f->value[v].constant) {
        return false;
    }
    b->var[var] = v;
    return true;
}

static int arg_slot(const RuleLineArg *a, OpKind kind)
{
    return a->slot == NULL ? a->pos : op_slot(kind, a->slot);
}

/* The operand in a slot, or VALUE_ABSENT. */
static ValueId slot_value(const Op *op, int slot)
{
    return slot < op->n_in && op->in[slot] != 0 ? op->in[slot] : VALUE_ABSENT;
}

static bool bind_arg(const Matcher *m, RuleBinding *b, const RuleLineArg *a, ValueId v)
{
    if (v == VALUE_ABSENT && a->var >= 0 && !m->c->var[a->var].optional) {
        return false;
    }
    return bind_value(m, b, a->var, v);
}

/* swapped: operands 0 and 1 change places (add, mul). */
static bool bind_args(const Matcher *m, RuleBinding *b, const RuleLine *l, const Op *op,
                      bool swapped)
{
    for (size_t i = 0; i < l->args.n; i++) {
        const RuleLineArg *a = &l->args.data[i];
        int slot = arg_slot(a, op->kind);
        if (swapped && slot < 2) {
            slot = 1 - slot;
        }
        if (!bind_arg(m, b, a, slot_value(op, slot))) {
            return false;
        }
    }
    return true;
}

static bool slot_named(const RuleLine *l, OpKind kind, int slot)
{
    for (size_t i = 0; i < l->args.n; i++) {
        if (arg_slot(&l->args.data[i], kind) == slot) {
            return true;
        }
    }
    return false;
}

static bool slot_copied(const RuleLine *l, const char *name)
{
    for (int i = 0; i < l->n_copied_as; i++) {
        if (op_slot(l->copied_as[i], name) >= 0) {
            return true;
        }
    }
    return false;
}

/* An operand that the rule does not speak of would be lost. */
static bool no_other_slots(const RuleLine *l, const Op *op)
{
    for (int slot = 0; slot < op_slots(op->kind); slot++) {
        if (slot_value(op, slot) != VALUE_ABSENT && !slot_named(l, op->kind, slot) &&
            !slot_copied(l, op_slot_name(op->kind, slot))) {
            return false;
        }
    }
    return true;
}

static bool bind_quantity(Quantity *bound, Quantity q)
{
    if (bound->kind != Q_NONE) {
        return quantity_equal(bound, &q);
    }
    *bound = q;
    return true;
}

static bool bind_expr(RuleBinding *b, const RuleItem *item, const Op *op, OpId id)
{
    switch (item->value->kind) {
    case TERM_META: {
        Quantity q = {.kind = Q_EXPR, .expr = op->expr, .owner = id};
        return bind_quantity(&b->meta[item->value->index], q);
    }
    case TERM_ANY:
        return true;
    case TERM_WORD:
        return op->expr == NULL;
    case TERM_NUMBER:
    case TERM_VAR:
    case TERM_CALL:
    case TERM_META_CALL:
    case TERM_BINARY:
    case TERM_LIST:
        break;
    }
    BUG("expression pattern of kind %d", (int)item->value->kind);
}

static bool bind_item(RuleBinding *b, const RuleItem *item, const Op *op, OpId id)
{
    switch (item->kind) {
    case ITEM_EXPR:
        return bind_expr(b, item, op, id);
    case ITEM_ANY:
        return true;
    case ITEM_LITERAL:
        return attr_equal(&op->a, &item->literal, item->attr);
    case ITEM_META:
        return bind_quantity(&b->meta[item->value->index], quantity_of_attr(&op->a, item->attr));
    case ITEM_COPY:
    case ITEM_TERM:
        break;
    }
    BUG("item kind %d in a match", (int)item->kind);
}

/* Attributes and epilogues that the rule neither names nor copies must be absent: a rewrite that
 * does not know of them would lose them. */
static bool bind_items(RuleBinding *b, const RuleLine *l, const Op *op, OpId id)
{
    uint32_t named = l->copied_attrs;
    bool expr_named = l->copied_expr;
    for (size_t i = 0; i < l->src->items.n; i++) {
        const RuleItem *item = l->src->items.data[i];
        if (!bind_item(b, item, op, id)) {
            return false;
        }
        if (item->kind == ITEM_EXPR) {
            expr_named = true;
        } else {
            named |= UINT32_C(1) << item->attr;
        }
    }
    for (int attr = 0; attr < ATTR_COUNT; attr++) {
        if ((named >> attr & 1) == 0 && !attr_is_zero(&op->a, (AttrId)attr)) {
            return false;
        }
    }
    return expr_named || op->expr == NULL;
}

static bool bind_results(const Matcher *m, RuleBinding *b, const RuleLine *l, const Op *op)
{
    if (l->n_results != op->n_out) {
        return false;
    }
    for (int i = 0; i < l->n_results; i++) {
        if (!bind_value(m, b, l->result[i], op->out[i])) {
            return false;
        }
    }
    return true;
}

static bool taken(const RuleBinding *b, int line, OpId id)
{
    for (int i = 0; i < line; i++) {
        if (b->line[i] == id) {
            return true;
        }
    }
    return false;
}

static bool bind_line(const Matcher *m, RuleBinding *b, int line, OpId id, bool swapped)
{
    const RuleLine *l = &m->c->line[line];
    const Op *op = &m->f->op[id];
    b->line[line] = id;
    if (l->op_meta >= 0) {
        b->meta[l->op_meta] = (Quantity){.kind = Q_OP, .op = op->kind};
    }
    return bind_results(m, b, l, op) && bind_args(m, b, l, op, swapped) && no_other_slots(l, op) &&
           bind_items(b, l, op, id);
}

/* ---- the search ------------------------------------------------------------------------------ */

static bool has_kind(const RuleLine *l, OpKind kind)
{
    for (int i = 0; i < l->n_kinds; i++) {
        if (l->kind[i] == kind) {
            return true;
        }
    }
    return false;
}

/* The line on one operator, in both orders of operands if they may be swapped. */
static bool try_op(const Matcher *m, int line, OpId id, const RuleBinding *b)
{
    const Op *op = &m->f->op[id];
    if (op->dead || !has_kind(&m->c->line[line], op->kind) || taken(b, line, id)) {
        return false;
    }
    bool commutes = (op->kind == OP_ADD || op->kind == OP_MUL) && op->in[0] != op->in[1];
    for (int swapped = 0; swapped <= commutes; swapped++) {
        RuleBinding next = *b;
        if (bind_line(m, &next, line, id, swapped != 0) && match_from(m, line + 1, &next)) {
            return true;
        }
    }
    return false;
}

/* The operator that defines a result known by now; 0 when none is known, -1 when a parameter is
 * where an operator is wanted. */
static int64_t defining_op(const Matcher *m, const RuleLine *l, const RuleBinding *b)
{
    for (int i = 0; i < l->n_results; i++) {
        ValueId v = l->result[i] >= 0 ? b->var[l->result[i]] : 0;
        if (v == VALUE_ABSENT) {
            return -1;
        }
        if (v != 0) {
            return m->f->value[v].kind == VALUE_RESULT ? (int64_t)m->f->value[v].def : -1;
        }
    }
    return 0;
}

static ValueId known_operand(const RuleLine *l, const RuleBinding *b)
{
    for (size_t i = 0; i < l->args.n; i++) {
        int var = l->args.data[i].var;
        if (var >= 0 && b->var[var] != 0 && b->var[var] != VALUE_ABSENT) {
            return b->var[var];
        }
    }
    return 0;
}

static bool reads(const Op *op, ValueId v)
{
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] == v) {
            return true;
        }
    }
    return false;
}

static bool match_from(const Matcher *m, int line, const RuleBinding *b)
{
    if (line == m->c->n_lines) {
        return m->found(m->user, b);
    }
    const RuleLine *l = &m->c->line[line];
    int64_t def = defining_op(m, l, b);
    if (def != 0) {
        return def > 0 && try_op(m, line, (OpId)def, b);
    }
    ValueId v = known_operand(l, b);
    FOR_EACH_OP(m->f, id)
    {
        if (v != 0 && reads(&m->f->op[id], v) && try_op(m, line, id, b)) {
            return true;
        }
    }
    return false;
}

bool rule_match(const Func *f, const RuleCase *c, OpId anchor, RuleFoundFn *found, void *user)
{
    Matcher m = {.f = f, .c = c, .found = found, .user = user};
    RuleBinding none = {0};
    return try_op(&m, 0, anchor, &none);
}
