/* cost.c - what an operator moves and computes, from its types alone.
 *
 *   constants     read once per call, physical bytes (padding and nibbles counted); embed: T rows
 *   activations   every operand read once, every result written once; views cost nothing
 *   caches        read as far as attention sees, min(window, kv_len) positions of each sequence;
 *                 an append writes T rows
 *   flops         matmul 2 T N K, attention 4 T H D kv_len, the rest a few per element
 *
 * Seconds are a roofline: max(bytes / bandwidth, flops / rate) + launch, operator by operator. */
#include "ir/cost.h"

#include <math.h>

#include "ir/slots.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool is_operator(const Func *f, const Op *op)
{
    return (op_flags(op->kind) & OPF_VIEW) == 0 && !f->value[op->out[0]].constant;
}

static const Op *def_of(const Func *f, ValueId v)
{
    return f->value[v].kind == VALUE_RESULT ? &f->op[f->value[v].def] : NULL;
}

/* A cache, or what is computed from one position by position. */
static bool is_cache(const Func *f, ValueId v)
{
    const Op *def = def_of(f, v);
    if (def == NULL) {
        return f->value[v].kind == VALUE_STATE;
    }
    bool appended = op_cache_slot(def->kind, f->value[v].result) >= 0;
    return appended || (def->kind == OP_DEQUANT && is_cache(f, def->in[0]));
}

/* Attention scores [T, heads, C], before or after softmax. */
static bool is_scores(const Func *f, ValueId v)
{
    const Op *def = def_of(f, v);
    return def != NULL &&
           (def->kind == OP_ATTN_SCORES || (def->kind == OP_SOFTMAX && is_scores(f, def->in[0])));
}

/* Positions of a context of n that are in use. */
static int64_t positions(int64_t n, int64_t kv_len)
{
    return kv_len < n ? kv_len : n;
}

/* Positions of each sequence that `op` reads from its cache: rows of one sequence share them. */
static int64_t visible_positions(const Func *f, const Op *op, int64_t kv_len)
{
    const Type *q = f->value[op->in[ATTN_Q]].type, *k = f->value[op->in[ATTN_K]].type;
    int64_t n = positions(k->dim[1], kv_len), rows = q->dim[0] / k->dim[0];
    int64_t reach = op->a.window + rows - 1;
    return op->a.window > 0 && reach < n ? reach : n;
}

static bool reads_cache_as_attention(const Op *op)
{
    return op->kind == OP_ATTENTION || op->kind == OP_ATTN_SCORES;
}

/* Bytes of a value that are in use when its context is filled up to kv_len. */
static double used_bytes(const Func *f, ValueId v, int64_t kv_len)
{
    const Type *t = f->value[v].type;
    double bytes = (double)type_bytes(t);
    if (is_cache(f, v)) {
        return bytes / (double)t->dim[1] * (double)positions(t->dim[1], kv_len);
    }
    if (is_scores(f, v)) {
        int64_t context = t->dim[t->rank - 1];
        return bytes / (double)context * (double)positions(context, kv_len);
    }
    return bytes;
}

static bool appends_to(const Op *op, int slot)
{
    for (int i = 0; i < op->n_out; i++) {
        if (op_cache_slot(op->kind, i) == slot) {
            return true;
        }
    }
    return false;
}

static bool read_before(const Op *op, int slot)
{
    for (int i = 0; i < slot; i++) {
        if (op->in[i] == op->in[slot]) {
            return true;
        }
    }
    return false;
}

static double operand_bytes(const Func *f, const Op *op, int slot, int64_t kv_len)
{
    ValueId v = op->in[slot];
    if (v == 0 || appends_to(op, slot) || read_before(op, slot)) {
        return 0;
    }
    const Type *t = f->value[v].type;
    if (op->kind == OP_EMBED && slot != EMBED_IDS) {
        double rows = (double)f->value[op->in[EMBED_IDS]].type->dim[0];
        return (double)type_bytes(t) / (double)t->dim[0] * rows;
    }
    if (reads_cache_as_attention(op) && is_cache(f, v)) {
        return used_bytes(f, v, visible_positions(f, op, kv_len));
    }
    return used_bytes(f, v, kv_len);
}

static double result_bytes(const Func *f, const Op *op, int result, int64_t kv_len)
{
    ValueId v = op->out[result];
    if (op_cache_slot(op->kind, result) < 0) {
        return used_bytes(f, v, kv_len);
    }
    int slot = op->kind == OP_KV_APPEND ? 1 : 0; /* x, whose rows are appended */
    const Type *t = f->value[v].type, *x = f->value[op->in[slot]].type;
    double per_position = (double)type_bytes(t) / (double)(t->dim[0] * t->dim[1]);
    return per_position * (double)x->dim[0];
}

/* ---- flops ----------------------------------------------------------------------------------- */

static double expr_flops(const Expr *e)
{
    if (e == NULL || expr_arity(e->kind) == 0) {
        return 0;
    }
    return 1 + expr_flops(e->a) + expr_flops(e->b);
}

static double elements(const Func *f, ValueId v)
{
    return (double)type_elements(f->value[v].type);
}

static double matmul_flops(const Func *f, const Op *op)
{
    const Type *x = f->value[op->in[MATMUL_X]].type, *w = f->value[op->in[MATMUL_W]].type;
    double out = elements(f, op->out[0]);
    double n = out / (double)x->dim[0] * (op->a.interleave > 0 ? 2 : 1);
    if (op->kind == OP_MATMUL_QKV) {
        n = (double)((op->a.heads + 2 * op->a.kv_heads) * op->a.head_dim);
    }
    double norm = op->a.norm_eps > 0 ? 4 * elements(f, op->in[MATMUL_X]) : 0;
    return norm + 2 * (double)x->dim[0] * n * (double)w->dim[1] + out * expr_flops(op->expr);
}

static double attention_flops(const Func *f, const Op *op, int64_t kv_len, double per_position)
{
    double rows = (double)f->value[op->in[ATTN_Q]].type->dim[0];
    double heads = (double)(op->a.heads * op->a.head_dim);
    return per_position * rows * heads * (double)kv_len;
}

/* Per result element, of the operators that are neither matmul nor attention. */
static double flops_per_element(const Op *op)
{
    switch (op->kind) {
    case OP_RMSNORM:
    case OP_ROW_RMS:
        return 4;
    case OP_LAYERNORM:
    case OP_RMSNORM_QUANT:
    case OP_QKV_APPEND:
    case OP_HEADS_APPEND:
        return 7;
    case OP_QUANTIZE:
    case OP_ROPE:
    case OP_SOFTMAX:
    case OP_ROPE_ANGLES:
        return 3;
    case OP_DEQUANT:
        return 2;
    case OP_MAP:
        return expr_flops(op->expr);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_SILU:
    case OP_GELU:
    case OP_GELU_TANH:
    case OP_RELU:
    case OP_TANH:
        return 1;
    case OP_NONE:
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
    case OP_EMBED:
    case OP_MATMUL:
    case OP_MATMUL_QKV:
    case OP_SPLIT:
    case OP_KV_APPEND:
    case OP_ATTN_SCORES:
    case OP_ATTN_MIX:
    case OP_ATTENTION:
    case OP_COUNT:
        return 0;
    }
    return 0;
}

static double op_flops(const Func *f, const Op *op, int64_t kv_len)
{
    if (op->kind == OP_MATMUL || op->kind == OP_MATMUL_QKV) {
        return matmul_flops(f, op);
    }
    if (reads_cache_as_attention(op)) {
        double per_position = op->kind == OP_ATTENTION ? 4 : 2;
        return attention_flops(f, op, visible_positions(f, op, kv_len), per_position);
    }
    if (op->kind == OP_ATTN_MIX) {
        int64_t context = f->value[op->in[1]].type->dim[1];
        return attention_flops(f, op, positions(context, kv_len), 2);
    }
    double in = op->n_in > 0 && op->in[0] != 0 ? elements(f, op->in[0]) : 0;
    double out = elements(f, op->out[0]);
    return flops_per_element(op) * (op->kind == OP_ROW_RMS ? in : out);
}

/* ---- operators, functions, modules ----------------------------------------------------------- */

Cost cost_op(const Func *f, const Op *op, int64_t kv_len)
{
    Cost c = {0};
    if (op->dead || !is_operator(f, op)) {
        return c;
    }
    for (int i = 0; i < op->n_in; i++) {
        double bytes = operand_bytes(f, op, i, kv_len);
        *(f->value[op->in[i]].constant ? &c.weight_bytes : &c.read_bytes) += bytes;
    }
    for (int i = 0; i < op->n_out; i++) {
        c.write_bytes += result_bytes(f, op, i, kv_len);
    }
    c.flops = op_flops(f, op, kv_len);
    c.launches = 1;
    return c;
}

void cost_add(Cost *sum, const Cost *x, double times)
{
    sum->weight_bytes += x->weight_bytes * times;
    sum->read_bytes += x->read_bytes * times;
    sum->write_bytes += x->write_bytes * times;
    sum->flops += x->flops * times;
    sum->launches += (int)(x->launches * times);
}

double cost_bytes(const Cost *c)
{
    return c->weight_bytes + c->read_bytes + c->write_bytes;
}

Cost cost_func(const Func *f, int64_t kv_len)
{
    Cost sum = {0};
    FOR_EACH_OP(f, id)
    {
        Cost c = cost_op(f, &f->op[id], kv_len);
        cost_add(&sum, &c, 1);
    }
    return sum;
}

Cost cost_module(const Module *m, int64_t kv_len)
{
    Cost sum = {0};
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *step = &m->steps.data[i];
        for (int k = 0; k < step->n_funcs; k++) {
            Cost c = cost_func(m->funcs.data[step->func[k]], kv_len);
            cost_add(&sum, &c, step->repeat);
        }
    }
    return sum;
}

/* ---- roofline -------------------------------------------------------------------------------- */

static double rate_of_dtype(DType t, const Device *d)
{
    double rate = d->flops_f32;
    if (t == DT_BF16 || t == DT_F16) {
        rate = d->flops_bf16;
    } else if (t == DT_I8 || t == DT_E4M3) {
        rate = d->flops_int8;
    }
    return rate > 0 ? rate : d->flops_f32;
}

/* Integer units need integer codes on both sides; weight-only quantisation multiplies in x's dtype.
 */
double cost_op_rate(const Func *f, const Op *op, const Device *d)
{
    if (op->kind == OP_MATMUL || op->kind == OP_MATMUL_QKV || op->kind == OP_ATTENTION) {
        return rate_of_dtype(f->value[op->in[0]].type->dtype, d);
    }
    return d->flops_f32;
}

double cost_op_seconds(const Func *f, const Op *op, int64_t kv_len, const Device *d)
{
    Cost c = cost_op(f, op, kv_len);
    double rate = cost_op_rate(f, op, d);
    double memory = d->bandwidth > 0 ? cost_bytes(&c) / d->bandwidth : 0;
    double arithmetic = rate > 0 ? c.flops / rate : 0;
    return fmax(memory, arithmetic) + c.launches * d->launch_seconds;
}

double cost_func_seconds(const Func *f, int64_t kv_len, const Device *d)
{
    double sum = 0;
    FOR_EACH_OP(f, id)
    {
        sum += cost_op_seconds(f, &f->op[id], kv_len, d);
    }
    return sum;
}

double cost_module_seconds(const Module *m, int64_t kv_len, const Device *d)
{
    double sum = 0;
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *step = &m->steps.data[i];
        for (int k = 0; k < step->n_funcs; k++) {
            sum += step->repeat * cost_func_seconds(m->funcs.data[step->func[k]], kv_len, d);
        }
    }
    return sum;
}

double cost_intensity(const Func *f, const Op *op)
{
    Cost c = cost_op(f, op, 0);
    return c.weight_bytes > 0 ? c.flops / c.weight_bytes : 0;
}

/* W weight bytes; a bytes and f flops per token: (W + T a) / bandwidth = T f / rate. */
double cost_balance_tokens(const Func *f, const Op *op, const Device *d)
{
    Cost c = cost_op(f, op, 0);
    double rate = cost_op_rate(f, op, d), tokens = f->module->tokens;
    if (c.weight_bytes <= 0 || rate <= 0 || d->bandwidth <= 0) {
        return 0;
    }
    double per_token = c.flops / tokens / rate;
    per_token -= (c.read_bytes + c.write_bytes) / tokens / d->bandwidth;
    return per_token > 0 ? c.weight_bytes / d->bandwidth / per_token : (double)INFINITY;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* The value whose memory v is: through views and appends. */
static ValueId buffer_of(const Func *f, ValueId v)
{
    for (;;) {
        const Op *def = def_of(f, v);
        if (def == NULL) {
            return v;
        }
        bool view = (op_flags(def->kind) & OPF_VIEW) != 0;
        int slot = view ? 0 : op_cache_slot(def->kind, f->value[v].result);
        if (slot < 0) {
            return v;
        }
        v = def->in[slot];
    }
}

static BufferCost *buffer_entry(const Func *f, BufferCosts *list, Arena *a, ValueId v)
{
    v = buffer_of(f, v);
    for (size_t i = 0; i < list->n; i++) {
        if (list->data[i].value == v) {
            return &list->data[i];
        }
    }
    BufferCost b = {.value = v};
    vec_push(a, list, b);
    return &list->data[list->n - 1];
}

BufferCosts cost_buffers(Arena *a, const Func *f, int64_t kv_len)
{
    BufferCosts list = {0};
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (!is_operator(f, op)) {
            continue;
        }
        for (int i = 0; i < op->n_in; i++) {
            if (op->in[i] != 0 && !f->value[op->in[i]].constant && !appends_to(op, i)) {
                buffer_entry(f, &list, a, op->in[i])->read += operand_bytes(f, op, i, kv_len);
            }
        }
        for (int i = 0; i < op->n_out; i++) {
            buffer_entry(f, &list, a, op->out[i])->written += result_bytes(f, op, i, kv_len);
        }
    }
    return list;
}
