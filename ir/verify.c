/* verify.c - the invariants of a module, checked after parsing and after every pass.
 *
 *   function   names are unique; every operator stands behind what it reads; types are what
 *              type_infer says; constants are marked; a cache is appended to in one chain
 *   module     the schedule names functions; a parameter is in the environment when its function
 * runs, with the same type; a layer's result keeps the type of the parameter it replaces
 *
 * After parsing a failure is the user's mistake; after a pass it is ours, and the operator is
 * printed. */
#include <stdarg.h>
#include <stdlib.h>

#include "ir/ir_text.h"

typedef struct Verify {
    const Func *f;
    const char *after; /* NULL: a user's text */
    Arena *scratch;
    bool *defined;  /* by value: declared, or a result of an operator further up */
    bool *appended; /* by value: a cache that a later version has replaced */
} Verify;

static Ctx *ctx_of(const Verify *v)
{
    return v->f->module->ctx;
}

static bool __attribute__((format(printf, 3, 4)))
bad(const Verify *v, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(ctx_of(v)->arena, fmt, ap);
    va_end(ap);
    if (v->after == NULL) {
        return diag_error(ctx_of(v)->diag, at, "%s", text);
    }
    return diag_error(ctx_of(v)->diag, at, "after %s: @%s: %s", v->after, v->f->name, text);
}

static bool bad_op(const Verify *v, const Op *op, const char *problem)
{
    if (v->after == NULL) {
        return bad(v, op->at, "%s", problem);
    }
    Buf b = buf_create(ctx_of(v)->arena);
    ir_print_op(&b, v->f, op);
    return bad(v, op->at, "%s: %s", problem, b.data);
}

static const char *name_of(const Verify *v, ValueId id)
{
    Buf b = buf_create(ctx_of(v)->arena);
    ir_print_value(&b, v->f, id);
    return b.data;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const Value *x = *(const Value *const *)a, *y = *(const Value *const *)b;
    uintptr_t p = (uintptr_t)x->name, q = (uintptr_t)y->name;
    return p != q ? (p > q) - (p < q) : (x > y) - (x < y);
}

/* Names are interned: sorted by address, equal ones are neighbours. */
static bool check_names(const Verify *v)
{
    const Func *f = v->f;
    const Value **live = ARENA_ARRAY(v->scratch, const Value *, f->n_values);
    size_t n = 0;
    for (ValueId id = 1; id < f->n_values; id++) {
        if (ir_value_live(f, id)) {
            live[n++] = &f->value[id];
        }
    }
    qsort(live, n, sizeof *live, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (live[i]->name == live[i - 1]->name) {
            return bad(v, live[i]->at, "the name '%s' is given to two values", live[i]->name);
        }
    }
    return true;
}

/* ---- operators ------------------------------------------------------------------------------- */

static bool check_operands(const Verify *v, const Op *op)
{
    for (int i = 0; i < op->n_in; i++) {
        ValueId in = op->in[i];
        if (in >= v->f->n_values) {
            return bad(v, op->at, "%s reads value %u of %u", op_name(op->kind), in, v->f->n_values);
        }
        if (in == 0 || v->defined[in]) {
            continue;
        }
        return bad_op(v, op,
                      arena_printf(ctx_of(v)->arena, "%s %s", name_of(v, in),
                                   ir_value_live(v->f, in) ? "is read before it is defined"
                                                           : "has a dead definition"));
    }
    return true;
}

static bool is_constant(const Func *f, const Op *op)
{
    bool constant = (op_flags(op->kind) & OPF_CONST) != 0;
    for (int i = 0; i < op->n_in && constant; i++) {
        constant = op->in[i] == 0 || f->value[op->in[i]].constant;
    }
    return constant;
}

/* Result i is of this operator and has the type that follows from the operands. */
static bool check_result(const Verify *v, OpId id, int i, const Type *type)
{
    const Op *op = &v->f->op[id];
    const Value *out = &v->f->value[op->out[i]];
    if (out->kind != VALUE_RESULT || out->def != id || out->result != i) {
        return bad_op(v, op, arena_printf(ctx_of(v)->arena, "result %d is another operator's", i));
    }
    if (out->type != type) {
        Arena *a = ctx_of(v)->arena;
        return bad_op(v, op,
                      arena_printf(a, "%s is %s, but it follows %s", name_of(v, op->out[i]),
                                   type_text(a, out->type), type_text(a, type)));
    }
    if (out->constant != is_constant(v->f, op)) {
        return bad_op(v, op, "the mark of constants is wrong");
    }
    v->defined[op->out[i]] = true;
    return true;
}

static bool check_results(const Verify *v, OpId id)
{
    const Op *op = &v->f->op[id];
    const Type *type[IR_MAX_OUT];
    if (!type_infer(v->f, op, type)) {
        return v->after == NULL ? false : bad_op(v, op, "the operands do not fit");
    }
    int n = op_outs(op->kind) > 0 ? op_outs(op->kind) : op->a.sizes.n;
    bool good = op->n_out == n || bad_op(v, op, "wrong number of results");
    for (int i = 0; i < n && good; i++) {
        good = check_result(v, id, i, type[i]);
    }
    return good;
}

/* ---- caches ---------------------------------------------------------------------------------- */

static bool is_cache(const Func *f, ValueId id)
{
    const Value *value = &f->value[id];
    if (value->kind != VALUE_RESULT) {
        return value->kind == VALUE_STATE;
    }
    return op_cache_slot(f->op[value->def].kind, value->result) >= 0;
}

static bool check_append(const Verify *v, const Op *op, ValueId cache)
{
    if (!is_cache(v->f, cache)) {
        return bad_op(v, op,
                      arena_printf(ctx_of(v)->arena,
                                   "%s is not a state: only states are "
                                   "appended to",
                                   name_of(v, cache)));
    }
    v->appended[cache] = true;
    return true;
}

/* A version that was appended to has gone: the memory holds the next one. */
static bool check_caches(const Verify *v, const Op *op)
{
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0 && v->appended[op->in[i]]) {
            return bad_op(v, op,
                          arena_printf(ctx_of(v)->arena,
                                       "%s was appended to further up: read "
                                       "the result of that",
                                       name_of(v, op->in[i])));
        }
    }
    bool good = true;
    for (int i = 0; i < op->n_out && good; i++) {
        int slot = op_cache_slot(op->kind, i);
        good = slot < 0 || check_append(v, op, op->in[slot]);
    }
    return good;
}

/* ---- functions ------------------------------------------------------------------------------- */

static bool check_order(const Verify *v)
{
    const Func *f = v->f;
    size_t live = 0;
    for (OpId id = 1; id < f->n_ops; id++) {
        live += !f->op[id].dead;
    }
    if (live != f->order.n) {
        return bad(v, f->at, "%zu live operators, %zu in order", live, f->order.n);
    }
    bool *seen = ARENA_ARRAY(v->scratch, bool, f->n_ops);
    for (size_t i = 0; i < f->order.n; i++) {
        OpId id = f->order.data[i];
        if (id == 0 || id >= f->n_ops || f->op[id].dead || seen[id]) {
            return bad(v, f->at, "operator %u in order is dead, unknown or there twice", id);
        }
        seen[id] = true;
    }
    return true;
}

static bool check_ops(const Verify *v)
{
    bool good = true;
    FOR_EACH_OP(v->f, id)
    {
        const Op *op = &v->f->op[id];
        if (!check_operands(v, op) || !check_results(v, id)) {
            return false; /* what reads its results would be reported again */
        }
        good = check_caches(v, op) && good;
    }
    return good;
}

static bool check_returned(const Verify *v)
{
    const Func *f = v->f;
    for (size_t i = 0; i < f->results.n; i++) {
        ValueId id = f->results.data[i];
        if (id == 0 || id >= f->n_values || !v->defined[id]) {
            return bad(v, f->at, "result %%%s is not defined", f->result_names.data[i]);
        }
        if (is_cache(f, id)) {
            return bad(v, f->value[id].at, "%s is a state: it is kept, not returned",
                       name_of(v, id));
        }
        for (size_t j = 0; j < i; j++) {
            if (f->result_names.data[i] == f->result_names.data[j]) {
                return bad(v, f->at, "two results are named %%%s", f->result_names.data[i]);
            }
        }
    }
    return true;
}

static bool check_func(Verify *v)
{
    const Func *f = v->f;
    v->defined = ARENA_ARRAY(v->scratch, bool, f->n_values);
    v->appended = ARENA_ARRAY(v->scratch, bool, f->n_values);
    for (ValueId id = 1; id < f->n_values; id++) {
        v->defined[id] = f->value[id].kind != VALUE_RESULT;
    }
    return check_names(v) && check_order(v) && check_ops(v) && check_returned(v);
}

bool ir_verify_func(const Func *f, const char *after)
{
    Verify v = {.f = f, .after = after, .scratch = arena_create()};
    bool good = check_func(&v);
    arena_destroy(v.scratch);
    return good;
}

/* ---- modules --------------------------------------------------------------------------------- */

/* A value of the environment that the schedule runs over. */
typedef struct EnvValue {
    Str name;
    const Type *type;
} EnvValue;

typedef struct Env {
    const Module *m;
    const char *after;
    Arena *scratch;
    bool outside; /* the function that runs first may have parameters from outside */
    VEC(EnvValue) values;
} Env;

static Verify in_func(const Env *env, const Func *f)
{
    return (Verify){.f = f, .after = env->after, .scratch = env->scratch};
}

static EnvValue *env_find(const Env *env, Str name)
{
    for (size_t i = 0; i < env->values.n; i++) {
        if (env->values.data[i].name == name) {
            return &env->values.data[i];
        }
    }
    return NULL;
}

static void env_put(Env *env, Str name, const Type *type)
{
    EnvValue *old = env_find(env, name);
    if (old != NULL) {
        old->type = type;
    } else {
        EnvValue value = {name, type};
        vec_push(env->scratch, &env->values, value);
    }
}

static bool no_such_value(const Env *env, const Verify *v, const Value *param)
{
    VEC(const char *) known = {0};
    for (size_t i = 0; i < env->values.n; i++) {
        vec_push(env->scratch, &known, env->values.data[i].name);
    }
    const char *near = str_nearest(param->name, known.data, known.n);
    return bad(v, param->at, "no function that ran before @%s has a result %%%s%s%s%s", v->f->name,
               param->name, near != NULL ? ", did you mean '%" : "", near != NULL ? near : "",
               near != NULL ? "'?" : "");
}

static bool check_param(Env *env, const Func *f, const Value *param)
{
    Verify v = in_func(env, f);
    const EnvValue *found = env_find(env, param->name);
    if (found == NULL && env->outside) {
        env_put(env, param->name, param->type);
        return true;
    }
    if (found == NULL) {
        return no_such_value(env, &v, param);
    }
    Arena *a = env->m->ctx->arena;
    return found->type == param->type ||
           bad(&v, param->at, "parameter %%%s of @%s is %s, but what it gets is %s", param->name,
               f->name, type_text(a, param->type), type_text(a, found->type));
}

static bool env_run(Env *env, const Func *f)
{
    bool good = true;
    for (size_t i = 0; i < f->params.n; i++) {
        good = check_param(env, f, &f->value[f->params.data[i]]) && good;
    }
    for (size_t i = 0; i < f->results.n; i++) {
        env_put(env, f->result_names.data[i], f->value[f->results.data[i]].type);
    }
    env->outside = false;
    return good;
}

/* What a layer gives under the name of a parameter is what the next one takes. */
static bool check_layer_results(const Env *env, const Func *f)
{
    Arena *a = env->m->ctx->arena;
    Verify v = in_func(env, f);
    for (size_t i = 0; i < f->results.n; i++) {
        const Value *result = &f->value[f->results.data[i]];
        for (size_t p = 0; p < f->params.n; p++) {
            const Value *param = &f->value[f->params.data[p]];
            if (param->name == f->result_names.data[i] && param->type != result->type) {
                return bad(
                    &v, result->at, "result %%%s of the layer @%s is %s, but its parameter is %s",
                    param->name, f->name, type_text(a, result->type), type_text(a, param->type));
            }
        }
    }
    return true;
}

static bool check_step(Env *env, const Step *s)
{
    const Module *m = env->m;
    if (s->repeat < 1 || s->n_funcs < 1 || s->n_funcs > IR_MAX_STEP_FUNCS) {
        return diag_error(m->ctx->diag, (Span){0}, "a step of %d functions that runs %d times",
                          s->n_funcs, s->repeat);
    }
    bool good = true;
    for (int i = 0; i < s->n_funcs; i++) {
        if (s->func[i] < 0 || (size_t)s->func[i] >= m->funcs.n) {
            return diag_error(m->ctx->diag, (Span){0}, "the schedule runs function %d of %zu",
                              s->func[i], m->funcs.n);
        }
        good = (!s->layered || check_layer_results(env, m->funcs.data[s->func[i]])) && good;
    }
    /* the second round sees what the first has left */
    for (int round = 0; round < (s->repeat > 1 ? 2 : 1) && (good || round == 0); round++) {
        for (int i = 0; i < s->n_funcs; i++) {
            good = env_run(env, m->funcs.data[s->func[i]]) && good;
        }
    }
    return good;
}

static bool is_layer(const Module *m, size_t func)
{
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *s = &m->steps.data[i];
        for (int k = 0; k < s->n_funcs; k++) {
            if (s->layered && (size_t)s->func[k] == func) {
                return true;
            }
        }
    }
    return false;
}

/* Functions outside of layers share weights by name. */
static bool check_shared_weights(Env *env)
{
    const Module *m = env->m;
    Env shared = {.m = m, .after = env->after, .scratch = env->scratch};
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        for (size_t w = 0; w < f->weights.n && !is_layer(m, i); w++) {
            const Value *value = &f->value[f->weights.data[w]];
            const EnvValue *other = env_find(&shared, value->name);
            if (other != NULL && other->type != value->type) {
                Verify v = in_func(env, f);
                return bad(&v, value->at, "@%s is %s, but %s in another function", value->name,
                           type_text(m->ctx->arena, value->type),
                           type_text(m->ctx->arena, other->type));
            }
            env_put(&shared, value->name, value->type);
        }
    }
    return true;
}

/* Decode keeps a cache for each of its T sequences, prefill works on one. */
static bool check_states(const Env *env, const Func *f)
{
    int64_t sequences = env->m->phase == PHASE_DECODE ? env->m->tokens : 1;
    for (size_t i = 0; i < f->states.n; i++) {
        const Value *state = &f->value[f->states.data[i]];
        if (state->type->dim[0] != sequences) {
            Verify v = in_func(env, f);
            return bad(&v, state->at, "%%%s is %s, expected %lld sequence%s in its first dim",
                       state->name, type_text(env->m->ctx->arena, state->type),
                       (long long)sequences, sequences == 1 ? "" : "s");
        }
    }
    return true;
}

static bool check_schedule(Env *env)
{
    const Module *m = env->m;
    const int64_t tokens = m->tokens;
    const Type *ids = type_make(m->types, DT_I32, 1, &tokens);
    env_put(env, str_intern(m->ctx->strings, "tokens"), ids);
    env_put(env, str_intern(m->ctx->strings, "pos"), ids);
    env->outside = true;
    bool good = true;
    for (size_t i = 0; i < m->steps.n; i++) {
        good = check_step(env, &m->steps.data[i]) && good;
    }
    for (size_t i = 0; i < m->funcs.n && good && m->steps.n > 0; i++) {
        good = check_states(env, m->funcs.data[i]);
    }
    return good && check_shared_weights(env);
}

static bool check_func_names(const Module *m)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        if (ir_find_func(m, f->name) != f) {
            return diag_error(m->ctx->diag, f->at, "two functions are named @%s", f->name);
        }
        if (f->module != m) {
            return diag_error(m->ctx->diag, f->at, "@%s belongs to another module", f->name);
        }
    }
    return true;
}

bool ir_verify(const Module *m, const char *after)
{
    bool good = check_func_names(m);
    for (size_t i = 0; i < m->funcs.n; i++) {
        good = ir_verify_func(m->funcs.data[i], after) && good;
    }
    if (!good) {
        return false;
    }
    Env env = {.m = m, .after = after, .scratch = arena_create()};
    good = check_schedule(&env);
    arena_destroy(env.scratch);
    return good;
}
