/* emit_func.c - phases: one C function for each IR function, which lists its kernels and barriers
 * in order, and the step that runs the schedule. */
#include "codegen/emit_parts.h"

#include "codegen/emit_setup.h"
#include "codegen/step.h"

#include <ctype.h>
#include <string.h>

static KernelText kernel_text(Emit *e, const PlanPhase *phase, const PlanFunc *pf, const Kernel *k)
{
    return (KernelText){.emit = e, .phase = phase, .pf = pf, .kernel = k};
}

/* ---- weights asked for at a barrier ------------------------------------------------------ */

static const WeightBlock *find_block(const Plan *p, int step, int slot)
{
    for (size_t i = 0; i < p->weights->blocks.n; i++) {
        const WeightBlock *b = &p->weights->blocks.data[i];
        if (b->step == step && b->slot == slot) {
            return b;
        }
    }
    BUG("no weights for step %d", step);
}

/* Where a matmul of decode finds its weights, and how threads share them out. */
typedef struct Share {
    Str weights; /* "w + AT_LAYER_O_CODE"; NULL: not such a matmul */
    bool layered;
    int64_t units, unit_bytes;
} Share;

/* Of q, k and v a thread begins with its heads of q. */
static Share weights_share(const KernelText *k)
{
    const KernelConfig *cfg = &k->kernel->config;
    bool decode = k->phase->module->phase == PHASE_DECODE;
    if (!decode || cfg->dot == NULL || strcmp(cfg->dot, "any") == 0) {
        return (Share){0};
    }
    const KernelParam *w = emit_find_param(k, emit_intern(k, "w"));
    if (w->tensor == NULL) {
        return (Share){0};
    }
    int64_t row_bytes = w->ir->dim[1] * dtype_bits(w->stored) / 8;
    bool heads = k->op->kind == OP_MATMUL_QKV;
    return (Share){.weights = emit_weight_address(k->emit->ctx, w->tensor),
                   .layered = w->tensor->layered,
                   .units = heads ? k->op->a.heads : cfg->units,
                   .unit_bytes = row_bytes * (heads ? k->op->a.head_dim : cfg->tiles * k->lanes)};
}

static const char barrier[] = "    sinter_barrier(run->barrier, thread);\n";

/* The barrier at `at` becomes one that asks for weights. `beyond`: bytes from these to those meant,
 * the next layer's. */
static void put_fetch(Ctx *ctx, const Share *s, int64_t beyond, Buf *calls, size_t at)
{
    Buf with = buf_create(ctx->arena);
    buf_add(&with, calls->data, at);
    buf_printf(&with, "    barrier_before(run, %s", s->weights);
    if (beyond > 0) {
        buf_printf(&with, " + %lld", (long long)beyond);
    }
    buf_printf(&with, ", %lld, %lld, thread);\n", (long long)s->units, (long long)s->unit_bytes);
    buf_puts(&with, calls->data + at + strlen(barrier));
    *calls = with;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* A function's body while its kernels are made. */
typedef struct FuncText {
    Buf calls;
    bool *used; /* [buffers] a kernel is passed this buffer */
    bool uses_layer, uses_kv;
    size_t barrier; /* where the last one begins in `calls`; 0: none, or it asks for weights */
    Share first;    /* of the first matmul */
} FuncText;

/* A buffer's name as a whole word in an argument. */
static bool mentions_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = strstr(text, word); s != NULL; s = strstr(s + 1, word)) {
        bool left = s == text || !(isalnum((unsigned char)s[-1]) || s[-1] == '_');
        bool right = !(isalnum((unsigned char)s[n]) || s[n] == '_');
        if (left && right && (s == text || s[-1] != '>')) {
            return true;
        }
    }
    return false;
}

static void note_buffers(const KernelText *k, FuncText *f)
{
    for (size_t i = 0; i < k->pf->buffers.n; i++) {
        Str name = emit_variable(k->emit->ctx, k->pf->buffers.data[i].name);
        for (size_t p = 0; p < k->params.n; p++) {
            bool pointer = k->params.data[p].ir != NULL;
            f->used[i] = f->used[i] || (pointer && mentions_word(k->params.data[p].arg, name));
        }
    }
}

static void put_call(const KernelText *k, FuncText *f)
{
    Ctx *ctx = k->emit->ctx;
    Str *item = ARENA_ARRAY(ctx->arena, Str, k->params.n + 1);
    bool gpu = k->emit->plan->target->gpu;
    size_t n = 0;
    if (gpu) {
        item[n++] = "run";
    }
    for (size_t i = 0; i < k->params.n; i++) {
        item[n++] = k->params.data[i].arg;
    }
    buf_puts(&f->calls, "    ");
    Buf call = buf_create(ctx->arena);
    emit_wrapped(&call, arena_printf(ctx->arena, "%s(", k->symbol), item, n, 4, ");");
    for (const char *s = call.data; *s != '\0'; s++) {
        buf_putc(&f->calls, *s);
        if (*s == '\n') {
            buf_puts(&f->calls, "    ");
        }
    }
    buf_putc(&f->calls, '\n');
    if (k->kernel->barrier_after && !gpu) {
        f->barrier = f->calls.len;
        buf_puts(&f->calls, barrier);
    }
    if (k->kernel->barrier_unless > 0 && !gpu) {
        buf_printf(&f->calls,
                   "    if (%lld %% run->threads != 0) {\n"
                   "        sinter_barrier(run->barrier, thread);\n    }\n",
                   (long long)k->kernel->barrier_unless);
    }
    buf_printf(&f->calls, "    lap(run, thread, %d%s);\n", k->kernel->info, gpu ? "" : ", &clock");
}

/* Weights of this matmul are asked for at the last barrier in front of it. */
static void note_weights(const KernelText *k, FuncText *f)
{
    const Target *target = k->emit->plan->target;
    Share share = target->gpu || target->caches.ahead == 0 ? (Share){0} : weights_share(k);
    if (share.weights == NULL) {
        return;
    }
    if (f->first.weights == NULL) {
        f->first = share;
    }
    if (f->barrier > 0) {
        put_fetch(k->emit->ctx, &share, 0, &f->calls, f->barrier);
        f->barrier = 0;
    }
}

/* At the end of a layer: those that the next one begins with. Behind the last layer other weights
 * are asked for in vain. */
static void note_next_layer(const Emit *e, const PlanPhase *phase, const Func *func, FuncText *f)
{
    const Module *m = phase->module;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        bool own = step->n_funcs == 1 && step->repeat > 1 && m->funcs.data[step->func[0]] == func;
        if (own && f->barrier > 0 && f->first.layered) {
            put_fetch(e->ctx, &f->first, (int64_t)find_block(e->plan, (int)s, 0)->stride, &f->calls,
                      f->barrier);
        }
    }
}

static EmitLine buffer_line(const Emit *e, const PlanBuffer *x)
{
    StrTable *s = e->ctx->strings;
    const char *type = emit_ctype(x->stored), *name = emit_variable(e->ctx, x->name);
    long long rows = (long long)x->rows, stride = (long long)x->stride;
    if (x->own) {
        /* gcc 12 does not see that there is a row, and warns of codes that are only copied. */
        const char *zeros = x->stored == DT_I8 ? " = {0}" : "";
        return (EmitLine){str_internf(s, "    %s %s[%lld]%s;", type, name, rows * stride, zeros),
                          str_internf(s, "(%lld, %lld), each thread's own", rows, stride)};
    }
    return (EmitLine){str_internf(s, "    %s *%s = (%s *)(run->scratch + %lld);", type, name, type,
                                  (long long)x->offset),
                      str_internf(s, "(%lld, %lld)", rows, stride)};
}

static void put_buffers(const Emit *e, const PlanFunc *pf, const FuncText *f, Buf *b)
{
    EmitLine *line = ARENA_ARRAY(e->ctx->arena, EmitLine, pf->buffers.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < pf->buffers.n; i++) {
        if (f->used[i]) {
            line[n++] = buffer_line(e, &pf->buffers.data[i]);
        }
    }
    emit_lines(b, line, n);
}

static Str func_symbol(const Emit *e, const PlanPhase *phase, const Func *f)
{
    return emit_identifier(e->ctx, arena_printf(e->ctx->arena, "%s_%s", phase->name, f->name));
}

static bool is_layered(const PlanPhase *phase, const Func *f)
{
    const Module *m = phase->module;
    for (size_t s = 0; s < m->steps.n; s++) {
        for (int k = 0; k < m->steps.data[s].n_funcs; k++) {
            if (m->steps.data[s].layered && m->funcs.data[m->steps.data[s].func[k]] == f) {
                return true;
            }
        }
    }
    return false;
}

/* Which arguments a phase function takes, besides run, rows and thread. */
typedef struct FuncArgs {
    bool layer, kv;
} FuncArgs;

static bool emit_func(Emit *e, const PlanPhase *phase, const PlanFunc *pf, Buf *b, FuncArgs *args)
{
    FuncText f = {.calls = buf_create(e->ctx->arena)};
    f.used = ARENA_ARRAY(e->ctx->arena, bool, pf->buffers.n + 1);
    for (size_t i = 0; i < pf->kernels.n; i++) {
        KernelText k = kernel_text(e, phase, pf, &pf->kernels.data[i]);
        if (!emit_kernel(e, &k)) {
            return false;
        }
        note_buffers(&k, &f);
        note_weights(&k, &f);
        put_call(&k, &f);
        f.uses_layer = f.uses_layer || k.uses_layer;
        f.uses_kv = f.uses_kv || k.uses_kv;
    }
    note_next_layer(e, phase, pf->func, &f);
    args->layer = f.uses_layer;
    args->kv = f.uses_kv;
    Str item[5];
    size_t n = 0;
    item[n++] = "const SinterRun *run";
    item[n++] = "int rows";
    if (args->layer) {
        item[n++] = "const uint8_t *w";
    }
    if (args->kv) {
        item[n++] = "size_t kv_at";
    }
    item[n++] = "int thread";
    Str symbol = func_symbol(e, phase, pf->func);
    buf_printf(b, "/* @%s%s, %s: %d call%s a step. */\n", pf->func->name,
               is_layered(phase, pf->func) ? " (w, kv_at: weights and caches of the layer)" : "",
               phase->name, pf->calls, pf->calls == 1 ? "" : "s");
    emit_wrapped(b, arena_printf(e->ctx->arena, "static void %s(", symbol), item, n, 0, ")");
    buf_puts(b, "\n{\n");
    put_buffers(e, pf, &f, b);
    if (!e->plan->target->gpu) {
        buf_puts(b, "    uint64_t clock = run->profile != NULL ? sinter_now_ns() : 0;\n");
    }
    buf_add(b, f.calls.data, f.calls.len);
    buf_puts(b, "}\n\n");
    return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static const KvBlock *find_kv(const Plan *p, int step, int slot)
{
    for (size_t i = 0; i < p->kv.n; i++) {
        if (p->kv.data[i].step == step && p->kv.data[i].slot == slot) {
            return &p->kv.data[i];
        }
    }
    BUG("no caches for step %d", step);
}

static void put_func_call(Emit *e, const PlanPhase *phase, int step, int slot, const char *indent,
                          FuncArgs args, Buf *b)
{
    const Step *s = &phase->module->steps.data[step];
    StrTable *strings = e->ctx->strings;
    Str symbol = func_symbol(e, phase, phase->module->funcs.data[s->func[slot]]);
    bool loop = s->repeat > 1;
    Str item[5];
    size_t n = 0;
    item[n++] = "run";
    item[n++] = "run->rows";
    if (args.layer) {
        const WeightBlock *w = find_block(e->plan, step, slot);
        item[n++] =
            loop ? str_internf(strings, "run->weights + %llu + i * %llu",
                               (unsigned long long)w->offset, (unsigned long long)w->stride)
                 : str_internf(strings, "run->weights + %llu", (unsigned long long)w->offset);
    }
    if (args.kv) {
        const KvBlock *kv = find_kv(e->plan, step, slot);
        item[n++] = !loop             ? str_internf(strings, "%lld", (long long)kv->offset)
                    : kv->offset == 0 ? str_internf(strings, "i * %lld", (long long)kv->stride)
                                      : str_internf(strings, "%lld + i * %lld",
                                                    (long long)kv->offset, (long long)kv->stride);
    }
    item[n++] = "thread";
    Buf call = buf_create(e->ctx->arena);
    emit_wrapped(&call, arena_printf(e->ctx->arena, "%s%s(", indent, symbol), item, n, 0, ");");
    buf_printf(b, "%s\n", call.data);
}

static void put_step(Emit *e, const PlanPhase *phase, int step, const FuncArgs *args, Buf *b)
{
    const Step *s = &phase->module->steps.data[step];
    bool loop = s->repeat > 1;
    if (loop) {
        buf_printf(b, "    for (size_t i = 0; i < %d; i++) {\n", s->repeat);
    }
    for (int slot = 0; slot < s->n_funcs; slot++) {
        put_func_call(e, phase, step, slot, loop ? "        " : "    ", args[s->func[slot]], b);
    }
    buf_puts(b, loop ? "    }\n" : "");
}

static const PlanPhase *decode1(const Emit *e)
{
    for (size_t i = 0; i < e->plan->phases.n; i++) {
        const PlanPhase *p = &e->plan->phases.data[i];
        if (p->module->phase == PHASE_DECODE && p->module->tokens == 1 && p->head >= 0) {
            return p;
        }
    }
    return NULL;
}

/* The head's input rows: x, in the environment. */
static const PlanBuffer *head_input(const PlanPhase *phase)
{
    const PlanFunc *pf = &phase->funcs.data[phase->head];
    for (size_t i = 0; i < pf->func->params.n; i++) {
        const Place *p = &pf->place[pf->func->params.data[i]];
        if (p->kind == PLACE_SCRATCH) {
            return plan_buffer(pf, p);
        }
    }
    BUG("@%s takes nothing from the environment", pf->func->name);
}

/* Logits of the last row only: it is moved to row 0, and the head of one row is run on it. */
static void put_last_logits(Emit *e, const PlanPhase *phase, Buf *b)
{
    const PlanPhase *one = decode1(e) != NULL ? decode1(e) : phase;
    const PlanBuffer *from = head_input(phase), *to = head_input(one);
    long long row = (long long)from->stride * dtype_bits(from->stored) / 8;
    Str symbol = func_symbol(e, one, one->funcs.data[one->head].func);
    buf_puts(b, "    if (run->logits_wanted == SINTER_LOGITS_LAST) {\n");
    if (e->plan->target->gpu) {
        buf_printf(b, "        const size_t last = (size_t)(run->rows - 1) * %lld;\n", row);
        buf_printf(b,
                   "        sinter_gpu_copy(run->gpu, run->scratch + %lld, run->scratch + %lld + "
                   "last, %lld);\n",
                   (long long)to->offset, (long long)from->offset, row);
        buf_printf(b, "        %s(run, 1, thread);\n    }\n", symbol);
        return;
    }
    buf_puts(b, "        if (thread == 0) {\n");
    buf_printf(b, "            const size_t last = (size_t)(run->rows - 1) * %lld;\n", row);
    buf_printf(b, "            memmove(run->scratch + %lld, run->scratch + %lld + last, %lld);\n",
               (long long)to->offset, (long long)from->offset, row);
    buf_puts(b, "        }\n        sinter_barrier(run->barrier, thread);\n");
    buf_printf(b, "        %s(run, 1, thread);\n    }\n", symbol);
}

/* Without a head apart every row's result is there: the last one moves to the first's place. */
static void put_last_result(const Emit *e, const PlanPhase *phase, Buf *b)
{
    const Module *m = phase->module;
    const Step *step = &m->steps.data[m->steps.n - 1];
    const Func *f = m->funcs.data[step->func[step->n_funcs - 1]];
    const Type *t = f->value[f->results.data[0]].type;
    long long width = (long long)t->dim[t->rank - 1];
    buf_puts(b, "    if (run->logits_wanted == SINTER_LOGITS_LAST && run->rows > 1) {\n");
    const char *copy = "memcpy(run->logits, ";
    if (e->plan->target->gpu) {
        copy = "sinter_gpu_copy(run->gpu, run->logits, ";
    } else {
        buf_puts(b,
                 "        sinter_barrier(run->barrier, thread);\n        if (thread == 0) {\n    ");
    }
    buf_printf(b, "        const float *last = run->logits + (size_t)(run->rows - 1) * %lld;\n",
               width);
    buf_printf(b, "%s        %slast, %lld * sizeof *last);\n    %s}\n",
               e->plan->target->gpu ? "" : "    ", copy, width,
               e->plan->target->gpu ? "" : "    }\n    ");
}

static bool wants_choice(const PlanPhase *phase)
{
    return phase->module->phase == PHASE_PREFILL && phase->head >= 0;
}

/* The layers and the head as one kernel, with the embedding where that is in it. */
static void put_whole_step(Emit *e, const PlanPhase *phase, int step, Buf *b)
{
    bool several = phase->module->phase == PHASE_DECODE && phase->module->tokens > 1;
    const StepPlan *s = several ? e->plan->batch : e->plan->step;
    bool own = s != NULL && (several || s->phase == phase);
    if (own && step == (s->begin != NULL ? 0 : s->step)) {
        buf_printf(b, "    if (%s(run)) {\n        return;\n    }\n", emit_step_symbol(e, s));
    }
}

static void put_phase_step(Emit *e, const PlanPhase *phase, const FuncArgs *args, Buf *b)
{
    const Module *m = phase->module;
    buf_printf(b, "/* One step of %s: ", phase->name);
    if (m->phase == PHASE_DECODE) {
        buf_printf(b, "one token each of up to %d sequences. */\n", m->tokens);
    } else {
        buf_printf(b, "up to %d tokens of one sequence. */\n", m->tokens);
    }
    buf_printf(b, "static void %s(const SinterRun *run, int thread)\n{\n", phase->name);
    size_t n = m->steps.n - (wants_choice(phase) ? 1 : 0);
    for (size_t s = 0; s < n; s++) {
        put_whole_step(e, phase, (int)s, b);
        put_step(e, phase, (int)s, args, b);
    }
    if (wants_choice(phase)) {
        Buf head = buf_create(e->ctx->arena);
        put_func_call(e, phase, (int)n, 0, "        ", args[phase->head], &head);
        buf_puts(b, "    if (run->logits_wanted == SINTER_LOGITS_ALL) {\n");
        buf_add(b, head.data, head.len);
        buf_puts(b, "    }\n");
        put_last_logits(e, phase, b);
    } else if (m->phase == PHASE_PREFILL) {
        put_last_result(e, phase, b);
    }
    buf_puts(b, "}\n\n");
}

bool emit_phase(Emit *e, const PlanPhase *phase, Buf *b)
{
    FuncArgs *args = ARENA_ARRAY(e->ctx->arena, FuncArgs, phase->funcs.n);
    for (size_t i = 0; i < phase->funcs.n; i++) {
        if (!emit_func(e, phase, &phase->funcs.data[i], b, &args[i])) {
            return false;
        }
    }
    put_phase_step(e, phase, args, b);
    return true;
}
