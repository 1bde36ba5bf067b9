/* emit_dot.c - the functions that the templates of register blocks call, and those that make a
 * block and the packing of its x on the way.
 *
 *   dot(acc, t0, tile)      the call of the block       pack(first, rows)   the call that packs x
 *   scales, zeros, factors  of a tile in a group        id(t, j)            "0_1"
 *   s, v, x, total          names of sums, weights and rows of x; see the functions */
#include <ctype.h>
#include <string.h>

#include "codegen/dot.h"
#include "codegen/emit_call.h"

/* scales("w_scale", tile), zeros("w_zero", tile): those of one tile in group g as a vector. */
static bool dot_scales(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    if (p == NULL) {
        return false;
    }
    const char *tile = call_factor(c, 1);
    const char *of =
        p->stored == DT_F32 ? "" : arena_printf(c->ctx->arena, "_%s", dtype_name(p->stored));
    if (call_columns(p->ir) == 1) {
        return call_text(c, "vec_load%s(%s + %s * LANES)", of, p->name, tile);
    }
    if (p->ir->layout.rows > 0) {
        return call_text(c, "vec_load%s(%s + (%s * groups + g) * LANES)", of, p->name, tile);
    }
    return call_text(c, "vec_gather%s(%s + %s * LANES * groups + g, groups)", of, p->name, tile);
}

/* factors(t, j): " * scale0 * x_scale[2]", the scales of row t and tile j in group g. */
static bool dot_factors(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale"), *w = emit_find_param(c->k, "w_scale");
    long long t = c->arg[0].i, j = c->arg[1].i;
    Buf b = buf_create(c->ctx->arena);
    if (w != NULL) {
        buf_printf(&b, " * scale%lld", j);
    }
    if (x != NULL && call_columns(x->ir) == 1) {
        buf_printf(&b, " * x_scale[%lld]", t);
    } else if (x != NULL) {
        buf_printf(&b, " * x_scale[%lld * groups + g]", t);
    }
    return call_text(c, "%s", b.data);
}

/* id(t, j): "0_1", for the names of accumulators. */
static bool dot_id(const Call *c)
{
    return call_text(c, "%lld_%lld", (long long)c->arg[0].i, (long long)c->arg[1].i);
}

static int64_t tail_of(const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w");
    bool any = strcmp(k->kernel->config.dot, "any") == 0;
    return any ? 0 : call_columns(w->ir) % k->emit->plan->target->tile[w->ir->dtype].cols;
}

/* k_more(part, n): the loop's condition; part 0 takes n + 1 columns a step, part 1 what is left. */
static bool dot_k_more(const Call *c)
{
    return c->arg[0].i == 0 ? call_text(c, "k + %lld < (g + 1) * group", (long long)c->arg[1].i)
                            : call_text(c, "k < K");
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
static bool dot_s(const Call *c)
{
    return call_text(c, "sum%lld_%lld%s%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                     plane(c, c->arg[2].i), turn(c, c->arg[3].i));
}

/* v(j, h, u): a vector of weights of tile j, half h of its columns. */
static bool dot_v(const Call *c)
{
    return call_text(c, "v%lld_%lld%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                     turn(c, c->arg[2].i));
}

/* x(t, h, p, u): what row t of x has for them. */
static bool dot_x(const Call *c)
{
    return call_text(c, "x%lld_%lld%s%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
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

static bool dot_total(const Call *c)
{
    return call_text(c, "%s", total(c, c->arg[0].i, c->arg[1].i, c->arg[2].i));
}

/* Weights of 8 bits are taken plus 128, because the instruction takes unsigned ones. */
static bool flips(const KernelText *k)
{
    return dot_family(k->kernel->config.dot)->bits == 8 && k->emit->plan->target->isa->vnni;
}

/* The sums of x in each group are wanted: for what codes have too much, or zero points. */
static bool wants_sums(const KernelText *k)
{
    return dot_family(k->kernel->config.dot)->planes > 0 &&
           (dot_family(k->kernel->config.dot)->bits == 4 || flips(k));
}

/* What codes have too much: 128 or the zero point; 0: nothing, or zero points of each row. */
static int64_t excess_of(const KernelText *k)
{
    if (emit_find_param(k, "w_zero") != NULL) {
        return 0;
    }
    return dot_family(k->kernel->config.dot)->bits == 4 ? k->op->a.zero : flips(k) ? 128 : 0;
}

/* The function of four products: codes of 4 bits are positive however they are taken. */
static const char *vec_dot(const KernelText *k)
{
    const Isa *isa = k->emit->plan->target->isa;
    bool nibbles = dot_family(k->kernel->config.dot)->bits == 4 && (isa->avx2 || isa->avx512);
    return isa->vnni ? "vec_dot_u8s8" : nibbles ? "vec_dot_u4s8" : "vec_dot_s8s8";
}

/* start(t, p, u): what the sum of a group begins with. */
static bool dot_start(const Call *c)
{
    const DotFamily *family = dot_family(c->k->kernel->config.dot);
    bool bytes = family->bits == 8;
    int64_t t = c->arg[0].i, p = c->arg[1].i;
    bool none = excess_of(c->k) == 0 || c->arg[2].i > 0 || (!bytes && p < family->planes - 1);
    return none ? call_text(c, "{0}")
                : call_text(c, "veci_splat(x_sum[%lld * groups + g])",
                            (long long)(bytes ? t * family->planes + p : t));
}

/* sum_of_planes(t, j): the integer sum of a group of few columns, both planes together. */
static bool dot_sum_of_planes(const Call *c)
{
    long long t = (long long)c->arg[0].i, j = (long long)c->arg[1].i;
    if (dot_family(c->k->kernel->config.dot)->planes == 2) {
        return call_text(c, "%s * 128 + %s", total(c, t, j, 0), total(c, t, j, 1));
    }
    return call_text(c, "%s", total(c, t, j, 0));
}

/* scaled(t, j): the accumulator with the group's sum added, times its scales. */
static bool dot_scaled(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale"), *w = emit_find_param(c->k, "w_scale");
    long long t = (long long)c->arg[0].i, j = (long long)c->arg[1].i;
    const char *by = x != NULL && call_columns(x->ir) > 1
                         ? arena_printf(c->ctx->arena, "x_scale[%lld * groups + g]", t)
                         : NULL;
    if (w != NULL) {
        return call_text(c, "vec_fma(f%lld_%lld%s%s, scale%lld, acc%lld_%lld)", t, j,
                         by != NULL ? " * " : "", by != NULL ? by : "", j, t, j);
    }
    return call_text(c, "acc%lld_%lld + f%lld_%lld%s%s", t, j, t, j, by != NULL ? " * " : "",
                     by != NULL ? by : "");
}

/* row_factor(t): " * x_unit[2]", what is common to all groups of a row. */
static bool dot_row_factor(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale");
    bool planes = dot_family(c->k->kernel->config.dot)->planes == 2;
    bool scale = x != NULL && call_columns(x->ir) == 1;
    long long t = (long long)c->arg[0].i;
    return scale    ? call_text(c, " * x_scale[%lld]", t)
           : planes ? call_text(c, " * x_unit[%lld]", t)
                    : call_text(c, "%s", "");
}

/* step(u): the step that accumulator u takes. */
static bool dot_step(const Call *c)
{
    long long u = (long long)c->arg[0].i;
    return u == 0 ? call_text(c, "i") : call_text(c, "(i + %lld)", u);
}

/* packed_at(t, p, u, h): where plane p of row t of packed x holds half h of the columns of step(u).
 */
static bool dot_packed_at(const Call *c)
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
    return call_text(c, "%s", b.data);
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
    }
    if (wants_sums(k)) {
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
    int64_t columns = call_columns(w);
    tmpl_set_string(env, "name", name);
    tmpl_set_string(env, "params", dot_params(k, name, any));
    tmpl_set_int(env, "MT", cfg->tokens);
    tmpl_set_int(env, "NT", cfg->tiles / cfg->calls);
    tmpl_set_int(env, "U", cfg->unroll);
    tmpl_set_int(env, "AHEAD", cfg->ahead);
    tmpl_set_int(env, "LANES", k->lanes);
    const DotFamily *family = dot_family(cfg->dot);
    tmpl_set_int(env, "BITS", family->bits);
    tmpl_set_bool(env, "flips", flips(k));
    tmpl_set_string(env, "vec_dot", vec_dot(k));
    tmpl_set_int(env, "PLANES", family->planes);
    tmpl_set_int(env, "COLUMNS", family->bits > 0 ? 32 / family->bits : 2);
    tmpl_set_string(env, "rows_of_x", family->planes == 2 ? "2 rows" : "a row");
    bool start = excess_of(k) != 0;
    tmpl_set_bool(env, "sums", wants_sums(k));
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
    return k->op->a.group > 0 ? call_columns(emit_find_param(k, "w")->ir) / k->op->a.group : 1;
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
    return (call_columns(w) + step - 1) / step * step;
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
    if (wants_sums(k)) {
        buf_printf(&b, "int32_t x_sum[%lld];\n", rows * groups_of(k) * sums_per_group(family));
    }
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
    if (wants_sums(k)) {
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
    long long columns = (long long)call_columns(emit_find_param(k, "w")->ir);
    long long groups = (long long)groups_of(k);
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "pack_%s_%lld", family->name, columns);
    if (family->bits == 4 && excess_of(k) != 0) {
        buf_printf(&b, "_zero%lld", (long long)excess_of(k));
    }
    if (wants_sums(k) && groups > 1) {
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
    tmpl_set_int(&env, "K", call_columns(emit_find_param(k, "w")->ir));
    tmpl_set_int(&env, "WIDTH", packed_width(k));
    tmpl_set_int(&env, "GROUPS", groups_of(k));
    tmpl_set_int(&env, "BITS", family->bits);
    tmpl_set_bool(&env, "sums", wants_sums(k));
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
static bool dot_pack(const Call *c)
{
    KernelText *k = c->k;
    Str name = pack_name(k);
    if (!make_pack(k, name)) {
        return false;
    }
    const DotFamily *family = dot_family(k->kernel->config.dot);
    const char *to = family->planes == 0 ? "x_pairs"
                                         : arena_printf(c->ctx->arena, "x_codes%s%s",
                                                        wants_sums(k) ? ", x_sum" : "",
                                                        family->planes == 2 ? ", x_unit" : "");
    const char *first = call_string(c, 0), *rows = call_string(c, 1);
    long long stride = (long long)emit_find_param(k, "x")->stride;
    const char *from =
        strcmp(first, "0") == 0 ? "x" : arena_printf(c->ctx->arena, "x + %s * %lld", first, stride);
    return call_text(c, "%s(%s, %s, %lld, %s, TOKENS);", name, to, from, stride, rows);
}

/* One call of the register block, for the tiles from `tile` on. */
static void put_dot_call(const Call *c, Buf *b, Str name, const char *acc, const char *tile)
{
    KernelText *k = c->k;
    StrTable *s = c->ctx->strings;
    const KernelParam *x = emit_find_param(k, "x"), *xs = emit_find_param(k, "x_scale");
    const DotFamily *family = dot_family(k->kernel->config.dot);
    bool any = strcmp(family->name, "any") == 0;
    const char *t0 = call_string(c, 1);
    bool first = strcmp(t0, "0") == 0;
    Str item[14];
    size_t n = 0;
    item[n++] = str_intern(s, acc);
    long long width = (long long)packed_width(k) * (family->planes == 2 ? 2 : 1);
    if (family->pack == NULL) {
        long long stride = (long long)x->stride;
        item[n++] =
            first ? x->name : str_internf(s, "%s + %s * %lld", x->name, call_factor(c, 1), stride);
        item[n++] = str_internf(s, "%lld", stride);
    } else {
        const char *rows = family->planes == 0 ? "x_pairs" : "x_codes";
        item[n++] = first ? rows : str_internf(s, "%s + (%s - b0) * %lld", rows, t0, width);
    }
    if (wants_sums(k)) {
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
                          : str_internf(s, "x_scale + %s * %lld", call_factor(c, 1),
                                        (long long)call_columns(xs->ir));
    }
    emit_wrapped(b, arena_printf(c->ctx->arena, "%s(", name), item, n, 12, ");");
}

/* dot("acc", t0, tile): the call (or calls); its function is made on the way. */
static bool dot_call(const Call *c)
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
    put_dot_call(c, &b, name, call_string(c, 0), call_string(c, 2));
    for (int i = 1; i < cfg->calls; i++) {
        buf_putc(&b, '\n');
        put_dot_call(c, &b, name, arena_printf(a, "%s + %d * LANES", call_string(c, 0), i),
                     arena_printf(a, "%s + %d", call_string(c, 2), i));
    }
    return call_text(c, "%s", b.data);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const TemplateFunction functions[] = {
    {"scales", 2, dot_scales},
    {"zeros", 2, dot_scales},
    {"factors", 2, dot_factors},
    {"id", 2, dot_id},
    {"k_more", 2, dot_k_more},
    {"s", 4, dot_s},
    {"v", 3, dot_v},
    {"x", 4, dot_x},
    {"total", 3, dot_total},
    {"start", 3, dot_start},
    {"sum_of_planes", 2, dot_sum_of_planes},
    {"scaled", 2, dot_scaled},
    {"row_factor", 1, dot_row_factor},
    {"step", 1, dot_step},
    {"packed_at", 4, dot_packed_at},
    {"pack", 2, dot_pack},
    {"dot", 3, dot_call},
};

const TemplateFunction *emit_dot_functions(size_t *n)
{
    *n = sizeof functions / sizeof functions[0];
    return functions;
}
