/* infer.c - result types of operators: one small function for each family, called by a flat switch.
 *
 * A message names the operand, its type and the type that would fit:
 *   rmsnorm: gain @attn_norm is bf16[64], expected float[4096] */
#include <stdarg.h>
#include <string.h>

#include "ir/ir_text.h"
#include "ir/slots.h"

typedef struct Infer {
    const Func *f;
    const Op *op;
    const Type **out;
} Infer;

/* What an operand may be, besides one DType: DT_NONE = any. */
enum { ANY_FLOAT = DT_COUNT, ANY_CODE };

enum { MAX_EXPR_DEPTH = 1000 };

#define SHAPE(...)                                                                                 \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- helpers ----------------------------------------------------------------------------------
 */

static bool __attribute__((format(printf, 2, 3))) fail(const Infer *c, const char *fmt, ...)
{
    Ctx *ctx = c->f->module->ctx;
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(ctx->arena, fmt, ap);
    va_end(ap);
    return diag_error(ctx->diag, c->op->at, "%s: %s", op_name(c->op->kind), text);
}

/* The operand's type; NULL when absent. */
static const Type *in(const Infer *c, int slot)
{
    ValueId v = c->op->in[slot];
    return v == 0 ? NULL : c->f->value[v].type;
}

/* `gain @attn_norm`, `epilogue operand %r`. */
static const char *operand(const Infer *c, int slot)
{
    Buf b = buf_create(c->f->module->ctx->arena);
    bool leaf = slot >= op_slots(c->op->kind);
    buf_printf(&b, "%s ", leaf ? "operand" : op_slot_name(c->op->kind, slot));
    ir_print_value(&b, c->f, c->op->in[slot]);
    return b.data;
}

static const char *type_of(const Infer *c, int slot)
{
    return type_text(c->f->module->ctx->arena, in(c, slot));
}

static bool mismatch(const Infer *c, int slot, const char *expected)
{
    return fail(c, "%s is %s, expected %s", operand(c, slot), type_of(c, slot), expected);
}

static bool dtype_fits(DType t, int wanted)
{
    switch (wanted) {
    case DT_NONE:
        return true;
    case ANY_FLOAT:
        return dtype_is_float(t);
    case ANY_CODE:
        return t == DT_I8 || t == DT_U8 || t == DT_U4;
    default:
        return (int)t == wanted;
    }
}

static const char *dtype_words(int wanted)
{
    switch (wanted) {
    case DT_NONE:
        return "any";
    case ANY_FLOAT:
        return "float";
    case ANY_CODE:
        return "i8, u8 or u4 ";
    default:
        return dtype_name((DType)wanted);
    }
}

/* "float[4, _]": a dim of -1 may be anything. */
static const char *wanted_text(const Infer *c, int dtype, int rank, const int64_t *dim)
{
    Buf b = buf_create(c->f->module->ctx->arena);
    buf_printf(&b, "%s[", dtype_words(dtype));
    for (int i = 0; i < rank; i++) {
        buf_puts(&b, i > 0 ? ", " : "");
        if (dim[i] < 0) {
            buf_putc(&b, '_');
        } else {
            buf_printf(&b, "%lld", (long long)dim[i]);
        }
    }
    buf_putc(&b, ']');
    return b.data;
}

static bool shape_fits(const Type *t, int rank, const int64_t *dim)
{
    bool fits = t->rank == rank;
    for (int i = 0; i < rank && fits; i++) {
        fits = dim[i] < 0 || t->dim[i] == dim[i];
    }
    return fits;
}

/* The operand, when it is there, has this dtype and shape. */
static bool want(const Infer *c, int slot, int dtype, int rank, const int64_t *dim)
{
    const Type *t = in(c, slot);
    if (t == NULL || (dtype_fits(t->dtype, dtype) && shape_fits(t, rank, dim))) {
        return true;
    }
    return mismatch(c, slot, wanted_text(c, dtype, rank, dim));
}

static bool result(Infer *c, int i, DType dtype, int rank, const int64_t *dim)
{
    Type t = {.dtype = dtype, .rank = rank};
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    const char *problem = type_problem(&t);
    if (problem != NULL) {
        return fail(c, "the result would be %s: %s", type_text(c->f->module->ctx->arena, &t),
                    problem);
    }
    c->out[i] = type_intern(c->f->module->types, t);
    return true;
}

/* The attribute when given, else x's dtype if that is a float, else f32. */
static DType result_dtype(const Infer *c, const Type *x)
{
    if (c->op->a.dtype != DT_NONE) {
        return c->op->a.dtype;
    }
    return dtype_is_float(x->dtype) ? x->dtype : DT_F32;
}

static bool float_dtype_attr(const Infer *c)
{
    DType t = c->op->a.dtype;
    return t == DT_NONE || dtype_is_float(t) ||
           fail(c, "dtype is %s, the result is a float: f32, bf16 or f16", dtype_name(t));
}

static bool group_divides(const Infer *c, int64_t columns)
{
    int64_t g = c->op->a.group;
    return g == 0 || columns % g == 0 ||
           fail(c, "group (%lld) does not divide the %lld columns", (long long)g,
                (long long)columns);
}

static bool want_word(const Infer *c, const char *attr, Str word, const char *allowed)
{
    size_t len = word != NULL ? strlen(word) : 0;
    for (const char *at = allowed; word != NULL && (at = strstr(at, word)) != NULL; at += len) {
        if ((at == allowed || at[-1] == ' ') && (at[len] == '\0' || at[len] == ',')) {
            return true;
        }
    }
    return word == NULL || fail(c, "%s is '%s', allowed are %s", attr, word, allowed);
}

/* One scale (or zero point) for each row, or for each row and group of columns. */
static bool want_per_group(const Infer *c, int slot, int dtype, int64_t rows, int64_t columns)
{
    const Type *t = in(c, slot);
    if (t == NULL) {
        return true;
    }
    if (!group_divides(c, columns)) {
        return false;
    }
    if (c->op->a.group > 0) {
        return want(c, slot, dtype, SHAPE(rows, columns / c->op->a.group));
    }
    bool column = t->rank == 2 && t->dim[1] == 1;
    return column ? want(c, slot, dtype, SHAPE(rows, 1)) : want(c, slot, dtype, SHAPE(rows));
}

/* ---- the constant half -------------------------------------------------------------------------
 */

static bool infer_concat(Infer *c)
{
    const Type *a = in(c, 0);
    if (a->rank != 1 && a->rank != 2) {
        return mismatch(c, 0, "a matrix or a vector");
    }
    int64_t rows = 0;
    for (int slot = 0; slot < 3; slot++) {
        if (!want(c, slot, (int)a->dtype, a->rank, (const int64_t[]){-1, a->dim[1]})) {
            return false;
        }
        rows += in(c, slot) != NULL ? in(c, slot)->dim[0] : 0;
    }
    return result(c, 0, a->dtype, a->rank, (const int64_t[]){rows, a->dim[1]});
}

static int64_t round_up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Blocks beyond this are a mistake, and n + block cannot overflow. */
static bool block_is_sane(const Infer *c, const char *attr, int64_t block)
{
    return (block >= 1 && block <= 1 << 20) ||
           fail(c, "%s is %lld, allowed is 1 to %d", attr, (long long)block, 1 << 20);
}

static bool infer_interleave(Infer *c)
{
    const Type *a = in(c, 0);
    if (a->rank != 1 && a->rank != 2) {
        return mismatch(c, 0, "a matrix or a vector");
    }
    if (!block_is_sane(c, "block", c->op->a.block) || !want(c, 1, (int)a->dtype, a->rank, a->dim)) {
        return false;
    }
    int64_t rows = 2 * round_up(a->dim[0], c->op->a.block);
    return result(c, 0, a->dtype, a->rank, (const int64_t[]){rows, a->dim[1]});
}

static bool infer_scale_cols(Infer *c)
{
    const Type *w = in(c, 0);
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && want(c, 1, ANY_FLOAT, SHAPE(w->dim[1])) &&
           result(c, 0, w->dtype, 2, w->dim);
}

static bool bits_allowed(const Infer *c)
{
    return c->op->a.bits == 4 || c->op->a.bits == 8 ||
           fail(c, "bits is %lld, allowed are 4 and 8", (long long)c->op->a.bits);
}

static bool infer_quant_scale(Infer *c)
{
    const Type *w = in(c, 0);
    if (!want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !bits_allowed(c) || !group_divides(c, w->dim[1])) {
        return false;
    }
    int64_t g = c->op->a.group;
    return g == 0 ? result(c, 0, DT_F32, SHAPE(w->dim[0]))
                  : result(c, 0, DT_F32, SHAPE(w->dim[0], w->dim[1] / g));
}

static bool infer_quant_zero(Infer *c)
{
    const Type *w = in(c, 0), *scale = in(c, 1);
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && bits_allowed(c) &&
           want_per_group(c, 1, DT_F32, w->dim[0], w->dim[1]) &&
           result(c, 0, DT_U8, scale->rank, scale->dim);
}

static bool infer_quant_code(Infer *c)
{
    const Type *w = in(c, 0);
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && bits_allowed(c) &&
           want_per_group(c, 1, DT_F32, w->dim[0], w->dim[1]) &&
           want_per_group(c, 2, DT_U8, w->dim[0], w->dim[1]) &&
           result(c, 0, c->op->a.bits == 4 ? DT_U4 : DT_I8, 2, w->dim);
}

static bool infer_cast(Infer *c)
{
    const Type *x = in(c, 0);
    if (c->op->a.dtype == DT_NONE) {
        return fail(c, "dtype is missing");
    }
    return result(c, 0, c->op->a.dtype, x->rank, x->dim);
}

static bool infer_tile(Infer *c)
{
    const Attrs *a = &c->op->a;
    if (!want(c, 0, DT_NONE, SHAPE(-1, -1)) || !block_is_sane(c, "rows", a->rows) ||
        !block_is_sane(c, "cols", a->cols)) {
        return false;
    }
    Type t = *in(c, 0);
    t.layout = (Layout){
        .rows = (int)a->rows, .cols = (int)a->cols, .sub = a->sub > INT32_MAX ? -1 : (int)a->sub};
    const char *problem = type_problem(&t);
    if (problem != NULL) {
        return fail(c, "%s tile(%d, %d, %lld) does not fit: %s", type_of(c, 0), t.layout.rows,
                    t.layout.cols, (long long)a->sub, problem);
    }
    c->out[0] = type_intern(c->f->module->types, t);
    return true;
}

static bool even_dims(const Infer *c, int64_t dims)
{
    return (dims >= 2 && dims % 2 == 0) ||
           fail(c, "dims is %lld, allowed are even numbers from 2", (long long)dims);
}

static bool infer_rope_freqs(Infer *c)
{
    const Attrs *a = &c->op->a;
    if (!even_dims(c, a->dims) ||
        !want_word(c, "kind", a->kind, "default, linear, llama3, yarn, longrope")) {
        return false;
    }
    if (!(a->theta > 0)) {
        return fail(c, "theta is %g, allowed is more than 0", a->theta);
    }
    bool longrope = a->kind != NULL && strcmp(a->kind, "longrope") == 0;
    if ((longrope || a->factors.n > 0) && a->factors.n != a->dims / 2) {
        return fail(c, "%d factors for %lld pairs", a->factors.n, (long long)(a->dims / 2));
    }
    return result(c, 0, DT_F32, SHAPE(a->dims / 2));
}

/* ---- quantised values
 * ------------------------------------------------------------------------------ */

static bool infer_dequant(Infer *c)
{
    const Type *code = in(c, 0), *scale = in(c, 1);
    if (!dtype_fits(code->dtype, ANY_CODE) || (code->rank != 2 && code->rank != 4)) {
        return mismatch(c, 0, "a matrix or a cache of i8, u8 or u4");
    }
    bool fits = code->rank == 4 ? want(c, 1, DT_F32, 3, code->dim)
                                : want_per_group(c, 1, DT_F32, code->dim[0], code->dim[1]);
    return fits && want(c, 2, DT_U8, scale->rank, scale->dim) && float_dtype_attr(c) &&
           result(c, 0, result_dtype(c, code), code->rank, code->dim);
}

static bool infer_quantize(Infer *c)
{
    const Type *x = in(c, 0);
    if (!want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !group_divides(c, x->dim[1])) {
        return false;
    }
    int64_t groups = c->op->a.group > 0 ? x->dim[1] / c->op->a.group : 1;
    return result(c, 0, DT_I8, 2, x->dim) && result(c, 1, DT_F32, SHAPE(x->dim[0], groups));
}

/* The slots w, w_scale, w_zero: codes have scales or leave them to the epilogue, floats have none.
 */
static bool want_weight(const Infer *c, int w_slot, int scales, int64_t columns)
{
    const Type *w = in(c, w_slot);
    if (!want(c, w_slot, DT_NONE, SHAPE(-1, columns))) {
        return false;
    }
    if (!dtype_is_float(w->dtype) && !dtype_fits(w->dtype, ANY_CODE)) {
        return mismatch(c, w_slot, "float, i8, u8 or u4");
    }
    if (dtype_is_float(w->dtype) && in(c, scales) != NULL) {
        return fail(c, "w_scale is for codes, but %s is %s", operand(c, w_slot),
                    type_of(c, w_slot));
    }
    if (in(c, scales + 1) != NULL && in(c, scales) == NULL) {
        return fail(c, "w_zero needs w_scale");
    }
    return true;
}

static bool infer_embed(Infer *c)
{
    const Type *ids = in(c, EMBED_IDS), *w = in(c, EMBED_W);
    if (!want(c, EMBED_IDS, DT_I32, SHAPE(-1)) || !want_weight(c, EMBED_W, EMBED_W_SCALE, -1)) {
        return false;
    }
    if (!dtype_is_float(w->dtype) && in(c, EMBED_W_SCALE) == NULL) {
        return fail(c, "%s is %s and needs w_scale", operand(c, EMBED_W), type_of(c, EMBED_W));
    }
    return want_per_group(c, EMBED_W_SCALE, DT_F32, w->dim[0], w->dim[1]) &&
           want_per_group(c, EMBED_W_ZERO, DT_U8, w->dim[0], w->dim[1]) && float_dtype_attr(c) &&
           result(c, 0, result_dtype(c, w), SHAPE(ids->dim[0], w->dim[1]));
}

/* ---- norms
 * -------------------------------------------------------------------------------------------- */

static bool infer_rmsnorm(Infer *c)
{
    const Type *x = in(c, 0);
    if (!want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !group_divides(c, x->dim[1])) {
        return false;
    }
    int64_t width = c->op->a.group > 0 ? c->op->a.group : x->dim[1];
    return want(c, 1, ANY_FLOAT, SHAPE(width)) && result(c, 0, x->dtype, 2, x->dim);
}

static bool infer_layernorm(Infer *c)
{
    const Type *x = in(c, 0);
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && want(c, 1, ANY_FLOAT, SHAPE(x->dim[1])) &&
           want(c, 2, ANY_FLOAT, SHAPE(x->dim[1])) && result(c, 0, x->dtype, 2, x->dim);
}

static bool infer_row_rms(Infer *c)
{
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && result(c, 0, DT_F32, SHAPE(in(c, 0)->dim[0], 1));
}

static bool infer_rmsnorm_quant(Infer *c)
{
    const Type *x = in(c, 0);
    return want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && want(c, 1, ANY_FLOAT, SHAPE(x->dim[1])) &&
           result(c, 0, DT_I8, 2, x->dim) && result(c, 1, DT_F32, SHAPE(x->dim[0], 1));
}

/* ---- expressions
 * ----------------------------------------------------------------------------------------- */

/* [1], [N], [T, 1] and the shape itself. */
static bool broadcasts(const Type *t, const Type *to)
{
    if (type_elements(t) == 1) {
        return true;
    }
    int last = to->rank - 1;
    if (t->rank == 1) {
        return to->rank > 0 && t->dim[0] == to->dim[last];
    }
    bool fits = t->rank == to->rank;
    for (int i = 0; i < to->rank && fits; i++) {
        fits = t->dim[i] == to->dim[i] || (i == last && t->dim[i] == 1);
    }
    return fits;
}

static bool want_broadcast(const Infer *c, int slot, const Type *shape)
{
    const Type *t = in(c, slot);
    if (dtype_is_float(t->dtype) && broadcasts(t, shape)) {
        return true;
    }
    return fail(c, "%s is %s, which does not broadcast to float%s", operand(c, slot),
                type_of(c, slot), strchr(type_text(c->f->module->ctx->arena, shape), '['));
}

/* acc: only in an epilogue; acc.0 and acc.1 when the rows are interleaved, else plain. */
static bool check_acc(const Infer *c, const Expr *e)
{
    if (c->op->kind == OP_MAP) {
        return fail(c, "acc is for epilogues, expr reads operands only");
    }
    bool ways = c->op->a.interleave > 0;
    if (ways && (e->way < 0 || e->way > 1)) {
        return fail(c, "the rows are interleaved: write acc.0 and acc.1");
    }
    if (!ways && e->way >= 0) {
        return fail(c, "acc.%d needs interleave", e->way);
    }
    return true;
}

/* Marks the operands that the tree reads. */
static bool check_expr(const Infer *c, const Expr *e, bool *read, int depth)
{
    if (depth > MAX_EXPR_DEPTH) {
        return fail(c, "the expression is nested deeper than %d", MAX_EXPR_DEPTH);
    }
    if (e == NULL) {
        return fail(c, "the expression lacks an argument");
    }
    if (e->kind == EXPR_ACC) {
        return check_acc(c, e);
    }
    if (e->kind == EXPR_META) {
        return fail(c, "$%s is for rules only", e->meta);
    }
    if (e->kind == EXPR_INPUT) {
        if (e->input < op_slots(c->op->kind) || e->input >= c->op->n_in) {
            return fail(c, "the expression reads operand %d of %d", e->input, c->op->n_in);
        }
        read[e->input] = true;
    }
    int arity = expr_arity(e->kind);
    return (arity < 1 || check_expr(c, e->a, read, depth + 1)) &&
           (arity < 2 || check_expr(c, e->b, read, depth + 1));
}

/* The tree reads every operand behind the slots, and these broadcast to the result. */
static bool check_tree(const Infer *c, const Type *shape)
{
    bool read[IR_MAX_IN] = {0};
    if (c->op->expr != NULL && !check_expr(c, c->op->expr, read, 0)) {
        return false;
    }
    for (int i = op_slots(c->op->kind); i < c->op->n_in; i++) {
        if (!read[i]) {
            return fail(c, "%s is not in the expression", operand(c, i));
        }
        if (!want_broadcast(c, i, shape)) {
            return false;
        }
    }
    return true;
}

/* The largest operand gives shape and dtype, the first of several. */
static const Type *widest(const Infer *c)
{
    const Type *wide = in(c, 0);
    for (int i = 1; i < c->op->n_in; i++) {
        const Type *t = in(c, i);
        bool wider =
            t->rank != wide->rank ? t->rank > wide->rank : type_elements(t) > type_elements(wide);
        wide = wider ? t : wide;
    }
    return wide;
}

static bool infer_element(Infer *c)
{
    const Type *shape = widest(c);
    for (int i = 0; i < c->op->n_in; i++) {
        if (!want_broadcast(c, i, shape)) {
            return false;
        }
    }
    return result(c, 0, shape->dtype, shape->rank, shape->dim);
}

static bool infer_map(Infer *c)
{
    if (c->op->expr == NULL || c->op->n_in == 0) {
        return fail(c, "expr is missing or reads no value");
    }
    const Type *shape = widest(c);
    return check_tree(c, shape) && result(c, 0, shape->dtype, shape->rank, shape->dim);
}

/* ---- matmul
 * --------------------------------------------------------------------------------------------------
 */

/* Slots x, w, w_scale, w_zero, x_scale of both matmuls; the latter three from `scales` on. */
static bool want_product(const Infer *c, int scales)
{
    const Type *x = in(c, 0), *w = in(c, 1), *x_scale = in(c, scales + 2);
    if (x->dtype != DT_I8 && !want(c, 0, ANY_FLOAT, SHAPE(-1, -1))) {
        return false;
    }
    if (!want(c, 0, DT_NONE, SHAPE(-1, -1)) || !group_divides(c, x->dim[1])) {
        return false;
    }
    if (x_scale != NULL && x->dtype != DT_I8) {
        return fail(c, "x_scale is for i8 codes, but %s is %s", operand(c, 0), type_of(c, 0));
    }
    bool one = x_scale != NULL && x_scale->rank == 2 && x_scale->dim[1] == 1;
    int64_t groups = c->op->a.group > 0 && !one ? x->dim[1] / c->op->a.group : 1;
    return want_per_group(c, scales, DT_F32, w->dim[0], w->dim[1]) &&
           want_per_group(c, scales + 1, DT_U8, w->dim[0], w->dim[1]) &&
           want(c, scales + 2, DT_F32, SHAPE(x->dim[0], groups)) && float_dtype_attr(c);
}

/* Output features of a weight of `rows` rows, -1 after a diagnostic. */
static int64_t features(const Infer *c, int64_t rows)
{
    int64_t n = c->op->a.n, block = c->op->a.interleave;
    if (block > 0) {
        if (!block_is_sane(c, "interleave", block)) {
            return -1;
        }
        if (n < 1 || n > rows || rows != 2 * round_up(n, block)) {
            fail(c,
                 "%s has %lld rows, expected 2 * round_up(n, interleave) for n = %lld, "
                 "interleave = %lld",
                 operand(c, 1), (long long)rows, (long long)n, (long long)block);
            return -1;
        }
        if (c->op->expr == NULL) {
            fail(c, "interleave needs an epilogue over acc.0 and acc.1");
            return -1;
        }
        return n;
    }
    if (n > rows) {
        fail(c, "n is %lld, but %s has %lld rows", (long long)n, operand(c, 1), (long long)rows);
        return -1;
    }
    return n > 0 ? n : rows;
}

static bool infer_matmul(Infer *c)
{
    const Type *x = in(c, MATMUL_X), *w = in(c, MATMUL_W);
    if (!want(c, MATMUL_X, DT_NONE, SHAPE(-1, -1)) ||
        !want_weight(c, MATMUL_W, MATMUL_W_SCALE, x->dim[1]) || !want_product(c, MATMUL_W_SCALE)) {
        return false;
    }
    int64_t n = features(c, w->dim[0]);
    return n > 0 && result(c, 0, result_dtype(c, x), SHAPE(x->dim[0], n)) &&
           check_tree(c, c->out[0]);
}

/* ---- positions and attention
 * ------------------------------------------------------------------------------------ */

static bool want_heads(const Infer *c)
{
    const Attrs *a = &c->op->a;
    if (a->heads < 1 || a->kv_heads < 1 || a->head_dim < 1) {
        return fail(c, "heads, kv_heads and head_dim are at least 1, found %lld, %lld, %lld",
                    (long long)a->heads, (long long)a->kv_heads, (long long)a->head_dim);
    }
    if (a->heads > 1 << 20 || a->head_dim > 1 << 20) {
        return fail(c, "heads and head_dim are at most %d", 1 << 20);
    }
    return a->heads % a->kv_heads == 0 ||
           fail(c, "heads (%lld) is not a multiple of kv_heads (%lld)", (long long)a->heads,
                (long long)a->kv_heads);
}

/* Caches hold T sequences of one token each or one sequence of T tokens. */
static bool want_sequences(const Infer *c, int slot, int64_t tokens)
{
    int64_t s = in(c, slot)->dim[0];
    return s == tokens || s == 1 ||
           fail(c, "%s is %s: it holds %lld sequences, expected 1 or %lld (tokens)",
                operand(c, slot), type_of(c, slot), (long long)s, (long long)tokens);
}

/* [S, C, kv_heads, head_dim] */
static bool want_cache(const Infer *c, int slot, int dtype, int64_t tokens)
{
    return want(c, slot, dtype, SHAPE(-1, -1, c->op->a.kv_heads, c->op->a.head_dim)) &&
           want_sequences(c, slot, tokens);
}

static bool infer_rope_angles(Infer *c)
{
    const Type *pos = in(c, 0), *freqs = in(c, 1);
    return want(c, 0, DT_I32, SHAPE(-1)) && want(c, 1, DT_F32, SHAPE(-1)) &&
           result(c, 0, DT_F32, SHAPE(pos->dim[0], 2 * freqs->dim[0]));
}

/* dims = 0 means the whole head. */
static bool want_rotation(const Infer *c, int slot, int64_t tokens)
{
    const Attrs *a = &c->op->a;
    int64_t dims = a->dims > 0 ? a->dims : a->head_dim;
    if (!even_dims(c, dims) || !want_word(c, "style", a->style, "half, adjacent")) {
        return false;
    }
    if (dims > a->head_dim) {
        return fail(c, "dims (%lld) is more than head_dim (%lld)", (long long)dims,
                    (long long)a->head_dim);
    }
    return want(c, slot, DT_F32, SHAPE(tokens, dims));
}

static bool infer_rope(Infer *c)
{
    const Type *x = in(c, 0);
    if (!want(c, 0, ANY_FLOAT, SHAPE(-1, -1))) {
        return false;
    }
    int64_t head = c->op->a.head_dim;
    if (head < 1 || x->dim[1] % head != 0) {
        return fail(c, "head_dim (%lld) does not divide the %lld columns", (long long)head,
                    (long long)x->dim[1]);
    }
    return want_rotation(c, 1, x->dim[0]) && result(c, 0, x->dtype, 2, x->dim);
}

static bool infer_kv_append(Infer *c)
{
    const Type *cache = in(c, 0), *x = in(c, 1);
    if (cache->rank < 3) {
        return mismatch(c, 0, "a cache [sequences, context, heads (, head_dim)]");
    }
    int64_t width = cache->dim[2] * (cache->rank > 3 ? cache->dim[3] : 1);
    int dtype = dtype_is_float(cache->dtype) ? ANY_FLOAT : (int)cache->dtype;
    return want(c, 1, dtype, SHAPE(-1, width)) && want(c, 2, DT_I32, SHAPE(x->dim[0])) &&
           want_sequences(c, 0, x->dim[0]) && result(c, 0, cache->dtype, cache->rank, cache->dim);
}

static bool infer_attn_scores(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *q = in(c, 0), *k = in(c, 1);
    return want_heads(c) && want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads * a->head_dim)) &&
           want_cache(c, 1, ANY_FLOAT, q->dim[0]) && want(c, 2, DT_I32, SHAPE(q->dim[0])) &&
           result(c, 0, DT_F32, SHAPE(q->dim[0], a->heads, k->dim[1]));
}

static bool infer_softmax(Infer *c)
{
    const Type *x = in(c, 0);
    if (!dtype_is_float(x->dtype) || x->rank < 1) {
        return mismatch(c, 0, "float of at least one dim");
    }
    return result(c, 0, x->dtype, x->rank, x->dim);
}

static bool infer_attn_mix(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *p = in(c, 0), *v = in(c, 1);
    return want_heads(c) && want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads, -1)) &&
           want_cache(c, 1, ANY_FLOAT, p->dim[0]) &&
           want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads, v->dim[1])) &&
           want(c, 2, DT_I32, SHAPE(p->dim[0])) && float_dtype_attr(c) &&
           result(c, 0, result_dtype(c, p), SHAPE(p->dim[0], a->heads * a->head_dim));
}

/* Caches of codes come with both scales, caches of floats with none. */
static bool want_cache_scales(const Infer *c)
{
    const Type *k = in(c, ATTN_K);
    bool codes = k->dtype == DT_I8;
    for (int slot = ATTN_K_SCALE; slot <= ATTN_V_SCALE; slot++) {
        if (codes != (in(c, slot) != NULL)) {
            return fail(c, "%s is %s: %s", operand(c, ATTN_K), type_of(c, ATTN_K),
                        codes ? "k_scale and v_scale are missing" : "it takes no scales");
        }
    }
    return want(c, ATTN_K_SCALE, DT_F32, 3, k->dim) && want(c, ATTN_V_SCALE, DT_F32, 3, k->dim);
}

static bool infer_attention(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *q = in(c, ATTN_Q), *k = in(c, ATTN_K);
    if (!want_heads(c) || !want(c, ATTN_Q, ANY_FLOAT, SHAPE(-1, a->heads * a->head_dim))) {
        return false;
    }
    int dtype = k->dtype == DT_I8 ? DT_I8 : ANY_FLOAT;
    return want_cache(c, ATTN_K, dtype, q->dim[0]) && want(c, ATTN_V, dtype, 4, k->dim) &&
           want(c, ATTN_POS, DT_I32, SHAPE(q->dim[0])) && want_cache_scales(c) &&
           result(c, 0, q->dtype, SHAPE(q->dim[0], a->heads * a->head_dim));
}

static bool want_qkv_extras(const Infer *c, int64_t tokens)
{
    const Attrs *a = &c->op->a;
    return want_cache(c, QKV_K_CACHE, ANY_FLOAT, tokens) &&
           want(c, QKV_V_CACHE, ANY_FLOAT, 4, in(c, QKV_K_CACHE)->dim) &&
           want(c, QKV_POS, DT_I32, SHAPE(tokens)) &&
           (in(c, QKV_ANGLES) == NULL || want_rotation(c, QKV_ANGLES, tokens)) &&
           want(c, QKV_Q_GAIN, ANY_FLOAT, SHAPE(a->head_dim)) &&
           want(c, QKV_K_GAIN, ANY_FLOAT, SHAPE(a->head_dim));
}

static bool infer_matmul_qkv(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *x = in(c, QKV_X), *w = in(c, QKV_W);
    if (!want_heads(c) || !want(c, QKV_X, DT_NONE, SHAPE(-1, -1)) ||
        !want_weight(c, QKV_W, QKV_W_SCALE, x->dim[1]) || !want_product(c, QKV_W_SCALE)) {
        return false;
    }
    int64_t n = features(c, w->dim[0]), heads = a->heads + 2 * a->kv_heads;
    if (n > 0 && n != heads * a->head_dim) {
        return fail(c, "%lld output features, expected (heads + 2 * kv_heads) * head_dim = %lld",
                    (long long)n, (long long)(heads * a->head_dim));
    }
    if (n < 1 || !want_qkv_extras(c, x->dim[0])) {
        return false;
    }
    const Type *k = in(c, QKV_K_CACHE), *v = in(c, QKV_V_CACHE);
    Type all = {.dtype = DT_F32, .rank = 2, .dim = {x->dim[0], n}};
    return check_tree(c, &all) &&
           result(c, 0, result_dtype(c, x), SHAPE(x->dim[0], a->heads * a->head_dim)) &&
           result(c, 1, k->dtype, 4, k->dim) && result(c, 2, v->dtype, 4, v->dim);
}

static bool infer_split(Infer *c)
{
    const Type *x = in(c, 0);
    const IntList *sizes = &c->op->a.sizes;
    if (!want(c, 0, DT_NONE, SHAPE(-1, -1))) {
        return false;
    }
    if (sizes->n < 2) {
        return fail(c, "sizes has %d parts, allowed are 2 to %d", sizes->n, IR_MAX_OUT);
    }
    int64_t rest = x->dim[1];
    for (int i = 0; i < sizes->n && rest >= 0; i++) {
        rest = sizes->v[i] <= rest ? rest - sizes->v[i] : -1;
    }
    if (rest != 0) {
        return fail(c, "the sizes do not sum to the %lld columns of %s", (long long)x->dim[1],
                    operand(c, 0));
    }
    for (int i = 0; i < sizes->n; i++) {
        if (!result(c, i, x->dtype, SHAPE(x->dim[0], sizes->v[i]))) {
            return false;
        }
    }
    return true;
}

/* ---- every operator
 * ---------------------------------------------------------------------------------------------- */

/* Stored in tiles: only what the kernels read in that order. */
static bool check_layout(const Infer *c, int slot)
{
    const Type *t = in(c, slot);
    if (t->layout.rows == 0) {
        return true;
    }
    const char *name = slot < op_slots(c->op->kind) ? op_slot_name(c->op->kind, slot) : "";
    bool reader =
        c->op->kind == OP_MATMUL || c->op->kind == OP_MATMUL_QKV || c->op->kind == OP_EMBED;
    return (reader && name[0] == 'w') ||
           fail(c, "%s is %s: only weights of matmul and embed are read in tiles", operand(c, slot),
                type_of(c, slot));
}

static bool check_operands(const Infer *c)
{
    const Op *op = c->op;
    int slots = op_slots(op->kind);
    if (op->n_in < slots || op->n_in > (op_variadic(op->kind) ? IR_MAX_IN : slots)) {
        return fail(c, "%d operands, expected %d", op->n_in, slots);
    }
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] >= c->f->n_values) {
            BUG("%s: operand %d is value %u of %u", op_name(op->kind), i, op->in[i],
                c->f->n_values);
        }
        if (op->in[i] != 0 ? !check_layout(c, i) : i >= slots) {
            return false;
        }
        if (op->in[i] == 0 && !op_slot_optional(op->kind, i)) {
            return fail(c, "operand %s is missing", op_slot_name(op->kind, i));
        }
    }
    return true;
}

static bool check_attrs(const Infer *c)
{
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (!op_takes_attr(c->op->kind, (AttrId)id) && !attr_is_zero(&c->op->a, (AttrId)id)) {
            return fail(c, "takes no attribute '%s'", attr_name((AttrId)id));
        }
    }
    return c->op->expr == NULL || op_expr_attr(c->op->kind) != NULL ||
           fail(c, "takes no expression");
}

static bool infer(Infer *c)
{
    switch (c->op->kind) {
    case OP_CONCAT_ROWS:
        return infer_concat(c);
    case OP_INTERLEAVE_ROWS:
        return infer_interleave(c);
    case OP_SCALE_COLS:
        return infer_scale_cols(c);
    case OP_QUANT_SCALE:
        return infer_quant_scale(c);
    case OP_QUANT_ZERO:
        return infer_quant_zero(c);
    case OP_QUANT_CODE:
        return infer_quant_code(c);
    case OP_CAST:
        return infer_cast(c);
    case OP_TILE:
        return infer_tile(c);
    case OP_ROPE_FREQS:
        return infer_rope_freqs(c);
    case OP_DEQUANT:
        return infer_dequant(c);
    case OP_QUANTIZE:
        return infer_quantize(c);
    case OP_EMBED:
        return infer_embed(c);
    case OP_RMSNORM:
        return infer_rmsnorm(c);
    case OP_LAYERNORM:
        return infer_layernorm(c);
    case OP_ROW_RMS:
        return infer_row_rms(c);
    case OP_RMSNORM_QUANT:
        return infer_rmsnorm_quant(c);
    case OP_MATMUL:
        return infer_matmul(c);
    case OP_MATMUL_QKV:
        return infer_matmul_qkv(c);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_SILU:
    case OP_GELU:
    case OP_GELU_TANH:
    case OP_RELU:
    case OP_TANH:
        return infer_element(c);
    case OP_MAP:
        return infer_map(c);
    case OP_SPLIT:
        return infer_split(c);
    case OP_ROPE_ANGLES:
        return infer_rope_angles(c);
    case OP_ROPE:
        return infer_rope(c);
    case OP_KV_APPEND:
        return infer_kv_append(c);
    case OP_ATTN_SCORES:
        return infer_attn_scores(c);
    case OP_SOFTMAX:
        return infer_softmax(c);
    case OP_ATTN_MIX:
        return infer_attn_mix(c);
    case OP_ATTENTION:
        return infer_attention(c);
    case OP_NONE:
    case OP_COUNT:
        break;
    }
    BUG("operator of kind %d", (int)c->op->kind);
}

bool type_infer(const Func *f, const Op *op, const Type *out[IR_MAX_OUT])
{
    Infer c = {.f = f, .op = op, .out = out};
    return check_operands(&c) && check_attrs(&c) && infer(&c);
}
