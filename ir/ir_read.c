/* ir_read.c - from what the grammar saw to a module: its line, its schedule, and types. What stands
 * inside a function is ir_read_func.c's and ir_read_op.c's.
 *
 * Everything wrong is reported where it stands; what hangs on something that was reported already
 * (a poisoned name) is passed over in silence. */
#include <string.h>

#include "ir/ir_read_parts.h"

enum { MAX_REPEAT = 1000000, MAX_TOKENS = 1 << 20 };

Diag *read_diag(const Reader *r)
{
    return r->ctx->diag;
}

Node *read_node(Reader *r, Node node)
{
    Node *n = ARENA_NEW(r->ctx->arena, Node);
    *n = node;
    return n;
}

const char *read_suggestion(Reader *r, const char *sigil, const char *near)
{
    return near == NULL ? "" : arena_printf(r->ctx->arena, ", did you mean '%s%s'?", sigil, near);
}

/* ---- types ----------------------------------------------------------------------------------- */

static bool read_tile(Reader *r, Type *t, Numbers tile, Span at)
{
    int part[3] = {0};
    for (size_t i = 0; i < tile.n; i++) {
        const Number *x = &tile.data[i];
        if (tile.n != 3 || !x->integer || x->i < 0 || x->i > MAX_TOKENS) {
            return diag_error(read_diag(r), at,
                              "a tile is tile(rows, columns, sub), whole numbers");
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
        diag_error(read_diag(r), at, "%zu dims, allowed are 1 to %d", dims.n, IR_MAX_RANK);
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
        diag_error(read_diag(r), at, "%s", problem);
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
        return diag_error(read_diag(r), v->at, "%s is a whole number from 1 to %lld", item->name.s,
                          (long long)max);
    }
    *out = v->number.i;
    return true;
}

static bool read_phase(Reader *r, const Node *v, Phase *out)
{
    bool decode = v->kind == NODE_WORD && strcmp(v->name.s, "decode") == 0;
    if (!decode && (v->kind != NODE_WORD || strcmp(v->name.s, "prefill") != 0)) {
        return diag_error(read_diag(r), v->at, "phase is decode or prefill");
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
        diag_error(read_diag(r), item->name.at, "a module has no attribute '%s'%s", item->name.s,
                   read_suggestion(r, "", str_nearest(item->name.s, known, 3)));
    }
}

static void make_module(Reader *r, Str name)
{
    r->module = ir_module(r->ctx, name, PHASE_DECODE, 1, 1);
    r->module->types = r->types;
}

void read_need_module(Reader *r, Span at)
{
    if (r->module == NULL) {
        diag_error(read_diag(r), at,
                   "a file starts with 'module @name {phase = ..., tokens = ...}'");
        make_module(r, str_intern(r->ctx->strings, "nameless"));
    }
}

void read_module(Reader *r, ReadName name, Items attrs)
{
    if (r->named) {
        diag_error(read_diag(r), name.at, "a file holds one module");
        return;
    }
    r->named = true;
    if (r->module != NULL) {
        diag_error(read_diag(r), name.at, "the module line stands before the functions");
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
        diag_error(read_diag(r), at, "a module has one schedule");
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
        return diag_error(read_diag(r), name.at, "no function @%s%s", name.s,
                          read_suggestion(r, "@", str_nearest(name.s, known.data, known.n)));
    }
    if (step->n_funcs == IR_MAX_STEP_FUNCS) {
        return diag_error(read_diag(r), name.at, "a step runs at most %d functions",
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
            return diag_error(read_diag(r), text->at, "a step repeats 1 to %d times", MAX_REPEAT);
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
        if (!r->named && diag_error_count(read_diag(r)) == 0) {
            diag_error(read_diag(r), (Span){r->pos, r->pos},
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
