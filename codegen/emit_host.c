/* emit_host.c - the functions that templates call.
 *
 *   used(name)              does the program mention the name? (prelude only)
 *   repeat(s, n)            "s, s, s"                 string(i)   the number as text
 *   has(param)              is this operand there?    f32(x)      a float literal
 *   row(param, t)           pointer to row t          scalar(param, i)   one element as float
 *   weight(param, row, k)   one element of a matrix in its stored order, dequantised
 *   sequence(t)             whose cache row t uses    to_cache, to_k, to_v, from_k, from_v:
 * conversions accs, leaves, store     the epilogue              dot(acc, t0, tile)  the call of the
 * register block scales, zeros           vectors of group scales   element, scale_factors  for
 * dot_any */
#include "codegen/emit_parts.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { MAX_ARGS = 4 };

typedef struct Call {
    KernelText *k;
    Ctx *ctx;
    const FormulaValue *arg;
    int n;
    Span at;
    FormulaValue *out;
} Call;

static bool text(const Call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool text(const Call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *s = arena_vprintf(c->ctx->arena, fmt, ap);
    va_end(ap);
    *c->out = formula_string(str_intern(c->ctx->strings, s));
    return true;
}

static const char *str_arg(const Call *c, int i)
{
    return c->arg[i].type == FV_STRING ? c->arg[i].s : "";
}

static const KernelParam *param_arg(const Call *c, int i)
{
    const KernelParam *p = emit_find_param(c->k, str_arg(c, i));
    if (p == NULL) {
        diag_error(c->ctx->diag, c->at, "kernel %s has no parameter '%s'", c->k->symbol,
                   str_arg(c, i));
    }
    return p;
}

/* An index as a factor: parenthesised unless it is one word. */
static const char *factor(const Call *c, int i)
{
    const char *s = str_arg(c, i);
    for (const char *p = s; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') {
            return s[0] == '(' ? s : arena_printf(c->ctx->arena, "(%s)", s);
        }
    }
    return s;
}

/* ---- text helpers ---------------------------------------------------------------------------- */

static bool host_repeat(const Call *c)
{
    Buf b = buf_create(c->ctx->arena);
    for (int64_t i = 0; i < c->arg[1].i; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", str_arg(c, 0));
    }
    return text(c, "%s", b.data);
}

static bool host_string(const Call *c)
{
    return text(c, "%lld", (long long)c->arg[0].i);
}

static bool host_f32(const Call *c)
{
    return text(c, "%s", emit_f32(c->ctx, formula_number(&c->arg[0])));
}

static bool host_has(const Call *c)
{
    *c->out = formula_bool(emit_find_param(c->k, str_arg(c, 0)) != NULL);
    return true;
}

/* ---- activations ----------------------------------------------------------------------------- */

static bool host_row(const Call *c)
{
    const KernelParam *p = param_arg(c, 0);
    if (p == NULL) {
        return false;
    }
    if (p->stride == 1) {
        return text(c, "%s + %s", p->name, str_arg(c, 1));
    }
    return text(c, "%s + %s * %lld", p->name, factor(c, 1), (long long)p->stride);
}

/* One stored number as a float. */
static const char *as_float(Ctx *ctx, DType stored, const char *s)
{
    switch ((int)stored) {
    case DT_BF16:
        return arena_printf(ctx->arena, "float_of_bf16(%s)", s);
    case DT_F16:
        return arena_printf(ctx->arena, "float_of_f16(%s)", s);
    case DT_F32:
        return s;
    default:
        return arena_printf(ctx->arena, "(float)%s", s);
    }
}

static const char *from_float(Ctx *ctx, DType stored, const char *s)
{
    return stored == DT_BF16  ? arena_printf(ctx->arena, "bf16_of_float(%s)", s)
           : stored == DT_F16 ? arena_printf(ctx->arena, "f16_of_float(%s)", s)
                              : s;
}

static bool host_scalar(const Call *c)
{
    const KernelParam *p = param_arg(c, 0);
    if (p == NULL) {
        return false;
    }
    const char *element = arena_printf(c->ctx->arena, "%s[%s]", p->name, str_arg(c, 1));
    return text(c, "%s", as_float(c->ctx, p->stored, element));
}

/* ---- matrices in their stored order ---------------------------------------------------------- */

static int64_t columns_of(const Type *t)
{
    return t->rank < 2 ? 1 : t->dim[1];
}

/* Index of (row, col) as C text; both are words or numbers. u4: of the byte. */
static const char *stored_index(Ctx *ctx, const Type *t, const char *row, const char *col)
{
    Layout l = t->layout;
    long long cols = columns_of(t), rows = l.rows;
    if (t->rank < 2) {
        return row;
    }
    if (rows == 0) {
        return arena_printf(ctx->arena, "%s * %lld + %s", row, cols, col);
    }
    if (l.cols == 1) {
        return arena_printf(ctx->arena, "(%s / %lld * %lld + %s) * %lld + %s %% %lld", row, rows,
                            cols, col, rows, row, rows);
    }
    long long across = (cols + l.cols - 1) / l.cols, bytes = l.sub > 0 ? l.sub : l.cols;
    return arena_printf(ctx->arena,
                        "((%s / %lld * %lld + %s / %d) * %lld + %s %% %lld) * %lld + %s %% %lld",
                        row, rows, across, col, l.cols, rows, row, rows, bytes, col, bytes);
}

static const char *nibble(Ctx *ctx, const KernelParam *w, const char *row, const char *col)
{
    const Type *t = w->ir;
    const char *at = stored_index(ctx, t, row, col);
    if (t->layout.sub > 0) {
        return arena_printf(ctx->arena, "(%s[%s] >> %s / %d %% 2 * 4 & 15)", w->name, at, col,
                            t->layout.sub);
    }
    return arena_printf(ctx->arena, "(%s[(%s) / 2] >> (%s) %% 2 * 4 & 15)", w->name, at, at);
}

/* One weight, codes as integers. */
static const char *element(Ctx *ctx, const KernelParam *w, const char *row, const char *col)
{
    if (w->stored == DT_U4) {
        return nibble(ctx, w, row, col);
    }
    const char *e = arena_printf(ctx->arena, "%s[%s]", w->name, stored_index(ctx, w->ir, row, col));
    return w->stored == DT_I8 || w->stored == DT_U8 ? e : as_float(ctx, w->stored, e);
}

/* " * scale[...]" of group g (ignored when there is one group). */
static const char *scale_text(Ctx *ctx, const KernelParam *p, const char *row, const char *g)
{
    if (p == NULL) {
        return "";
    }
    const char *group = columns_of(p->ir) == 1 ? "0" : g;
    const char *e =
        arena_printf(ctx->arena, "%s[%s]", p->name, stored_index(ctx, p->ir, row, group));
    return arena_printf(ctx->arena, " * %s", as_float(ctx, p->stored, e));
}

/* "(code - zero)": zero is a parameter, an attribute or nothing. */
static const char *centred(const Call *c, const char *code, const char *row, const char *g)
{
    const KernelParam *zero = emit_find_param(c->k, "w_zero");
    int64_t constant = c->k->op->a.zero;
    if (zero != NULL) {
        const char *group = columns_of(zero->ir) == 1 ? "0" : g;
        return arena_printf(c->ctx->arena, "(%s - %s)", code, element(c->ctx, zero, row, group));
    }
    return constant != 0 ? arena_printf(c->ctx->arena, "(%s - %lld)", code, (long long)constant)
                         : code;
}

static bool is_code(const KernelParam *w)
{
    return w->stored == DT_U4 || w->stored == DT_I8 || w->stored == DT_U8;
}

/* weight("w", row, k): a dequantised element. */
static bool host_weight(const Call *c)
{
    const KernelParam *w = param_arg(c, 0);
    if (w == NULL) {
        return false;
    }
    const char *row = str_arg(c, 1), *col = str_arg(c, 2);
    int64_t group = c->k->op->a.group > 0 ? c->k->op->a.group : columns_of(w->ir);
    const char *g = arena_printf(c->ctx->arena, "(%s / %lld)", col, (long long)group);
    const char *e = element(c->ctx, w, row, col);
    if (!is_code(w)) {
        return text(c, "%s", e);
    }
    return text(c, "(float)%s%s", centred(c, e, row, g),
                scale_text(c->ctx, emit_find_param(c->k, "w_scale"), row, g));
}

/* element(row, k, g): a weight less its zero point, not scaled. */
static bool host_element(const Call *c)
{
    const KernelParam *w = emit_find_param(c->k, "w");
    const char *e = element(c->ctx, w, str_arg(c, 0), str_arg(c, 1));
    bool convert = is_code(w) && emit_find_param(c->k, "x")->stored != DT_I8;
    const char *zeroed = is_code(w) ? centred(c, e, str_arg(c, 0), str_arg(c, 2)) : e;
    return text(c, "%s%s", convert ? "(float)" : "", zeroed);
}

/* scale_factors(row, g, t) */
static bool host_scale_factors(const Call *c)
{
    const KernelParam *w = emit_find_param(c->k, "w_scale"), *x = emit_find_param(c->k, "x_scale");
    return text(c, "%s%s", scale_text(c->ctx, w, str_arg(c, 0), str_arg(c, 1)),
                scale_text(c->ctx, x, str_arg(c, 2), str_arg(c, 1)));
}

/* ---- the register block ---------------------------------------------------------------------- */

/* scales("w_scale", tile): the scales of one tile in group g as a vector. */
static bool host_scales(const Call *c)
{
    const KernelParam *p = param_arg(c, 0);
    if (p == NULL) {
        return false;
    }
    long long groups = columns_of(p->ir);
    if (groups == 1) {
        return text(c, "vec_load(%s + %s * LANES)", p->name, factor(c, 1));
    }
    if (p->ir->layout.rows > 0) {
        return text(c, "vec_load(%s + (%s * groups + g) * LANES)", p->name, factor(c, 1));
    }
    return text(c, "vec_gather(%s + %s * LANES * groups + g, groups)", p->name, factor(c, 1));
}

static bool host_zeros(const Call *c)
{
    const KernelParam *p = param_arg(c, 0);
    if (p == NULL) {
        return false;
    }
    if (columns_of(p->ir) == 1) {
        return text(c, "vec_load_u8(%s + %s * LANES)", p->name, factor(c, 1));
    }
    if (p->ir->layout.rows > 0) {
        return text(c, "vec_load_u8(%s + (%s * groups + g) * LANES)", p->name, factor(c, 1));
    }
    return text(c, "vec_gather_u8(%s + %s * LANES * groups + g, groups)", p->name, factor(c, 1));
}

/* factors(t, j): " * scale0 * x_scale[2]", the scales of row t and tile j in group g. */
static bool host_factors(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale"), *w = emit_find_param(c->k, "w_scale");
    long long t = c->arg[0].i, j = c->arg[1].i;
    Buf b = buf_create(c->ctx->arena);
    if (w != NULL) {
        buf_printf(&b, " * scale%lld", j);
    }
    if (x != NULL && columns_of(x->ir) == 1) {
        buf_printf(&b, " * x_scale[%lld]", t);
    } else if (x != NULL) {
        buf_printf(&b, " * x_scale[%lld * groups + g]", t);
    }
    return text(c, "%s", b.data);
}

/* id(t, j): "0_1", for the names of accumulators. */
static bool host_id(const Call *c)
{
    return text(c, "%lld_%lld", (long long)c->arg[0].i, (long long)c->arg[1].i);
}

static int64_t tail_of(const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w");
    bool any = strcmp(k->kernel->config.dot, "any") == 0;
    return any ? 0 : columns_of(w->ir) % k->emit->plan->target->tile[w->ir->dtype].cols;
}

/* k_more(part, n): the loop's condition; part 0 takes n + 1 columns a step, part 1 what is left. */
static bool host_k_more(const Call *c)
{
    return c->arg[0].i == 0 ? text(c, "k + %lld < (g + 1) * group", (long long)c->arg[1].i)
                            : text(c, "k < K");
}

/* bytes(part, half): codes of x in this half of an octet: 4, in the tail what is left. */
static bool host_bytes(const Call *c)
{
    int64_t left = tail_of(c->k) - 4 * c->arg[1].i;
    int64_t n = c->arg[0].i == 0 || left > 4 ? 4 : left < 0 ? 0 : left;
    return text(c, "%lld", (long long)n);
}

static Str dot_name(const KernelText *k, int64_t tail)
{
    const KernelConfig *cfg = &k->kernel->config;
    StrTable *s = k->emit->ctx->strings;
    const KernelParam *ws = emit_find_param(k, "w_scale"), *wz = emit_find_param(k, "w_zero");
    const KernelParam *xs = emit_find_param(k, "x_scale");
    if (strcmp(cfg->dot, "any") == 0) {
        return str_internf(s, "dot_any_%s", k->symbol);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "dot_%s_%dx%d", cfg->dot, cfg->tokens, cfg->tiles);
    bool grouped = k->op->a.group > 0;
    const char *scaled = ws == NULL                ? ""
                         : columns_of(ws->ir) == 1 ? "_row"
                         : ws->ir->layout.rows > 0 ? "_group"
                                                   : "_strided";
    buf_printf(&b, "%s%s", scaled, grouped && ws == NULL ? "_sums" : "");
    if (xs != NULL) {
        buf_puts(&b, columns_of(xs->ir) == 1 ? "_xrow" : "_xgroup");
    }
    if (wz != NULL) {
        buf_puts(&b, "_zeros");
    } else if (k->op->a.zero != 0) {
        buf_printf(&b, "_zero%lld", (long long)k->op->a.zero);
    }
    if (tail > 0) {
        buf_printf(&b, "_tail%lld", (long long)tail);
    }
    return str_intern(s, b.data);
}

static const char *dot_template(const char *family)
{
    return strncmp(family, "i8", 2) == 0   ? "dot_i8"
           : strncmp(family, "u4", 2) == 0 ? "dot_u4"
                                           : family;
}

/* Parameters of the register block, in the order in which dot_call passes them. */
static Str dot_params(const KernelText *k, Str name, bool any)
{
    Ctx *ctx = k->emit->ctx;
    Str item[12];
    size_t n = 0;
    item[n++] = "float *acc";
    item[n++] = str_internf(ctx->strings, "%sx", emit_find_param(k, "x")->type);
    item[n++] = "int64_t stride";
    item[n++] = str_internf(ctx->strings, "%sw", emit_find_param(k, "w")->type);
    item[n++] = "int64_t tile";
    if (!any) {
        item[n++] = "int K";
    }
    if (!any && k->op->a.group > 0) {
        item[n++] = "int group";
    }
    static const char *const slots[] = {"w_scale", "w_zero", "x_scale"};
    for (int i = 0; i < 3; i++) {
        const KernelParam *p = emit_find_param(k, slots[i]);
        if (p != NULL) {
            item[n++] = str_internf(ctx->strings, "%s%s", p->type, p->name);
        }
    }
    Buf b = buf_create(ctx->arena);
    emit_wrapped(&b, "", item, n, (int)strlen("static void (") + (int)strlen(name), ")");
    return str_intern_n(ctx->strings, b.data, b.len - 1); /* the template closes the list */
}

static void set_dot_env(const KernelText *k, TmplEnv *env, Str name, int64_t tail)
{
    const KernelConfig *cfg = &k->kernel->config;
    const Type *w = emit_find_param(k, "w")->ir;
    bool any = strcmp(cfg->dot, "any") == 0;
    int64_t columns = columns_of(w);
    tmpl_set_string(env, "name", name);
    tmpl_set_string(env, "params", dot_params(k, name, any));
    tmpl_set_int(env, "MT", cfg->tokens);
    tmpl_set_int(env, "NT", cfg->tiles);
    tmpl_set_int(env, "LANES", k->lanes);
    tmpl_set_int(env, "tail", tail);
    tmpl_set_string(env, "k_tail", arena_printf(k->emit->ctx->arena, "K - %lld", (long long)tail));
    tmpl_set_int(env, "K", columns);
    tmpl_set_int(env, "ROWS", w->dim[0]);
    tmpl_set_int(env, "GROUP", k->op->a.group > 0 ? k->op->a.group : columns);
    tmpl_set_int(env, "interleave", k->op->a.interleave);
    tmpl_set_int(env, "zero", k->op->a.zero);
    tmpl_set_bool(env, "codes_in", emit_find_param(k, "x")->stored == DT_I8);
    tmpl_set_bool(env, "grouped", k->op->a.group > 0);
    tmpl_set_bool(env, "w_scaled", emit_find_param(k, "w_scale") != NULL);
    tmpl_set_bool(env, "x_scaled", emit_find_param(k, "x_scale") != NULL);
    tmpl_set_bool(env, "w_zeros", emit_find_param(k, "w_zero") != NULL);
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

static bool make_dot(KernelText *k, Str name, int64_t tail)
{
    Emit *e = k->emit;
    if (have_dot(e, name)) {
        return true;
    }
    const char *family = dot_template(k->kernel->config.dot);
    const char *file =
        strncmp(family, "dot_", 4) == 0 ? family : arena_printf(e->ctx->arena, "dot_%s", family);
    const Tmpl *t = emit_template(e, file);
    TmplEnv env = {.ctx = e->ctx, .user = k, .call = emit_host_call};
    set_dot_env(k, &env, name, tail);
    Buf b = buf_create(e->ctx->arena);
    if (t == NULL || !tmpl_expand(t, &env, &b)) {
        return false;
    }
    EmittedDot dot = {.name = name, .text = str_intern(e->ctx->strings, b.data)};
    vec_push(e->ctx->arena, &e->dots, dot);
    return true;
}

/* dot("acc", t0, tile): the call; its function is made on the way. */
static bool host_dot(const Call *c)
{
    KernelText *k = c->k;
    const KernelParam *x = emit_find_param(k, "x"), *w = emit_find_param(k, "w");
    const KernelParam *xs = emit_find_param(k, "x_scale");
    bool any = strcmp(k->kernel->config.dot, "any") == 0;
    int64_t tail = tail_of(k);
    Str name = dot_name(k, tail);
    /* While the kernel's key is made its symbol is neutral: a block of its own is not. */
    if (strcmp(k->symbol, "KERNEL") != 0 && !make_dot(k, name, tail)) {
        return false;
    }
    const char *t0 = str_arg(c, 1);
    bool first = strcmp(t0, "0") == 0;
    Str item[12];
    size_t n = 0;
    StrTable *s = c->ctx->strings;
    item[n++] = str_intern(s, str_arg(c, 0));
    item[n++] = first
                    ? x->name
                    : str_internf(s, "%s + %s * %lld", x->name, factor(c, 1), (long long)x->stride);
    item[n++] = str_internf(s, "%lld", (long long)x->stride);
    item[n++] = w->name;
    item[n++] = str_intern(s, str_arg(c, 2));
    if (!any) {
        item[n++] = "K";
    }
    if (!any && k->op->a.group > 0) {
        item[n++] = str_internf(s, "%lld", (long long)k->op->a.group);
    }
    if (emit_find_param(k, "w_scale") != NULL) {
        item[n++] = "w_scale";
    }
    if (emit_find_param(k, "w_zero") != NULL) {
        item[n++] = "w_zero";
    }
    if (xs != NULL) {
        item[n++] = first ? "x_scale"
                          : str_internf(s, "x_scale + %s * %lld", factor(c, 1),
                                        (long long)columns_of(xs->ir));
    }
    Buf b = buf_create(c->ctx->arena);
    emit_wrapped(&b, arena_printf(c->ctx->arena, "%s(", name), item, n, 12, ");");
    return text(c, "%s", b.data);
}

/* accs("acc", t, j): the accumulators of LANES columns as vectors acc0 (and acc1). */
static bool host_accs(const Call *c)
{
    const KernelConfig *cfg = &c->k->kernel->config;
    long long row = (long long)cfg->tiles * c->k->lanes;
    Buf b = buf_create(c->ctx->arena);
    const char *t = str_arg(c, 1), *j = str_arg(c, 2);
    for (int way = 0; way < cfg->ways; way++) {
        buf_printf(&b, "const VecF acc%d = vec_load(%s + %s * %lld + %s%s%s);\n", way,
                   str_arg(c, 0), t, row, cfg->ways > 1 ? "2 * " : "", j,
                   way > 0 ? " + LANES" : "");
    }
    return text(c, "%s", b.data);
}

/* store("out", t, n, left) of the kernel's value. */
static bool host_store(const Call *c)
{
    const KernelParam *p = param_arg(c, 0);
    if (p == NULL) {
        return false;
    }
    if (c->k->lanes == 1) {
        return text(c, "%s[%s * %lld + %s] = %s;", p->name, factor(c, 1), (long long)p->stride,
                    str_arg(c, 2), emit_value(c->k));
    }
    return text(c, "vec_store%s(%s + %s * %lld + %s, %s%s);", c->k->ragged ? "_n" : "", p->name,
                factor(c, 1), (long long)p->stride, str_arg(c, 2), emit_value(c->k),
                c->k->ragged ? ", left" : "");
}

/* ---- caches ---------------------------------------------------------------------------------- */

static bool host_sequence(const Call *c)
{
    bool one = c->k->phase->module->phase == PHASE_PREFILL;
    return text(c, "%s", one ? "0" : str_arg(c, 0));
}

static DType cache_dtype(const Call *c, const char *name)
{
    const KernelParam *p = emit_find_param(c->k, name);
    return p != NULL ? p->stored : DT_F32;
}

static bool host_to_cache(const Call *c)
{
    return text(c, "%s", from_float(c->ctx, cache_dtype(c, "cache"), str_arg(c, 0)));
}

static bool host_to_k(const Call *c)
{
    return text(c, "%s", from_float(c->ctx, cache_dtype(c, "k_cache"), str_arg(c, 0)));
}

static bool host_to_v(const Call *c)
{
    return text(c, "%s", from_float(c->ctx, cache_dtype(c, "v_cache"), str_arg(c, 0)));
}

static bool host_from_k(const Call *c)
{
    return text(c, "%s", as_float(c->ctx, cache_dtype(c, "k_cache"), str_arg(c, 0)));
}

static bool host_from_v(const Call *c)
{
    return text(c, "%s", as_float(c->ctx, cache_dtype(c, "v_cache"), str_arg(c, 0)));
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const struct HostFunction {
    const char *name;
    int n_args;
    bool (*fn)(const Call *c);
} host_functions[] = {
    {"repeat", 2, host_repeat},
    {"string", 1, host_string},
    {"f32", 1, host_f32},
    {"has", 1, host_has},
    {"row", 2, host_row},
    {"scalar", 2, host_scalar},
    {"weight", 3, host_weight},
    {"element", 3, host_element},
    {"scale_factors", 3, host_scale_factors},
    {"scales", 2, host_scales},
    {"zeros", 2, host_zeros},
    {"factors", 2, host_factors},
    {"id", 2, host_id},
    {"k_more", 2, host_k_more},
    {"bytes", 2, host_bytes},
    {"dot", 3, host_dot},
    {"accs", 3, host_accs},
    {"store", 3, host_store},
    {"sequence", 1, host_sequence},
    {"to_cache", 1, host_to_cache},
    {"to_k", 1, host_to_k},
    {"to_v", 1, host_to_v},
    {"from_k", 1, host_from_k},
    {"from_v", 1, host_from_v},
};

bool emit_host_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                    FormulaValue *out, bool *known)
{
    KernelText *k = user;
    *known = false;
    for (size_t i = 0; i < sizeof host_functions / sizeof host_functions[0]; i++) {
        const struct HostFunction *f = &host_functions[i];
        if (strcmp(f->name, name) == 0) {
            *known = true;
            if (f->n_args != n_args) {
                return diag_error(k->emit->ctx->diag, at, "%s takes %d arguments, found %d", name,
                                  f->n_args, n_args);
            }
            Call c = {.k = k, .ctx = k->emit->ctx, .arg = arg, .n = n_args, .at = at, .out = out};
            return f->fn(&c);
        }
    }
    return true;
}
