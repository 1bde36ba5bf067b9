/* emit.c - the order of a generated source.
 *
 *   header comment, includes, constants, offsets of weights
 *   prelude (only what is used), register blocks, kernels (each text once, shared by phases)
 *   for each phase: one function per IR function, then the step that runs the schedule
 *   tables and SinterModel (emit_tables.c) */
#include "codegen/emit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/emit_parts.h"
#include "codegen/select.h"
#include "compiler/base/file.h"

/* ---- templates
 * ------------------------------------------------------------------------------------------ */

const Tmpl *emit_template(Emit *e, const char *name)
{
    Str key = str_intern(e->ctx->strings, name);
    for (size_t i = 0; i < e->templates.n; i++) {
        if (e->templates.data[i].name == key) {
            return e->templates.data[i].tmpl;
        }
    }
    Arena *a = e->ctx->arena;
    const char *path = path_join(a, e->template_dir, arena_printf(a, "%s.c", name));
    size_t n;
    char *text = file_read(a, e->ctx->diag, path, &n);
    if (text == NULL) {
        return NULL;
    }
    LoadedTemplate t = {.name = key, .tmpl = tmpl_parse(e->ctx, path, text, n)};
    vec_push(a, &e->templates, t);
    return t.tmpl;
}

/* ---- kernels
 * --------------------------------------------------------------------------------------------- */

/* The IR lines that a kernel implements, in a comment. */
static void put_comment_line(Buf *b, const char *text)
{
    enum { WIDTH = 94 };
    size_t n = strlen(text);
    bool first = true;
    while (n > 0) {
        size_t take = n;
        if (n > WIDTH) {
            take = WIDTH;
            while (take > 1 && text[take - 1] != ' ') {
                take--;
            }
        }
        size_t end = take;
        while (end > 0 && text[end - 1] == ' ') {
            end--;
        }
        buf_printf(b, " *%s%.*s\n", first ? "   " : "       ", (int)end, text);
        text += take;
        n -= take;
        first = false;
    }
}

static Str kernel_comment(const Emit *e, const PlanFunc *pf, const Kernel *k)
{
    Buf b = buf_create(e->ctx->arena), line = buf_create(e->ctx->arena);
    if (k->op != 0) {
        ir_print_op(&line, pf->func, &pf->func->op[k->op]);
    } else {
        buf_printf(&line, "returns %%%s", pf->func->result_names.data[k->copy]);
    }
    const char *s = line.data;
    while (*s == ' ') {
        s++;
    }
    put_comment_line(&b, s);
    line.len = 0;
    buf_printf(&line, "%s: ", k->reason);
    select_print(&line, &k->config);
    put_comment_line(&b, line.data);
    return str_intern(e->ctx->strings, b.data);
}

static KernelText kernel_text(Emit *e, const PlanPhase *phase, const PlanFunc *pf, const Kernel *k)
{
    return (KernelText){.emit = e, .phase = phase, .pf = pf, .kernel = k};
}

static EmittedKernel *find_emitted(Emit *e, const PlanFunc *pf, const Kernel *k, Str key)
{
    for (size_t i = 0; i < e->kernels.n; i++) {
        EmittedKernel *x = &e->kernels.data[i];
        if (x->func == pf->func->name && x->purpose == k->purpose && x->key == key) {
            return x;
        }
    }
    return NULL;
}

static bool symbol_taken(const Emit *e, Str symbol)
{
    for (size_t i = 0; i < e->kernels.n; i++) {
        if (e->kernels.data[i].symbol == symbol) {
            return true;
        }
    }
    return false;
}

static Str kernel_symbol(const Emit *e, const PlanPhase *phase, const PlanFunc *pf, const Kernel *k)
{
    StrTable *s = e->ctx->strings;
    Str symbol =
        emit_identifier(e->ctx, arena_printf(e->ctx->arena, "%s_%s", pf->func->name, k->purpose));
    if (!k->config.per_phase && !symbol_taken(e, symbol)) {
        return symbol;
    }
    return str_internf(s, "%s_%s", phase->name, symbol);
}

/* Makes the kernel's text unless an equal one is there; `k` is left with parameters and symbol. */
static bool emit_kernel(Emit *e, KernelText *k)
{
    Buf key = buf_create(e->ctx->arena);
    k->symbol = str_intern(e->ctx->strings, "KERNEL");
    if (!emit_kernel_text(k, &key)) {
        return false;
    }
    Str key_text = str_intern(e->ctx->strings, key.data);
    EmittedKernel *have = find_emitted(e, k->pf, k->kernel, key_text);
    if (have != NULL) {
        k->symbol = have->symbol;
        buf_printf(&have->users, ", %s", k->phase->name);
        return true;
    }
    Buf text = buf_create(e->ctx->arena);
    k->symbol = kernel_symbol(e, k->phase, k->pf, k->kernel);
    if (!emit_kernel_text(k, &text)) {
        return false;
    }
    EmittedKernel x = {
        .func = k->pf->func->name, .purpose = k->kernel->purpose, .symbol = k->symbol};
    x.key = key_text;
    x.text = str_intern(e->ctx->strings, text.data);
    x.comment = kernel_comment(e, k->pf, k->kernel);
    x.users = buf_create(e->ctx->arena);
    buf_puts(&x.users, k->phase->name);
    vec_push(e->ctx->arena, &e->kernels, x);
    return true;
}

/* ---- functions
 * ------------------------------------------------------------------------------------------- */

/* A function's body while its kernels are made. */
typedef struct FuncText {
    Buf calls;
    bool *used; /* [buffers] a kernel is passed this buffer */
    bool uses_layer, uses_kv;
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
    Str *item = ARENA_ARRAY(ctx->arena, Str, k->params.n);
    for (size_t i = 0; i < k->params.n; i++) {
        item[i] = k->params.data[i].arg;
    }
    buf_puts(&f->calls, "    ");
    Buf call = buf_create(ctx->arena);
    emit_wrapped(&call, arena_printf(ctx->arena, "%s(", k->symbol), item, k->params.n, 4, ");");
    for (const char *s = call.data; *s != '\0'; s++) {
        buf_putc(&f->calls, *s);
        if (*s == '\n') {
            buf_puts(&f->calls, "    ");
        }
    }
    buf_putc(&f->calls, '\n');
    if (k->kernel->barrier_after) {
        buf_puts(&f->calls, "    sinter_barrier(run->barrier, thread);\n");
    }
    buf_printf(&f->calls, "    lap(run, thread, %d, &clock);\n", k->kernel->info);
}

/* Buffers of equal name (a shared one and a temporary) get different variables. */
static void put_buffers(const Emit *e, const PlanFunc *pf, const FuncText *f, Buf *b)
{
    for (size_t i = 0; i < pf->buffers.n; i++) {
        const PlanBuffer *x = &pf->buffers.data[i];
        const char *type = emit_ctype(x->stored);
        if (f->used[i]) {
            buf_printf(b, "    %s *%s = (%s *)(run->scratch + %lld); /* (%lld, %lld) */\n", type,
                       emit_variable(e->ctx, x->name), type, (long long)x->offset,
                       (long long)x->rows, (long long)x->stride);
        }
    }
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
        put_call(&k, &f);
        f.uses_layer = f.uses_layer || k.uses_layer;
        f.uses_kv = f.uses_kv || k.uses_kv;
    }
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
    emit_wrapped(b, arena_printf(e->ctx->arena, "static void %s(", symbol), item, n, 0, ")\n{\n");
    put_buffers(e, pf, &f, b);
    buf_puts(b, "    uint64_t clock = run->profile != NULL ? sinter_now_ns() : 0;\n");
    buf_add(b, f.calls.data, f.calls.len);
    buf_puts(b, "}\n\n");
    return true;
}

/* ---- steps
 * -------------------------------------------------------------------------------------------------
 */

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
    emit_wrapped(&call, arena_printf(e->ctx->arena, "%s%s(", indent, symbol), item, n, 0, ");\n");
    buf_add(b, call.data, call.len);
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
    buf_puts(b, "        if (thread == 0) {\n");
    buf_printf(b, "            const size_t last = (size_t)(run->rows - 1) * %lld;\n", row);
    buf_printf(b, "            memmove(run->scratch + %lld, run->scratch + %lld + last, %lld);\n",
               (long long)to->offset, (long long)from->offset, row);
    buf_puts(b, "        }\n        sinter_barrier(run->barrier, thread);\n");
    buf_printf(b, "        %s(run, 1, thread);\n    }\n", symbol);
}

static bool wants_choice(const PlanPhase *phase)
{
    return phase->module->phase == PHASE_PREFILL && phase->head >= 0;
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
        put_step(e, phase, (int)s, args, b);
    }
    if (wants_choice(phase)) {
        Buf head = buf_create(e->ctx->arena);
        put_func_call(e, phase, (int)n, 0, "        ", args[phase->head], &head);
        buf_puts(b, "    if (run->logits_wanted == SINTER_LOGITS_ALL) {\n");
        buf_add(b, head.data, head.len);
        buf_puts(b, "    }\n");
        put_last_logits(e, phase, b);
    }
    buf_puts(b, "}\n\n");
}

static bool emit_phase(Emit *e, const PlanPhase *phase, Buf *b)
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

/* ---- prelude
 * --------------------------------------------------------------------------------------------------
 */

/* Identifiers of the program, comments left out, as one string " a b c " for searching. */
typedef struct Names {
    Emit *e;
    VEC(Str) seen;
} Names;

static const char *skip_comment(const char *s)
{
    if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");
        return end != NULL ? end + 2 : s + strlen(s);
    }
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void collect_names(Names *names, const char *s)
{
    while (*s != '\0') {
        const char *after = skip_comment(s);
        if (after != NULL) {
            s = after;
        } else if (isalpha((unsigned char)*s) || *s == '_') {
            const char *start = s;
            while (isalnum((unsigned char)*s) || *s == '_') {
                s++;
            }
            Str name = str_intern_n(names->e->ctx->strings, start, (size_t)(s - start));
            vec_push(names->e->ctx->arena, &names->seen, name);
        } else {
            s++;
        }
    }
    qsort(names->seen.data, names->seen.n, sizeof names->seen.data[0], compare_names);
}

static bool is_used(const Names *names, Str name)
{
    return names->seen.n > 0 &&
           bsearch(&name, names->seen.data, names->seen.n, sizeof name, compare_names) != NULL;
}

/* Functions of prelude.c: used(name), repeat(s, n). */
static bool prelude_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                         FormulaValue *out, bool *known)
{
    const Names *names = user;
    *known = true;
    if (strcmp(name, "used") == 0 && n_args == 1 && arg[0].type == FV_STRING) {
        *out = formula_bool(is_used(names, arg[0].s));
        return true;
    }
    KernelText none = {.emit = names->e};
    return emit_host_call(&none, name, arg, n_args, at, out, known);
}

static bool expand_prelude(Emit *e, const Names *names, Buf *out)
{
    const Isa *isa = e->plan->target->isa;
    Names copy = *names;
    TmplEnv env = {.ctx = e->ctx, .user = &copy, .call = prelude_call};
    tmpl_set_int(&env, "LANES", isa->lanes);
    tmpl_set_bool(&env, "avx512", isa->avx512);
    tmpl_set_bool(&env, "avx2", isa->avx2);
    tmpl_set_bool(&env, "neon", isa->neon);
    tmpl_set_bool(&env, "vnni", isa->vnni);
    const Tmpl *t = emit_template(e, "prelude");
    return t != NULL && tmpl_expand(t, &env, out);
}

/* Until a pass over the prelude adds no helper that needs another. */
static bool emit_prelude(Emit *e, const char *program, Buf *out)
{
    size_t before;
    do {
        before = out->len;
        Names names = {.e = e};
        Buf all = buf_create(e->ctx->arena);
        buf_puts(&all, program);
        buf_puts(&all, out->data);
        collect_names(&names, all.data);
        *out = buf_create(e->ctx->arena);
        if (!expand_prelude(e, &names, out)) {
            return false;
        }
    } while (out->len != before);
    return true;
}

/* ---- the top of the file
 * ----------------------------------------------------------------------------------------- */

static void put_header_comment(const Emit *e, Buf *b)
{
    const EmitOptions *o = e->options;
    const Module *m = e->plan->phases.data[0].module;
    buf_printf(b, "/* %s as C for %s (%s),\n * made by sinter %s from %s.\n", m->name,
               e->plan->target->isa->name, e->plan->target->isa->words,
               o->version != NULL ? o->version : "",
               o->spec_path != NULL ? o->spec_path : "IR text");
    if (o->spec_summary != NULL) {
        buf_printf(b, " * %s\n", o->spec_summary);
    }
    buf_puts(b, " *\n * Phases:");
    for (size_t i = 0; i < e->plan->phases.n; i++) {
        buf_printf(b, " %s", e->plan->phases.data[i].name);
    }
    buf_printf(
        b,
        ". Every thread runs a step from beginning to end and takes its share\n"
        " * of each kernel; weights are read in the order in which the packed file holds them.\n"
        " * Compile with: cc -std=c11 -O3 %s */\n",
        e->plan->target->isa->flags);
}

static void put_includes(const Emit *e, const Names *names, Buf *b)
{
    const Isa *isa = e->plan->target->isa;
    static const char *const math[] = {"sqrtf", "expf", "tanhf", "cos", "sin", "isinf", "INFINITY"};
    bool needs_math = false;
    for (size_t i = 0; i < sizeof math / sizeof math[0]; i++) {
        needs_math = needs_math || is_used(names, str_intern(e->ctx->strings, math[i]));
    }
    buf_puts(b, isa->avx512 || isa->avx2 ? "#include <immintrin.h>\n" : "");
    buf_puts(b, isa->neon ? "#include <arm_neon.h>\n" : "");
    buf_puts(b, needs_math ? "#include <math.h>\n" : "");
    buf_puts(b, "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n");
    buf_puts(b, "#include \"model.h\"\n\n");
}

static void put_constants(const Emit *e, Buf *b)
{
    const Module *m = e->plan->phases.data[0].module;
    buf_puts(b, "enum {\n");
    buf_printf(b, "    LANES = %d, /* floats in a vector, weight rows in a tile */\n",
               e->plan->target->isa->lanes);
    buf_printf(b, "    CONTEXT = %lld, /* positions in a cache */\n", (long long)m->context);
    buf_puts(b, "};\n\n");
}

static void put_offsets(const Emit *e, Buf *b)
{
    const WeightsPlan *w = e->plan->weights;
    buf_puts(b, "/* Where weights lie: from the start of the file, or of a layer's block. */\n");
    for (size_t i = 0; i < w->tensors.n; i++) {
        const WeightTensor *t = &w->tensors.data[i];
        bool again = false; /* a function used in two steps has one set of names */
        for (size_t j = 0; j < i; j++) {
            again = again || w->tensors.data[j].symbol == t->symbol;
        }
        Buf type = buf_create(e->ctx->arena);
        type_print(&type, t->type);
        if (!again) {
            unsigned long long at = t->layered ? t->in_block : t->offset;
            buf_printf(b, "static const size_t %s = %llu; /* %s */\n", t->symbol, at, type.data);
        }
    }
    buf_putc(b, '\n');
}

static void put_kernels(const Emit *e, Buf *b)
{
    for (size_t i = 0; i < e->dots.n; i++) {
        buf_printf(b, "%s\n", e->dots.data[i].text);
    }
    for (size_t i = 0; i < e->kernels.n; i++) {
        const EmittedKernel *k = &e->kernels.data[i];
        buf_printf(b, "/* %s\n%s */\n%s\n", k->users.data, k->comment, k->text);
    }
}

/* The comment's last newline would stand before its end. */
static Str joined_comment(const Emit *e, Str s)
{
    size_t n = strlen(s);
    return str_intern_n(e->ctx->strings, s, n > 0 && s[n - 1] == '\n' ? n - 1 : n);
}

static void put_x_h(const Emit *e, Buf *b)
{
    const Module *m = e->plan->phases.data[0].module;
    buf_printf(b,
               "/* %s.h - the model %s for embedding: link lib%s and use the functions of\n"
               " * sinter.h; its weights are the file packed for it. */\n",
               m->name, m->name, m->name);
    Str guard = emit_identifier(e->ctx, m->name);
    buf_printf(b, "#ifndef SINTER_MODEL_%s_H\n#define SINTER_MODEL_%s_H\n\n", guard, guard);
    buf_puts(b, "#include \"sinter.h\"\n\n#endif\n");
}

bool emit_c(const Plan *plan, const EmitOptions *options, const char *data_dir, Buf *source,
            Buf *header)
{
    Emit e = {.ctx = plan->ctx, .plan = plan, .options = options};
    e.template_dir = path_join(plan->ctx->arena, data_dir, plan->target->templates);
    Arena *a = plan->ctx->arena;
    Buf steps = buf_create(a), kernels = buf_create(a), tables = buf_create(a);
    for (size_t i = 0; i < plan->phases.n; i++) {
        if (!emit_phase(&e, &plan->phases.data[i], &steps)) {
            return false;
        }
    }
    for (size_t i = 0; i < e.kernels.n; i++) {
        e.kernels.data[i].comment = joined_comment(&e, e.kernels.data[i].comment);
    }
    put_kernels(&e, &kernels);
    emit_tables(&e, &tables);
    Buf program = buf_create(a), prelude = buf_create(a);
    buf_puts(&program, kernels.data);
    buf_puts(&program, steps.data);
    if (!emit_prelude(&e, program.data, &prelude)) {
        return false;
    }
    Names names = {.e = &e};
    collect_names(&names, arena_printf(a, "%s%s", prelude.data, program.data));
    put_header_comment(&e, source);
    put_includes(&e, &names, source);
    put_constants(&e, source);
    put_offsets(&e, source);
    buf_puts(source, prelude.data);
    buf_puts(source, program.data);
    buf_puts(source, tables.data);
    put_x_h(&e, header);
    return true;
}
