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

#include "codegen/dot.h"

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

/* A letter for each of the accumulators that take turns. */
static const char *turn(const Call *c, int64_t u)
{
    static const char *const letters[] = {"a", "b", "c", "d"};
    return c->k->kernel->config.unroll == 1 ? "" : letters[u];
}

/* "h" and "l" when x has two planes. */
static const char *plane(const Call *c, int64_t p)
{
    bool two = dot_family(c->k->kernel->config.dot)->planes == 2;
    return !two ? "" : p == 0 ? "h" : "l";
}

/* s(t, j, p, u): the sum of row t and tile j in plane p and turn u, "sum0_1ha". */
static bool host_s(const Call *c)
{
    return text(c, "sum%lld_%lld%s%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                plane(c, c->arg[2].i), turn(c, c->arg[3].i));
}

/* v(j, h, u): a vector of weights of tile j, half h of its columns. */
static bool host_v(const Call *c)
{
    return text(c, "v%lld_%lld%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                turn(c, c->arg[2].i));
}

/* x(t, h, p, u): what row t of x has for them. */
static bool host_x(const Call *c)
{
    return text(c, "x%lld_%lld%s%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                plane(c, c->arg[2].i), turn(c, c->arg[3].i));
}

/* The sum over turns. */
static const char *total(const Call *c, int64_t t, int64_t j, int64_t p)
{
    Arena *a = c->ctx->arena;
    const char *s = arena_printf(a, "sum%lld_%lld%s", (long long)t, (long long)j, plane(c, p));
    int unroll = c->k->kernel->config.unroll;
    if (unroll == 1) {
        return s;
    }
    return unroll == 2 ? arena_printf(a, "(%sa + %sb)", s, s)
                       : arena_printf(a, "((%sa + %sb) + (%sc + %sd))", s, s, s, s);
}

static bool host_total(const Call *c)
{
    return text(c, "%s", total(c, c->arg[0].i, c->arg[1].i, c->arg[2].i));
}

/* What unsigned codes have too much: 128 or the zero point; 0: zero points of each row. */
static int64_t excess_of(const KernelText *k)
{
    if (emit_find_param(k, "w_zero") != NULL) {
        return 0;
    }
    return dot_family(k->kernel->config.dot)->bits == 8 ? 128 : k->op->a.zero;
}

/* start(t, p, u): what the sum of a group begins with. */
static bool host_start(const Call *c)
{
    const DotFamily *family = dot_family(c->k->kernel->config.dot);
    bool bytes = family->bits == 8;
    int64_t t = c->arg[0].i, p = c->arg[1].i;
    bool none = excess_of(c->k) == 0 || c->arg[2].i > 0 || (!bytes && p < family->planes - 1);
    return none ? text(c, "{0}")
                : text(c, "veci_splat(x_sum[%lld * groups + g])",
                       (long long)(bytes ? t * family->planes + p : t));
}

/* sum_of_planes(t, j): the integer sum of a group of few columns, both planes together. */
static bool host_sum_of_planes(const Call *c)
{
    long long t = (long long)c->arg[0].i, j = (long long)c->arg[1].i;
    if (dot_family(c->k->kernel->config.dot)->planes == 2) {
        return text(c, "%s * 128 + %s", total(c, t, j, 0), total(c, t, j, 1));
    }
    return text(c, "%s", total(c, t, j, 0));
}

/* scaled(t, j): the accumulator with the group's sum added, times its scales. */
static bool host_scaled(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale"), *w = emit_find_param(c->k, "w_scale");
    long long t = (long long)c->arg[0].i, j = (long long)c->arg[1].i;
    const char *by = x != NULL && columns_of(x->ir) > 1
                         ? arena_printf(c->ctx->arena, "x_scale[%lld * groups + g]", t)
                         : NULL;
    if (w != NULL) {
        return text(c, "vec_fma(f%lld_%lld%s%s, scale%lld, acc%lld_%lld)", t, j,
                    by != NULL ? " * " : "", by != NULL ? by : "", j, t, j);
    }
    return text(c, "acc%lld_%lld + f%lld_%lld%s%s", t, j, t, j, by != NULL ? " * " : "",
                by != NULL ? by : "");
}

/* row_factor(t): " * x_unit[2]", what is common to all groups of a row. */
static bool host_row_factor(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale");
    bool planes = dot_family(c->k->kernel->config.dot)->planes == 2;
    bool scale = x != NULL && columns_of(x->ir) == 1;
    long long t = (long long)c->arg[0].i;
    return scale    ? text(c, " * x_scale[%lld]", t)
           : planes ? text(c, " * x_unit[%lld]", t)
                    : text(c, "%s", "");
}

/* step(u): the step that accumulator u takes. */
static bool host_step(const Call *c)
{
    long long u = (long long)c->arg[0].i;
    return u == 0 ? text(c, "i") : text(c, "(i + %lld)", u);
}

/* packed_at(t, p, u, h): where plane p of row t of packed x holds half h of the columns of step(u).
 */
static bool host_packed_at(const Call *c)
{
    const DotFamily *family = dot_family(c->k->kernel->config.dot);
    int64_t row = c->arg[0].i * (family->planes == 2 ? 2 : 1) + c->arg[1].i;
    Buf b = buf_create(c->ctx->arena);
    buf_puts(&b, "x + ");
    if (row > 0) {
        buf_printf(&b, row > 1 ? "%lld * stride + " : "stride + ", (long long)row);
    }
    if (c->arg[2].i > 0) {
        buf_printf(&b, "(i + %lld)", (long long)c->arg[2].i);
    } else {
        buf_putc(&b, 'i');
    }
    buf_printf(&b, " * %d", family->bits > 0 ? 32 / family->bits : 2);
    if (c->arg[3].i > 0) {
        buf_puts(&b, " + 4");
    }
    return text(c, "%s", b.data);
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
    buf_printf(&b, "dot_%s_%dx%d", cfg->dot, cfg->tokens, cfg->tiles / cfg->calls);
    if (cfg->unroll > 1) {
        buf_printf(&b, "x%d", cfg->unroll);
    }
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
    if (tail > 0 && dot_family(cfg->dot)->pack == NULL) {
        buf_printf(&b, "_tail%lld", (long long)tail);
    }
    return str_intern(s, b.data);
}

/* Parameters of the register block, in the order in which dot_call passes them. */
static Str dot_params(const KernelText *k, Str name, bool any)
{
    Ctx *ctx = k->emit->ctx;
    Str item[14];
    size_t n = 0;
    const DotFamily *family = dot_family(k->kernel->config.dot);
    item[n++] = "float *acc";
    if (family->pack == NULL) {
        item[n++] = str_internf(ctx->strings, "%sx", emit_find_param(k, "x")->type);
        item[n++] = "int64_t stride";
    } else if (family->planes == 0) {
        item[n++] = "const uint16_t *x";
    } else {
        item[n++] = "const int8_t *x";
        item[n++] = "const int32_t *x_sum";
    }
    if (family->planes == 2) {
        item[n++] = "const float *x_unit";
    }
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
    tmpl_set_int(env, "NT", cfg->tiles / cfg->calls);
    tmpl_set_int(env, "U", cfg->unroll);
    tmpl_set_int(env, "LANES", k->lanes);
    const DotFamily *family = dot_family(cfg->dot);
    tmpl_set_int(env, "BITS", family->bits);
    tmpl_set_int(env, "PLANES", family->planes);
    tmpl_set_int(env, "COLUMNS", family->bits > 0 ? 32 / family->bits : 2);
    tmpl_set_string(env, "rows_of_x", family->planes == 2 ? "2 rows" : "a row");
    bool start = excess_of(k) != 0;
    tmpl_set_string(env, "sums_of_x",
                    start ? "what the sums of each group start with" : "their sums in each group");
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
    const Tmpl *t = emit_template(e, dot_family(k->kernel->config.dot)->template);
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

/* ---- packed rows of x ------------------------------------------------------------------------ */

static int64_t groups_of(const KernelText *k)
{
    return k->op->a.group > 0 ? columns_of(emit_find_param(k, "w")->ir) / k->op->a.group : 1;
}

/* Of a row of x: for 4-bit weights both planes together. */
static int sums_per_group(const DotFamily *family)
{
    return family->bits == 8 ? family->planes : 1;
}

/* Columns of a packed row: whole steps of a weight tile. */
static int64_t packed_width(const KernelText *k)
{
    const Type *w = emit_find_param(k, "w")->ir;
    int64_t step = k->emit->plan->target->tile[w->dtype].cols;
    return (columns_of(w) + step - 1) / step * step;
}

Str emit_packed_rows(const KernelText *k)
{
    const KernelConfig *cfg = &k->kernel->config;
    const DotFamily *family = dot_family(cfg->dot);
    StrTable *s = k->emit->ctx->strings;
    long long rows = (long long)cfg->block_rows, width = (long long)packed_width(k);
    if (family->planes == 0) {
        return str_internf(s, "uint16_t x_pairs[%lld] __attribute__((aligned(64)));", rows * width);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "int8_t x_codes[%lld] __attribute__((aligned(64)));\n",
               rows * width * family->planes);
    buf_printf(&b, "int32_t x_sum[%lld];\n", rows * groups_of(k) * sums_per_group(family));
    if (family->planes == 2) {
        buf_printf(&b, "float x_unit[%lld];\n", rows);
    }
    return str_intern(s, b.data);
}

/* Parameters of the function that packs; the template closes the list. */
static Str pack_params(const KernelText *k, Str name)
{
    const DotFamily *family = dot_family(k->kernel->config.dot);
    StrTable *s = k->emit->ctx->strings;
    Str item[8];
    size_t n = 0;
    item[n++] = str_intern(s, family->planes == 0 ? "uint16_t *x_pairs" : "int8_t *x_codes");
    if (family->planes > 0) {
        item[n++] = str_intern(s, "int32_t *x_sum");
    }
    if (family->planes == 2) {
        item[n++] = str_intern(s, "float *x_unit");
    }
    item[n++] = str_intern(s, family->planes == 1 ? "const int8_t *x" : "const float *x");
    item[n++] = str_intern(s, "int64_t stride");
    item[n++] = str_intern(s, "int64_t rows");
    item[n++] = str_intern(s, "int block");
    Buf b = buf_create(k->emit->ctx->arena);
    emit_wrapped(&b, "", item, n, (int)strlen("static void (") + (int)strlen(name), ")");
    return str_intern_n(s, b.data, b.len - 1);
}

static Str pack_name(const KernelText *k)
{
    const DotFamily *family = dot_family(k->kernel->config.dot);
    long long columns = (long long)columns_of(emit_find_param(k, "w")->ir);
    long long groups = (long long)groups_of(k);
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "pack_%s_%lld", family->name, columns);
    if (family->bits == 4 && excess_of(k) != 0) {
        buf_printf(&b, "_zero%lld", (long long)excess_of(k));
    }
    if (family->planes > 0 && groups > 1) {
        buf_printf(&b, "_by_%lld", columns / groups);
    }
    return str_intern(k->emit->ctx->strings, b.data);
}

static bool make_pack(KernelText *k, Str name)
{
    Emit *e = k->emit;
    if (have_dot(e, name)) {
        return true;
    }
    const DotFamily *family = dot_family(k->kernel->config.dot);
    TmplEnv env = {.ctx = e->ctx, .user = k, .call = emit_host_call};
    tmpl_set_string(&env, "name", name);
    tmpl_set_string(&env, "params", pack_params(k, name));
    tmpl_set_int(&env, "K", columns_of(emit_find_param(k, "w")->ir));
    tmpl_set_int(&env, "WIDTH", packed_width(k));
    tmpl_set_int(&env, "GROUPS", groups_of(k));
    tmpl_set_int(&env, "BITS", family->bits);
    tmpl_set_int(&env, "FACTOR", excess_of(k) == 0 ? 1 : -excess_of(k));
    const Tmpl *t = emit_template(e, family->pack);
    Buf b = buf_create(e->ctx->arena);
    if (t == NULL || !tmpl_expand(t, &env, &b)) {
        return false;
    }
    EmittedDot pack = {.name = name, .text = str_intern(e->ctx->strings, b.data)};
    vec_push(e->ctx->arena, &e->dots, pack);
    return true;
}

/* pack(first, rows): packs these rows of x, and empty ones that fill the last block of TOKENS. */
static bool host_pack(const Call *c)
{
    KernelText *k = c->k;
    Str name = pack_name(k);
    if (!make_pack(k, name)) {
        return false;
    }
    const DotFamily *family = dot_family(k->kernel->config.dot);
    const char *to = family->planes == 0   ? "x_pairs"
                     : family->planes == 1 ? "x_codes, x_sum"
                                           : "x_codes, x_sum, x_unit";
    const char *first = str_arg(c, 0), *rows = str_arg(c, 1);
    long long stride = (long long)emit_find_param(k, "x")->stride;
    const char *from =
        strcmp(first, "0") == 0 ? "x" : arena_printf(c->ctx->arena, "x + %s * %lld", first, stride);
    return text(c, "%s(%s, %s, %lld, %s, TOKENS);", name, to, from, stride, rows);
}

/* One call of the register block, for the tiles from `tile` on. */
static void put_dot_call(const Call *c, Buf *b, Str name, const char *acc, const char *tile)
{
    KernelText *k = c->k;
    StrTable *s = c->ctx->strings;
    const KernelParam *x = emit_find_param(k, "x"), *xs = emit_find_param(k, "x_scale");
    const DotFamily *family = dot_family(k->kernel->config.dot);
    bool any = strcmp(family->name, "any") == 0;
    const char *t0 = str_arg(c, 1);
    bool first = strcmp(t0, "0") == 0;
    Str item[14];
    size_t n = 0;
    item[n++] = str_intern(s, acc);
    long long width = (long long)packed_width(k) * (family->planes == 2 ? 2 : 1);
    if (family->pack == NULL) {
        long long stride = (long long)x->stride;
        item[n++] =
            first ? x->name : str_internf(s, "%s + %s * %lld", x->name, factor(c, 1), stride);
        item[n++] = str_internf(s, "%lld", stride);
    } else {
        const char *rows = family->planes == 0 ? "x_pairs" : "x_codes";
        item[n++] = first ? rows : str_internf(s, "%s + (%s - b0) * %lld", rows, t0, width);
    }
    if (family->planes > 0) {
        long long sums = (long long)groups_of(k) * sums_per_group(family);
        item[n++] = first ? "x_sum" : str_internf(s, "x_sum + (%s - b0) * %lld", t0, sums);
    }
    if (family->planes == 2) {
        item[n++] = first ? "x_unit" : str_internf(s, "x_unit + (%s - b0)", t0);
    }
    item[n++] = str_intern(s, "w");
    item[n++] = str_intern(s, tile);
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
    emit_wrapped(b, arena_printf(c->ctx->arena, "%s(", name), item, n, 12, ");");
}

/* dot("acc", t0, tile): the call (or calls); its function is made on the way. */
static bool host_dot(const Call *c)
{
    KernelText *k = c->k;
    const KernelConfig *cfg = &k->kernel->config;
    Arena *a = c->ctx->arena;
    int64_t tail = tail_of(k);
    Str name = dot_name(k, tail);
    /* While the kernel's key is made its symbol is neutral: a block of its own is not. */
    if (strcmp(k->symbol, "KERNEL") != 0 && !make_dot(k, name, tail)) {
        return false;
    }
    Buf b = buf_create(a);
    put_dot_call(c, &b, name, str_arg(c, 0), str_arg(c, 2));
    for (int i = 1; i < cfg->calls; i++) {
        buf_putc(&b, '\n');
        put_dot_call(c, &b, name, arena_printf(a, "%s + %d * LANES", str_arg(c, 0), i),
                     arena_printf(a, "%s + %d", str_arg(c, 2), i));
    }
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
    {"s", 4, host_s},
    {"v", 3, host_v},
    {"x", 4, host_x},
    {"total", 3, host_total},
    {"start", 3, host_start},
    {"sum_of_planes", 2, host_sum_of_planes},
    {"scaled", 2, host_scaled},
    {"row_factor", 1, host_row_factor},
    {"step", 1, host_step},
    {"packed_at", 4, host_packed_at},
    {"pack", 2, host_pack},
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
