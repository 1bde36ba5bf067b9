/* rule_rewrite.c - builds the right side of a rule at a matched site.
 *
 * New operators are appended, uses of the replaced values are turned to the new ones (which take
 * their names), matched operators that nobody reads any more die, and the order is sorted anew. A
 * cycle (a matched operator outside of the new ones needs one result and feeds another) undoes
 * everything. */
#include "ir/rule_ast.h"

typedef struct Rewriter {
    RuleSite *s;
    Arena *arena;
    ValueId made[RULE_MAX_VARS]; /* defined by the right side so far; VALUE_ABSENT: by nothing */
    bool failed;
} Rewriter;

static Ctx *ctx_of(const Rewriter *w)
{
    return w->s->f->module->ctx;
}

static bool fail(Rewriter *w, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool fail(Rewriter *w, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_error(ctx_of(w)->diag, at, "%s", arena_vprintf(ctx_of(w)->arena, fmt, ap));
    va_end(ap);
    w->failed = true;
    return false;
}

/* A name on the right: the new value if the right side has defined it, the matched one otherwise.
 */
static ValueId value_of(const Rewriter *w, int var)
{
    return w->made[var] != 0 ? w->made[var] : w->s->b.var[var];
}

static const Op *matched_op(const Rewriter *w, int var)
{
    return &w->s->f->op[w->s->b.line[w->s->c->var[var].match_line]];
}

/* ---- expressions ----------------------------------------------------------------------------- */

static const Expr *build_expr(Rewriter *w, Op *op, const RuleTerm *t);

static const Expr *leaf(Rewriter *w, Op *op, ValueId v, Span at)
{
    if (v == VALUE_ABSENT) {
        fail(w, at, "the optional operand is absent here: let where ask for present(..) == 1");
        return NULL;
    }
    int i = ir_expr_operand(op, v);
    if (i < 0) {
        fail(w, at, "the operator would have more than %d operands", IR_MAX_IN);
        return NULL;
    }
    return expr_input(w->arena, i);
}

static const Expr *with_args(Rewriter *w, ExprKind kind, const Expr *a, const Expr *b)
{
    bool complete = a != NULL && (b != NULL || expr_arity(kind) < 2);
    return complete ? expr_node(w->arena, kind, a, b) : NULL;
}

/* `acc` inside what is put for acc.1 means acc.1; one that says its way keeps it. */
static const Expr *set_way(Rewriter *w, const Expr *e, int way)
{
    if (e == NULL || way < 0) {
        return e;
    }
    if (e->kind == EXPR_ACC) {
        return e->way < 0 ? expr_acc(w->arena, way) : e;
    }
    if (expr_arity(e->kind) == 0) {
        return e;
    }
    return with_args(w, e->kind, set_way(w, e->a, way), set_way(w, e->b, way));
}

/* The bound expression `e` of operator `owner` as one of `op`: leaves become operands of op, acc
 * becomes `acc` (NULL: stays). */
static const Expr *carry_over(Rewriter *w, Op *op, const Op *owner, const Expr *e, const Expr *acc,
                              Span at)
{
    if (e == NULL) {
        return acc != NULL ? acc : expr_acc(w->arena, -1);
    }
    if (e->kind == EXPR_ACC) {
        return acc != NULL ? set_way(w, acc, e->way) : e;
    }
    if (e->kind == EXPR_INPUT) {
        return leaf(w, op, owner->in[e->input], at);
    }
    if (expr_arity(e->kind) == 0) {
        return e;
    }
    const Expr *a = carry_over(w, op, owner, e->a, acc, at);
    const Expr *b = e->b != NULL ? carry_over(w, op, owner, e->b, acc, at) : NULL;
    return with_args(w, e->kind, a, b);
}

static const Expr *bound_expr(Rewriter *w, Op *op, const RuleTerm *t, const Expr *acc)
{
    const Quantity *q = &w->s->b.meta[t->index];
    return carry_over(w, op, &w->s->f->op[q->owner], q->expr, acc, t->at);
}

static const Expr *build_meta_call(Rewriter *w, Op *op, const RuleTerm *t)
{
    const Expr *a = build_expr(w, op, t->args.data[0]);
    const Quantity *q = &w->s->b.meta[t->index];
    if (a == NULL) {
        return NULL;
    }
    return q->kind == Q_OP ? expr_node(w->arena, expr_of_op(q->op), a, NULL)
                           : bound_expr(w, op, t, a);
}

static const Expr *build_call(Rewriter *w, Op *op, const RuleTerm *t)
{
    const Expr *a = build_expr(w, op, t->args.data[0]);
    const Expr *b = t->args.n > 1 ? build_expr(w, op, t->args.data[1]) : NULL;
    return with_args(w, expr_parse(t->word), a, b);
}

static int acc_way(Str word)
{
    const char *dot = strchr(word, '.');
    return dot == NULL ? -1 : dot[1] - '0';
}

static const Expr *build_expr(Rewriter *w, Op *op, const RuleTerm *t)
{
    switch (t->kind) {
    case TERM_NUMBER:
        return expr_number(w->arena, t->number.d);
    case TERM_WORD:
        return expr_acc(w->arena, acc_way(t->word));
    case TERM_VAR:
        return leaf(w, op, value_of(w, t->index), t->at);
    case TERM_META:
        return bound_expr(w, op, t, NULL);
    case TERM_META_CALL:
        return build_meta_call(w, op, t);
    case TERM_CALL:
        return build_call(w, op, t);
    case TERM_ANY:
    case TERM_BINARY:
    case TERM_LIST:
        break;
    }
    BUG("term kind %d in an expression", (int)t->kind);
}

/* acc alone is written as no expression. */
static const Expr *plain_if_acc(const Expr *e)
{
    return e != NULL && e->kind == EXPR_ACC && e->way < 0 ? NULL : e;
}

/* The last item that gives the operator an expression: `epilogue = ..` or a copy. */
static void set_expr(Rewriter *w, Op *op, const RuleLine *l)
{
    if ((op_flags(op->kind) & OPF_EXPR) == 0) {
        return;
    }
    for (size_t i = l->src->items.n; i-- > 0;) {
        const RuleItem *item = l->src->items.data[i];
        if (item->kind == ITEM_EXPR) {
            op->expr = plain_if_acc(build_expr(w, op, item->value));
            return;
        }
        if (item->kind == ITEM_COPY) {
            const Op *from = matched_op(w, item->var);
            op->expr = plain_if_acc(carry_over(w, op, from, from->expr, NULL, item->at));
            return;
        }
    }
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void copy_attrs(Op *op, const Op *from)
{
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (op_takes_attr(op->kind, (AttrId)id) && !attr_is_zero(&from->a, (AttrId)id)) {
            attr_copy(&op->a, &from->a, (AttrId)id);
        }
    }
}

static void copy_slots(Op *op, const Op *from)
{
    for (int slot = 0; slot < op_slots(from->kind) && slot < from->n_in; slot++) {
        if (!op_slot_optional(from->kind, slot) || from->in[slot] == 0) {
            continue;
        }
        int to = op_slot(op->kind, op_slot_name(from->kind, slot));
        if (to >= 0) {
            op->in[to] = from->in[slot];
        }
    }
}

/* A quantity as the text of an attribute would say it. */
static bool set_quantity(Rewriter *w, Op *op, AttrId id, const Quantity *q, Span at)
{
    Number list[IR_MAX_OUT];
    AttrText text = {.at = at, .n = 1, .number = &q->number};
    switch (q->kind) {
    case Q_NUMBER:
        break;
    case Q_WORD:
    case Q_DTYPE:
        text.word = q->kind == Q_WORD ? q->word : dtype_name(q->dtype);
        if (text.word == NULL || (q->kind == Q_DTYPE && q->dtype == DT_NONE)) {
            return true; /* absent stays absent */
        }
        break;
    case Q_INTS:
        text.list = true;
        text.n = (size_t)q->ints.n;
        text.number = list;
        for (int i = 0; i < q->ints.n; i++) {
            list[i] = (Number){.d = (double)q->ints.v[i], .i = q->ints.v[i], .integer = true};
        }
        break;
    case Q_NONE:
    case Q_F64S:
    case Q_TYPE:
    case Q_EXPR:
    case Q_OP:
        return fail(w, at, "%s cannot be set from this", attr_name(id));
    }
    w->failed |= !attr_set(ctx_of(w), &op->a, id, &text);
    return !w->failed;
}

static void set_item(Rewriter *w, Op *op, const RuleItem *item)
{
    switch (item->kind) {
    case ITEM_COPY:
        copy_attrs(op, matched_op(w, item->var));
        copy_slots(op, matched_op(w, item->var));
        break;
    case ITEM_LITERAL:
        attr_copy(&op->a, &item->literal, item->attr);
        break;
    case ITEM_META:
    case ITEM_TERM: {
        Quantity q = rule_term_value(w->s, item->value);
        set_quantity(w, op, item->attr, &q, item->at);
        break;
    }
    case ITEM_EXPR:
    case ITEM_ANY:
        break;
    }
}

/* ---- operators ------------------------------------------------------------------------------- */

static int arg_slot(const RuleLineArg *a, OpKind kind)
{
    return a->slot == NULL ? a->pos : op_slot(kind, a->slot);
}

/* False: a required operand is absent, and with it the whole (nested) operator. */
static bool set_args(Rewriter *w, Op *op, const RuleLine *l)
{
    for (size_t i = 0; i < l->args.n; i++) {
        const RuleLineArg *a = &l->args.data[i];
        int slot = arg_slot(a, op->kind);
        ValueId v = value_of(w, a->var);
        if (v == VALUE_ABSENT && !op_slot_optional(op->kind, slot)) {
            return false;
        }
        op->in[slot] = v == VALUE_ABSENT ? 0 : v;
    }
    return true;
}

/* "gate", "up" -> "gate_up"; "gate_code", "up_code" -> "gate_up_code": common last words stay last;
 * letters go together: "q", "k" -> "qk". */
static Str join_names(Rewriter *w, Str a, Str b)
{
    size_t la = strlen(a), lb = strlen(b), common = 0;
    for (size_t i = 1; i < la && i < lb && a[la - i] == b[lb - i]; i++) {
        if (a[la - i] == '_') {
            common = i;
        }
    }
    const char *between = lb - common == 1 ? "" : "_";
    return str_internf(ctx_of(w)->strings, "%.*s%s%s", (int)(la - common), a, between, b);
}

/* Constants are tensors of the weights file: a new one is named after what it is made of. */
static Str constant_name(Rewriter *w, const Op *op)
{
    const Func *f = w->s->f;
    Str name = NULL;
    bool joins = op->kind == OP_CONCAT_ROWS || op->kind == OP_INTERLEAVE_ROWS;
    for (int i = 0; i < op_slots(op->kind); i++) {
        if (op->in[i] == 0 || !f->value[op->in[i]].constant) {
            continue;
        }
        Str operand = f->value[op->in[i]].name;
        if (name == NULL) {
            name = operand;
        } else if (joins) {
            name = join_names(w, name, operand);
        }
    }
    bool folds = op->kind == OP_SCALE_COLS && name != NULL;
    return folds ? str_internf(ctx_of(w)->strings, "%s_folded", name) : name;
}

static Str result_name(Rewriter *w, const Op *op, const RuleLine *l, int i)
{
    Str named = l->result[i] >= 0 ? w->s->c->var[l->result[i]].name : NULL;
    return named != NULL ? named : constant_name(w, op);
}

static OpId add_op(Rewriter *w, const RuleLine *l, const Op *op)
{
    Str name[IR_MAX_OUT] = {NULL};
    for (int i = 0; i < l->n_results; i++) {
        name[i] = result_name(w, op, l, i);
    }
    OpId id = ir_op(w->s->f, op, name);
    if (id == 0) {
        diag_note(ctx_of(w)->diag, l->src->at, "made here by rule %s", w->s->rule->name);
        w->failed = true;
    }
    return id;
}

static void define(Rewriter *w, const RuleLine *l, OpId id)
{
    for (int i = 0; i < l->n_results; i++) {
        if (l->result[i] >= 0) {
            w->made[l->result[i]] = id == 0 ? VALUE_ABSENT : w->s->f->op[id].out[i];
        }
    }
}

static bool is_output(const Rewriter *w, int var)
{
    return var >= 0 && w->s->c->var[var].match_line >= 0 && w->s->c->var[var].rewrite_line >= 0;
}

/* A line whose operand is absent is left out, if only optional slots read it. */
static bool leave_out(Rewriter *w, const RuleLine *l)
{
    for (int i = 0; i < l->n_results; i++) {
        if (is_output(w, l->result[i])) {
            return fail(w, l->src->at,
                        "an operand of this line is absent: let where ask for present(..) == 1");
        }
    }
    define(w, l, 0);
    return true;
}

static OpKind line_kind(const Rewriter *w, const RuleLine *l)
{
    return l->op_meta >= 0 ? w->s->b.meta[l->op_meta].op : l->kind[0];
}

static bool build_line(Rewriter *w, const RuleLine *l)
{
    const Func *f = w->s->f;
    Op op = {.kind = line_kind(w, l), .at = f->op[w->s->b.line[0]].at, .origin = w->s->rule->name};
    op.n_in = (uint8_t)op_slots(op.kind);
    for (size_t i = 0; i < l->src->items.n && !w->failed; i++) {
        set_item(w, &op, l->src->items.data[i]);
    }
    if (!set_args(w, &op, l)) {
        return leave_out(w, l);
    }
    set_expr(w, &op, l);
    if (w->failed) {
        return false;
    }
    OpId id = add_op(w, l, &op);
    if (id != 0) {
        define(w, l, id);
    }
    return id != 0;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static bool check_type(Rewriter *w, int var)
{
    const Func *f = w->s->f;
    const Type *from = f->value[w->s->b.var[var]].type, *to = f->value[w->made[var]].type;
    if (from == to) {
        return true;
    }
    Buf b = buf_create(ctx_of(w)->arena);
    buf_printf(&b, "rule %s rewrites %%%s from type ", w->s->rule->name,
               f->value[w->s->b.var[var]].name);
    type_print(&b, from);
    buf_puts(&b, " to ");
    type_print(&b, to);
    buf_printf(&b, " in @%s", f->name);
    const RuleLine *l = &w->s->c->rewritten[w->s->c->var[var].rewrite_line];
    return fail(w, l->src->at, "%s", b.data);
}

/* The new value goes by the old one's name. */
static void replace(Rewriter *w, int var)
{
    Func *f = w->s->f;
    ValueId from = w->s->b.var[var], to = w->made[var];
    ir_replace_uses(f, from, to);
    Str name = f->value[from].name;
    f->value[from].name = f->value[to].name;
    f->value[to].name = name;
}

static bool replace_outputs(Rewriter *w)
{
    const RuleCase *c = w->s->c;
    for (int i = 0; i < c->n_vars; i++) {
        if (is_output(w, i) && !check_type(w, i)) {
            return false;
        }
    }
    for (int i = 0; i < c->n_vars; i++) {
        if (is_output(w, i)) {
            replace(w, i);
        }
    }
    return true;
}

/* A state operator may die although it writes a cache: its results are rewritten (rule_check.c). */
static bool is_unused(const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_out; i++) {
        if (ir_use_count(f, op->out[i]) > 0) {
            return false;
        }
    }
    return true;
}

static void kill_unused(Rewriter *w)
{
    Func *f = w->s->f;
    bool again = true;
    while (again) {
        again = false;
        for (int i = 0; i < w->s->c->n_lines; i++) {
            OpId id = w->s->b.line[i];
            if (!f->op[id].dead && is_unused(f, &f->op[id])) {
                ir_kill(f, id);
                again = true;
            }
        }
    }
}

/* ---- undo ------------------------------------------------------------------------------------ */

/* What a rewrite changes in place; arrays may have moved since, their contents come back. */
typedef struct Saved {
    Op *op;
    Value *value;
    OpId *order;
    ValueId *results;
    uint32_t n_ops, n_values;
    size_t n_order;
} Saved;

static void *save_array(Arena *a, const void *data, size_t n, size_t size)
{
    void *copy = arena_alloc_array(a, n, size);
    if (n > 0) {
        memcpy(copy, data, n * size);
    }
    return copy;
}

static Saved save(Arena *a, const Func *f)
{
    return (Saved){.op = save_array(a, f->op, f->n_ops, sizeof *f->op),
                   .value = save_array(a, f->value, f->n_values, sizeof *f->value),
                   .order = save_array(a, f->order.data, f->order.n, sizeof(OpId)),
                   .results = save_array(a, f->results.data, f->results.n, sizeof(ValueId)),
                   .n_ops = f->n_ops,
                   .n_values = f->n_values,
                   .n_order = f->order.n};
}

static RewriteStatus undo(Func *f, const Saved *s, RewriteStatus status)
{
    memcpy(f->op, s->op, s->n_ops * sizeof *s->op);
    memcpy(f->value, s->value, s->n_values * sizeof *s->value);
    if (s->n_order > 0) {
        memcpy(f->order.data, s->order, s->n_order * sizeof *s->order);
    }
    if (f->results.n > 0) {
        memcpy(f->results.data, s->results, f->results.n * sizeof *s->results);
    }
    f->n_ops = s->n_ops;
    f->n_values = s->n_values;
    f->order.n = s->n_order;
    return status;
}

/* What types may still be wrong (a cache appended to twice): that is the rule's mistake, not ours.
 */
static bool verifies(const Rewriter *w)
{
    const RuleSite *s = w->s;
    if (ir_verify_func(s->f, NULL)) {
        return true;
    }
    diag_note(ctx_of(w)->diag, s->rule->at, "in @%s after rule %s", s->f->name, s->rule->name);
    return false;
}

RewriteStatus rule_rewrite(RuleSite *s, Arena *scratch)
{
    Saved before = save(scratch, s->f);
    Rewriter w = {.s = s, .arena = s->f->module->ctx->arena};
    for (int i = 0; i < s->c->n_rewritten && !w.failed; i++) {
        build_line(&w, &s->c->rewritten[i]);
    }
    if (w.failed || !replace_outputs(&w)) {
        return undo(s->f, &before, REWRITE_ERROR);
    }
    kill_unused(&w);
    if (!ir_sort(s->f)) {
        return undo(s->f, &before, REWRITE_CYCLE);
    }
    ir_mark_constants(s->f);
    return verifies(&w) ? REWRITE_DONE : undo(s->f, &before, REWRITE_ERROR);
}
