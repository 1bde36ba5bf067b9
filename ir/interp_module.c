/* interp_module.c - a whole schedule over an environment of named values.
 *
 * The environment starts with tokens and pos; a function takes its parameters from it by name and
 * puts its results back. Functions under `N x` are layers, counted 0, 1, ... in schedule order over
 * all such steps; the others ask for their weights with layer -1. */
#include "ir/interp.h"

#include <string.h>

typedef struct Binding {
    Str name;
    Tensor value;
} Binding;

typedef struct Run {
    Arena *arena;
    InterpModel *m;
    VEC(Binding) env;
    int next_state, layer;
} Run;

static void env_set(Run *r, Str name, Tensor value)
{
    for (size_t i = 0; i < r->env.n; i++) {
        if (r->env.data[i].name == name) {
            r->env.data[i].value = value;
            return;
        }
    }
    Binding b = {name, value};
    vec_push(r->arena, &r->env, b);
}

static const Tensor *env_get(const Run *r, Str name)
{
    for (size_t i = 0; i < r->env.n; i++) {
        if (r->env.data[i].name == name) {
            return &r->env.data[i].value;
        }
    }
    return NULL;
}

/* Calls visit for every function of the schedule in order; stops at the first false. */
static bool for_each_call(const Module *m, bool (*visit)(void *user, const Func *f, bool layered),
                          void *user)
{
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *step = &m->steps.data[i];
        for (int k = 0; k < step->repeat * step->n_funcs; k++) {
            if (!visit(user, m->funcs.data[step->func[k % step->n_funcs]], step->layered)) {
                return false;
            }
        }
    }
    return true;
}

static bool count_states(void *user, const Func *f, bool layered)
{
    (void)layered;
    *(int *)user += (int)f->states.n;
    return true;
}

static bool create_states(void *user, const Func *f, bool layered)
{
    (void)layered;
    Run *r = user;
    for (size_t i = 0; i < f->states.n; i++) {
        r->m->states[r->next_state++] = tensor_create(r->arena, f->value[f->states.data[i]].type);
    }
    return true;
}

void interp_states(Arena *a, InterpModel *m)
{
    int n = 0;
    for_each_call(m->module, count_states, &n);
    m->n_states = n;
    m->states = ARENA_ARRAY(a, Tensor, n + 1);
    Run r = {.arena = a, .m = m};
    for_each_call(m->module, create_states, &r);
}

static bool load_weights(Run *r, const Func *f, int layer, Tensor *out)
{
    for (size_t i = 0; i < f->weights.n; i++) {
        const Value *w = &f->value[f->weights.data[i]];
        if (!r->m->weight(r->m->user, layer, w->name, w->type, &out[i])) {
            return false;
        }
    }
    return true;
}

static bool take_params(Run *r, const Func *f, Tensor *out)
{
    for (size_t i = 0; i < f->params.n; i++) {
        const Value *p = &f->value[f->params.data[i]];
        const Tensor *t = env_get(r, p->name);
        if (t == NULL) {
            return diag_error(f->module->ctx->diag, f->at,
                              "@%s takes %%%s, which no function before it in the schedule returns",
                              f->name, p->name);
        }
        out[i] = *t;
    }
    return true;
}

static bool call_func(void *user, const Func *f, bool layered)
{
    Run *r = user;
    int layer = layered ? r->layer++ : -1;
    Tensor *params = ARENA_ARRAY(r->arena, Tensor, f->params.n + 1);
    Tensor *weights = ARENA_ARRAY(r->arena, Tensor, f->weights.n + 1);
    Tensor *out = ARENA_ARRAY(r->arena, Tensor, f->results.n + 1);
    InterpArgs args = {.params = params,
                       .weights = weights,
                       .states = r->m->states + r->next_state,
                       .round = r->m->round};
    r->next_state += (int)f->states.n;
    if (!take_params(r, f, params) || !load_weights(r, f, layer, weights) ||
        !interp_func(r->arena, f, &args, out)) {
        return false;
    }
    for (size_t i = 0; i < f->results.n; i++) {
        env_set(r, f->result_names.data[i], out[i]);
    }
    return true;
}

static void env_set_ints(Run *r, const char *name, const int32_t *v)
{
    const Module *m = r->m->module;
    int64_t dim[1] = {m->tokens};
    Tensor t = tensor_create(r->arena, type_make(m->types, DT_I32, 1, dim));
    for (int i = 0; i < m->tokens; i++) {
        t.v[i] = v[i];
    }
    env_set(r, str_intern(m->ctx->strings, name), t);
}

static const Tensor *last_result(const Run *r)
{
    const Module *m = r->m->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    const Func *f = m->funcs.data[last->func[last->n_funcs - 1]];
    return env_get(r, f->result_names.data[0]);
}

bool interp_module(Arena *a, InterpModel *m, const int32_t *tokens, const int32_t *pos,
                   Tensor *logits)
{
    Run r = {.arena = a, .m = m};
    env_set_ints(&r, "tokens", tokens);
    env_set_ints(&r, "pos", pos);
    if (!for_each_call(m->module, call_func, &r)) {
        return false;
    }
    const Tensor *t = env_get(&r, str_intern(m->module->ctx->strings, "logits"));
    *logits = t != NULL ? *t : *last_result(&r);
    return true;
}
