/* emit_cuda.c - the two files of a GPU target.
 *
 *   x.cu   all kernels; no header, so that nvcc and NVRTC compile it unchanged
 *   x.c    for each kernel the function that launches it, then phases and tables as in the C
 *          target, whose layer functions read the same; machine code is taken in by .incbin
 *
 * A template says how it is launched where its kernel begins: ${launch(blocks_x, blocks_y, threads
 * [, shared])}, the blocks as C text over the kernel's parameters; launch_early: the same for a
 * kernel that begins before the one in front has ended and calls dependency_wait();
 * launch_stream(threads, shared): such a kernel with a block on every multiprocessor. */
#include <ctype.h>
#include <string.h>

#include "codegen/emit.h"
#include "codegen/emit_parts.h"
#include "compiler/base/file.h"
#include "ir/slots.h"

/* ---- functions of templates ------------------------------------------------------------------ */

static Str text_of(const FormulaValue *v, StrTable *s)
{
    return v->type == FV_STRING ? v->s : str_internf(s, "%lld", (long long)v->i);
}

/* part("sums", row): the text of another template, for weight row `row` of row i of a block; matmul
 * and matmul_qkv share the sums. */
static bool call_part(KernelText *k, const FormulaValue *arg, FormulaValue *out)
{
    Emit *e = k->emit;
    const Tmpl *t = emit_template(e, arg[0].s);
    TmplEnv env = k->env; /* its further variables are not k's */
    Buf b = buf_create(e->ctx->arena);
    bool grouped = emit_find_param(k, "w_zero") != NULL || emit_find_param(k, "w_scale") != NULL ||
                   emit_find_param(k, "x_scale") != NULL;
    tmpl_set_string(&env, "row_of_i", arg[1].s);
    tmpl_set_string(&env, "group_name", grouped ? "g" : "0");
    if (t == NULL || !tmpl_expand(t, &env, &b)) {
        return false;
    }
    while (b.len > 0 && b.data[b.len - 1] == '\n') {
        b.len--;
    }
    *out = formula_string(str_intern_n(e->ctx->strings, b.data, b.len));
    return true;
}

/* launch_stream(threads, shared): a block on every multiprocessor, before the kernel in front ends;
 * launch_stream_pair: in registers for two such blocks. */
static bool call_launch_stream(KernelText *k, const FormulaValue *arg, int blocks,
                               FormulaValue *out)
{
    StrTable *s = k->emit->ctx->strings;
    k->grid_x = k->grid_y = str_intern(s, "1");
    k->block = (int)arg[0].i;
    k->shared = (int)arg[1].i;
    k->when = "SINTER_STREAM";
    *out = formula_string(
        str_internf(s, "extern \"C\" __global__ __launch_bounds__(%d, %d)", k->block, blocks));
    return true;
}

bool emit_cuda_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                    FormulaValue *out, bool *known)
{
    KernelText *k = user;
    StrTable *s = k->emit->ctx->strings;
    if (strcmp(name, "part") == 0 && n_args == 2) {
        *known = true;
        return call_part(k, arg, out);
    }
    bool pair = strcmp(name, "launch_stream_pair") == 0;
    if ((pair || strcmp(name, "launch_stream") == 0) && n_args == 2) {
        *known = true;
        return call_launch_stream(k, arg, pair ? 2 : 1, out);
    }
    bool early = strcmp(name, "launch_early") == 0;
    if (!early && strcmp(name, "launch") != 0) {
        return emit_host_call(user, name, arg, n_args, at, out, known);
    }
    *known = true;
    if (n_args < 3 || n_args > 4) {
        return diag_error(k->emit->ctx->diag, at,
                          "launch takes blocks in x and y, threads and shared bytes, found %d "
                          "arguments",
                          n_args);
    }
    k->grid_x = text_of(&arg[0], s);
    k->grid_y = text_of(&arg[1], s);
    k->block = (int)arg[2].i;
    k->shared = n_args > 3 ? (int)arg[3].i : 0;
    k->when = early ? "SINTER_EARLY" : "SINTER_AFTER";
    *out =
        formula_string(str_internf(s, "extern \"C\" __global__ __launch_bounds__(%d)", k->block));
    return true;
}

/* ---- variables of templates ------------------------------------------------------------------ */

static int64_t columns_of(const Type *t)
{
    return t->rank < 2 ? 1 : t->dim[t->rank - 1];
}

/* Eight weights of a row can be loaded at once. */
static bool loads_octets(const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w"), *x = emit_find_param(k, "x");
    return w->ir->layout.cols % 8 == 0 && columns_of(w->ir) % 8 == 0 && k->op->a.group % 8 == 0 &&
           x->stride % 8 == 0;
}

static void set_matmul(KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w"), *x = emit_find_param(k, "x");
    const KernelConfig *cfg = &k->kernel->config;
    TmplEnv *env = &k->env;
    bool codes_in = x->stored == DT_I8;
    bool scaled = emit_find_param(k, "w_scale") != NULL || emit_find_param(k, "x_scale") != NULL;
    tmpl_set_int(env, "TOKENS", cfg->tokens);
    tmpl_set_int(env, "R", cfg->tiles);
    tmpl_set_int(env, "WAYS", cfg->ways);
    tmpl_set_int(env, "INTERLEAVE", k->op->a.interleave);
    tmpl_set_int(env, "ROWS", w->ir->dim[0]);
    tmpl_set_int(env, "GROUP", k->op->a.group > 0 ? k->op->a.group : columns_of(w->ir));
    tmpl_set_int(env, "ZERO", k->op->a.zero);
    tmpl_set_int(env, "STRIDE", x->stride);
    tmpl_set_int(env, "BN", cfg->tiles);
    tmpl_set_int(env, "WARPS_N", k->op->kind == OP_MATMUL && cfg->tiles >= 64 ? 2 : 1);
    bool many = k->phase->module->tokens > cfg->tokens;
    tmpl_set_string(
        env, "token_blocks",
        many ? arena_printf(k->emit->ctx->arena, "(rows + %d) / %d", cfg->tokens - 1, cfg->tokens)
             : "1");
    tmpl_set_string(env, "tile_row",
                    w->ir->dim[0] % cfg->tiles == 0 ? "(n0 + i)"
                                                    : "(n0 + i < ROWS ? n0 + i : ROWS - 1)");
    tmpl_set_bool(env, "octets", loads_octets(k));
    tmpl_set_bool(env, "x_narrow", x->stored == DT_BF16 || x->stored == DT_F16);
    tmpl_set_bool(env, "codes_in", codes_in);
    bool half = x->ir->dtype == DT_F16;
    tmpl_set_bool(env, "w_copied", w->stored == DT_BF16 || w->stored == DT_F16);
    tmpl_set_string(env, "pair_of", half ? "f16_pair" : "bf16_pair");
    bool both = dtype_is_code(x->stored) && x->stored == w->stored;
    tmpl_set_string(env, "sums", both ? "mma_codes" : "mma");
    tmpl_set_string(env, "multiply",
                    both   ? w->stored == DT_E4M3 ? "mma_e4m3" : "mma_s8"
                    : half ? "mma_f16"
                           : "mma_bf16");
    tmpl_set_bool(env, "scaled", scaled);
    tmpl_set_bool(env, "many", many);
    const char *type = dtype_name(w->stored);
    Arena *a = k->emit->ctx->arena;
    tmpl_set_string(env, "w_type", type);
    tmpl_set_string(env, "octet",
                    w->stored == DT_F32                          ? "Float8"
                    : w->stored == DT_I8 || w->stored == DT_E4M3 ? "uint2"
                    : w->stored == DT_U4                         ? "uint32_t"
                                                                 : "uint4");
    tmpl_set_string(env, "load_octet", arena_printf(a, "load_%sx8", type));
    tmpl_set_string(env, "load_x", arena_printf(a, "load_%sx8", dtype_name(x->stored)));
    tmpl_set_string(env, "x_floats", arena_printf(a, "floats_of_%sx8", dtype_name(x->stored)));
    tmpl_set_string(env, "octet_floats", arena_printf(a, "floats_of_%sx8", type));
    tmpl_set_string(env, "dot_octets", arena_printf(a, "dot_%sx8", type));
    tmpl_set_string(env, "sum_type", codes_in && !scaled ? "int" : "float");
}

/* Pairs of rows (d, d + half) may go to different blocks unless a norm spans the head. */
static void set_qkv(KernelText *k)
{
    const Attrs *a = &k->op->a;
    bool adjacent = a->style != NULL && strcmp(a->style, "adjacent") == 0;
    bool norm = emit_find_param(k, "q_gain") != NULL || emit_find_param(k, "k_gain") != NULL;
    bool whole_dims = emit_find_param(k, "angles") == NULL || a->dims == a->head_dim;
    bool pairs = !adjacent && !norm && whole_dims && a->head_dim % 8 == 0 && a->head_dim > 8;
    tmpl_set_int(&k->env, "PAIRED", a->block);
    tmpl_set_int(&k->env, "WIDTH", pairs ? 8 : a->head_dim);
    tmpl_set_string(&k->env, "column_i",
                    pairs
                        ? "first + (i0 + i) % (WIDTH / 2) + (i0 + i) / (WIDTH / 2) * (HEAD_DIM / 2)"
                        : "i0 + i");
    tmpl_set_string(&k->env, "column_at",
                    pairs ? "first + at % (WIDTH / 2) + at / (WIDTH / 2) * (HEAD_DIM / 2)" : "at");
    /* eight rows at once: more than two tokens, or two of wide weights, are more than registers */
    int few = emit_find_param(k, "w")->stored == DT_F32 ? 1 : 2;
    tmpl_set_int(&k->env, "R",
                 pairs && k->kernel->config.tokens <= few             ? 8
                 : a->head_dim % 4 != 0                               ? 1
                 : k->op->a.group > 0 && k->kernel->config.tokens > 4 ? 2
                                                                      : 4);
}

/* "uint4", and how eight elements of a cache become floats. */
static void set_octet(KernelText *k, const char *type, const char *floats, const char *param,
                      const char *raw, const char *to)
{
    Arena *a = k->emit->ctx->arena;
    DType t = emit_find_param(k, str_intern(k->emit->ctx->strings, param))->stored;
    tmpl_set_string(&k->env, type,
                    t == DT_F32                  ? "Float8"
                    : t == DT_I8 || t == DT_E4M3 ? "uint2"
                                                 : "uint4");
    tmpl_set_string(&k->env, floats,
                    arena_printf(a, "floats_of_%sx8(%s, %s%s);", dtype_name(t), to, raw,
                                 t == DT_I8 ? ", 0" : ""));
}

/* Up to four query heads to a block, as many threads as their sums leave registers for. */
static void set_attention(KernelText *k)
{
    const Attrs *a = &k->op->a;
    int64_t group = a->heads / a->kv_heads, g = 4, line = 1;
    while (group % g != 0) {
        g--;
    }
    while (line * 8 < a->head_dim) {
        line *= 2;
    }
    bool decode = k->phase->module->phase == PHASE_DECODE;
    tmpl_set_int(&k->env, "G", g);
    tmpl_set_int(&k->env, "LINE", line);
    tmpl_set_int(&k->env, "THREADS", !decode ? 128 : a->head_dim > 128 ? 256 : 512);
    set_octet(k, "octet_k", "floats_k", "k_cache", "key", "k");
    set_octet(k, "octet_v", "floats_v", "v_cache", "value", "v");
}

/* How a kernel that starts early reads `dim` numbers in a row of x: PER at a time, which are `v`,
 * from `at` on. */
static void set_fresh_load(KernelText *k, int64_t dim, const char *v, const char *at)
{
    const KernelParam *x = emit_find_param(k, "x");
    Ctx *ctx = k->emit->ctx;
    Arena *a = ctx->arena;
    bool octets = dim % 8 == 0 && x->stride % 8 == 0;
    const char *from = arena_printf(a, "x + t * %lld + %s", (long long)x->stride, at);
    tmpl_set_int(&k->env, "PER", octets ? 8 : 1);
    if (octets) {
        tmpl_set_string(&k->env, "load_v",
                        arena_printf(a, "floats_of_%sx8(%s, load_fresh%d(%s));",
                                     dtype_name(x->stored), v, x->stored == DT_F32 ? 32 : 16,
                                     from));
        return;
    }
    const char *one = arena_printf(a, "__ldcg(%s)", from);
    tmpl_set_string(&k->env, "load_v",
                    arena_printf(a, "%s[0] = %s;", v, emit_as_float(ctx, x->stored, one)));
}

/* Rows that become codes. */
static void set_quantize(KernelText *k)
{
    int64_t group = k->op->a.group, row = columns_of(emit_find_param(k, "x")->ir);
    int64_t dim = group > 0 ? group : row;
    set_fresh_load(k, dim, "v[i]", group > 0 ? "g * DIM + at" : "at");
    int64_t threads = (dim / (dim % 8 == 0 ? 8 : 1) + 31) / 32 * 32;
    tmpl_set_int(&k->env, "THREADS", threads > 1024 ? 1024 : threads);
}

void emit_cuda_variables(KernelText *k)
{
    const Module *m = k->phase->module;
    tmpl_set_int(&k->env, "T", m->tokens);
    tmpl_set_int(&k->env, "CONTEXT", m->context);
    tmpl_set_bool(&k->env, "decode", m->phase == PHASE_DECODE);
    if (k->op == NULL) {
        return;
    }
    Str variant = k->kernel->config.variant;
    if (variant != NULL && strcmp(variant, "matmul_stream") == 0) {
        emit_stream_variables(k);
        return;
    }
    if (k->op->kind == OP_MATMUL || k->op->kind == OP_MATMUL_QKV) {
        set_matmul(k);
    }
    if (k->op->kind == OP_QUANTIZE || k->op->kind == OP_RMSNORM_QUANT) {
        set_quantize(k);
    }
    if (k->op->kind == OP_QKV_APPEND || k->op->kind == OP_HEADS_APPEND) {
        set_fresh_load(k, k->op->a.head_dim, "v", "h * HEAD_DIM + d");
    }
    if (k->op->kind == OP_MATMUL_QKV) {
        set_qkv(k);
    }
    if (variant != NULL && strcmp(variant, "attention_split") == 0) {
        emit_split_variables(k);
    } else if (variant != NULL && strcmp(variant, "attention_flash") == 0) {
        emit_flash_variables(k);
    } else if (k->op->kind == OP_ATTENTION) {
        set_attention(k);
    }
}

/* ---- launching functions --------------------------------------------------------------------- */

Str emit_kernel_id(const Emit *e, Str symbol)
{
    Buf b = buf_create(e->ctx->arena);
    buf_puts(&b, "K_");
    for (const char *s = symbol; *s != '\0'; s++) {
        buf_putc(&b, (char)toupper((unsigned char)*s));
    }
    return str_intern(e->ctx->strings, b.data);
}

Str emit_launch(const KernelText *k)
{
    Ctx *ctx = k->emit->ctx;
    StrTable *s = ctx->strings;
    size_t n = k->params.n;
    Str *param = ARENA_ARRAY(ctx->arena, Str, n + 1), *address = ARENA_ARRAY(ctx->arena, Str, n);
    param[0] = "const SinterRun *run";
    for (size_t i = 0; i < n; i++) {
        param[i + 1] = str_internf(s, "%s%s", k->params.data[i].type, k->params.data[i].name);
        address[i] = str_internf(s, "&%s", k->params.data[i].name);
    }
    Buf b = buf_create(ctx->arena);
    emit_wrapped(&b, arena_printf(ctx->arena, "static void %s(", k->symbol), param, n + 1, 0, ")");
    buf_puts(&b, "\n{\n");
    emit_wrapped(&b, "    void *arg[] = {", address, n, 0, "};");
    buf_printf(&b, "\n    const SinterGrid grid = {%s, %s, %d, %d, %s};\n", k->grid_x, k->grid_y,
               k->block, k->shared, k->when);
    buf_printf(&b, "    sinter_gpu_launch(run->gpu, %s, grid, arg);\n}\n",
               emit_kernel_id(k->emit, k->symbol));
    return str_intern(s, b.data);
}

/* ---- the files ------------------------------------------------------------------------------- */

/* Just-in-time compilation cuts the file at "/ * kernel " (runtime/jit_source.h). */
static void put_device(const Emit *e, const Buf *prelude, Buf *b)
{
    const Target *t = e->plan->target;
    emit_header_comment(e, b);
    buf_printf(b, "\nenum { CONTEXT = %lld }; /* positions in a cache */\n\n",
               (long long)e->plan->phases.data[0].module->context);
    buf_puts(b, prelude->data);
    const char *between = "";
    for (size_t i = 0; i < e->kernels.n; i++) {
        const EmittedKernel *k = &e->kernels.data[i];
        if (k->text != NULL) {
            buf_printf(b, "%s/* kernel %s, %s/%s%s\n *   %s\n%s */\n%s", between, k->symbol,
                       t->templates, k->file, t->suffix, k->users.data, k->comment, k->text);
            between = "\n";
        }
    }
}

static void put_includes(Buf *b)
{
    buf_puts(b, "#include <stddef.h>\n#include <stdint.h>\n\n#include \"model.h\"\n\n");
}

static void put_kernel_ids(const Emit *e, Buf *b)
{
    buf_puts(b, "enum {\n    CONTEXT = ");
    buf_printf(b, "%lld,\n", (long long)e->plan->phases.data[0].module->context);
    const char *first = " = 0";
    for (size_t i = 0; i < e->kernels.n; i++) {
        if (e->kernels.data[i].text != NULL) {
            buf_printf(b, "    %s%s,\n", emit_kernel_id(e, e->kernels.data[i].symbol), first);
            first = "";
        }
    }
    buf_puts(b, "};\n\nstatic const char *const kernel_names[] = {\n");
    for (size_t i = 0; i < e->kernels.n; i++) {
        if (e->kernels.data[i].text != NULL) {
            buf_printf(b, "    \"%s\",\n", e->kernels.data[i].symbol);
        }
    }
    buf_puts(b, "};\n\n");
}

static void put_lap(Buf *b)
{
    buf_puts(b, "/* The time since the last lap was this step's. */\n"
                "static void lap(const SinterRun *run, int thread, int step)\n"
                "{\n"
                "    if (run->profile != NULL && thread == 0) {\n"
                "        sinter_gpu_lap(run->gpu, step);\n"
                "    }\n"
                "}\n\n");
}

/* A file's bytes as code_NAME, its end as end_NAME; a 0 follows. */
static void put_file(const char *file, const char *name, Buf *b)
{
    buf_printf(b,
               "__asm__(\".section .rodata\\n.balign 64\\n\"\n"
               "        \"code_%s: .incbin \\\"%s\\\"\\n\"\n"
               "        \"end_%s: .byte 0\\n.text\\n\");\n"
               "extern const char code_%s[] __attribute__((visibility(\"hidden\")));\n"
               "extern const char end_%s[] __attribute__((visibility(\"hidden\")));\n",
               name, file, name, name, name);
}

static void put_codes(const Emit *e, const char *model, Buf *b)
{
    const Target *t = e->plan->target;
    Arena *a = e->ctx->arena;
    buf_puts(b, "/* Machine code, taken in from files beside this one. */\n");
    for (int i = 0; i < t->n_arch; i++) {
        const char *arch = t->arch[i];
        put_file(arena_printf(a, "%s.%s.%s", model, arch, target_code_suffix(arch)), arch, b);
    }
    buf_puts(b, "\nstatic const SinterCubin cubins[] = {\n");
    for (int i = 0; i < t->n_arch; i++) {
        buf_printf(b, "    {\"%s\", code_%s, end_%s},\n", t->arch[i], t->arch[i], t->arch[i]);
    }
    buf_puts(b, "};\n\n");
}

/* What the first function of a model without an embedding takes run->input for. */
static const char *input_dtype(const Emit *e)
{
    const PlanFunc *pf = &e->plan->phases.data[0].funcs.data[0];
    for (size_t i = 0; i < pf->func->params.n; i++) {
        const Place *p = &pf->place[pf->func->params.data[i]];
        if (p->kind == PLACE_INPUT && p->stored != DT_F32) {
            return p->stored == DT_F16 ? "SINTER_INPUT_F16" : "SINTER_INPUT_BF16";
        }
    }
    return "SINTER_INPUT_F32";
}

static void put_gpu_program(const Emit *e, Buf *b)
{
    const char *model = e->plan->phases.data[0].module->name;
    bool jit = e->options->jit;
    if (jit) {
        buf_puts(b, "/* The kernels' source, compiled when the program starts. */\n");
        put_file(arena_printf(e->ctx->arena, "%s.cu", model), "source", b);
        buf_putc(b, '\n');
    } else {
        put_codes(e, model, b);
    }
    buf_puts(b, "static const SinterGpuProgram gpu_program = {\n");
    if (jit) {
        buf_puts(b, "    .source = code_source,\n    .source_end = end_source,\n");
        buf_printf(b, "    .least_chip = %d,\n", e->options->least_chip);
    } else {
        buf_printf(b, "    .cubins = cubins,\n    .n_cubins = %d,\n", e->plan->target->n_arch);
    }
    emit_service_fields(e, b);
    buf_puts(b, "    .kernels = kernel_names,\n"
                "    .n_kernels = sizeof kernel_names / sizeof *kernel_names,\n");
    buf_printf(b, "    .input = %s,\n};\n\n", input_dtype(e));
}

static void put_launches(const Emit *e, Buf *b)
{
    for (size_t i = 0; i < e->kernels.n; i++) {
        if (e->kernels.data[i].launch != NULL) {
            buf_printf(b, "%s\n", e->kernels.data[i].launch);
        }
    }
}

/* A kernel that asks a chip for more than it has would fail when it is launched. */
static bool check_shared(const Emit *e)
{
    const Target *t = e->plan->target;
    for (size_t i = 0; i < e->kernels.n; i++) {
        const EmittedKernel *k = &e->kernels.data[i];
        for (int c = 0; c < t->n_arch; c++) {
            int most = target_block_shared(t->arch[c]);
            if (k->shared > most) {
                return diag_error(e->ctx->diag, (Span){0},
                                  "%s takes %d KiB of shared memory in a block, and %s has %d KiB; "
                                  "use a smaller --batch, or leave %s out of --arch",
                                  k->symbol, (k->shared + 1023) >> 10, t->arch[c], most >> 10,
                                  t->arch[c]);
            }
        }
    }
    return true;
}

bool emit_cuda(const Plan *plan, const EmitOptions *options, const char *data_dir, Buf *source,
               Buf *header, Buf *device)
{
    Emit e = {.ctx = plan->ctx, .plan = plan, .options = options};
    Arena *a = plan->ctx->arena;
    e.template_dir = path_join(a, data_dir, plan->target->templates);
    Buf steps = buf_create(a), prelude = buf_create(a), program = buf_create(a);
    for (size_t i = 0; i < plan->phases.n; i++) {
        if (!emit_phase(&e, &plan->phases.data[i], &steps)) {
            return false;
        }
    }
    if (!emit_step(&e) || !emit_services(&e) || !check_shared(&e)) {
        return false;
    }
    emit_join_comments(&e);
    for (size_t i = 0; i < e.kernels.n; i++) {
        buf_puts(&program, e.kernels.data[i].text != NULL ? e.kernels.data[i].text : "");
    }
    if (!emit_prelude(&e, program.data, &prelude)) {
        return false;
    }
    Buf kernels = buf_create(a);
    put_device(&e, &prelude, &kernels);
    emit_folded(a, device, kernels.data);
    emit_header_comment(&e, source);
    put_includes(source);
    put_kernel_ids(&e, source);
    emit_offsets(&e, source);
    put_lap(source);
    put_launches(&e, source);
    buf_puts(source, steps.data);
    put_gpu_program(&e, source);
    emit_tables(&e, source);
    emit_x_h(&e, header);
    return true;
}
