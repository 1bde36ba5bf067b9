/* emit.c - the order of a generated source.
 *
 *   header comment, includes, constants, offsets of weights
 *   prelude (only what is used), register blocks, kernels (each text once, shared by phases)
 *   for each phase: its functions and the step (emit_func.c)
 *   tables and SinterModel (emit_tables.c) */
#include "codegen/emit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/emit_parts.h"
#include "codegen/select.h"
#include "compiler/base/file.h"

/* ---- templates ------------------------------------------------------------------------------- */

const Tmpl *emit_template(Emit *e, const char *name)
{
    Str key = str_intern(e->ctx->strings, name);
    for (size_t i = 0; i < e->templates.n; i++) {
        if (e->templates.data[i].name == key) {
            return e->templates.data[i].tmpl;
        }
    }
    Arena *a = e->ctx->arena;
    const char *path =
        path_join(a, e->template_dir, arena_printf(a, "%s%s", name, e->plan->target->suffix));
    size_t n;
    char *text = file_read(a, e->ctx->diag, path, &n);
    if (text == NULL) {
        return NULL;
    }
    LoadedTemplate t = {.name = key, .tmpl = tmpl_parse(e->ctx, path, text, n)};
    vec_push(a, &e->templates, t);
    return t.tmpl;
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* The IR lines that a kernel implements, in a comment. */
static void put_comment_line(Buf *b, const char *text)
{
    enum { FIRST = 95, NEXT = 91 };
    size_t n = strlen(text);
    bool first = true;
    while (n > 0) {
        size_t take = n, width = first ? FIRST : NEXT;
        if (n > width) {
            take = width + 1; /* a blank may stand at the edge */
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
bool emit_kernel(Emit *e, KernelText *k)
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
    const KernelConfig *cfg = &k->kernel->config;
    x.file = cfg->variant != NULL ? cfg->variant : cfg->template;
    x.launch = e->plan->target->gpu ? emit_launch(k) : NULL;
    x.shared = k->shared;
    x.users = buf_create(e->ctx->arena);
    buf_puts(&x.users, k->phase->name);
    if (e->plan->target->gpu && !emit_wgmma(k, &x)) {
        return false;
    }
    vec_push(e->ctx->arena, &e->kernels, x);
    return true;
}

/* ---- prelude --------------------------------------------------------------------------------- */

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

/* Functions of preludes: used(name), repeat(s, n). */
static bool prelude_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                         FormulaValue *out, bool *known)
{
    const Names *names = user;
    *known = true;
    if (strcmp(name, "used") == 0 && n_args == 1 && arg[0].type == FV_STRING) {
        *out = formula_bool(is_used(names, arg[0].s));
        return true;
    }
    if (strcmp(name, "warpgroup_multiply") == 0 && n_args == 3) {
        Ctx *ctx = names->e->ctx;
        const char *text =
            emit_warpgroup_multiply(ctx->arena, arg[0].s, arg[1].i != 0, (int)arg[2].i);
        *out = formula_string(str_intern(ctx->strings, text));
        return true;
    }
    KernelText none = {.emit = names->e};
    return emit_host_call(&none, name, arg, n_args, at, out, known);
}

/* Halvings until one lane is left. */
static int stages_of(int lanes)
{
    int n = 0;
    for (; lanes > 1; lanes /= 2) {
        n++;
    }
    return n;
}

static bool expand_prelude(Emit *e, const Names *names, Buf *out)
{
    const Isa *isa = e->plan->target->isa;
    Names copy = *names;
    TmplEnv env = {.ctx = e->ctx, .user = &copy, .call = prelude_call};
    tmpl_set_int(&env, "LANES", isa->lanes);
    tmpl_set_int(&env, "STAGES", stages_of(isa->lanes));
    tmpl_set_int(&env, "VECTORS", EMIT_PANEL(isa));
    tmpl_set_int(&env, "AHEAD", e->plan->target->caches.ahead);
    tmpl_set_bool(&env, "avx512", isa->avx512);
    tmpl_set_bool(&env, "avx2", isa->avx2);
    tmpl_set_bool(&env, "neon", isa->neon);
    tmpl_set_bool(&env, "vnni", isa->vnni);
    tmpl_set_bool(&env, "dotprod", isa->dotprod);
    for (const char *const *name = e->plan->target->preludes; *name != NULL; name++) {
        const Tmpl *t = emit_template(e, *name);
        if (t == NULL || !tmpl_expand(t, &env, out)) {
            return false;
        }
    }
    return true;
}

/* Until a pass over the prelude adds no helper that needs another. */
bool emit_prelude(Emit *e, const char *program, Buf *out)
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

/* ---- the top of the file --------------------------------------------------------------------- */

/* Words of `text` behind " * ", as many as fit a line. */
static void put_comment_words(Buf *b, const char *text)
{
    enum { WIDTH = 100 };
    size_t column = 2;
    buf_puts(b, " *");
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (column + 1 + n > WIDTH) {
            buf_puts(b, "\n *");
            column = 2;
        }
        buf_printf(b, " %.*s", (int)n, text);
        column += n + 1;
        text += n + strspn(text + n, " ");
    }
    buf_putc(b, '\n');
}

void emit_header_comment(const Emit *e, Buf *b)
{
    const EmitOptions *o = e->options;
    const Isa *isa = e->plan->target->isa;
    Arena *a = e->ctx->arena;
    Buf phases = buf_create(a);
    for (size_t i = 0; i < e->plan->phases.n; i++) {
        buf_printf(&phases, "%s%s", i > 0 ? ", " : "", e->plan->phases.data[i].name);
    }
    buf_printf(b, "/* %s as C for %s\n *\n", e->plan->phases.data[0].module->name, isa->words);
    put_comment_words(b, arena_printf(a, "Made by sinter %s from %s.",
                                      o->version != NULL ? o->version : "",
                                      o->spec_path != NULL ? o->spec_path : "IR text"));
    if (o->spec_summary != NULL && o->spec_summary[0] != '\0') {
        buf_puts(b, " *\n");
        put_comment_words(b, o->spec_summary);
    }
    buf_puts(b, " *\n");
    if (e->plan->target->gpu) {
        put_comment_words(b, arena_printf(a,
                                          "Phases: %s. A step launches its kernels in order on "
                                          "one stream; all pointers are to the GPU's memory.",
                                          phases.data));
        buf_puts(b, " */\n");
        return;
    }
    put_comment_words(
        b, arena_printf(a,
                        "Phases: %s. Every thread runs a step from beginning to end and takes its "
                        "share of each kernel; weights are read in the order in which the packed "
                        "file holds them.",
                        phases.data));
    buf_puts(b, " *\n");
    put_comment_words(b, arena_printf(a, "Compile with cc -std=c11 -O3 %s", isa->flags));
    buf_puts(b, " */\n");
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
    buf_puts(b, "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n");
    buf_puts(b, isa->dotprod ? "#include <sys/auxv.h>\n\n" : "\n");
    buf_puts(b, "#include \"model.h\"\n\n");
}

static void put_constants(const Emit *e, Buf *b)
{
    StrTable *s = e->ctx->strings;
    const Module *m = e->plan->phases.data[0].module;
    EmitLine line[2] = {
        {str_internf(s, "    LANES = %d,", e->plan->target->isa->lanes),
         "floats in a vector, weight rows in a tile"},
        {str_internf(s, "    CONTEXT = %lld,", (long long)m->context), "positions in a cache"},
    };
    buf_puts(b, "enum {\n");
    emit_lines(b, line, 2);
    buf_puts(b, "};\n\n");
}

static bool symbol_before(const WeightsPlan *w, size_t n, Str symbol)
{
    for (size_t i = 0; i < n; i++) {
        if (w->tensors.data[i].symbol == symbol) {
            return true;
        }
    }
    return false;
}

/* A function used in two steps has one set of names. */
void emit_offsets(const Emit *e, Buf *b)
{
    const WeightsPlan *w = e->plan->weights;
    EmitLine *line = ARENA_ARRAY(e->ctx->arena, EmitLine, w->tensors.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->tensors.n; i++) {
        const WeightTensor *t = &w->tensors.data[i];
        Buf type = buf_create(e->ctx->arena);
        type_print(&type, t->type);
        if (!symbol_before(w, i, t->symbol)) {
            unsigned long long at = t->layered ? t->in_block : t->offset;
            line[n++] = (EmitLine){
                str_internf(e->ctx->strings, "static const size_t %s = %llu;", t->symbol, at),
                type.data};
        }
    }
    buf_puts(b, "/* Where weights lie: from the start of the file, or of a layer's block. */\n");
    emit_lines(b, line, n);
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

void emit_x_h(const Emit *e, Buf *b)
{
    const Module *m = e->plan->phases.data[0].module;
    buf_printf(b,
               "/* %s.h - the model %s for embedding: link lib%s and use the functions of\n"
               " * sinter.h; its weights are the file packed for it. */\n",
               m->name, m->name, m->name);
    Str guard = emit_identifier(e->ctx, m->name);
    buf_printf(b, "#ifndef SINTER_MODEL_%s_H\n#define SINTER_MODEL_%s_H\n\n", guard, guard);
    buf_puts(b, "#include \"runtime/sinter.h\"\n\n#endif\n");
}

void emit_join_comments(Emit *e)
{
    for (size_t i = 0; i < e->kernels.n; i++) {
        e->kernels.data[i].comment = joined_comment(e, e->kernels.data[i].comment);
    }
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
    emit_join_comments(&e);
    put_kernels(&e, &kernels);
    emit_tables(&e, &tables);
    Buf program = buf_create(a), prelude = buf_create(a);
    emit_folded(a, &program, kernels.data);
    emit_folded(a, &program, steps.data);
    if (!emit_prelude(&e, program.data, &prelude)) {
        return false;
    }
    Names names = {.e = &e};
    collect_names(&names, arena_printf(a, "%s%s", prelude.data, program.data));
    emit_header_comment(&e, source);
    put_includes(&e, &names, source);
    put_constants(&e, source);
    emit_offsets(&e, source);
    buf_puts(source, prelude.data);
    buf_puts(source, program.data);
    buf_puts(source, tables.data);
    emit_x_h(&e, header);
    return true;
}
