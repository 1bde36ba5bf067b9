/* emit_dot.c - the register block of a matmul on the CPU: the function that multiplies a few rows
 * of x by a few tiles of weights, made once for all kernels that need the same, and its calls.
 *
 *   dot(acc, t0, tile)   the call of the block, from row t0 of x and this tile on */
#include "codegen/emit_dot.h"

#include <string.h>

/* ---- what a block takes ---------------------------------------------------------------------- */

const DotFamily *emit_dot_family(const KernelText *k)
{
    return dot_family(k->kernel->config.dot);
}

/* The block of plain loops, which takes no sizes: each kernel has its own. */
static bool is_any(const KernelText *k)
{
    return strcmp(k->kernel->config.dot, "any") == 0;
}

/* Weights of 8 bits are taken plus 128, because the instruction takes unsigned ones. */
static bool flips(const KernelText *k)
{
    return emit_dot_family(k)->bits == 8 && k->emit->plan->target->isa->vnni;
}

bool emit_dot_wants_sums(const KernelText *k)
{
    const DotFamily *family = emit_dot_family(k);
    return family->planes > 0 && (family->bits == 4 || flips(k));
}

int64_t emit_dot_excess(const KernelText *k)
{
    if (emit_find_param(k, "w_zero") != NULL) {
        return 0;
    }
    return emit_dot_family(k)->bits == 4 ? k->op->a.zero : flips(k) ? 128 : 0;
}

/* The function of four products: codes of 4 bits are positive however they are taken. */
static const char *vec_dot(const KernelText *k)
{
    const Isa *isa = k->emit->plan->target->isa;
    bool nibbles = emit_dot_family(k)->bits == 4 && (isa->avx2 || isa->avx512);
    return isa->vnni ? "vec_dot_u8s8" : nibbles ? "vec_dot_u4s8" : "vec_dot_s8s8";
}

/* Columns of weights behind the last whole step of a tile. */
static int64_t tail_of(const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w");
    return is_any(k) ? 0 : call_columns(w->ir) % k->emit->plan->target->tile[w->ir->dtype].cols;
}

/* ---- its function ---------------------------------------------------------------------------- */

static Str dot_name(const KernelText *k)
{
    const KernelConfig *cfg = &k->kernel->config;
    StrTable *s = k->emit->ctx->strings;
    const KernelParam *ws = emit_find_param(k, "w_scale"), *wz = emit_find_param(k, "w_zero");
    const KernelParam *xs = emit_find_param(k, "x_scale");
    if (is_any(k)) {
        return str_internf(s, "dot_any_%s", k->symbol);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "dot_%s_%dx%d", cfg->dot, cfg->tokens, cfg->tiles / cfg->calls);
    if (cfg->unroll > 1) {
        buf_printf(&b, "x%d", cfg->unroll);
    }
    if (cfg->ahead > 0) {
        buf_puts(&b, "_ahead");
    }
    bool grouped = k->op->a.group > 0;
    const char *scaled = ws == NULL                  ? ""
                         : call_columns(ws->ir) == 1 ? "_row"
                         : ws->ir->layout.rows > 0   ? "_group"
                                                     : "_strided";
    buf_printf(&b, "%s%s", scaled, grouped && ws == NULL ? "_sums" : "");
    if (xs != NULL) {
        buf_puts(&b, call_columns(xs->ir) == 1 ? "_xrow" : "_xgroup");
    }
    if (wz != NULL) {
        buf_puts(&b, "_zeros");
    } else if (k->op->a.zero != 0) {
        buf_printf(&b, "_zero%lld", (long long)k->op->a.zero);
    }
    int64_t tail = tail_of(k);
    if (tail > 0 && emit_dot_family(k)->pack == NULL) {
        buf_printf(&b, "_tail%lld", (long long)tail);
    }
    return str_intern(s, b.data);
}

/* How the block gets its rows of x; put_x_arguments passes them. */
static size_t put_x_params(const KernelText *k, Str *item)
{
    const DotFamily *family = emit_dot_family(k);
    size_t n = 0;
    if (family->pack == NULL) {
        item[n++] = str_internf(k->emit->ctx->strings, "%sx", emit_find_param(k, "x")->type);
        item[n++] = "int64_t stride";
    } else {
        item[n++] = family->planes == 0 ? "const uint16_t *x" : "const int8_t *x";
    }
    if (emit_dot_wants_sums(k)) {
        item[n++] = "const int32_t *x_sum";
    }
    if (family->planes == 2) {
        item[n++] = "const float *x_unit";
    }
    return n;
}

/* Parameters of the block, in the order in which put_call passes them. */
static Str dot_params(const KernelText *k, Str name)
{
    StrTable *s = k->emit->ctx->strings;
    Str item[14];
    size_t n = 0;
    item[n++] = "float *acc";
    n += put_x_params(k, &item[n]);
    item[n++] = str_internf(s, "%sw", emit_find_param(k, "w")->type);
    item[n++] = "int64_t tile";
    if (!is_any(k)) {
        item[n++] = "int K";
    }
    if (!is_any(k) && k->op->a.group > 0) {
        item[n++] = "int group";
    }
    static const char *const slots[] = {"w_scale", "w_zero", "x_scale"};
    for (int i = 0; i < 3; i++) {
        const KernelParam *p = emit_find_param(k, slots[i]);
        if (p != NULL) {
            item[n++] = str_internf(s, "%s%s", p->type, p->name);
        }
    }
    return emit_dot_params(k, name, item, n);
}

Str emit_dot_params(const KernelText *k, Str name, const Str *item, size_t n)
{
    Buf b = buf_create(k->emit->ctx->arena);
    emit_wrapped(&b, "", item, n, (int)strlen("static void (") + (int)strlen(name), ")");
    return str_intern_n(k->emit->ctx->strings, b.data, b.len - 1);
}

/* Sizes of the block and of what it multiplies. */
static void set_sizes(const KernelText *k, TmplEnv *env)
{
    const KernelConfig *cfg = &k->kernel->config;
    const Type *w = emit_find_param(k, "w")->ir;
    int64_t columns = call_columns(w), tail = tail_of(k);
    tmpl_set_int(env, "MT", cfg->tokens);
    tmpl_set_int(env, "NT", cfg->tiles / cfg->calls);
    tmpl_set_int(env, "U", cfg->unroll);
    tmpl_set_int(env, "AHEAD", cfg->ahead);
    tmpl_set_int(env, "LANES", k->lanes);
    tmpl_set_int(env, "tail", tail);
    tmpl_set_string(env, "k_tail", arena_printf(k->emit->ctx->arena, "K - %lld", (long long)tail));
    tmpl_set_int(env, "K", columns);
    tmpl_set_int(env, "ROWS", w->dim[0]);
    tmpl_set_int(env, "GROUP", k->op->a.group > 0 ? k->op->a.group : columns);
}

/* How its weights and rows of x are stored. */
static void set_storage(const KernelText *k, TmplEnv *env)
{
    const DotFamily *family = emit_dot_family(k);
    bool start = emit_dot_excess(k) != 0;
    tmpl_set_int(env, "BITS", family->bits);
    tmpl_set_bool(env, "flips", flips(k));
    tmpl_set_string(env, "vec_dot", vec_dot(k));
    tmpl_set_int(env, "PLANES", family->planes);
    tmpl_set_int(env, "COLUMNS", family->bits > 0 ? 32 / family->bits : 2);
    tmpl_set_string(env, "rows_of_x", family->planes == 2 ? "2 rows" : "a row");
    tmpl_set_bool(env, "sums", emit_dot_wants_sums(k));
    tmpl_set_string(env, "sums_of_x",
                    start ? "what the sums of each group start with" : "their sums in each group");
    tmpl_set_int(env, "interleave", k->op->a.interleave);
    tmpl_set_int(env, "zero", k->op->a.zero);
    tmpl_set_bool(env, "codes_in", emit_find_param(k, "x")->stored == DT_I8);
    tmpl_set_bool(env, "grouped", k->op->a.group > 0);
    tmpl_set_bool(env, "w_scaled", emit_find_param(k, "w_scale") != NULL);
    tmpl_set_bool(env, "x_scaled", emit_find_param(k, "x_scale") != NULL);
    tmpl_set_bool(env, "w_zeros", emit_find_param(k, "w_zero") != NULL);
}

static void set_dot_env(const KernelText *k, Str name, TmplEnv *env)
{
    tmpl_set_string(env, "name", name);
    tmpl_set_string(env, "params", dot_params(k, name));
    set_sizes(k, env);
    set_storage(k, env);
}

static bool have_dot(const Emit *e, Str name)
{
    for (size_t i = 0; i < e->dots.n; i++) {
        if (e->dots.data[i].name == name) {
            return true;
        }
    }
    return false;
}

bool emit_dot_function(KernelText *k, Str name, const char *file,
                       void (*set)(const KernelText *k, Str name, TmplEnv *env))
{
    Emit *e = k->emit;
    if (have_dot(e, name)) {
        return true;
    }
    TmplEnv env = {.ctx = e->ctx, .user = k, .call = emit_host_call};
    set(k, name, &env);
    const Tmpl *t = emit_template(e, file);
    Buf b = buf_create(e->ctx->arena);
    if (t == NULL || !tmpl_expand(t, &env, &b)) {
        return false;
    }
    EmittedDot dot = {.name = name, .text = str_intern(e->ctx->strings, b.data)};
    vec_push(e->ctx->arena, &e->dots, dot);
    return true;
}

/* ---- its calls ------------------------------------------------------------------------------- */

/* Rows of x from row t0 on: x itself, or its packed rows, which begin at row b0. */
static size_t put_x_arguments(const Call *c, Str *item)
{
    const KernelText *k = c->k;
    StrTable *s = c->ctx->strings;
    const DotFamily *family = emit_dot_family(k);
    const char *t0 = call_string(c, 1);
    bool first = strcmp(t0, "0") == 0;
    size_t n = 0;
    if (family->pack == NULL) {
        const KernelParam *x = emit_find_param(k, "x");
        long long stride = (long long)x->stride;
        item[n++] =
            first ? x->name : str_internf(s, "%s + %s * %lld", x->name, call_factor(c, 1), stride);
        item[n++] = str_internf(s, "%lld", stride);
    } else {
        const char *rows = family->planes == 0 ? "x_pairs" : "x_codes";
        long long stride = (long long)emit_dot_packed_stride(k);
        item[n++] = first ? rows : str_internf(s, "%s + (%s - b0) * %lld", rows, t0, stride);
    }
    if (emit_dot_wants_sums(k)) {
        long long stride = (long long)emit_dot_sums_stride(k);
        item[n++] = first ? "x_sum" : str_internf(s, "x_sum + (%s - b0) * %lld", t0, stride);
    }
    if (family->planes == 2) {
        item[n++] = first ? "x_unit" : str_internf(s, "x_unit + (%s - b0)", t0);
    }
    return n;
}

static size_t put_scale_arguments(const Call *c, Str *item)
{
    const KernelParam *xs = emit_find_param(c->k, "x_scale");
    bool first = strcmp(call_string(c, 1), "0") == 0;
    size_t n = 0;
    if (emit_find_param(c->k, "w_scale") != NULL) {
        item[n++] = "w_scale";
    }
    if (emit_find_param(c->k, "w_zero") != NULL) {
        item[n++] = "w_zero";
    }
    if (xs != NULL) {
        item[n++] = first ? "x_scale"
                          : str_internf(c->ctx->strings, "x_scale + %s * %lld", call_factor(c, 1),
                                        (long long)call_columns(xs->ir));
    }
    return n;
}

/* One call of the block, for the tiles from `tile` on. */
static void put_call(const Call *c, Buf *b, Str name, const char *acc, const char *tile)
{
    const KernelText *k = c->k;
    StrTable *s = c->ctx->strings;
    Str item[14];
    size_t n = 0;
    item[n++] = str_intern(s, acc);
    n += put_x_arguments(c, &item[n]);
    item[n++] = "w";
    item[n++] = str_intern(s, tile);
    if (!is_any(k)) {
        item[n++] = "K";
    }
    if (!is_any(k) && k->op->a.group > 0) {
        item[n++] = str_internf(s, "%lld", (long long)k->op->a.group);
    }
    n += put_scale_arguments(c, &item[n]);
    emit_wrapped(b, arena_printf(c->ctx->arena, "%s(", name), item, n, 12, ");");
}

/* dot("acc", t0, tile): the call (or calls); its function is made on the way. */
static bool dot_call(const Call *c)
{
    KernelText *k = c->k;
    const char *acc = call_string(c, 0), *tile = call_string(c, 2);
    Arena *a = c->ctx->arena;
    Str name = dot_name(k);
    /* While the kernel's key is made its symbol is neutral: a block of its own is not. */
    if (strcmp(k->symbol, "KERNEL") != 0 &&
        !emit_dot_function(k, name, emit_dot_family(k)->template, set_dot_env)) {
        return false;
    }
    Buf b = buf_create(a);
    put_call(c, &b, name, acc, tile);
    for (int i = 1; i < k->kernel->config.calls; i++) {
        buf_putc(&b, '\n');
        put_call(c, &b, name, arena_printf(a, "%s + %d * LANES", acc, i),
                 arena_printf(a, "%s + %d", tile, i));
    }
    return call_text(c, "%s", b.data);
}

static const TemplateFunction functions[] = {
    {"dot", 3, dot_call},
    {"pack", 2, emit_dot_pack},
};

const TemplateFunction *emit_dot_functions(size_t *n)
{
    *n = sizeof functions / sizeof functions[0];
    return functions;
}
