/* ir_print.c - IR as text. What is printed parses back to the same module, so printing that again
 * gives the same bytes: absent attributes and slots are left out, floats are the shortest decimals.
 */
#include <string.h>

#include "ir/ir_text.h"

enum { MAX_COLUMN = 100 };

void ir_print_value(Buf *b, const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    if (v == 0) {
        buf_puts(b, "none");
        return;
    }
    buf_printf(b, "%c%s", value->kind == VALUE_WEIGHT ? '@' : '%', value->name);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void print_acc(Buf *b, const Expr *e)
{
    buf_puts(b, "acc");
    if (e->way >= 0) {
        buf_printf(b, ".%d", e->way);
    }
}

static void print_call(Buf *b, const Expr *e, ExprLeafFn *leaf, void *user)
{
    if (e->kind == EXPR_META) {
        buf_printf(b, "$%s", e->meta);
    } else {
        buf_puts(b, expr_name(e->kind));
    }
    if (e->a == NULL) {
        return;
    }
    buf_putc(b, '(');
    expr_print(b, e->a, leaf, user);
    if (e->b != NULL) {
        buf_puts(b, ", ");
        expr_print(b, e->b, leaf, user);
    }
    buf_putc(b, ')');
}

void expr_print(Buf *b, const Expr *e, ExprLeafFn *leaf, void *user)
{
    if (e->kind == EXPR_ACC) {
        print_acc(b, e);
    } else if (e->kind == EXPR_INPUT) {
        leaf(b, user, e->input);
    } else if (e->kind == EXPR_NUMBER) {
        buf_put_double(b, e->number);
    } else {
        print_call(b, e, leaf, user);
    }
}

typedef struct OpRef {
    const Func *f;
    const Op *op;
} OpRef;

static void print_leaf(Buf *b, void *user, int input)
{
    const OpRef *ref = user;
    ir_print_value(b, ref->f, ref->op->in[input]);
}

void ir_print_expr(Buf *b, const Func *f, const Op *op, const Expr *e)
{
    OpRef ref = {f, op};
    expr_print(b, e, print_leaf, &ref);
}

/* ---- operators ------------------------------------------------------------------------------- */

static void print_operands(Buf *b, const Func *f, const Op *op)
{
    const char *before = " ";
    for (int i = 0; i < op_slots(op->kind); i++) {
        bool optional = op_slot_optional(op->kind, i);
        if (op->in[i] == 0 && optional) {
            continue;
        }
        buf_puts(b, before);
        if (optional) {
            buf_printf(b, "%s = ", op_slot_name(op->kind, i));
        }
        ir_print_value(b, f, op->in[i]);
        before = ", ";
    }
}

static void print_attrs(Buf *b, const Func *f, const Op *op)
{
    const char *before = " {";
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (!attr_is_zero(&op->a, (AttrId)id)) {
            buf_printf(b, "%s%s = ", before, attr_name((AttrId)id));
            attr_print(b, &op->a, (AttrId)id);
            before = ", ";
        }
    }
    if (op->expr != NULL) {
        buf_printf(b, "%s%s = ", before, op_expr_attr(op->kind));
        ir_print_expr(b, f, op, op->expr);
        before = ", ";
    }
    if (before[0] == ',') {
        buf_putc(b, '}');
    }
}

void ir_print_op(Buf *b, const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_out; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        ir_print_value(b, f, op->out[i]);
    }
    buf_printf(b, " = %s", op_name(op->kind));
    print_operands(b, f, op);
    print_attrs(b, f, op);
    for (int i = 0; i < op->n_out; i++) {
        buf_puts(b, i > 0 ? ", " : " : ");
        type_print(b, f->value[op->out[i]].type);
    }
}

/* ---- functions ------------------------------------------------------------------------------- */

/* A list in parentheses, broken after a comma where the line would become too long. */
typedef struct List {
    Buf *b;
    size_t line; /* offset of the line's first byte */
    bool empty;
} List;

static size_t line_start(const Buf *b)
{
    size_t at = b->len;
    while (at > 0 && b->data[at - 1] != '\n') {
        at--;
    }
    return at;
}

static List list_open(Buf *b, const char *before)
{
    buf_puts(b, before);
    buf_putc(b, '(');
    return (List){.b = b, .line = line_start(b), .empty = true};
}

static void list_add(List *l, const char *text, size_t n)
{
    if (!l->empty) {
        buf_putc(l->b, ',');
        if (l->b->len - l->line + n + 2 > MAX_COLUMN) {
            buf_putc(l->b, '\n');
            l->line = l->b->len;
            buf_puts(l->b, "       ");
        }
        buf_putc(l->b, ' ');
    }
    buf_add(l->b, text, n);
    l->empty = false;
}

static void print_declarations(Buf *b, const char *before, const Func *f, const ValueId *id,
                               size_t n)
{
    List l = list_open(b, before);
    for (size_t i = 0; i < n; i++) {
        Buf one = buf_create(f->module->ctx->arena);
        ir_print_value(&one, f, id[i]);
        buf_puts(&one, ": ");
        type_print(&one, f->value[id[i]].type);
        list_add(&l, one.data, one.len);
    }
    buf_putc(b, ')');
}

static void print_results(Buf *b, const Func *f)
{
    List l = list_open(b, "\n    -> ");
    for (size_t i = 0; i < f->results.n; i++) {
        Buf one = buf_create(f->module->ctx->arena);
        buf_printf(&one, "%%%s: ", f->result_names.data[i]);
        type_print(&one, f->value[f->results.data[i]].type);
        list_add(&l, one.data, one.len);
    }
    buf_puts(b, ") {\n");
}

static void print_signature(Buf *b, const Func *f)
{
    buf_printf(b, "func @%s", f->name);
    print_declarations(b, "", f, f->params.data, f->params.n);
    if (f->states.n > 0) {
        print_declarations(b, "\n    state", f, f->states.data, f->states.n);
    }
    if (f->weights.n > 0) {
        print_declarations(b, "\n    weights", f, f->weights.data, f->weights.n);
    }
    print_results(b, f);
}

void ir_print_func(Buf *b, const Func *f)
{
    print_signature(b, f);
    FOR_EACH_OP(f, id)
    {
        buf_puts(b, "  ");
        ir_print_op(b, f, &f->op[id]);
        buf_putc(b, '\n');
    }
    buf_puts(b, "  return");
    for (size_t i = 0; i < f->results.n; i++) {
        buf_puts(b, i > 0 ? ", " : " ");
        ir_print_value(b, f, f->results.data[i]);
    }
    buf_puts(b, "\n}\n");
}

/* ---- modules --------------------------------------------------------------------------------- */

static void print_step(Buf *b, const Module *m, const Step *s)
{
    if (s->layered) {
        buf_printf(b, "%d x ", s->repeat);
    }
    buf_puts(b, s->n_funcs > 1 ? "(" : "");
    for (int i = 0; i < s->n_funcs; i++) {
        buf_printf(b, "%s%s", i > 0 ? "; " : "", m->funcs.data[s->func[i]]->name);
    }
    buf_puts(b, s->n_funcs > 1 ? ")" : "");
}

static void print_schedule(Buf *b, const Module *m)
{
    if (m->steps.n == 0) {
        return;
    }
    buf_puts(b, "schedule ");
    for (size_t i = 0; i < m->steps.n; i++) {
        buf_puts(b, i > 0 ? "; " : "");
        print_step(b, m, &m->steps.data[i]);
    }
    buf_putc(b, '\n');
}

void ir_print_module(Buf *b, const Module *m)
{
    buf_printf(b, "module @%s {phase = %s, tokens = %d, context = %lld}\n", m->name,
               m->phase == PHASE_DECODE ? "decode" : "prefill", m->tokens, (long long)m->context);
    print_schedule(b, m);
    for (size_t i = 0; i < m->funcs.n; i++) {
        buf_putc(b, '\n');
        ir_print_func(b, m->funcs.data[i]);
    }
}
