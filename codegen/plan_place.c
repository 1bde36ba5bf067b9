/* plan_place.c - where values live.
 *
 *   params, states, constants        places known from outside
 *   results of views                 the operand's place: no kernel, their readers do the work
 *   results of kernels               written straight into the environment, or to the caller, when
 *                                    they are returned and nobody reads the old value any more;
 *                                    else a buffer of the function
 *
 * Which bytes a buffer gets is decided later, by plan_memory.c. */
#include <ctype.h>

#include "codegen/plan_parts.h"
#include "ir/slots.h"

/* ---- types and rows -------------------------------------------------------------------------- */

/* The environment, and on a CPU every float, is f32 whatever the IR says: a superset. So are codes
 * in floating point there: multiplied as floats, their scales are all they cost. */
static DType stored_dtype(DType t)
{
    return dtype_is_float(t) || t == DT_E4M3 ? DT_F32 : t;
}

/* Temporaries of a GPU are what the IR says: each is read by many blocks. */
static DType temporary_dtype(const Target *target, DType t)
{
    return target->gpu ? t : stored_dtype(t);
}

static int64_t row_elements(const Type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static PlanBuffer make_buffer(Str name, const Type *t, DType stored)
{
    PlanBuffer b = {.name = name, .stored = stored};
    b.rows = t->rank > 0 ? t->dim[0] : 1;
    b.stride = row_elements(t);
    b.bytes = b.rows * b.stride * dtype_bits(b.stored) / 8;
    b.last = -1;
    return b;
}

/* ---- the environment ------------------------------------------------------------------------- */

static int find_shared(const PlanPhase *phase, Str name)
{
    for (size_t i = 0; i < phase->shared.n; i++) {
        if (phase->shared.data[i].name == name) {
            return (int)i;
        }
    }
    return -1;
}

static void add_shared(PlanBuild *b, Str name, const Type *t)
{
    if (find_shared(b->phase, name) >= 0) {
        return;
    }
    PlanBuffer buffer = make_buffer(name, t, stored_dtype(t->dtype));
    buffer.shared = true;
    vec_push(b->ctx->arena, &b->phase->shared, buffer);
}

bool plan_is_last_func(const PlanPhase *phase, const Func *f)
{
    const Module *m = phase->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    return m->funcs.data[last->func[last->n_funcs - 1]] == f && last->repeat == 1 && !last->layered;
}

bool plan_is_output(const PlanBuild *b, const Func *f, size_t result)
{
    return plan_is_last_func(b->phase, f) &&
           (f->result_names.data[result] == b->name_logits || f->results.n == 1);
}

static void collect_shared(PlanBuild *b)
{
    const Module *m = b->phase->module;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        for (int k = 0; k < step->n_funcs; k++) {
            const Func *f = m->funcs.data[step->func[k]];
            for (size_t i = 0; i < f->results.n; i++) {
                if (!plan_is_output(b, f, i)) {
                    add_shared(b, f->result_names.data[i], f->value[f->results.data[i]].type);
                }
            }
        }
    }
}

int64_t plan_place_environment(PlanBuild *b)
{
    PlanPhase *phase = b->phase;
    collect_shared(b);
    int64_t at = 0;
    for (size_t i = 0; i < phase->shared.n; i++) {
        phase->shared.data[i].offset = at;
        at += plan_align(phase->shared.data[i].bytes);
    }
    return at;
}

/* ---- buffers, inputs, constants -------------------------------------------------------------- */

Str plan_identifier(Ctx *ctx, const char *text)
{
    Buf b = buf_create(ctx->arena);
    for (const char *s = text; *s != '\0'; s++) {
        buf_putc(&b, isalnum((unsigned char)*s) ? *s : '_');
    }
    return str_intern(ctx->strings, b.data);
}

static bool buffer_name_taken(const PlanBuild *b, Str name)
{
    bool taken = find_shared(b->phase, name) >= 0;
    for (size_t i = 0; i < b->pf->buffers.n; i++) {
        taken = taken || b->pf->buffers.data[i].name == name;
    }
    return taken;
}

/* A temporary's name: an identifier of its own, also beside the environment's names. */
static Str buffer_name(const PlanBuild *b, Str value)
{
    Str name = plan_identifier(b->ctx, value), tried = name;
    for (int i = 2; buffer_name_taken(b, tried); i++) {
        tried = str_internf(b->ctx->strings, "%s_%d", name, i);
    }
    return tried;
}

static int add_buffer(PlanBuild *b, PlanBuffer buffer)
{
    vec_push(b->ctx->arena, &b->pf->buffers, buffer);
    return (int)b->pf->buffers.n - 1;
}

int plan_shared_buffer(PlanBuild *b, Str name)
{
    for (size_t i = 0; i < b->pf->buffers.n; i++) {
        const PlanBuffer *have = &b->pf->buffers.data[i];
        if (have->shared && have->name == name) {
            return (int)i;
        }
    }
    return add_buffer(b, b->phase->shared.data[find_shared(b->phase, name)]);
}

const PlanBuffer *plan_buffer(const PlanFunc *pf, const Place *p)
{
    return &pf->buffers.data[p->index];
}

static Place scratch_place(const PlanFunc *pf, int buffer)
{
    const PlanBuffer *have = &pf->buffers.data[buffer];
    return (Place){
        .kind = PLACE_SCRATCH, .index = buffer, .stored = have->stored, .stride = have->stride};
}

static void place_param(PlanBuild *b, ValueId v)
{
    const Value *value = &b->func->value[v];
    Place *p = &b->pf->place[v];
    p->stored = stored_dtype(value->type->dtype);
    p->stride = row_elements(value->type);
    if (value->name == b->name_tokens) {
        p->kind = PLACE_TOKENS;
    } else if (value->name == b->name_pos) {
        p->kind = PLACE_POS;
    } else if (find_shared(b->phase, value->name) < 0) {
        p->kind = PLACE_INPUT;
        p->stored = temporary_dtype(b->plan->target, value->type->dtype);
    } else {
        *p = scratch_place(b->pf, plan_shared_buffer(b, value->name));
    }
}

void plan_place_inputs(PlanBuild *b)
{
    const Func *f = b->func;
    for (size_t i = 0; i < f->params.n; i++) {
        place_param(b, f->params.data[i]);
    }
    for (size_t i = 0; i < f->states.n; i++) {
        const Type *t = f->value[f->states.data[i]].type;
        b->pf->place[f->states.data[i]] =
            (Place){.kind = PLACE_CACHE, .index = (int)i, .stored = t->dtype};
    }
}

void plan_place_constant(PlanBuild *b, ValueId v)
{
    Place *p = &b->pf->place[v];
    if (p->kind != PLACE_NONE) {
        return;
    }
    int tensor = weights_find(b->ctx, b->plan->weights, b->func, v, -1);
    if (tensor < 0) {
        BUG("constant %%%s of @%s is not in the weights plan", b->func->value[v].name,
            b->func->name);
    }
    const Type *t = b->func->value[v].type;
    *p = (Place){.kind = PLACE_WEIGHT, .index = tensor, .stored = t->dtype};
    p->stride = row_elements(t);
}

/* ---- views ----------------------------------------------------------------------------------- */

static bool float_cast(const Func *f, const Op *op)
{
    return op->kind == OP_CAST && dtype_is_float(f->value[op->in[0]].type->dtype) &&
           dtype_is_float(f->value[op->out[0]].type->dtype);
}

bool plan_place_view(PlanBuild *b, const Op *op)
{
    Place *place = b->pf->place;
    const Place from = place[op->in[0]];
    if (op->kind == OP_SPLIT) {
        int64_t column = from.column;
        for (int i = 0; i < op->n_out; i++) {
            place[op->out[i]] = from;
            place[op->out[i]].column = column;
            column += op->a.sizes.v[i];
        }
        return true;
    }
    if (op->kind == OP_DEQUANT && from.kind == PLACE_CACHE) {
        place[op->out[0]] = from;
        place[op->out[0]].scale_state = place[op->in[1]].index + 1;
        return true;
    }
    if (float_cast(b->func, op)) {
        place[op->out[0]] = from;
        return true;
    }
    return false;
}

/* ---- returned values ------------------------------------------------------------------------- */

/* May `op` write over the old value `old`, which it reads only element by element? */
static bool reads_in_place(const Func *f, const Op *op, ValueId old)
{
    int slots = op_slots(op->kind);
    bool elementwise = (op_flags(op->kind) & OPF_ELEMENT) != 0 || op->kind == OP_MATMUL;
    for (int i = 0; i < op->n_in; i++) {
        bool leaf = i >= slots || (op_flags(op->kind) & OPF_ELEMENT) != 0;
        if (op->in[i] == old && !(elementwise && leaf)) {
            return false;
        }
    }
    const Type *a = f->value[old].type, *y = f->value[op->out[0]].type;
    return a->rank == y->rank && a->dim[0] == y->dim[0] && a->dim[1] == y->dim[1];
}

/* Does `op` read the buffer, itself or through a view? */
static bool reads(const PlanFunc *pf, const Op *op, int buffer)
{
    for (int i = 0; i < op->n_in; i++) {
        const Place *p = &pf->place[op->in[i]];
        if (op->in[i] != 0 && p->kind == PLACE_SCRATCH && p->index == buffer) {
            return true;
        }
    }
    return false;
}

/* Is `old`, the environment's value under a result's name, dead once `def` has run? */
static bool old_value_dies(const PlanBuild *b, OpId def, ValueId old)
{
    const Func *f = b->func;
    const Op *writer = &f->op[def];
    bool after = false;
    int buffer = b->pf->place[old].index;
    for (size_t i = 0; i < f->results.n; i++) {
        if (f->results.data[i] == old) {
            return false;
        }
    }
    FOR_EACH_OP(f, id)
    {
        if (after && reads(b->pf, &f->op[id], buffer)) {
            return false;
        }
        after = after || id == def;
    }
    return !reads(b->pf, writer, buffer) || reads_in_place(f, writer, old);
}

static ValueId param_named(const Func *f, Str name)
{
    for (size_t i = 0; i < f->params.n; i++) {
        if (f->value[f->params.data[i]].name == name) {
            return f->params.data[i];
        }
    }
    return 0;
}

/* The result index under which v is returned, or -1. */
static int returned_as(const Func *f, ValueId v)
{
    for (size_t i = 0; i < f->results.n; i++) {
        if (f->results.data[i] == v) {
            return (int)i;
        }
    }
    return -1;
}

/* The place of a kernel's result: the environment's or the caller's memory when it is returned. */
static Place place_result(PlanBuild *b, OpId def, ValueId v)
{
    const Func *f = b->func;
    const Value *value = &f->value[v];
    int result = returned_as(f, v);
    if (result >= 0 && plan_is_output(b, f, (size_t)result)) {
        return (Place){.kind = PLACE_LOGITS, .stored = DT_F32, .stride = row_elements(value->type)};
    }
    if (result >= 0) {
        Str name = f->result_names.data[result];
        ValueId old = param_named(f, name);
        if (old == 0 || old_value_dies(b, def, old)) {
            return scratch_place(b->pf, plan_shared_buffer(b, name));
        }
    }
    PlanBuffer buffer = make_buffer(buffer_name(b, value->name), value->type,
                                    temporary_dtype(b->plan->target, value->type->dtype));
    buffer.first = (int)b->pf->kernels.n;
    return scratch_place(b->pf, add_buffer(b, buffer));
}

void plan_place_results(PlanBuild *b, const Kernel *k)
{
    const Op *op = &b->func->op[k->op];
    for (int i = 0; i < op->n_out; i++) {
        Place *p = &b->pf->place[op->out[i]];
        int slot = op_cache_slot(op->kind, i);
        if (slot >= 0) {
            *p = b->pf->place[op->in[slot]];
        } else {
            *p = place_result(b, k->op, op->out[i]);
            if (k->each_thread) {
                b->pf->buffers.data[p->index].own = true;
            }
        }
    }
}

bool plan_stays_inside(const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_out; i++) {
        if (returned_as(f, op->out[i]) >= 0) {
            return false;
        }
    }
    return true;
}

/* ---- caches ---------------------------------------------------------------------------------- */

int64_t plan_state_bytes(const Func *f, int s)
{
    const Type *t = f->value[f->states.data[s]].type;
    return plan_align(row_elements(t) * dtype_bits(t->dtype) / 8);
}

int64_t plan_state_offset(const Func *f, int s)
{
    int64_t at = 0;
    for (int i = 0; i < s; i++) {
        at += plan_state_bytes(f, i);
    }
    return at;
}

void plan_place_caches(Plan *p, const Module *m)
{
    int64_t at = 0;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        int64_t base = at;
        size_t first = p->kv.n;
        for (int k = 0; k < step->n_funcs; k++) {
            const Func *f = m->funcs.data[step->func[k]];
            KvBlock block = {.step = (int)s, .slot = k, .offset = at};
            vec_push(p->ctx->arena, &p->kv, block);
            at += plan_state_offset(f, (int)f->states.n);
        }
        for (size_t i = first; i < p->kv.n; i++) {
            p->kv.data[i].stride = at - base;
        }
        at = base + (at - base) * step->repeat;
    }
    p->kv_bytes = at;
}
