/* infer.c - result types of operators: one small function for each family, called by a flat switch.
 *
 * A message names the operand, its type and the type that would fit:
 *   rmsnorm: gain @attn_norm is bf16[64], expected float[4096] */
#include <stdarg.h>
#include <string.h>

#include "ir/infer.h"

/* ---- helpers --------------------------------------------------------------------------------- */

bool __attribute__((format(printf, 2, 3))) infer_fail(const Infer *c, const char *fmt, ...)
{
    Ctx *ctx = c->f->module->ctx;
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(ctx->arena, fmt, ap);
    va_end(ap);
    return diag_error(ctx->diag, c->op->at, "%s: %s", op_name(c->op->kind), text);
}

/* The operand's type; NULL when absent. */
const Type *infer_in(const Infer *c, int slot)
{
    ValueId v = c->op->in[slot];
    return v == 0 ? NULL : c->f->value[v].type;
}

/* `gain @attn_norm`, `epilogue operand %r`. */
const char *infer_operand(const Infer *c, int slot)
{
    Buf b = buf_create(c->f->module->ctx->arena);
    bool leaf = slot >= op_slots(c->op->kind);
    buf_printf(&b, "%s ", leaf ? "operand" : op_slot_name(c->op->kind, slot));
    ir_print_value(&b, c->f, c->op->in[slot]);
    return b.data;
}

const char *infer_type_of(const Infer *c, int slot)
{
    return type_text(c->f->module->ctx->arena, infer_in(c, slot));
}

bool infer_mismatch(const Infer *c, int slot, const char *expected)
{
    return infer_fail(c, "%s is %s, expected %s", infer_operand(c, slot), infer_type_of(c, slot),
                      expected);
}

bool infer_dtype_fits(DType t, int wanted)
{
    switch (wanted) {
    case DT_NONE:
        return true;
    case ANY_FLOAT:
        return dtype_is_float(t);
    case ANY_CODE:
        return dtype_is_code(t);
    case ANY_SCALE:
        return t == DT_F32 || t == DT_F16;
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
        return "i8, u8, u4 or e4m3 ";
    case ANY_SCALE:
        return "f32 or f16 ";
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
bool infer_want(const Infer *c, int slot, int dtype, int rank, const int64_t *dim)
{
    const Type *t = infer_in(c, slot);
    if (t == NULL || (infer_dtype_fits(t->dtype, dtype) && shape_fits(t, rank, dim))) {
        return true;
    }
    return infer_mismatch(c, slot, wanted_text(c, dtype, rank, dim));
}

bool infer_result(Infer *c, int i, DType dtype, int rank, const int64_t *dim)
{
    Type t = {.dtype = dtype, .rank = rank};
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    const char *problem = type_problem(&t);
    if (problem != NULL) {
        return infer_fail(c, "the result would be %s: %s", type_text(c->f->module->ctx->arena, &t),
                          problem);
    }
    c->out[i] = type_intern(c->f->module->types, t);
    return true;
}

/* The attribute when given, else x's dtype if that is a float, else f32. */
DType infer_result_dtype(const Infer *c, const Type *x)
{
    if (c->op->a.dtype != DT_NONE) {
        return c->op->a.dtype;
    }
    return dtype_is_float(x->dtype) ? x->dtype : DT_F32;
}

bool infer_float_attr(const Infer *c)
{
    DType t = c->op->a.dtype;
    return t == DT_NONE || dtype_is_float(t) ||
           infer_fail(c, "dtype is %s, the result is a float: f32, bf16 or f16", dtype_name(t));
}

bool infer_group_divides(const Infer *c, int64_t columns)
{
    int64_t g = c->op->a.group;
    return g == 0 || columns % g == 0 ||
           infer_fail(c, "group (%lld) does not divide the %lld columns", (long long)g,
                      (long long)columns);
}

bool infer_want_word(const Infer *c, const char *attr, Str word, const char *allowed)
{
    size_t len = word != NULL ? strlen(word) : 0;
    for (const char *at = allowed; word != NULL && (at = strstr(at, word)) != NULL; at += len) {
        if ((at == allowed || at[-1] == ' ') && (at[len] == '\0' || at[len] == ',')) {
            return true;
        }
    }
    return word == NULL || infer_fail(c, "%s is '%s', allowed are %s", attr, word, allowed);
}

/* One scale (or zero point) for each row, or for each row and group of columns. */
bool infer_want_per_group(const Infer *c, int slot, int dtype, int64_t rows, int64_t columns)
{
    const Type *t = infer_in(c, slot);
    if (t == NULL) {
        return true;
    }
    if (!infer_group_divides(c, columns)) {
        return false;
    }
    if (c->op->a.group > 0) {
        return infer_want(c, slot, dtype, SHAPE(rows, columns / c->op->a.group));
    }
    bool column = t->rank == 2 && t->dim[1] == 1;
    return column ? infer_want(c, slot, dtype, SHAPE(rows, 1))
                  : infer_want(c, slot, dtype, SHAPE(rows));
}

int64_t infer_round_up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Blocks beyond this are a mistake, and n + block cannot overflow. */
bool infer_block_is_sane(const Infer *c, const char *attr, int64_t block)
{
    return (block >= 1 && block <= 1 << 20) ||
           infer_fail(c, "%s is %lld, allowed is 1 to %d", attr, (long long)block, 1 << 20);
}

bool infer_even_dims(const Infer *c, int64_t dims)
{
    return (dims >= 2 && dims % 2 == 0) ||
           infer_fail(c, "dims is %lld, allowed are even numbers from 2", (long long)dims);
}

/* The slots w, w_scale, w_zero: codes have scales or leave them to the epilogue, floats have none.
 */
bool infer_want_weight(const Infer *c, int w_slot, int scales, int64_t columns)
{
    const Type *w = infer_in(c, w_slot);
    if (!infer_want(c, w_slot, DT_NONE, SHAPE(-1, columns))) {
        return false;
    }
    if (!dtype_is_float(w->dtype) && !infer_dtype_fits(w->dtype, ANY_CODE)) {
        return infer_mismatch(c, w_slot, "float, i8, u8, u4 or e4m3");
    }
    if (dtype_is_float(w->dtype) && infer_in(c, scales) != NULL) {
        return infer_fail(c, "w_scale is for codes, but %s is %s", infer_operand(c, w_slot),
                          infer_type_of(c, w_slot));
    }
    if (infer_in(c, scales + 1) != NULL && infer_in(c, scales) == NULL) {
        return infer_fail(c, "w_zero needs w_scale");
    }
    return true;
}

/* ---- every operator -------------------------------------------------------------------------- */

/* Stored in tiles: only what the kernels read in that order. */
static bool check_layout(const Infer *c, int slot)
{
    const Type *t = infer_in(c, slot);
    if (t == NULL || t->layout.rows == 0) {
        return true;
    }
    const char *name = slot < op_slots(c->op->kind) ? op_slot_name(c->op->kind, slot) : "";
    bool reader =
        c->op->kind == OP_MATMUL || c->op->kind == OP_MATMUL_QKV || c->op->kind == OP_EMBED;
    return (reader && name[0] == 'w') ||
           infer_fail(c, "%s is %s: only weights of matmul and embed are read in tiles",
                      infer_operand(c, slot), infer_type_of(c, slot));
}

static bool check_operand(const Infer *c, int slot)
{
    const Op *op = c->op;
    if (op->in[slot] >= c->f->n_values) {
        BUG("%s: operand %d is value %u of %u", op_name(op->kind), slot, op->in[slot],
            c->f->n_values);
    }
    if (op->in[slot] != 0) {
        return check_layout(c, slot);
    }
    if (slot >= op_slots(op->kind)) {
        return infer_fail(c, "operand %d, a leaf of the expression, is missing", slot);
    }
    return op_slot_optional(op->kind, slot) ||
           infer_fail(c, "operand %s is missing", op_slot_name(op->kind, slot));
}

static bool check_operands(const Infer *c)
{
    int n = c->op->n_in, slots = op_slots(c->op->kind);
    if (n < slots || n > (op_variadic(c->op->kind) ? IR_MAX_IN : slots)) {
        return infer_fail(c, "%d operands, expected %d", n, slots);
    }
    bool good = true;
    for (int i = 0; i < n && good; i++) {
        good = check_operand(c, i);
    }
    return good;
}

static bool check_attrs(const Infer *c)
{
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (!op_takes_attr(c->op->kind, (AttrId)id) && !attr_is_zero(&c->op->a, (AttrId)id)) {
            return infer_fail(c, "takes no attribute '%s'", attr_name((AttrId)id));
        }
    }
    return c->op->expr == NULL || op_expr_attr(c->op->kind) != NULL ||
           infer_fail(c, "takes no expression");
}

static bool infer(Infer *c)
{
    switch (c->op->kind) {
    case OP_CONCAT_ROWS:
        return infer_concat(c);
    case OP_INTERLEAVE_ROWS:
        return infer_interleave(c);
    case OP_PAIR_ROWS:
        return infer_pair_rows(c);
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
    case OP_QKV_APPEND:
        return infer_qkv_append(c);
    case OP_HEADS_APPEND:
        return infer_heads_append(c);
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
