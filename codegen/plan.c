/* plan.c - cuts the functions of each phase into kernels and gives every value a place.
 *
 *   params, states, constants        places known from outside
 *   operators in order               view -> the operand's place; else a kernel and new buffers
 *   returned values                  written straight into the environment when nobody reads the
 * old value any more, else copied by a kernel at the end */
#include "codegen/plan.h"

#include <ctype.h>
#include <string.h>

#include "codegen/plan_parts.h"
#include "codegen/select.h"
#include "ir/slots.h"

typedef struct Build {
    Ctx *ctx;
    Plan *plan;
    PlanPhase *phase;
    PlanFunc *pf;
    const Func *func;
    Str name_tokens, name_pos, name_logits;
} Build;

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

const PlanBuffer *plan_buffer(const PlanFunc *pf, const Place *p)
{
    return &pf->buffers.data[p->index];
}

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

static void add_shared(Build *b, Str name, const Type *t)
{
    if (find_shared(b->phase, name) >= 0) {
        return;
    }
    PlanBuffer buffer = make_buffer(name, t, stored_dtype(t->dtype));
    buffer.shared = true;
    vec_push(b->ctx->arena, &b->phase->shared, buffer);
}

static bool is_last_func(const PlanPhase *phase, const Func *f)
{
    const Module *m = phase->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    return m->funcs.data[last->func[last->n_funcs - 1]] == f && last->repeat == 1 && !last->layered;
}

/* The result that leaves through run->logits: "logits", or all there is in a model without it. */
static bool is_output(const Build *b, const Func *f, size_t result)
{
    return is_last_func(b->phase, f) &&
           (f->result_names.data[result] == b->name_logits || f->results.n == 1);
}

static void collect_shared(Build *b)
{
    const Module *m = b->phase->module;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        for (int k = 0; k < step->n_funcs; k++) {
            const Func *f = m->funcs.data[step->func[k]];
            for (size_t i = 0; i < f->results.n; i++) {
                if (!is_output(b, f, i)) {
                    add_shared(b, f->result_names.data[i], f->value[f->results.data[i]].type);
                }
            }
        }
    }
}

static int64_t place_shared(PlanPhase *phase)
{
    int64_t at = 0;
    for (size_t i = 0; i < phase->shared.n; i++) {
        phase->shared.data[i].offset = at;
        at += plan_align(phase->shared.data[i].bytes);
    }
    return at;
}

/* ---- places ---------------------------------------------------------------------------------- */

static Str sanitised(Ctx *ctx, const char *text)
{
    Buf b = buf_create(ctx->arena);
    for (const char *s = text; *s != '\0'; s++) {
        buf_putc(&b, isalnum((unsigned char)*s) ? *s : '_');
    }
    return str_intern(ctx->strings, b.data);
}

static bool buffer_name_taken(const Build *b, Str name)
{
    bool taken = find_shared(b->phase, name) >= 0;
    for (size_t i = 0; i < b->pf->buffers.n; i++) {
        taken = taken || b->pf->buffers.data[i].name == name;
    }
    return taken;
}

/* A temporary's name: an identifier of its own, also beside the environment's names. */
static Str buffer_name(const Build *b, Str value)
{
    Str name = sanitised(b->ctx, value), tried = name;
    for (int i = 2; buffer_name_taken(b, tried); i++) {
        tried = str_internf(b->ctx->strings, "%s_%d", name, i);
    }
    return tried;
}

static int add_buffer(Build *b, PlanBuffer buffer)
{
    vec_push(b->ctx->arena, &b->pf->buffers, buffer);
    return (int)b->pf->buffers.n - 1;
}

static int shared_buffer(Build *b, Str name)
{
    for (size_t i = 0; i < b->pf->buffers.n; i++) {
        const PlanBuffer *have = &b->pf->buffers.data[i];
        if (have->shared && have->name == name) {
            return (int)i;
        }
    }
    return add_buffer(b, b->phase->shared.data[find_shared(b->phase, name)]);
}

static Place scratch_place(const PlanFunc *pf, int buffer)
{
    const PlanBuffer *have = &pf->buffers.data[buffer];
    return (Place){
        .kind = PLACE_SCRATCH, .index = buffer, .stored = have->stored, .stride = have->stride};
}

static void place_param(Build *b, ValueId v)
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
        *p = scratch_place(b->pf, shared_buffer(b, value->name));
    }
}

static void place_inputs(Build *b)
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

static bool place_constant(Build *b, ValueId v)
{
    Place *p = &b->pf->place[v];
    if (p->kind != PLACE_NONE) {
        return true;
    }
    int tensor = weights_find(b->ctx, b->plan->weights, b->func, v, -1);
    if (tensor < 0) {
        BUG("constant %%%s of @%s is not in the weights plan", b->func->value[v].name,
            b->func->name);
    }
    const Type *t = b->func->value[v].type;
    *p = (Place){.kind = PLACE_WEIGHT, .index = tensor, .stored = t->dtype};
    p->stride = row_elements(t);
    return true;
}

/* ---- views ----------------------------------------------------------------------------------- */

static bool float_cast(const Func *f, const Op *op)
{
    return op->kind == OP_CAST && dtype_is_float(f->value[op->in[0]].type->dtype) &&
           dtype_is_float(f->value[op->out[0]].type->dtype);
}

/* Gives the results of a view the operand's place; false when op is a kernel. */
static bool place_view(Build *b, const Op *op)
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

/* Does `op` (or a view of the value) read v? */
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

/* The environment's old value under the name of result r is dead once `def` has run. */
static bool old_value_dies(const Build *b, OpId def, ValueId old)
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
static Place place_result(Build *b, OpId def, ValueId v)
{
    const Func *f = b->func;
    const Value *value = &f->value[v];
    int result = returned_as(f, v);
    if (result >= 0 && is_output(b, f, (size_t)result)) {
        return (Place){.kind = PLACE_LOGITS, .stored = DT_F32, .stride = row_elements(value->type)};
    }
    if (result >= 0) {
        Str name = f->result_names.data[result];
        ValueId old = param_named(f, name);
        if (old == 0 || old_value_dies(b, def, old)) {
            return scratch_place(b->pf, shared_buffer(b, name));
        }
    }
    PlanBuffer buffer = make_buffer(buffer_name(b, value->name), value->type,
                                    temporary_dtype(b->plan->target, value->type->dtype));
    buffer.first = (int)b->pf->kernels.n;
    return scratch_place(b->pf, add_buffer(b, buffer));
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* What people call the operator: its weight, else operator and result. */
static Str purpose_of(Build *b, const Op *op)
{
    bool named = op->kind != OP_ATTENTION && op->kind != OP_ATTN_SCORES;
    for (int i = 0; i < op->n_in && i < op_slots(op->kind) && named; i++) {
        const Place *p = &b->pf->place[op->in[i]];
        if (op->in[i] != 0 && p->kind == PLACE_WEIGHT && op->kind != OP_ROPE_ANGLES) {
            return sanitised(b->ctx, b->plan->weights->tensors.data[p->index].name);
        }
    }
    if (op->kind == OP_ATTENTION || op->kind == OP_ROPE_ANGLES) {
        return str_intern(b->ctx->strings, op_name(op->kind));
    }
    Str value = b->func->value[op->out[0]].name;
    return sanitised(b->ctx, arena_printf(b->ctx->arena, "%s_%s", op_name(op->kind), value));
}

static bool purpose_taken(const PlanFunc *pf, Str purpose)
{
    for (size_t i = 0; i < pf->kernels.n; i++) {
        if (pf->kernels.data[i].purpose == purpose) {
            return true;
        }
    }
    return false;
}

static void add_kernel(Build *b, Kernel k, Str purpose)
{
    Str tried = purpose;
    for (int i = 2; purpose_taken(b->pf, tried); i++) {
        tried = str_internf(b->ctx->strings, "%s_%d", purpose, i);
    }
    k.purpose = tried;
    k.name = str_internf(b->ctx->strings, "%s_%s_%s", b->phase->name,
                         sanitised(b->ctx, b->func->name), tried);
    k.info = b->plan->n_infos++;
    vec_push(b->ctx->arena, &b->pf->kernels, k);
}

static void cost_kernel(const Build *b, Kernel *k, const Op *op)
{
    k->cost = cost_op(b->func, op, 0);
    bool reads_cache =
        op->kind == OP_ATTENTION || op->kind == OP_ATTN_SCORES || op->kind == OP_ATTN_MIX;
    if (reads_cache) {
        Cost one = cost_op(b->func, op, 1), two = cost_op(b->func, op, 2);
        k->kv_bytes_per_pos = two.read_bytes - one.read_bytes;
    }
}

static void place_results(Build *b, const Kernel *k)
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

static bool stays_inside(const Func *f, const Op *op)
{
    for (int i = 0; i < op->n_out; i++) {
        if (returned_as(f, op->out[i]) >= 0) {
            return false;
        }
    }
    return true;
}

static bool plan_op(Build *b, OpId id)
{
    const Op *op = &b->func->op[id];
    if (b->func->value[op->out[0]].constant) {
        return true;
    }
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0 && b->func->value[op->in[i]].constant) {
            place_constant(b, op->in[i]);
        }
    }
    if (place_view(b, op)) {
        return true;
    }
    Kernel k = {.op = id};
    if (!select_kernel(b->ctx, b->plan->target, b->phase->module, b->func, &k)) {
        return false;
    }
    k.each_thread = k.each_thread && stays_inside(b->func, op);
    place_results(b, &k);
    cost_kernel(b, &k, op);
    add_kernel(b, k, purpose_of(b, op));
    return true;
}

/* Returned values that are not yet where the environment or the caller expects them. */
static void add_copies(Build *b)
{
    const Func *f = b->func;
    for (size_t i = 0; i < f->results.n; i++) {
        const Place *p = &b->pf->place[f->results.data[i]];
        Str name = f->result_names.data[i];
        bool out = is_output(b, f, i);
        bool there = out ? p->kind == PLACE_LOGITS
                         : p->kind == PLACE_SCRATCH && plan_buffer(b->pf, p)->shared &&
                               plan_buffer(b->pf, p)->name == name;
        if (there) {
            continue;
        }
        if (!out) {
            shared_buffer(b, name);
        }
        Kernel k = {.copy = (int)i, .split = {SPLIT_ROWS, 1, 0}};
        k.config.template = "copy";
        k.reason = str_intern(b->ctx->strings, "the old value is still read");
        add_kernel(b, k, sanitised(b->ctx, arena_printf(b->ctx->arena, "copy_%s", name)));
    }
}

static void set_last_uses(Build *b)
{
    PlanFunc *pf = b->pf;
    for (size_t i = 0; i < pf->kernels.n; i++) {
        const Kernel *k = &pf->kernels.data[i];
        const Op *op = &b->func->op[k->op];
        for (int s = 0; k->op != 0 && s < op->n_in + op->n_out; s++) {
            ValueId v = s < op->n_in ? op->in[s] : op->out[s - op->n_in];
            if (v != 0 && pf->place[v].kind == PLACE_SCRATCH) {
                pf->buffers.data[pf->place[v].index].last = (int)i;
            }
        }
        const Place *copied =
            &pf->place[b->func->results.n == 0 ? 0
                                               : b->func->results.data[k->op == 0 ? k->copy : 0]];
        if (k->op == 0 && copied->kind == PLACE_SCRATCH) {
            pf->buffers.data[copied->index].last = (int)i;
        }
    }
}

static int calls_of(const Module *m, const Func *f)
{
    int calls = 0;
    for (size_t s = 0; s < m->steps.n; s++) {
        for (int k = 0; k < m->steps.data[s].n_funcs; k++) {
            calls += m->funcs.data[m->steps.data[s].func[k]] == f ? m->steps.data[s].repeat : 0;
        }
    }
    return calls;
}

static bool plan_func(Build *b, const Func *f, int64_t base)
{
    PlanFunc empty = {.func = f, .calls = calls_of(b->phase->module, f)};
    vec_push(b->ctx->arena, &b->phase->funcs, empty);
    b->pf = &b->phase->funcs.data[b->phase->funcs.n - 1];
    b->pf->place = ARENA_ARRAY(b->ctx->arena, Place, f->n_values);
    b->func = f;
    place_inputs(b);
    FOR_EACH_OP(f, id)
    {
        if (!plan_op(b, id)) {
            return false;
        }
    }
    add_copies(b);
    set_last_uses(b);
    int64_t end = plan_place_buffers(b->pf, base);
    plan_place_barriers(b->ctx, b->pf, !is_last_func(b->phase, f));
    b->phase->scratch_bytes = end > b->phase->scratch_bytes ? end : b->phase->scratch_bytes;
    return true;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static int head_of(const Build *b)
{
    const Module *m = b->phase->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    const Func *f = m->funcs.data[last->func[last->n_funcs - 1]];
    for (size_t i = 0; i < f->results.n; i++) {
        if (m->steps.n > 1 && last->n_funcs == 1 && is_last_func(b->phase, f) &&
            f->result_names.data[i] == b->name_logits) {
            return last->func[0];
        }
    }
    return -1;
}

static bool plan_phase(Build *b, const Module *m)
{
    const char *word = m->phase == PHASE_DECODE ? "decode" : "prefill";
    PlanPhase empty = {.module = m};
    empty.name = str_internf(b->ctx->strings, "%s%d", word, m->tokens);
    vec_push(b->ctx->arena, &b->plan->phases, empty);
    b->phase = &b->plan->phases.data[b->plan->phases.n - 1];
    collect_shared(b);
    int64_t base = place_shared(b->phase);
    b->phase->scratch_bytes = base;
    b->phase->head = head_of(b);
    for (size_t i = 0; i < m->funcs.n; i++) {
        if (!plan_func(b, m->funcs.data[i], base)) {
            return false;
        }
    }
    return true;
}

static void place_caches(Plan *p, const Module *m)
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

Plan *plan_build(Ctx *ctx, const Target *target, Module **modules, int n_modules)
{
    Plan *p = ARENA_NEW(ctx->arena, Plan);
    p->ctx = ctx;
    p->target = target;
    p->weights = weights_plan(ctx, modules, n_modules);
    place_caches(p, modules[0]);
    Build b = {.ctx = ctx, .plan = p};
    b.name_tokens = str_intern(ctx->strings, "tokens");
    b.name_pos = str_intern(ctx->strings, "pos");
    b.name_logits = str_intern(ctx->strings, "logits");
    for (int i = 0; i < n_modules; i++) {
        if (!plan_phase(&b, modules[i])) {
            return NULL;
        }
        const PlanPhase *done = &p->phases.data[i];
        p->scratch_bytes =
            done->scratch_bytes > p->scratch_bytes ? done->scratch_bytes : p->scratch_bytes;
    }
    return p;
}
