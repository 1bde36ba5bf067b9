/* ir.c - building and editing functions: values, operators, use lists, sorting, cloning,
 * expressions.
 *
 * Uses are found by walking the live operators: functions are small (a layer has some thirty), and
 * a walk has no side table that could go stale. */
#include <string.h>

#include "ir/ir.h"

static Arena *arena_of(const Func *f)
{
    return f->module->ctx->arena;
}

/* Room for one more object behind n. */
static void *reserve(Arena *a, void *data, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) {
        return data;
    }
    size_t grown = *cap;
    data = vec_grow(a, data, n, &grown, size);
    *cap = (uint32_t)grown;
    return data;
}

/* ---- modules and functions ------------------------------------------------------------------- */

Module *ir_module(Ctx *ctx, Str name, Phase phase, int tokens, int64_t context)
{
    Module *m = ARENA_NEW(ctx->arena, Module);
    m->ctx = ctx;
    m->types = type_table_create(ctx);
    m->name = name;
    m->phase = phase;
    m->tokens = tokens;
    m->context = context;
    return m;
}

Func *ir_func(Module *m, Str name)
{
    Func *f = ARENA_NEW(m->ctx->arena, Func);
    f->name = name;
    f->module = m;
    f->value = reserve(m->ctx->arena, NULL, 0, &f->cap_values, sizeof *f->value);
    f->op = reserve(m->ctx->arena, NULL, 0, &f->cap_ops, sizeof *f->op);
    f->n_values = 1; /* id 0 means none */
    f->n_ops = 1;
    vec_push(m->ctx->arena, &m->funcs, f);
    return f;
}

Func *ir_find_func(const Module *m, Str name)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        if (m->funcs.data[i]->name == name) {
            return m->funcs.data[i];
        }
    }
    return NULL;
}

static void *copy_array(Arena *a, const void *data, size_t n, size_t size)
{
    void *copy = arena_alloc_array(a, n, size);
    if (n > 0) {
        memcpy(copy, data, n * size);
    }
    return copy;
}

#define COPY_VEC(a, v)                                                                             \
    do {                                                                                           \
        (v)->data = copy_array((a), (v)->data, (v)->n, sizeof *(v)->data);                         \
        (v)->cap = (v)->n;                                                                         \
    } while (0)

/* Arrays are copied; types, strings and expressions are immutable and shared. */
static Func *copy_func(Module *m, const Func *f)
{
    Arena *a = m->ctx->arena;
    Func *g = ARENA_NEW(a, Func);
    *g = *f;
    g->module = m;
    g->value = copy_array(a, f->value, f->cap_values, sizeof *f->value);
    g->op = copy_array(a, f->op, f->cap_ops, sizeof *f->op);
    COPY_VEC(a, &g->order);
    COPY_VEC(a, &g->params);
    COPY_VEC(a, &g->states);
    COPY_VEC(a, &g->weights);
    COPY_VEC(a, &g->results);
    COPY_VEC(a, &g->result_names);
    return g;
}

Func *ir_clone_func(Module *m, const Func *f)
{
    Func *g = copy_func(m, f);
    vec_push(m->ctx->arena, &m->funcs, g);
    return g;
}

Module *ir_clone(const Module *m)
{
    Arena *a = m->ctx->arena;
    Module *c = ARENA_NEW(a, Module);
    *c = *m;
    COPY_VEC(a, &c->funcs);
    COPY_VEC(a, &c->steps);
    for (size_t i = 0; i < c->funcs.n; i++) {
        c->funcs.data[i] = copy_func(c, m->funcs.data[i]);
    }
    return c;
}

/* ---- values ---------------------------------------------------------------------------------- */

bool ir_value_live(const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    return value->kind != VALUE_RESULT || !f->op[value->def].dead;
}

ValueId ir_find_value(const Func *f, Str name)
{
    for (ValueId v = 1; v < f->n_values; v++) {
        if (f->value[v].name == name && ir_value_live(f, v)) {
            return v;
        }
    }
    return 0;
}

/* "h", "h_2", "h_3" ... */
static Str unique_name(const Func *f, Str name)
{
    Str unique = name;
    for (int i = 2; ir_find_value(f, unique) != 0; i++) {
        unique = str_internf(f->module->ctx->strings, "%s_%d", name, i);
    }
    return unique;
}

static ValueId push_value(Func *f, Value value)
{
    f->value = reserve(arena_of(f), f->value, f->n_values, &f->cap_values, sizeof *f->value);
    value.name = unique_name(f, value.name);
    f->value[f->n_values] = value;
    return f->n_values++;
}

ValueId ir_value(Func *f, ValueKind kind, Str name, const Type *type, Span at)
{
    bool weight = kind == VALUE_WEIGHT;
    ValueId v = push_value(
        f, (Value){.name = name, .type = type, .kind = kind, .constant = weight, .at = at});
    switch (kind) {
    case VALUE_PARAM:
        vec_push(arena_of(f), &f->params, v);
        break;
    case VALUE_STATE:
        vec_push(arena_of(f), &f->states, v);
        break;
    case VALUE_WEIGHT:
        vec_push(arena_of(f), &f->weights, v);
        break;
    case VALUE_NONE:
    case VALUE_RESULT:
        BUG("value %s is declared as a result", name);
    }
    return v;
}

void ir_take_name(Func *f, ValueId to, ValueId from)
{
    if (ir_value_live(f, from)) {
        BUG("the name of %%%s is in use", f->value[from].name);
    }
    ValueId owner = ir_find_value(f, f->value[from].name);
    if (owner == 0) {
        f->value[to].name = f->value[from].name;
    }
}

/* ---- operators ------------------------------------------------------------------------------- */

/* Only operators that pack can run on constants only. */
static bool is_constant(const Func *f, const Op *op)
{
    bool constant = (op_flags(op->kind) & OPF_CONST) != 0;
    for (int i = 0; i < op->n_in && constant; i++) {
        constant = op->in[i] == 0 || f->value[op->in[i]].constant;
    }
    return constant;
}

static int count_results(const Op *op)
{
    return op_outs(op->kind) > 0 ? op_outs(op->kind) : op->a.sizes.n;
}

static void define_results(Func *f, OpId id, const Type *const *type, const Str *names)
{
    for (int i = 0; i < f->op[id].n_out; i++) {
        const Op *op = &f->op[id];
        Str name = names != NULL ? names[i] : NULL;
        if (name == NULL) {
            name = str_intern(f->module->ctx->strings, op_name(op->kind));
        }
        Value v = {.name = name,
                   .type = type[i],
                   .kind = VALUE_RESULT,
                   .constant = is_constant(f, op),
                   .def = id,
                   .result = (uint8_t)i,
                   .at = op->at};
        f->op[id].out[i] = push_value(f, v);
    }
}

OpId ir_op(Func *f, const Op *proto, const Str *names)
{
    Op op = *proto;
    if (op.n_in < op_slots(op.kind)) {
        op.n_in = (uint8_t)op_slots(op.kind);
    }
    const Type *type[IR_MAX_OUT];
    if (!type_infer(f, &op, type)) {
        return 0;
    }
    op.n_out = (uint8_t)count_results(&op);
    op.dead = false;
    f->op = reserve(arena_of(f), f->op, f->n_ops, &f->cap_ops, sizeof *f->op);
    OpId id = f->n_ops++;
    f->op[id] = op;
    define_results(f, id, type, names);
    vec_push(arena_of(f), &f->order, id);
    return id;
}

ValueId ir_op1(Func *f, const Op *proto, Str name)
{
    OpId id = ir_op(f, proto, &name);
    return id == 0 ? 0 : f->op[id].out[0];
}

void ir_return(Func *f, ValueId v, Str env_name)
{
    vec_push(arena_of(f), &f->results, v);
    vec_push(arena_of(f), &f->result_names, env_name);
}

int ir_use_count(const Func *f, ValueId v)
{
    int n = 0;
    FOR_EACH_OP(f, id)
    {
        for (int i = 0; i < f->op[id].n_in; i++) {
            n += f->op[id].in[i] == v;
        }
    }
    for (size_t i = 0; i < f->results.n; i++) {
        n += f->results.data[i] == v;
    }
    return n;
}

void ir_replace_uses(Func *f, ValueId from, ValueId to)
{
    FOR_EACH_OP(f, id)
    {
        for (int i = 0; i < f->op[id].n_in; i++) {
            if (f->op[id].in[i] == from) {
                f->op[id].in[i] = to;
            }
        }
    }
    for (size_t i = 0; i < f->results.n; i++) {
        if (f->results.data[i] == from) {
            f->results.data[i] = to;
        }
    }
}

void ir_kill(Func *f, OpId op)
{
    f->op[op].dead = true;
    size_t kept = 0;
    for (size_t i = 0; i < f->order.n; i++) {
        if (f->order.data[i] != op) {
            f->order.data[kept++] = f->order.data[i];
        }
    }
    f->order.n = kept;
}

void ir_mark_constants(Func *f)
{
    FOR_EACH_OP(f, id)
    {
        bool constant = is_constant(f, &f->op[id]);
        for (int i = 0; i < f->op[id].n_out; i++) {
            f->value[f->op[id].out[i]].constant = constant;
        }
    }
}

/* ---- sorting --------------------------------------------------------------------------------- */

typedef enum Mark { UNSEEN, OPEN, DONE } Mark;

typedef struct Sorter {
    const Func *f;
    Mark *mark; /* by operator */
    OpId *sorted;
    size_t n;
} Sorter;

/* An operator is written after everything it reads; false when it is reached from itself. */
static bool visit(Sorter *s, OpId id)
{
    if (s->mark[id] != UNSEEN) {
        return s->mark[id] == DONE;
    }
    s->mark[id] = OPEN;
    const Op *op = &s->f->op[id];
    for (int i = 0; i < op->n_in; i++) {
        const Value *v = &s->f->value[op->in[i]];
        if (v->kind == VALUE_RESULT && !s->f->op[v->def].dead && !visit(s, v->def)) {
            return false;
        }
    }
    s->mark[id] = DONE;
    s->sorted[s->n++] = id;
    return true;
}

bool ir_sort(Func *f)
{
    Arena *scratch = arena_create();
    Sorter s = {.f = f,
                .mark = ARENA_ARRAY(scratch, Mark, f->n_ops),
                .sorted = ARENA_ARRAY(scratch, OpId, f->n_ops)};
    bool sorted = true;
    for (size_t i = 0; i < f->order.n && sorted; i++) {
        sorted = visit(&s, f->order.data[i]);
    }
    if (sorted && s.n != f->order.n) {
        BUG("@%s: %zu operators in order, %zu reached", f->name, f->order.n, s.n);
    }
    if (sorted && s.n > 0) {
        memcpy(f->order.data, s.sorted, s.n * sizeof *s.sorted);
    }
    arena_destroy(scratch);
    return sorted;
}

/* ---- expressions ----------------------------------------------------------------------------- */

int ir_expr_operand(Op *op, ValueId v)
{
    int slots = op_slots(op->kind);
    if (op->n_in < slots) {
        op->n_in = (uint8_t)slots;
    }
    for (int i = slots; i < op->n_in; i++) {
        if (op->in[i] == v) {
            return i;
        }
    }
    if (op->n_in == IR_MAX_IN) {
        return -1;
    }
    op->in[op->n_in] = v;
    return op->n_in++;
}

static const Expr *make_expr(Arena *a, Expr e)
{
    Expr *copy = ARENA_NEW(a, Expr);
    *copy = e;
    return copy;
}

const Expr *expr_acc(Arena *a, int way)
{
    return make_expr(a, (Expr){.kind = EXPR_ACC, .way = way});
}

const Expr *expr_input(Arena *a, int input)
{
    return make_expr(a, (Expr){.kind = EXPR_INPUT, .input = input});
}

const Expr *expr_number(Arena *a, double x)
{
    return make_expr(a, (Expr){.kind = EXPR_NUMBER, .number = x});
}

const Expr *expr_node(Arena *a, ExprKind kind, const Expr *x, const Expr *y)
{
    return make_expr(a, (Expr){.kind = kind, .a = x, .b = y});
}
