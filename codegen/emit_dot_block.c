/* emit_dot_block.c - the functions that the template of a register block calls: the names of its
 * sums, vectors and scales, for row t of x, tile j of weights, plane p, turn u.
 *
 *   s, v, x, total            sums, vectors of weights, rows of x; the sum over turns
 *   start, sum_of_planes      what a group's sum begins with and ends as
 *   scales, zeros             those of a tile in a group
 *   factors, scaled, row_factor   the same as factors of a sum
 *   id(t, j)                  "0_1"
 *   k_more, step, packed_at   the loop over columns and where it reads */
#include "codegen/emit_dot.h"

/* ---- sums and vectors ------------------------------------------------------------------------ */

/* id(t, j): "0_1", for the names of accumulators. */
static bool block_id(const Call *c)
{
    return call_text(c, "%lld_%lld", (long long)c->arg[0].i, (long long)c->arg[1].i);
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
    bool two = emit_dot_family(c->k)->planes == 2;
    return !two ? "" : p == 0 ? "h" : "l";
}

/* s(t, j, p, u): the sum of row t and tile j in plane p and turn u, "sum0_1ha". */
static bool block_s(const Call *c)
{
    return call_text(c, "sum%lld_%lld%s%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                     plane(c, c->arg[2].i), turn(c, c->arg[3].i));
}

/* v(j, h, u): a vector of weights of tile j, half h of its columns. */
static bool block_v(const Call *c)
{
    return call_text(c, "v%lld_%lld%s", (long long)c->arg[0].i, (long long)c->arg[1].i,
                     turn(c, c->arg[2].i));
}

/* x(t, h, p, u): what row t of x has for them. */
static bool block_x(const Call *c)
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

static bool block_total(const Call *c)
{
    return call_text(c, "%s", total(c, c->arg[0].i, c->arg[1].i, c->arg[2].i));
}

/* start(t, p, u): what the sum of a group begins with. */
static bool block_start(const Call *c)
{
    const DotFamily *family = emit_dot_family(c->k);
    bool bytes = family->bits == 8;
    int64_t t = c->arg[0].i, p = c->arg[1].i;
    bool none = emit_dot_excess(c->k) == 0 || c->arg[2].i > 0 || (!bytes && p < family->planes - 1);
    return none ? call_text(c, "{0}")
                : call_text(c, "veci_splat(x_sum[%lld * groups + g])",
                            (long long)(bytes ? t * family->planes + p : t));
}

/* sum_of_planes(t, j): the integer sum of a group of few columns, both planes together. */
static bool block_sum_of_planes(const Call *c)
{
    long long t = (long long)c->arg[0].i, j = (long long)c->arg[1].i;
    if (emit_dot_family(c->k)->planes == 2) {
        return call_text(c, "%s * 128 + %s", total(c, t, j, 0), total(c, t, j, 1));
    }
    return call_text(c, "%s", total(c, t, j, 0));
}

/* ---- scales ---------------------------------------------------------------------------------- */

/* scales("w_scale", tile), zeros("w_zero", tile): those of one tile in group g as a vector. */
static bool block_scales(const Call *c)
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
static bool block_factors(const Call *c)
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

/* scaled(t, j): the accumulator with the group's sum added, times its scales. */
static bool block_scaled(const Call *c)
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
static bool block_row_factor(const Call *c)
{
    const KernelParam *x = emit_find_param(c->k, "x_scale");
    bool planes = emit_dot_family(c->k)->planes == 2;
    bool scale = x != NULL && call_columns(x->ir) == 1;
    long long t = (long long)c->arg[0].i;
    return scale    ? call_text(c, " * x_scale[%lld]", t)
           : planes ? call_text(c, " * x_unit[%lld]", t)
                    : call_text(c, "%s", "");
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* k_more(part, n): the loop's condition; part 0 takes n + 1 columns a step, part 1 what is left. */
static bool block_k_more(const Call *c)
{
    return c->arg[0].i == 0 ? call_text(c, "k + %lld < (g + 1) * group", (long long)c->arg[1].i)
                            : call_text(c, "k < K");
}

/* step(u): the step that accumulator u takes. */
static bool block_step(const Call *c)
{
    long long u = (long long)c->arg[0].i;
    return u == 0 ? call_text(c, "i") : call_text(c, "(i + %lld)", u);
}

/* packed_at(t, p, u, h): where plane p of row t of packed x holds half h of the columns of step(u).
 */
static bool block_packed_at(const Call *c)
{
    const DotFamily *family = emit_dot_family(c->k);
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

/* ---- dispatch -------------------------------------------------------------------------------- */

static const TemplateFunction functions[] = {
    {"scales", 2, block_scales},
    {"zeros", 2, block_scales},
    {"factors", 2, block_factors},
    {"id", 2, block_id},
    {"k_more", 2, block_k_more},
    {"s", 4, block_s},
    {"v", 3, block_v},
    {"x", 4, block_x},
    {"total", 3, block_total},
    {"start", 3, block_start},
    {"sum_of_planes", 2, block_sum_of_planes},
    {"scaled", 2, block_scaled},
    {"row_factor", 1, block_row_factor},
    {"step", 1, block_step},
    {"packed_at", 4, block_packed_at},
};

const TemplateFunction *emit_dot_block_functions(size_t *n)
{
    *n = sizeof functions / sizeof functions[0];
    return functions;
}
