/* emit_params.c - the parameters of a kernel and what the layer function passes for them.
 *
 * A parameter is named after its operand slot (x, w, gain); operands of an expression after their
 * values. Pointers to activations are to the first row; a split part is a pointer into the row. */
#include <string.h>

#include "codegen/emit_setup.h"

const KernelParam *emit_find_param(const KernelText *k, Str name)
{
    for (size_t i = 0; i < k->params.n; i++) {
        if (strcmp(k->params.data[i].name, name) == 0) {
            return &k->params.data[i];
        }
    }
    return NULL;
}

Str emit_intern(const KernelText *k, const char *s)
{
    return str_intern(k->emit->ctx->strings, s);
}

const Value *emit_value_of(const KernelText *k, ValueId v)
{
    return &k->pf->func->value[v];
}

const WeightTensor *emit_tensor_of(const Emit *e, const Func *f, const Op *op, int slot, int step)
{
    int i = weights_find(e->ctx, e->plan->weights, f, op->in[slot], step);
    if (i < 0) {
        BUG("no weights for operand %d of %s", slot, op_name(op->kind));
    }
    return &e->plan->weights->tensors.data[i];
}

Str emit_weight_address(Ctx *ctx, const WeightTensor *t)
{
    return str_internf(ctx->strings, "%s + %s", t->layered ? "w" : "run->weights", t->symbol);
}

/* NULL: not a place of weights. */
static const WeightTensor *tensor_at(const KernelText *k, const Place *p)
{
    return p->kind == PLACE_WEIGHT ? &k->emit->plan->weights->tensors.data[p->index] : NULL;
}

/* What the layer function passes for a place. */
static Str place_argument(KernelText *k, const Place *p, const char *type)
{
    StrTable *s = k->emit->ctx->strings;
    switch (p->kind) {
    case PLACE_WEIGHT: {
        const WeightTensor *t = tensor_at(k, p);
        k->uses_layer = k->uses_layer || t->layered;
        return str_internf(s, "(%s)(%s)", type, emit_weight_address(k->emit->ctx, t));
    }
    case PLACE_SCRATCH: {
        Str name = emit_variable(k->emit->ctx, plan_buffer(k->pf, p)->name);
        return p->column == 0 ? name : str_internf(s, "%s + %lld", name, (long long)p->column);
    }
    case PLACE_TOKENS:
        return emit_intern(k, "run->tokens");
    case PLACE_POS:
        return emit_intern(k, "run->pos");
    case PLACE_INPUT:
        return str_internf(s, "%srun->input",
                           p->stored == DT_F32 ? "" : "(const uint16_t *)(const void *)");
    case PLACE_LOGITS:
        return emit_intern(k, "run->logits");
    case PLACE_CACHE:
    case PLACE_NONE:
        break;
    }
    BUG("a value of @%s has no place to pass", k->pf->func->name);
}

void emit_add_pointer(KernelText *k, const char *name, ValueId v, bool written)
{
    const Place *p = &k->pf->place[v];
    StrTable *s = k->emit->ctx->strings;
    KernelParam param = {
        .name = emit_intern(k, name), .ir = emit_value_of(k, v)->type, .stored = p->stored};
    param.type = str_internf(s, "%s%s *", written ? "" : "const ", emit_ctype(p->stored));
    param.shape = emit_shape(k->emit->ctx, param.ir, p->kind != PLACE_WEIGHT);
    param.stride = p->stride;
    param.tensor = tensor_at(k, p);
    param.arg = place_argument(k, p, param.type);
    vec_push(k->emit->ctx->arena, &k->params, param);
}

void emit_add_scalar(KernelText *k, const char *type, const char *name, const char *arg)
{
    KernelParam param = {
        .name = emit_intern(k, name), .type = emit_intern(k, type), .arg = emit_intern(k, arg)};
    vec_push(k->emit->ctx->arena, &k->params, param);
}

/* Operand of a slot, under the slot's name; nothing when absent. */
void emit_add_slot(KernelText *k, int slot, const char *name)
{
    if (slot < k->op->n_in && k->op->in[slot] != 0) {
        emit_add_pointer(k, name, k->op->in[slot], false);
    }
}

static void add_kv(KernelText *k)
{
    if (emit_find_param(k, "kv") == NULL) {
        bool gpu = k->emit->plan->target->gpu;
        emit_add_scalar(k, "uint8_t *const *", "kv", gpu ? "run->kv_table" : "run->kv");
    }
}

/* A cache is passed as its offset in the memory of each sequence. */
static void add_cache_at(KernelText *k, const char *name, int state, const Type *t)
{
    StrTable *s = k->emit->ctx->strings;
    int64_t offset = plan_state_offset(k->pf->func, state);
    add_kv(k);
    k->uses_kv = true;
    Str arg =
        offset == 0 ? emit_intern(k, "kv_at") : str_internf(s, "kv_at + %lld", (long long)offset);
    emit_add_scalar(k, "size_t ", name, arg);
    k->params.data[k->params.n - 1].stored = t->dtype;
}

void emit_add_cache(KernelText *k, const char *name, ValueId v)
{
    int state = k->pf->place[v].index;
    const Func *f = k->pf->func;
    add_cache_at(k, name, state, f->value[f->states.data[state]].type);
}

/* The scales of a cache: a slot of their own, or behind a dequant. */
bool emit_add_cache_scale(KernelText *k, const char *name, ValueId cache, ValueId scale)
{
    int behind = k->pf->place[cache].scale_state;
    const Func *f = k->pf->func;
    if (scale != 0) {
        emit_add_cache(k, name, scale);
    } else if (behind > 0) {
        add_cache_at(k, name, behind - 1, f->value[f->states.data[behind - 1]].type);
    }
    return scale != 0 || behind > 0;
}

static bool mentions_input(const Expr *e, int i)
{
    return e != NULL && ((e->kind == EXPR_INPUT && e->input == i) || mentions_input(e->a, i) ||
                         mentions_input(e->b, i));
}

/* Operands of the expression, each value once. */
void emit_add_leaves(KernelText *k)
{
    for (int i = 0; i < k->op->n_in; i++) {
        if (!mentions_input(k->expr, i)) {
            continue;
        }
        for (int j = 0; j < i; j++) {
            if (k->op->in[j] == k->op->in[i] && k->leaf_param[j] != NULL) {
                k->leaf_param[i] = k->leaf_param[j];
            }
        }
        if (k->leaf_param[i] != NULL) {
            continue;
        }
        Str name = emit_identifier(k->emit->ctx, emit_value_of(k, k->op->in[i])->name);
        /* not a slot's name either: templates ask for slots by name */
        while (emit_find_param(k, name) != NULL || op_slot(k->op->kind, name) >= 0) {
            name = str_internf(k->emit->ctx->strings, "%s_in", name);
        }
        k->leaf_param[i] = name;
        emit_add_pointer(k, name, k->op->in[i], false);
    }
}

void emit_add_threads(KernelText *k)
{
    emit_add_scalar(k, "int ", "rows", "rows");
    if (k->emit->plan->target->gpu) {
        return;
    }
    bool alone = k->kernel->each_thread;
    emit_add_scalar(k, "int ", "thread", alone ? "0" : "thread");
    emit_add_scalar(k, "int ", "threads", alone ? "1" : "run->threads");
}
