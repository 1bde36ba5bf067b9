/* infer_const.c - result types of the constant half (operators on weights) and of quantised values.
 */
#include <string.h>

#include "ir/infer.h"
#include "ir/slots.h"

/* ---- the constant half ----------------------------------------------------------------------- */

bool infer_concat(Infer *c)
{
    const Type *a = infer_in(c, 0);
    if (a->rank != 1 && a->rank != 2) {
        return infer_mismatch(c, 0, "a matrix or a vector");
    }
    int64_t rows = 0;
    for (int slot = 0; slot < 3; slot++) {
        if (!infer_want(c, slot, (int)a->dtype, a->rank, (const int64_t[]){-1, a->dim[1]})) {
            return false;
        }
        rows += infer_in(c, slot) != NULL ? infer_in(c, slot)->dim[0] : 0;
    }
    return infer_result(c, 0, a->dtype, a->rank, (const int64_t[]){rows, a->dim[1]});
}

bool infer_interleave(Infer *c)
{
    const Type *a = infer_in(c, 0);
    if (a->rank != 1 && a->rank != 2) {
        return infer_mismatch(c, 0, "a matrix or a vector");
    }
    if (!infer_block_is_sane(c, "block", c->op->a.block) ||
        !infer_want(c, 1, (int)a->dtype, a->rank, a->dim)) {
        return false;
    }
    int64_t rows = 2 * infer_round_up(a->dim[0], c->op->a.block);
    return infer_result(c, 0, a->dtype, a->rank, (const int64_t[]){rows, a->dim[1]});
}

bool infer_head_blocks(Infer *c, int64_t rows)
{
    const Attrs *a = &c->op->a;
    if (a->head_dim < 1 || rows % a->head_dim != 0) {
        return infer_fail(c, "%lld rows are not whole heads of head_dim = %lld", (long long)rows,
                          (long long)a->head_dim);
    }
    return infer_block_is_sane(c, "block", a->block) &&
           (a->head_dim % (2 * a->block) == 0 ||
            infer_fail(c, "head_dim = %lld is not a multiple of 2 * block = %lld",
                       (long long)a->head_dim, (long long)(2 * a->block)));
}

bool infer_pair_rows(Infer *c)
{
    const Type *w = infer_in(c, 0);
    if (w->rank != 1 && w->rank != 2) {
        return infer_mismatch(c, 0, "a matrix or a vector");
    }
    return infer_head_blocks(c, w->dim[0]) && infer_result(c, 0, w->dtype, w->rank, w->dim);
}

bool infer_scale_cols(Infer *c)
{
    const Type *w = infer_in(c, 0);
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) &&
           infer_want(c, 1, ANY_FLOAT, SHAPE(w->dim[1])) && infer_result(c, 0, w->dtype, 2, w->dim);
}

static bool bits_allowed(const Infer *c)
{
    return c->op->a.bits == 4 || c->op->a.bits == 8 ||
           infer_fail(c, "bits is %lld, allowed are 4 and 8", (long long)c->op->a.bits);
}

bool infer_code_attr(const Infer *c)
{
    DType t = c->op->a.dtype;
    return t == DT_NONE || t == DT_I8 || t == DT_E4M3 ||
           infer_fail(c, "dtype is %s, codes are i8 or e4m3", dtype_name(t));
}

DType infer_code_dtype(const Infer *c)
{
    return c->op->a.dtype == DT_NONE ? DT_I8 : c->op->a.dtype;
}

/* Floating-point codes: 8 bits, symmetric, no integer zero point. */
static bool float_codes_allowed(const Infer *c)
{
    const Attrs *a = &c->op->a;
    bool plain = a->bits == 8 && a->asym == 0 && a->zero == 0 && infer_in(c, 2) == NULL;
    return a->dtype != DT_E4M3 || plain ||
           infer_fail(c, "e4m3 codes have 8 bits and no zero point");
}

/* One of many scales of a row is half as wide: with groups of 32 they are a tenth of all bytes. */
bool infer_quant_scale(Infer *c)
{
    const Type *w = infer_in(c, 0);
    if (!infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !bits_allowed(c) || !infer_code_attr(c) ||
        !float_codes_allowed(c) || !infer_group_divides(c, w->dim[1])) {
        return false;
    }
    int64_t g = c->op->a.group;
    return g == 0 ? infer_result(c, 0, DT_F32, SHAPE(w->dim[0]))
                  : infer_result(c, 0, DT_F16, SHAPE(w->dim[0], w->dim[1] / g));
}

bool infer_quant_zero(Infer *c)
{
    const Type *w = infer_in(c, 0), *scale = infer_in(c, 1);
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && bits_allowed(c) &&
           infer_want_per_group(c, 1, ANY_SCALE, w->dim[0], w->dim[1]) &&
           infer_result(c, 0, DT_U8, scale->rank, scale->dim);
}

bool infer_quant_code(Infer *c)
{
    const Type *w = infer_in(c, 0);
    return infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) && bits_allowed(c) && infer_code_attr(c) &&
           float_codes_allowed(c) && infer_want_per_group(c, 1, ANY_SCALE, w->dim[0], w->dim[1]) &&
           infer_want_per_group(c, 2, DT_U8, w->dim[0], w->dim[1]) &&
           infer_result(c, 0, c->op->a.bits == 4 ? DT_U4 : infer_code_dtype(c), 2, w->dim);
}

bool infer_cast(Infer *c)
{
    const Type *x = infer_in(c, 0);
    if (c->op->a.dtype == DT_NONE) {
        return infer_fail(c, "dtype is missing");
    }
    return infer_result(c, 0, c->op->a.dtype, x->rank, x->dim);
}

bool infer_tile(Infer *c)
{
    const Attrs *a = &c->op->a;
    if (!infer_want(c, 0, DT_NONE, SHAPE(-1, -1)) || !infer_block_is_sane(c, "rows", a->rows) ||
        !infer_block_is_sane(c, "cols", a->cols)) {
        return false;
    }
    Type t = *infer_in(c, 0);
    t.layout = (Layout){
        .rows = (int)a->rows, .cols = (int)a->cols, .sub = a->sub > INT32_MAX ? -1 : (int)a->sub};
    const char *problem = type_problem(&t);
    if (problem != NULL) {
        return infer_fail(c, "%s tile(%d, %d, %lld) does not fit: %s", infer_type_of(c, 0),
                          t.layout.rows, t.layout.cols, (long long)a->sub, problem);
    }
    c->out[0] = type_intern(c->f->module->types, t);
    return true;
}

bool infer_rope_freqs(Infer *c)
{
    const Attrs *a = &c->op->a;
    if (!infer_even_dims(c, a->dims) ||
        !infer_want_word(c, "kind", a->kind, "default, linear, llama3, yarn, longrope")) {
        return false;
    }
    if (!(a->theta > 0)) {
        return infer_fail(c, "theta is %g, allowed is more than 0", a->theta);
    }
    bool longrope = a->kind != NULL && strcmp(a->kind, "longrope") == 0;
    if ((longrope || a->factors.n > 0) && a->factors.n != a->dims / 2) {
        return infer_fail(c, "%d factors for %lld pairs", a->factors.n, (long long)(a->dims / 2));
    }
    return infer_result(c, 0, DT_F32, SHAPE(a->dims / 2));
}

/* ---- quantised values ------------------------------------------------------------------------ */

bool infer_dequant(Infer *c)
{
    const Type *code = infer_in(c, 0), *scale = infer_in(c, 1);
    if (!infer_dtype_fits(code->dtype, ANY_CODE) || (code->rank != 2 && code->rank != 4)) {
        return infer_mismatch(c, 0, "a matrix or a cache of i8, u8, u4 or e4m3");
    }
    bool fits = code->rank == 4 ? infer_want(c, 1, DT_F32, 3, code->dim)
                                : infer_want_per_group(c, 1, ANY_SCALE, code->dim[0], code->dim[1]);
    return fits && infer_want(c, 2, DT_U8, scale->rank, scale->dim) && infer_float_attr(c) &&
           infer_result(c, 0, infer_result_dtype(c, code), code->rank, code->dim);
}

bool infer_quantize(Infer *c)
{
    const Type *x = infer_in(c, 0);
    if (!infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1)) || !infer_group_divides(c, x->dim[1]) ||
        !infer_code_attr(c)) {
        return false;
    }
    int64_t groups = c->op->a.group > 0 ? x->dim[1] / c->op->a.group : 1;
    return infer_result(c, 0, infer_code_dtype(c), 2, x->dim) &&
           infer_result(c, 1, DT_F32, SHAPE(x->dim[0], groups));
}

bool infer_embed(Infer *c)
{
    const Type *ids = infer_in(c, EMBED_IDS), *w = infer_in(c, EMBED_W);
    if (!infer_want(c, EMBED_IDS, DT_I32, SHAPE(-1)) ||
        !infer_want_weight(c, EMBED_W, EMBED_W_SCALE, -1)) {
        return false;
    }
    if (!dtype_is_float(w->dtype) && infer_in(c, EMBED_W_SCALE) == NULL) {
        return infer_fail(c, "%s is %s and needs w_scale", infer_operand(c, EMBED_W),
                          infer_type_of(c, EMBED_W));
    }
    return infer_want_per_group(c, EMBED_W_SCALE, ANY_SCALE, w->dim[0], w->dim[1]) &&
           infer_want_per_group(c, EMBED_W_ZERO, DT_U8, w->dim[0], w->dim[1]) &&
           infer_float_attr(c) &&
           infer_result(c, 0, infer_result_dtype(c, w), SHAPE(ids->dim[0], w->dim[1]));
}
