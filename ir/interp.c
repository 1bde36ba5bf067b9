/* interp.c - the oracle's core: one function over one frame, elementwise operators, rounding.
 *
 * A tensor's elements are doubles in logical row-major order; layouts and views cost nothing here.
 * States are the caller's tensors: kv_append writes into them and its result is the same memory. */
#include "ir/interp_ops.h"

#include <math.h>
#include <string.h>

Tensor tensor_create(Arena *a, const Type *t)
{
    return (Tensor){.type = t, .v = ARENA_ARRAY(a, double, type_elements(t))};
}

int64_t tensor_rows(const Tensor *t)
{
    return t->type->rank == 0 ? 1 : t->type->dim[0];
}

int64_t tensor_cols(const Tensor *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->type->rank; i++) {
        n *= t->type->dim[i];
    }
    return n;
}

/* ---- rounding -------------------------------------------------------------------------------- */

/* To `digits` significant bits, the smallest normal exponent being min_exp (subnormals below). */
static double round_float(double x, int digits, int min_exp, double max)
{
    if (x == 0 || !isfinite(x)) {
        return x;
    }
    int e = 0;
    frexp(x, &e); /* |x| in [2^(e-1), 2^e) */
    int ulp = (e - 1 < min_exp ? min_exp : e - 1) - (digits - 1);
    double r = ldexp(rint(ldexp(x, -ulp)), ulp);
    return fabs(r) > max ? copysign((double)INFINITY, x) : r;
}

/* No infinity: what is too large becomes the largest. */
static double round_e4m3(double x)
{
    double r = round_float(x, 4, -6, HUGE_VAL);
    return fabs(r) > 448 ? copysign(448, r) : r;
}

static double round_int(double x, double lo, double hi)
{
    if (isnan(x)) {
        return 0;
    }
    return fmin(fmax(rint(x), lo), hi);
}

double dtype_round(DType t, double x)
{
    switch (t) {
    case DT_F32:
        return (double)(float)x;
    case DT_BF16:
        return round_float(x, 8, -126, 0x1.fep127);
    case DT_F16:
        return round_float(x, 11, -14, 65504);
    case DT_E4M3:
        return round_e4m3(x);
    case DT_I32:
        return round_int(x, -2147483648.0, 2147483647.0);
    case DT_I8:
        return round_int(x, -128, 127);
    case DT_U8:
        return round_int(x, 0, 255);
    case DT_U4:
        return round_int(x, 0, 15);
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    BUG("a value without a dtype");
}

/* To bf16 by adding half of the last kept bit (minus one when that bit is even) to the 52 bits of
 * the significand; true when all numbers were normal bf16 numbers or 0, else nothing is changed. */
static bool round_normal_bf16(double *x, int64_t n)
{
    const uint64_t dropped = (UINT64_C(1) << 45) - 1, half = UINT64_C(1) << 44;
    uint64_t odd = 0;
    uint64_t rounded[64];
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        uint64_t magnitude = bits & ~(UINT64_C(1) << 63);
        /* 2^-126 <= |x| < 2^127 in one comparison of exponents */
        uint64_t outside = magnitude - (UINT64_C(897) << 52) >= UINT64_C(253) << 52;
        odd |= outside & (uint64_t)(magnitude != 0);
        rounded[i] = (bits + (half - 1) + (bits >> 45 & 1)) & ~dropped;
    }
    if (odd == 0) {
        memcpy(x, rounded, (size_t)n * sizeof *x);
    }
    return odd == 0;
}

void dtype_round_all(DType t, double *x, int64_t n)
{
    if (t == DT_F32) {
        for (int64_t i = 0; i < n; i++) {
            x[i] = (double)(float)x[i];
        }
        return;
    }
    for (int64_t at = 0; at < n; at += 64) {
        int64_t some = n - at < 64 ? n - at : 64;
        if (t == DT_BF16 && round_normal_bf16(x + at, some)) {
            continue;
        }
        for (int64_t i = at; i < at + some; i++) {
            x[i] = dtype_round(t, x[i]);
        }
    }
}

bool *interp_stored_values(Arena *a, const Func *f)
{
    bool *stored = ARENA_ARRAY(a, bool, f->n_values);
    for (ValueId v = 1; v < f->n_values; v++) {
        stored[v] = !f->value[v].constant;
    }
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (f->value[op->out[0]].constant) {
            continue;
        }
        for (int i = 0; i < op->n_in; i++) {
            stored[op->in[i]] = true;
        }
    }
    for (size_t i = 0; i < f->results.n; i++) {
        stored[f->results.data[i]] = true;
    }
    return stored;
}

bool interp_rounds(const Func *f, const bool *stored, const Op *op, ValueId v)
{
    return dtype_is_float(f->value[v].type->dtype) && (stored[v] || op->kind == OP_CAST);
}

static void round_results(Frame *fr, const Op *op)
{
    if (!fr->round || (op_flags(op->kind) & OPF_VIEW) != 0) {
        return;
    }
    for (int i = 0; i < op->n_out; i++) {
        Tensor *t = &fr->value[op->out[i]];
        bool cache = op_cache_slot(op->kind, i) >= 0; /* rounded row by row */
        if (cache || !interp_rounds(fr->func, fr->stored, op, op->out[i])) {
            continue;
        }
        for (int64_t k = 0, n = type_elements(t->type); k < n; k++) {
            t->v[k] = dtype_round(t->type->dtype, t->v[k]);
        }
    }
}

/* ---- frame ----------------------------------------------------------------------------------- */

const Tensor *frame_in(const Frame *fr, const Op *op, int slot)
{
    if (slot >= op->n_in || op->in[slot] == 0) {
        return NULL;
    }
    const Tensor *t = &fr->value[op->in[slot]];
    if (t->v == NULL) {
        BUG("%%%s is read before it is computed", fr->func->value[op->in[slot]].name);
    }
    return t;
}

Tensor *frame_new(Frame *fr, const Op *op, int result)
{
    ValueId v = op->out[result];
    fr->value[v] = tensor_create(fr->arena, fr->func->value[v].type);
    return &fr->value[v];
}

bool frame_error(const Frame *fr, const Op *op, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(fr->arena, fmt, ap);
    va_end(ap);
    return diag_error(fr->func->module->ctx->diag, op->at, "%s", text);
}

/* ---- elementwise ----------------------------------------------------------------------------- */

int64_t interp_broadcast(const Type *out, const Type *in, int64_t flat)
{
    int64_t index = 0, stride = 1;
    int shift = out->rank - in->rank;
    for (int d = out->rank - 1; d >= 0; d--) {
        int64_t at = flat % out->dim[d];
        flat /= out->dim[d];
        if (d - shift < 0) {
            continue;
        }
        int64_t n = in->dim[d - shift];
        index += (n == 1 ? 0 : at) * stride;
        stride *= n;
    }
    return index;
}

double expr_apply(ExprKind kind, double a, double b)
{
    switch (kind) {
    case EXPR_ADD:
        return a + b;
    case EXPR_SUB:
        return a - b;
    case EXPR_MUL:
        return a * b;
    case EXPR_SILU:
        return a / (1 + exp(-a));
    case EXPR_GELU:
        return 0.5 * a * (1 + erf(a / sqrt(2)));
    case EXPR_GELU_TANH:
        return 0.5 * a * (1 + tanh(sqrt(2 / acos(-1)) * (a + 0.044715 * a * a * a)));
    case EXPR_RELU:
        return a > 0 ? a : 0;
    case EXPR_TANH:
        return tanh(a);
    case EXPR_NONE:
    case EXPR_ACC:
    case EXPR_INPUT:
    case EXPR_NUMBER:
    case EXPR_META:
    case EXPR_KIND_COUNT:
        break;
    }
    BUG("expr_apply: not an operator (%d)", (int)kind);
}

double interp_expr(const Frame *fr, const Op *op, const Expr *e, const Type *out, int64_t flat,
                   const double *acc)
{
    if (e->kind == EXPR_ACC) {
        return acc[e->way > 0 ? e->way : 0];
    }
    if (e->kind == EXPR_NUMBER) {
        return e->number;
    }
    if (e->kind == EXPR_INPUT) {
        const Tensor *t = frame_in(fr, op, e->input);
        return t->v[interp_broadcast(out, t->type, flat)];
    }
    double a = interp_expr(fr, op, e->a, out, flat, acc);
    double b = expr_arity(e->kind) > 1 ? interp_expr(fr, op, e->b, out, flat, acc) : 0;
    return expr_apply(e->kind, a, b);
}

static void run_map(Frame *fr, const Op *op)
{
    Tensor *y = frame_new(fr, op, 0);
    for (int64_t i = 0, n = type_elements(y->type); i < n; i++) {
        y->v[i] = interp_expr(fr, op, op->expr, y->type, i, NULL);
    }
}

static void run_element(Frame *fr, const Op *op)
{
    Tensor *y = frame_new(fr, op, 0);
    const Tensor *a = frame_in(fr, op, 0), *b = frame_in(fr, op, 1);
    ExprKind kind = expr_of_op(op->kind);
    for (int64_t i = 0, n = type_elements(y->type); i < n; i++) {
        double second = b == NULL ? 0 : b->v[interp_broadcast(y->type, b->type, i)];
        y->v[i] = expr_apply(kind, a->v[interp_broadcast(y->type, a->type, i)], second);
    }
}

static void run_split(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0);
    int64_t rows = tensor_rows(x), cols = tensor_cols(x), first = 0;
    for (int part = 0; part < op->n_out; part++) {
        Tensor *y = frame_new(fr, op, part);
        int64_t n = op->a.sizes.v[part];
        for (int64_t t = 0; t < rows; t++) {
            memcpy(y->v + t * n, x->v + t * cols + first, (size_t)n * sizeof(double));
        }
        first += n;
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static bool run_op(Frame *fr, const Op *op)
{
    switch (op->kind) {
    case OP_CONCAT_ROWS:
    case OP_INTERLEAVE_ROWS:
    case OP_PAIR_ROWS:
    case OP_SCALE_COLS:
    case OP_QUANT_SCALE:
    case OP_QUANT_ZERO:
    case OP_QUANT_CODE:
    case OP_CAST:
    case OP_TILE:
    case OP_ROPE_FREQS:
    case OP_DEQUANT:
        return interp_const_op(fr, op);
    case OP_QUANTIZE:
        interp_quantize(fr, op);
        return true;
    case OP_EMBED:
        return interp_embed(fr, op);
    case OP_RMSNORM:
        interp_rmsnorm(fr, op);
        return true;
    case OP_LAYERNORM:
        interp_layernorm(fr, op);
        return true;
    case OP_ROW_RMS:
        interp_row_rms(fr, op);
        return true;
    case OP_RMSNORM_QUANT:
        interp_rmsnorm_quant(fr, op);
        return true;
    case OP_MATMUL:
        interp_matmul(fr, op);
        return true;
    case OP_MATMUL_QKV:
        return interp_matmul_qkv(fr, op);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_SILU:
    case OP_GELU:
    case OP_GELU_TANH:
    case OP_RELU:
    case OP_TANH:
        run_element(fr, op);
        return true;
    case OP_MAP:
        run_map(fr, op);
        return true;
    case OP_SPLIT:
        run_split(fr, op);
        return true;
    case OP_ROPE_ANGLES:
        interp_rope_angles(fr, op);
        return true;
    case OP_ROPE:
        interp_rope(fr, op);
        return true;
    case OP_KV_APPEND:
        return interp_kv_append(fr, op);
    case OP_QKV_APPEND:
        return interp_qkv_append(fr, op);
    case OP_HEADS_APPEND:
        return interp_heads_append(fr, op);
    case OP_ATTN_SCORES:
        interp_attn_scores(fr, op);
        return true;
    case OP_SOFTMAX:
        interp_softmax(fr, op);
        return true;
    case OP_ATTN_MIX:
        interp_attn_mix(fr, op);
        return true;
    case OP_ATTENTION:
        interp_attention(fr, op);
        return true;
    case OP_NONE:
    case OP_COUNT:
        break;
    }
    BUG("an operator without a kind");
}

static void bind_inputs(Frame *fr, const InterpArgs *args)
{
    const Func *f = fr->func;
    for (size_t i = 0; i < f->params.n; i++) {
        fr->value[f->params.data[i]] = args->params[i];
    }
    for (size_t i = 0; i < f->states.n; i++) {
        fr->value[f->states.data[i]] = args->states[i];
    }
    for (size_t i = 0; i < f->weights.n; i++) {
        fr->value[f->weights.data[i]] = args->weights[i];
    }
}

bool interp_func(Arena *a, const Func *f, const InterpArgs *args, Tensor *out)
{
    Frame fr = {.arena = a,
                .func = f,
                .value = ARENA_ARRAY(a, Tensor, f->n_values),
                .stored = interp_stored_values(a, f),
                .round = args->round};
    bind_inputs(&fr, args);
    FOR_EACH_OP(f, id)
    {
        if (!run_op(&fr, &f->op[id])) {
            return false;
        }
        round_results(&fr, &f->op[id]);
    }
    for (size_t i = 0; i < f->results.n; i++) {
        const Tensor *t = &fr.value[f->results.data[i]];
        out[i] = tensor_create(a, f->value[f->results.data[i]].type);
        memcpy(out[i].v, t->v, (size_t)type_elements(t->type) * sizeof(double));
    }
    return true;
}
