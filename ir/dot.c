/* dot.c - the graph picture. A node is an operator (name, result type, epilogue), its tooltip the
 * line of IR; an edge is a value. What runs at every step makes the spine, in black; weights and
 * the constant half (what pack evaluates) stand beside it, small and grey. Functions are stacked in
 * the order of the schedule, dashed edges are values of the environment. */
#include "ir/dot.h"

#include <string.h>

#define CONSTANT_STYLE ", color=\"#999999\", fontcolor=\"#555555\", fontsize=8, height=0.3"

static const char *node_colour(const Func *f, const Op *op)
{
    if (f->value[op->out[0]].constant) {
        return "#f6f6f6";
    }
    if (op->kind == OP_MATMUL || op->kind == OP_MATMUL_QKV) {
        return "#cfe3ff";
    }
    if (op->kind == OP_ATTENTION || op->kind == OP_ATTN_SCORES || op->kind == OP_ATTN_MIX) {
        return "#d8f3dc";
    }
    return op_flags(op->kind) & OPF_VIEW ? "#ffffff" : "#fff3cd";
}

/* Text inside a quoted dot string. */
static void put_label(Buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            buf_putc(b, '\\');
        }
        buf_putc(b, *s);
    }
}

static void print_value_node(Buf *b, const Func *f, ValueId v, int cluster)
{
    const Value *value = &f->value[v];
    Buf type = buf_create(b->arena);
    type_print(&type, value->type);
    bool weight = value->kind == VALUE_WEIGHT;
    buf_printf(b, "    f%dv%u [shape=%s, style=filled, fillcolor=\"%s\"%s, label=\"", cluster, v,
               weight ? "note" : "ellipse", weight ? "#eeeeee" : "#ffffff",
               weight ? CONSTANT_STYLE : "");
    put_label(b, value->name);
    buf_puts(b, "\\n");
    put_label(b, type.data);
    buf_puts(b, "\"];\n");
}

static void print_op_node(Buf *b, const Func *f, OpId id, int cluster)
{
    const Op *op = &f->op[id];
    bool constant = f->value[op->out[0]].constant;
    buf_printf(b, "    f%do%u [shape=box, style=\"filled%s\", fillcolor=\"%s\"%s, tooltip=\"",
               cluster, id, constant ? ",dashed" : ",rounded", node_colour(f, op),
               constant ? CONSTANT_STYLE : "");
    Buf line = buf_create(b->arena);
    ir_print_op(&line, f, op);
    put_label(b, line.data);
    buf_puts(b, "\", label=\"");
    put_label(b, op_name(op->kind));
    if (op->expr) {
        Buf e = buf_create(b->arena);
        ir_print_expr(&e, f, op, op->expr);
        buf_puts(b, "\\n");
        put_label(b, e.data);
    }
    for (int i = 0; i < op->n_out; i++) {
        Buf type = buf_create(b->arena);
        type_print(&type, f->value[op->out[i]].type);
        buf_puts(b, "\\n%");
        put_label(b, f->value[op->out[i]].name);
        buf_puts(b, ": ");
        put_label(b, type.data);
    }
    buf_puts(b, "\"];\n");
}

static void print_source(Buf *b, const Func *f, ValueId v, int cluster)
{
    const Value *value = &f->value[v];
    if (value->kind == VALUE_RESULT) {
        buf_printf(b, "f%do%u", cluster, value->def);
    } else {
        buf_printf(b, "f%dv%u", cluster, v);
    }
}

static void print_edges(Buf *b, const Func *f, OpId id, int cluster)
{
    const Op *op = &f->op[id];
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i]) {
            buf_puts(b, "    ");
            print_source(b, f, op->in[i], cluster);
            buf_printf(b, " -> f%do%u%s;\n", cluster, id,
                       f->value[op->in[i]].constant ? " [color=\"#bbbbbb\", arrowsize=0.6]"
                                                    : " [weight=20]");
        }
    }
}

static bool used_input(const Func *f, ValueId v)
{
    return ir_use_count(f, v) > 0;
}

static int repeats_of(const Module *m, int func)
{
    int n = 0;
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *s = &m->steps.data[i];
        for (int k = 0; k < s->n_funcs; k++) {
            n += s->func[k] == func ? s->repeat : 0;
        }
    }
    return n;
}

static void print_func(Buf *b, const Func *f, int cluster)
{
    int repeats = repeats_of(f->module, cluster);
    buf_printf(b, "  subgraph cluster_%d {\n    label=\"@%s", cluster, f->name);
    if (repeats > 1) {
        buf_printf(b, ", %d times", repeats);
    }
    buf_puts(b, "\"; labeljust=l; color=\"#aaaaaa\";\n");
    for (ValueId v = 1; v < f->n_values; v++) {
        ValueKind kind = f->value[v].kind;
        if (kind != VALUE_RESULT && kind != VALUE_NONE && used_input(f, v)) {
            print_value_node(b, f, v, cluster);
        }
    }
    for (size_t i = 0; i < f->order.n; i++) {
        print_op_node(b, f, f->order.data[i], cluster);
    }
    for (size_t i = 0; i < f->order.n; i++) {
        print_edges(b, f, f->order.data[i], cluster);
    }
    for (size_t i = 0; i < f->results.n; i++) {
        buf_printf(b, "    f%dr%zu [shape=ellipse, label=\"", cluster, i);
        put_label(b, f->result_names.data[i]);
        buf_puts(b, "\"];\n    ");
        print_source(b, f, f->results.data[i], cluster);
        buf_printf(b, " -> f%dr%zu [weight=20];\n", cluster, i);
    }
    buf_puts(b, "  }\n");
}

/* From where a function puts `name` into the environment to the first later one that takes it. */
static void print_env_edge(Buf *b, const Module *m, int from, size_t result)
{
    Str name = m->funcs.data[from]->result_names.data[result];
    for (int i = from + 1; i < (int)m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        for (size_t k = 0; k < f->params.n; k++) {
            ValueId v = f->params.data[k];
            if (f->value[v].name == name && used_input(f, v)) {
                buf_printf(b, "  f%dr%zu -> f%dv%u [style=dashed, color=\"#666666\"];\n", from,
                           result, i, v);
                return;
            }
        }
    }
}

void ir_print_dot(Buf *b, const Module *m)
{
    buf_printf(b, "digraph \"%s\" {\n", m->name);
    buf_puts(b, "  rankdir=TB; nodesep=0.2; ranksep=0.3; fontname=\"Helvetica\"; fontsize=13;\n"
                "  node [fontname=\"Helvetica\", fontsize=10]; edge [arrowsize=0.7];\n");
    for (size_t i = 0; i < m->funcs.n; i++) {
        print_func(b, m->funcs.data[i], (int)i);
    }
    for (size_t i = 0; i < m->funcs.n; i++) {
        for (size_t k = 0; k < m->funcs.data[i]->results.n; k++) {
            print_env_edge(b, m, (int)i, k);
        }
    }
    buf_puts(b, "}\n");
}
