/* plan.c - cuts the functions of each phase into kernels.
 *
 *   operators in order               a view needs none; else a kernel, which select.c chooses
 *   returned values                  copied by a kernel at the end when the environment's old value
 *                                    was still read (plan_place.c decides)
 *
 * Then plan_memory.c gives the buffers their offsets and the kernels their barriers. */
#include "codegen/plan_parts.h"
#include "codegen/select.h"
#include "ir/slots.h"

/* ---- kernels --------------------------------------------------------------------------------- */

/* What people call the operator: its weight, else operator and result. */
static Str purpose_of(PlanBuild *b, const Op *op)
{
    bool named = op->kind != OP_ATTENTION && op->kind != OP_ATTN_SCORES;
    for (int i = 0; i < op->n_in && i < op_slots(op->kind) && named; i++) {
        const Place *p = &b->pf->place[op->in[i]];
        if (op->in[i] != 0 && p->kind == PLACE_WEIGHT && op->kind != OP_ROPE_ANGLES) {
            return plan_identifier(b->ctx, b->plan->weights->tensors.data[p->index].name);
        }
    }
    if (op->kind == OP_ATTENTION || op->kind == OP_ROPE_ANGLES) {
        return str_intern(b->ctx->strings, op_name(op->kind));
    }
    Str value = b->func->value[op->out[0]].name;
    return plan_identifier(b->ctx, arena_printf(b->ctx->arena, "%s_%s", op_name(op->kind), value));
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

static void add_kernel(PlanBuild *b, Kernel k, Str purpose)
{
    Str tried = purpose;
    for (int i = 2; purpose_taken(b->pf, tried); i++) {
        tried = str_internf(b->ctx->strings, "%s_%d", purpose, i);
    }
    k.purpose = tried;
    k.name = str_internf(b->ctx->strings, "%s_%s_%s", b->phase->name,
                         plan_identifier(b->ctx, b->func->name), tried);
    k.info = b->plan->n_infos++;
    vec_push(b->ctx->arena, &b->pf->kernels, k);
}

static void cost_kernel(const PlanBuild *b, Kernel *k, const Op *op)
{
    k->cost = cost_op(b->func, op, 0);
    bool reads_cache =
        op->kind == OP_ATTENTION || op->kind == OP_ATTN_SCORES || op->kind == OP_ATTN_MIX;
    if (reads_cache) {
        Cost one = cost_op(b->func, op, 1), two = cost_op(b->func, op, 2);
        k->kv_bytes_per_pos = two.read_bytes - one.read_bytes;
    }
}

static bool plan_op(PlanBuild *b, OpId id)
{
    const Op *op = &b->func->op[id];
    if (b->func->value[op->out[0]].constant) {
        return true;
    }
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0 && b->func->value[op->in[i]].constant) {
            plan_place_constant(b, op->in[i]);
        }
    }
    if (plan_place_view(b, op)) {
        return true;
    }
    Kernel k = {.op = id};
    if (!select_kernel(b->ctx, b->plan->target, b->phase->module, b->func, &k)) {
        return false;
    }
    k.each_thread = k.each_thread && plan_stays_inside(b->func, op);
    plan_place_results(b, &k);
    cost_kernel(b, &k, op);
    add_kernel(b, k, purpose_of(b, op));
    return true;
}

/* Returned values that are not yet where the environment or the caller expects them. */
static void add_copies(PlanBuild *b)
{
    const Func *f = b->func;
    for (size_t i = 0; i < f->results.n; i++) {
        const Place *p = &b->pf->place[f->results.data[i]];
        Str name = f->result_names.data[i];
        bool out = plan_is_output(b, f, i);
        bool there = out ? p->kind == PLACE_LOGITS
                         : p->kind == PLACE_SCRATCH && plan_buffer(b->pf, p)->shared &&
                               plan_buffer(b->pf, p)->name == name;
        if (there) {
            continue;
        }
        if (!out) {
            plan_shared_buffer(b, name);
        }
        Kernel k = {.copy = (int)i, .split = {SPLIT_ROWS, 1, 0}};
        k.config.template = "copy";
        k.reason = str_intern(b->ctx->strings, "the old value is still read");
        add_kernel(b, k, plan_identifier(b->ctx, arena_printf(b->ctx->arena, "copy_%s", name)));
    }
}

static void set_last_uses(PlanBuild *b)
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

static bool plan_func(PlanBuild *b, const Func *f, int64_t base)
{
    PlanFunc empty = {.func = f, .calls = calls_of(b->phase->module, f)};
    vec_push(b->ctx->arena, &b->phase->funcs, empty);
    b->pf = &b->phase->funcs.data[b->phase->funcs.n - 1];
    b->pf->place = ARENA_ARRAY(b->ctx->arena, Place, f->n_values);
    b->func = f;
    plan_place_inputs(b);
    FOR_EACH_OP(f, id)
    {
        if (!plan_op(b, id)) {
            return false;
        }
    }
    add_copies(b);
    set_last_uses(b);
    int64_t end = plan_place_buffers(b->pf, base);
    plan_place_barriers(b->ctx, b->pf, !plan_is_last_func(b->phase, f));
    b->phase->scratch_bytes = end > b->phase->scratch_bytes ? end : b->phase->scratch_bytes;
    return true;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static int head_of(const PlanBuild *b)
{
    const Module *m = b->phase->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    const Func *f = m->funcs.data[last->func[last->n_funcs - 1]];
    for (size_t i = 0; i < f->results.n; i++) {
        if (m->steps.n > 1 && last->n_funcs == 1 && plan_is_last_func(b->phase, f) &&
            f->result_names.data[i] == b->name_logits) {
            return last->func[0];
        }
    }
    return -1;
}

static bool plan_phase(PlanBuild *b, const Module *m)
{
    const char *word = m->phase == PHASE_DECODE ? "decode" : "prefill";
    PlanPhase empty = {.module = m};
    empty.name = str_internf(b->ctx->strings, "%s%d", word, m->tokens);
    vec_push(b->ctx->arena, &b->plan->phases, empty);
    b->phase = &b->plan->phases.data[b->plan->phases.n - 1];
    int64_t base = plan_place_environment(b);
    b->phase->scratch_bytes = base;
    b->phase->head = head_of(b);
    for (size_t i = 0; i < m->funcs.n; i++) {
        if (!plan_func(b, m->funcs.data[i], base)) {
            return false;
        }
    }
    return true;
}

Plan *plan_build(Ctx *ctx, const Target *target, Module **modules, int n_modules)
{
    Plan *p = ARENA_NEW(ctx->arena, Plan);
    p->ctx = ctx;
    p->target = target;
    p->weights = weights_plan(ctx, modules, n_modules);
    plan_place_caches(p, modules[0]);
    PlanBuild b = {.ctx = ctx, .plan = p};
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
