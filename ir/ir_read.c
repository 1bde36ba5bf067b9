/* ir_read.c - from what the grammar saw to a module: names are resolved, attributes set, operators
 * typed. Everything wrong is reported where it stands; what hangs on something that was reported
 * already (a poisoned name) is passed over in silence. */
#include <string.h>

#include "ir/ir_read.h"

enum { MAX_REPEAT = 1000000, MAX_TOKENS = 1 << 20 };

static Diag *diag_of(const Reader *r)
{
    return r->ctx->diag;
}

Node *read_node(Reader *r, Node node)
{
    Node *n = ARENA_NEW(r->ctx->arena, Node);
    *n = node;
    return n;
}

/* ", did you mean '%gate'?" or nothing. */
static const char *suggestion(Reader *r, const char *sigil, const char *near)
{
    return near == NULL ? "" : arena_printf(r->ctx->arena, ", did you mean '%s%s'?", sigil, near);
}

/* Names inside a function become identifiers of the generated code. */
static bool check_identifier(Reader *r, ReadName name)
{
    if (name.s[strcspn(name.s, ".-")] == '\0' && strspn(name.s, "0123456789") == 0) {
        return true;
    }
    return diag_error(diag_of(r), name.at,
                      "'%c%s': a name starts with a letter and has letters, digits and '_'",
                      name.sigil, name.s);
}

/* ---- types ----------------------------------------------------------------------------------- */

static bool read_tile(Reader *r, Type *t, Numbers tile, Span at)
{
    int part[3] = {0};
    for (size_t i = 0; i < tile.n; i++) {
        const Number *x = &tile.data[i];
        if (tile.n != 3 || !x->integer || x->i < 0 || x->i > MAX_TOKENS) {
            return diag_error(diag_of(r), at, "a tile is tile(rows, columns, sub), whole numbers");
        }
        part[i] = (int)x->i;
    }
    t->layout = (Layout){.rows = part[0], .cols = part[1], .sub = part[2]};
    return true;
}

TypeText read_type(Reader *r, ReadName dtype, Numbers dims, Numbers tile, Span at)
{
    TypeText text = {.at = at};
    Type t = {.dtype = text_find_dtype(r->ctx, dtype.s, dtype.at), .rank = (int)dims.n};
    if (t.dtype == DT_NONE) {
        return text;
    }
    if (dims.n > IR_MAX_RANK) {
        diag_error(diag_of(r), at, "%zu dims, allowed are 1 to %d", dims.n, IR_MAX_RANK);
        return text;
    }
    for (size_t i = 0; i < dims.n; i++) {
        t.dim[i] = dims.data[i].integer ? dims.data[i].i : 0;
    }
    if (!read_tile(r, &t, tile, at)) {
        return text;
    }
    const char *problem = type_problem(&t);
    if (problem != NULL) {
        diag_error(diag_of(r), at, "%s", problem);
        return text;
    }
    text.type = type_intern(r->types, t);
    return text;
}

/* ---- the module line and the schedule -------------------------------------------------------- */

static bool count_between(Reader *r, const Item *item, int64_t max, int64_t *out)
{
    const Node *v = item->value;
    if (v->kind != NODE_NUMBER || !v->number.integer || v->number.i < 1 || v->number.i > max) {
        return diag_error(diag_of(r), v->at, "%s is a whole number from 1 to %lld", item->name.s,
                          (long long)max);
    }
    *out = v->number.i;
    return true;
}

static bool read_phase(Reader *r, const Node *v, Phase *out)
{
    bool decode = v->kind == NODE_WORD && strcmp(v->name.s, "decode") == 0;
    if (!decode && (v->kind != NODE_WORD || strcmp(v->name.s, "prefill") != 0)) {
        return diag_error(diag_of(r), v->at, "phase is decode or prefill");
    }
    *out = decode ? PHASE_DECODE : PHASE_PREFILL;
    return true;
}

static void read_module_attr(Reader *r, const Item *item)
{
    static const char *const known[] = {"phase", "tokens", "context"};
    Module *m = r->module;
    int64_t n = 0;
    if (strcmp(item->name.s, "phase") == 0) {
        read_phase(r, item->value, &m->phase);
    } else if (strcmp(item->name.s, "tokens") == 0) {
        if (count_between(r, item, MAX_TOKENS, &n)) {
            m->tokens = (int)n;
        }
    } else if (strcmp(item->name.s, "context") == 0) {
        count_between(r, item, INT32_MAX, &m->context);
    } else {
        diag_error(diag_of(r), item->name.at, "a module has no attribute '%s'%s", item->name.s,
                   suggestion(r, "", str_nearest(item->name.s, known, 3)));
    }
}

static void make_module(Reader *r, Str name)
{
    r->module = ir_module(r->ctx, name, PHASE_DECODE, 1, 1);
    r->module->types = r->types;
}

void read_module(Reader *r, ReadName name, Items attrs)
{
    if (r->named) {
        diag_error(diag_of(r), name.at, "a file holds one module");
        return;
    }
    r->named = true;
    if (r->module != NULL) {
        diag_error(diag_of(r), name.at, "the module line stands before the functions");
    } else {
        make_module(r, name.s);
    }
    for (size_t i = 0; i < attrs.n; i++) {
        read_module_attr(r, &attrs.data[i]);
    }
}

void read_schedule(Reader *r, StepTexts steps, Span at)
{
    if (r->steps.n > 0) {
        diag_error(diag_of(r), at, "a module has one schedule");
        return;
    }
    r->steps = steps;
}

static int find_func_index(const Module *m, Str name)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        if (m->funcs.data[i]->name == name) {
            return (int)i;
        }
    }
    return -1;
}

static bool resolve_step_func(Reader *r, ReadName name, Step *step)
{
    int index = find_func_index(r->module, name.s);
    if (index < 0) {
        VEC(const char *) known = {0};
        for (size_t i = 0; i < r->module->funcs.n; i++) {
            vec_push(r->ctx->arena, &known, r->module->funcs.data[i]->name);
        }
        return diag_error(diag_of(r), name.at, "no function @%s%s", name.s,
                          suggestion(r, "@", str_nearest(name.s, known.data, known.n)));
    }
    if (step->n_funcs == IR_MAX_STEP_FUNCS) {
        return diag_error(diag_of(r), name.at, "a step runs at most %d functions",
                          IR_MAX_STEP_FUNCS);
    }
    step->func[step->n_funcs++] = index;
    return true;
}

static bool resolve_step(Reader *r, const StepText *text, Step *step)
{
    *step = (Step){.repeat = 1, .layered = text->layered};
    if (text->layered) {
        const Number *n = &text->repeat;
        if (!n->integer || n->i < 1 || n->i > MAX_REPEAT) {
            return diag_error(diag_of(r), text->at, "a step repeats 1 to %d times", MAX_REPEAT);
        }
        step->repeat = (int)n->i;
    }
    bool found = true;
    for (size_t i = 0; i < text->funcs.n && found; i++) {
        found = resolve_step_func(r, text->funcs.data[i], step);
    }
    return found;
}

Module *read_end(Reader *r)
{
    if (r->module == NULL) {
        if (!r->named && diag_error_count(diag_of(r)) == 0) {
            diag_error(diag_of(r), (Span){r->pos, r->pos},
                       "no module: a file starts with 'module @name'");
        }
        return NULL;
    }
    for (size_t i = 0; i < r->steps.n; i++) {
        Step step;
        if (resolve_step(r, &r->steps.data[i], &step)) {
            vec_push(r->ctx->arena, &r->module->steps, step);
        }
    }
    return r->module;
}

/* ---- names in a function --------------------------------------------------------------------- */

static void poison(Reader *r, Str name)
{
    vec_push(r->ctx->arena, &r->poisoned, name);
}

static bool is_poisoned(const Reader *r, Str name)
{
    bool found = r->broken;
    for (size_t i = 0; i < r->poisoned.n && !found; i++) {
        found = r->poisoned.data[i] == name;
    }
    return found;
}

static bool unknown_value(Reader *r, ReadName name)
{
    VEC(const char *) known = {0};
    for (ValueId v = 1; v < r->func->n_values; v++) {
        vec_push(r->ctx->arena, &known, r->func->value[v].name);
    }
    const char *near = str_nearest(name.s, known.data, known.n);
    const char *sigil = "";
    if (near != NULL) {
        ValueId v = ir_find_value(r->func, str_intern(r->ctx->strings, near));
        sigil = r->func->value[v].kind == VALUE_WEIGHT ? "@" : "%";
    }
    return diag_error(diag_of(r), name.at, "unknown value '%c%s'%s", name.sigil, name.s,
                      suggestion(r, sigil, near));
}

/* 0 after a diagnostic here or at the name's definition. */
static ValueId find_value(Reader *r, ReadName name)
{
    ValueId v = ir_find_value(r->func, name.s);
    if (v == 0) {
        if (!is_poisoned(r, name.s)) {
            unknown_value(r, name);
        }
        return 0;
    }
    bool weight = r->func->value[v].kind == VALUE_WEIGHT;
    if (weight != (name.sigil == '@')) {
        diag_error(diag_of(r), name.at, "'%s' is a %s: write %c%s", name.s,
                   weight ? "weight" : "value", weight ? '@' : '%', name.s);
        return 0;
    }
    return v;
}

static bool check_new_name(Reader *r, ReadName name)
{
    ValueId v = ir_find_value(r->func, name.s);
    if (v == 0) {
        return check_identifier(r, name);
    }
    diag_error(diag_of(r), name.at, "'%c%s' is defined twice", name.sigil, name.s);
    diag_note(diag_of(r), r->func->value[v].at, "first here");
    return false;
}

/* ---- the head of a function ------------------------------------------------------------------ */

static void declare(Reader *r, ValueKind kind, const Decl *d)
{
    char sigil = kind == VALUE_WEIGHT ? '@' : '%';
    if (d->name.sigil != sigil) {
        diag_error(diag_of(r), d->name.at, "%s starts with '%c'",
                   kind == VALUE_WEIGHT ? "the name of a weight" : "the name of a value", sigil);
    }
    bool good = d->name.sigil == sigil && check_new_name(r, d->name) && d->type.type != NULL;
    if (good) {
        ir_value(r->func, kind, d->name.s, d->type.type, d->name.at);
    } else {
        poison(r, d->name.s);
    }
}

static void declare_all(Reader *r, ValueKind kind, const Decls *decls)
{
    for (size_t i = 0; i < decls->n; i++) {
        declare(r, kind, &decls->data[i]);
    }
}

/* A function without a module line before it: one message, then on with a nameless module. */
static void need_module(Reader *r, Span at)
{
    if (r->module == NULL) {
        diag_error(diag_of(r), at, "a file starts with 'module @name {phase = ..., tokens = ...}'");
        make_module(r, str_intern(r->ctx->strings, "nameless"));
    }
}

static void begin_func(Reader *r, Str name, Span at)
{
    need_module(r, at);
    r->func = ir_func(r->module, name);
    r->func->at = at;
    r->returned = r->broken = r->has_results = false;
    r->results = (Decls){0};
    r->poisoned.n = 0;
}

void read_func(Reader *r, ReadName name, Decls params)
{
    need_module(r, name.at);
    const Func *other = ir_find_func(r->module, name.s);
    if (other != NULL) {
        diag_error(diag_of(r), name.at, "'@%s' is defined twice", name.s);
        diag_note(diag_of(r), other->at, "first here");
    } else {
        check_identifier(r, name);
    }
    begin_func(r, name.s, name.at);
    declare_all(r, VALUE_PARAM, &params);
}

void read_broken_head(Reader *r)
{
    begin_func(r, str_internf(r->ctx->strings, "broken head %u", r->pos), (Span){0});
    r->broken = true;
}

void read_states(Reader *r, Decls decls)
{
    declare_all(r, VALUE_STATE, &decls);
}

void read_weights(Reader *r, Decls decls)
{
    declare_all(r, VALUE_WEIGHT, &decls);
}

void read_results(Reader *r, Decls decls, Span at)
{
    if (r->has_results) {
        diag_error(diag_of(r), at, "'->' is given twice");
    }
    r->has_results = true;
    r->results = decls;
    for (size_t i = 0; i < decls.n; i++) {
        if (decls.data[i].name.sigil != '%') {
            diag_error(diag_of(r), decls.data[i].name.at, "the name of a result starts with '%%'");
        } else {
            check_identifier(r, decls.data[i].name);
        }
    }
}

/* ---- operators ------------------------------------------------------------------------------- */

/* An operator while it is read. `good` turns false at the first message or poisoned operand. */
typedef struct Draft {
    Reader *r;
    Op op;
    bool good;
    uint32_t slots, attrs; /* given so far, as bits */
    bool expr;
} Draft;

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
    d->good = diag_error(diag_of(d->r), item->value->at,
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
            diag_error(diag_of(d->r), item->name.at, "operand %s is given twice", item->name.s);
        return;
    }
    d->slots |= UINT32_C(1) << slot;
    d->op.in[slot] = find_value(d->r, item->value->name);
    d->good = d->good && d->op.in[slot] != 0;
}

static const Expr *read_expr(Draft *d, const Node *n);

static const Expr *read_leaf(Draft *d, const Node *n)
{
    ValueId v = find_value(d->r, n->name);
    if (v == 0) {
        return NULL;
    }
    int input = ir_expr_operand(&d->op, v);
    if (input < 0) {
        diag_error(diag_of(d->r), n->at, "more than %d operands", IR_MAX_IN);
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
    diag_error(diag_of(d->r), n->at,
               "an expression is acc, a number, a value or a function of them such as silu(acc)");
    return NULL;
}

static void read_expr_attr(Draft *d, const Item *item)
{
    if (d->expr) {
        d->good = diag_error(diag_of(d->r), item->name.at, "%s is given twice", item->name.s);
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
        return diag_error(diag_of(r), item->name.at, "%s is given twice", item->name.s);
    }
    d->attrs |= UINT32_C(1) << id;
    AttrText text;
    if (!attr_text(r, item->value, &text)) {
        return diag_error(diag_of(r), item->value->at,
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

static bool check_result_names(Reader *r, const ReadNames *results)
{
    bool good = true;
    for (size_t i = 0; i < results->n; i++) {
        good = check_new_name(r, results->data[i]) && good;
        for (size_t j = 0; j < i; j++) {
            if (results->data[j].s == results->data[i].s) {
                good = diag_error(diag_of(r), results->data[i].at, "'%%%s' is defined twice",
                                  results->data[i].s);
            }
        }
    }
    return good;
}

static bool check_result_count(Reader *r, const Op *op, size_t n, Span at)
{
    int want = op_outs(op->kind) > 0 ? op_outs(op->kind) : op->a.sizes.n;
    return n == (size_t)want || diag_error(diag_of(r), at, "%s has %d result%s, found %zu names",
                                           op_name(op->kind), want, want == 1 ? "" : "s", n);
}

/* Given types must be the inferred ones. */
static void check_types(Reader *r, OpId id, const TypeTexts *types, Span at)
{
    const Op *op = &r->func->op[id];
    if (types->n > 0 && types->n != op->n_out) {
        diag_error(diag_of(r), at, "%s has %d result%s, found %zu types", op_name(op->kind),
                   op->n_out, op->n_out == 1 ? "" : "s", types->n);
        return;
    }
    for (size_t i = 0; i < types->n; i++) {
        const Value *v = &r->func->value[op->out[i]];
        const TypeText *given = &types->data[i];
        if (given->type != NULL && given->type != v->type) {
            diag_error(diag_of(r), given->at, "%%%s is %s, but the type given is %s", v->name,
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
        d.good = diag_error(diag_of(r), at, "an operator after 'return'");
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
        poison(r, results.data[i].s);
    }
}

/* The names before '=' of a line that did not parse. */
void read_broken_line(Reader *r, Span at)
{
    size_t n;
    const char *s = diag_span_text(diag_of(r), at, &n);
    for (size_t i = 0; i < n && s[i] != '=' && s[i] != '\n'; i++) {
        if (s[i] != '%') {
            continue;
        }
        size_t len = 0;
        while (i + 1 + len < n && strchr(" \t\r\n,=", s[i + 1 + len]) == NULL) {
            len++;
        }
        poison(r, str_intern_n(r->ctx->strings, s + i + 1, len));
    }
    r->returned = r->returned || (n >= 6 && memcmp(s, "return", 6) == 0);
    r->broken = r->broken || r->returned;
}

/* ---- the end of a function ------------------------------------------------------------------- */

/* Without '->' a result keeps its own name in the environment. */
static void read_result(Reader *r, ReadName name, size_t i)
{
    ValueId v = find_value(r, name);
    if (v == 0) {
        return;
    }
    const Decl *d = r->has_results ? &r->results.data[i] : NULL;
    const Type *type = r->func->value[v].type;
    if (d != NULL && d->type.type != NULL && d->type.type != type) {
        diag_error(diag_of(r), name.at, "%c%s is %s, but result %%%s is %s", name.sigil, name.s,
                   type_text(r->ctx->arena, type), d->name.s,
                   type_text(r->ctx->arena, d->type.type));
        diag_note(diag_of(r), d->name.at, "declared here");
    }
    ir_return(r->func, v, d != NULL ? d->name.s : name.s);
}

void read_return(Reader *r, ReadNames values, Span at)
{
    if (r->returned) {
        diag_error(diag_of(r), at, "a second 'return'");
        return;
    }
    r->returned = true;
    if (r->has_results && values.n != r->results.n) {
        diag_error(diag_of(r), at, "@%s has %zu result%s, found %zu", r->func->name, r->results.n,
                   r->results.n == 1 ? "" : "s", values.n);
        return;
    }
    for (size_t i = 0; i < values.n; i++) {
        read_result(r, values.data[i], i);
    }
}

void read_func_end(Reader *r, Span at)
{
    if (!r->returned && !r->broken) {
        diag_error(diag_of(r), at, "@%s does not return", r->func->name);
    }
    r->func = NULL;
}
