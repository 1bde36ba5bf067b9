/* pass_quantize.c - the spec's quantisation scheme, written into the graph. Changes values by
 * design.
 *
 *   %y = matmul %x, @w      =>      %w_scale = quant_scale @w {bits = 4, group = 128}
 *                                   %w_code = quant_code @w, %w_scale {bits = 4, group = 128, zero
 * = 8} %w_dq = dequant %w_code, %w_scale {group = 128, zero = 8} %y = matmul %x, %w_dq int8
 * activations: also          %x_code, %x_scale = quantize %x %x_dq = dequant %x_code, %x_scale
 * (once for all that read %x)
 *
 * Every constant float matmul weight takes part; norms, biases and learned positions do not. The
 * head and the token embedding do only when the scheme says so, a tied one in the same codes. The
 * dequants are dissolved into kernels by the rules that follow. Codes in e4m3 carry dtype = e4m3.
 * Idempotent: a dequant is not quantised again. Requires: norm gains already folded (codes must see
 * the folded numbers). Keeps: order (sorted). */
#include <string.h>

#include "ir/pass.h"
#include "ir/slots.h"

/* The weight parameter at the bottom of a constant's first operands; 0 when there is none. */
static ValueId root_weight(const Func *f, ValueId v)
{
    while (v != 0 && f->value[v].kind == VALUE_RESULT) {
        const Op *def = &f->op[f->value[v].def];
        v = def->n_in > 0 ? def->in[0] : 0;
    }
    return v;
}

static bool is_table(const Func *f, ValueId v)
{
    ValueId root = root_weight(f, v);
    Str name = root != 0 ? f->value[root].name : "";
    return strcmp(name, "head") == 0 || strcmp(name, "embedding") == 0;
}

static bool is_learned_position(const Func *f, const Op *op)
{
    ValueId root = root_weight(f, op->in[EMBED_W]);
    return root == 0 || strcmp(f->value[root].name, "embedding") != 0;
}

bool pass_will_quantize(const Func *f, const Op *op, const PassEnv *env)
{
    bool matmul = op->kind == OP_MATMUL, embed = op->kind == OP_EMBED;
    if (env->quant.weights == DT_NONE || (!matmul && !embed)) {
        return false;
    }
    const Value *w = &f->value[op->in[1]]; /* MATMUL_W and EMBED_W */
    bool dequantised = w->kind == VALUE_RESULT && f->op[w->def].kind == OP_DEQUANT;
    if (!w->constant || !dtype_is_float(w->type->dtype) || dequantised) {
        return false;
    }
    if (embed && is_learned_position(f, op)) {
        return false;
    }
    return env->quant.head || !is_table(f, op->in[1]);
}

/* ---- weights --------------------------------------------------------------------------------- */

static int64_t largest_divisor(int64_t k, int64_t limit)
{
    int64_t best = 1;
    for (int64_t d = 1; d <= limit; d *= 2) {
        best = k % d == 0 ? d : best;
    }
    return best;
}

static bool check_group(const Func *f, const Op *op, int64_t group)
{
    const Value *w = &f->value[op->in[1]];
    int64_t k = w->type->dim[1];
    if (group == 0 || k % group == 0) {
        return true;
    }
    ValueId root = root_weight(f, op->in[1]);
    return diag_error(
        f->module->ctx->diag, op->at,
        "quant group %lld does not divide the %lld input features of %s; use group %lld, "
        "or 0 for one scale per output feature",
        (long long)group, (long long)k, f->value[root].name, (long long)largest_divisor(k, group));
}

static ValueId make(Func *f, Op op, const char *base, const char *suffix, Span at)
{
    StrTable *strings = f->module->ctx->strings;
    op.at = at;
    op.origin = str_intern(strings, "quantize");
    ValueId v = ir_op1(f, &op, str_internf(strings, "%s%s", base, suffix));
    if (v == 0) {
        BUG("quantize made an operator that does not type: %s", diag_text(f->module->ctx->diag));
    }
    return v;
}

/* dequant(quant_code(w, ...), ...), equal to w up to rounding. */
static ValueId quantize_weight(Func *f, ValueId w, const QuantScheme *q, Span at)
{
    const char *base = f->value[w].name;
    int64_t bits = q->weights == DT_U4 ? 4 : 8;
    DType dtype = q->weights == DT_E4M3 ? DT_E4M3 : DT_NONE;
    Op scale = {.kind = OP_QUANT_SCALE, .n_in = 1, .in = {w}};
    scale.a.bits = bits;
    scale.a.group = q->group;
    scale.a.asym = q->asym;
    scale.a.dtype = dtype;
    ValueId s = make(f, scale, base, "_scale", at), z = 0;
    if (q->asym) {
        Op zero = {.kind = OP_QUANT_ZERO, .n_in = 2, .in = {w, s}};
        zero.a.bits = bits;
        zero.a.group = q->group;
        z = make(f, zero, base, "_zero", at);
    }
    int64_t middle = bits == 4 && !q->asym ? 8 : 0;
    Op code = {.kind = OP_QUANT_CODE, .n_in = 3, .in = {w, s, z}};
    code.a.bits = bits;
    code.a.group = q->group;
    code.a.zero = middle;
    code.a.dtype = dtype;
    ValueId c = make(f, code, base, "_code", at);
    Op dequant = {.kind = OP_DEQUANT, .n_in = 3, .in = {c, s, z}};
    dequant.a.group = q->group;
    dequant.a.zero = middle;
    dequant.a.dtype = f->value[w].type->dtype;
    return make(f, dequant, base, "_dq", at);
}

/* ---- activations ----------------------------------------------------------------------------- */

static bool is_dequant(const Func *f, ValueId v)
{
    return f->value[v].kind == VALUE_RESULT && f->op[f->value[v].def].kind == OP_DEQUANT;
}

static ValueId quantize_activation(Func *f, ValueId x, DType codes, Span at)
{
    StrTable *strings = f->module->ctx->strings;
    const char *base = f->value[x].name;
    DType dtype = f->value[x].type->dtype;
    Op quantize = {.kind = OP_QUANTIZE, .n_in = 1, .in = {x}, .at = at};
    quantize.a.dtype = codes == DT_I8 ? DT_NONE : codes;
    quantize.origin = str_intern(strings, "quantize");
    Str names[] = {str_internf(strings, "%s_code", base), str_internf(strings, "%s_scale", base)};
    OpId id = ir_op(f, &quantize, names);
    if (id == 0) {
        BUG("quantize made an operator that does not type: %s", diag_text(f->module->ctx->diag));
    }
    Op dequant = {.kind = OP_DEQUANT, .n_in = 2, .in = {f->op[id].out[0], f->op[id].out[1]}};
    dequant.a.dtype = dtype;
    return make(f, dequant, base, "_dq", at);
}

/* ---- the pass -------------------------------------------------------------------------------- */

/* What an operand became, so that operators which share it share the result. */
typedef struct Done {
    ValueId from, to;
} Done;
typedef VEC(Done) DoneList;

static ValueId find_done(const DoneList *list, ValueId from)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->data[i].from == from) {
            return list->data[i].to;
        }
    }
    return 0;
}

static void quantize_operand(Func *f, OpId id, int slot, const QuantScheme *q, DoneList *done)
{
    ValueId from = f->op[id].in[slot], to = find_done(done, from);
    Span at = f->op[id].at;
    if (to == 0) {
        bool weight = f->value[from].constant;
        to = weight ? quantize_weight(f, from, q, at)
                    : quantize_activation(f, from, q->activations, at);
        vec_push(f->module->ctx->arena, done, ((Done){from, to}));
    }
    f->op[id].in[slot] = to;
}

int pass_quantize(Func *f, PassEnv *env)
{
    DoneList done = {0};
    int changes = 0;
    bool ok = true;
    uint32_t n_ops = f->n_ops;
    for (OpId id = 1; id < n_ops; id++) {
        if (f->op[id].dead || !pass_will_quantize(f, &f->op[id], env)) {
            continue;
        }
        if (!check_group(f, &f->op[id], env->quant.group)) {
            ok = false;
            continue;
        }
        quantize_operand(f, id, 1, &env->quant, &done);
        bool matmul = f->op[id].kind == OP_MATMUL;
        if (matmul && env->quant.activations != DT_NONE && !is_dequant(f, f->op[id].in[MATMUL_X])) {
            quantize_operand(f, id, MATMUL_X, &env->quant, &done);
        }
        changes++;
    }
    if (changes > 0 && !ir_sort(f)) {
        BUG("quantize made a cycle in @%s", f->name);
    }
    return ok ? changes : -1;
}
