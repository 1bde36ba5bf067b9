/* emit_dot_pack.c - packed rows of x: what a register block reads in place of x when its family
 * packs (dot.h).
 *
 *   x_pairs           bf16 pairs, or
 *   x_codes           int8 codes; with two planes a row of each
 *   x_sum, x_unit     sums of the codes in each group; the unit of a row of two planes
 *
 * A kernel declares them (emit_packed_rows) and its template calls pack(first, rows), which makes
 * the function that fills them. */
#include <string.h>

#include "codegen/emit_dot.h"

static int64_t columns_of(const KernelText *k)
{
    return call_columns(emit_find_param(k, "w")->ir);
}

static int64_t groups_of(const KernelText *k)
{
    return k->op->a.group > 0 ? columns_of(k) / k->op->a.group : 1;
}

/* Columns of a packed row: whole steps of a weight tile. */
static int64_t packed_width(const KernelText *k)
{
    const Type *w = emit_find_param(k, "w")->ir;
    int64_t step = k->emit->plan->target->tile[w->dtype].cols;
    return (call_columns(w) + step - 1) / step * step;
}

int64_t emit_dot_packed_stride(const KernelText *k)
{
    return packed_width(k) * (emit_dot_family(k)->planes == 2 ? 2 : 1);
}

/* For 4-bit weights a group has one sum of both planes together. */
int64_t emit_dot_sums_stride(const KernelText *k)
{
    const DotFamily *family = emit_dot_family(k);
    return groups_of(k) * (family->bits == 8 ? family->planes : 1);
}

Str emit_packed_rows(const KernelText *k)
{
    const DotFamily *family = emit_dot_family(k);
    StrTable *s = k->emit->ctx->strings;
    long long rows = (long long)k->kernel->config.block_rows;
    long long elements = rows * emit_dot_packed_stride(k);
    if (family->planes == 0) {
        return str_internf(s, "uint16_t x_pairs[%lld] __attribute__((aligned(64)));", elements);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "int8_t x_codes[%lld] __attribute__((aligned(64)));\n", elements);
    if (emit_dot_wants_sums(k)) {
        buf_printf(&b, "int32_t x_sum[%lld];\n", rows * emit_dot_sums_stride(k));
    }
    if (family->planes == 2) {
        buf_printf(&b, "float x_unit[%lld];\n", rows);
    }
    return str_intern(s, b.data);
}

/* ---- the function that packs ----------------------------------------------------------------- */

static Str pack_name(const KernelText *k)
{
    const DotFamily *family = emit_dot_family(k);
    long long columns = (long long)columns_of(k), groups = (long long)groups_of(k);
    Buf b = buf_create(k->emit->ctx->arena);
    buf_printf(&b, "pack_%s_%lld", family->name, columns);
    if (family->bits == 4 && emit_dot_excess(k) != 0) {
        buf_printf(&b, "_zero%lld", (long long)emit_dot_excess(k));
    }
    if (emit_dot_wants_sums(k) && groups > 1) {
        buf_printf(&b, "_by_%lld", columns / groups);
    }
    return str_intern(k->emit->ctx->strings, b.data);
}

static Str pack_params(const KernelText *k, Str name)
{
    const DotFamily *family = emit_dot_family(k);
    Str item[8];
    size_t n = 0;
    item[n++] = family->planes == 0 ? "uint16_t *x_pairs" : "int8_t *x_codes";
    if (emit_dot_wants_sums(k)) {
        item[n++] = "int32_t *x_sum";
    }
    if (family->planes == 2) {
        item[n++] = "float *x_unit";
    }
    item[n++] = family->planes == 1 ? "const int8_t *x" : "const float *x";
    item[n++] = "int64_t stride";
    item[n++] = "int64_t rows";
    item[n++] = "int block";
    return emit_dot_params(k, name, item, n);
}

static void set_pack_env(const KernelText *k, Str name, TmplEnv *env)
{
    int64_t excess = emit_dot_excess(k);
    tmpl_set_string(env, "name", name);
    tmpl_set_string(env, "params", pack_params(k, name));
    tmpl_set_int(env, "K", columns_of(k));
    tmpl_set_int(env, "WIDTH", packed_width(k));
    tmpl_set_int(env, "GROUPS", groups_of(k));
    tmpl_set_int(env, "BITS", emit_dot_family(k)->bits);
    tmpl_set_bool(env, "sums", emit_dot_wants_sums(k));
    tmpl_set_int(env, "FACTOR", excess == 0 ? 1 : -excess);
}

/* pack(first, rows): packs these rows of x, and empty ones that fill the last block of TOKENS. */
bool emit_dot_pack(const Call *c)
{
    KernelText *k = c->k;
    const DotFamily *family = emit_dot_family(k);
    Str name = pack_name(k);
    if (!emit_dot_function(k, name, family->pack, set_pack_env)) {
        return false;
    }
    const char *to = family->planes == 0 ? "x_pairs"
                                         : arena_printf(c->ctx->arena, "x_codes%s%s",
                                                        emit_dot_wants_sums(k) ? ", x_sum" : "",
                                                        family->planes == 2 ? ", x_unit" : "");
    const char *first = call_string(c, 0), *rows = call_string(c, 1);
    long long stride = (long long)emit_find_param(k, "x")->stride;
    const char *from =
        strcmp(first, "0") == 0 ? "x" : arena_printf(c->ctx->arena, "x + %s * %lld", first, stride);
    return call_text(c, "%s(%s, %s, %lld, %s, TOKENS);", name, to, from, stride, rows);
}
