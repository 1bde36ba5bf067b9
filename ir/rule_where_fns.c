/* rule_where_fns.c - what conditions and attribute values of a rule may call: predicates, functions
 * and their table.
 *
 * A predicate that does not hold says why in words with the function's own names, for the ledger:
 * "%g has 2 uses"; rule_where.c adds the condition as it was written, "(single_use(%g))". */
#include <string.h>

#include "ir/rule_ast.h"

/* ---- values ---------------------------------------------------------------------------------- */

static ValueId arg_value(const RuleSite *s, const RuleTerm *call, size_t i)
{
    return s->b.var[call->args.data[i]->index];
}

static const Value *value_of(const RuleSite *s, ValueId v)
{
    return &s->f->value[v];
}

static void put_value(Buf *why, const RuleSite *s, ValueId v)
{
    ir_print_value(why, s->f, v);
}

/* `holds` for every argument, the first that does not in `why`. */
typedef bool ValueTest(const RuleSite *s, ValueId v, Buf *why);

static bool all_values(const RuleSite *s, const RuleTerm *call, Buf *why, ValueTest *test)
{
    for (size_t i = 0; i < call->args.n; i++) {
        ValueId v = arg_value(s, call, i);
        if (v != VALUE_ABSENT && !test(s, v, why)) {
            return false;
        }
    }
    return true;
}

/* ---- predicates ------------------------------------------------------------------------------ */

static bool used_once(const RuleSite *s, ValueId v, Buf *why)
{
    int n = ir_use_count(s->f, v);
    if (n != 1) {
        put_value(why, s, v);
        buf_printf(why, " has %d uses", n);
    }
    return n == 1;
}

static bool holds_single_use(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, used_once);
}

static bool is_const(const RuleSite *s, ValueId v, Buf *why)
{
    if (!value_of(s, v)->constant) {
        put_value(why, s, v);
        buf_puts(why, " is not a constant");
    }
    return value_of(s, v)->constant;
}

static bool holds_const(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_const);
}

static bool is_vector(const RuleSite *s, ValueId v, Buf *why)
{
    const Type *t = value_of(s, v)->type;
    if (t->rank != 1) {
        put_value(why, s, v);
        buf_puts(why, " is ");
        type_print(why, t);
        buf_puts(why, ", not a vector");
    }
    return t->rank == 1;
}

static bool holds_vector(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_vector);
}

static bool is_codes(const RuleSite *s, ValueId v, Buf *why)
{
    DType t = value_of(s, v)->type->dtype;
    if (!dtype_is_code(t)) {
        put_value(why, s, v);
        buf_printf(why, " is %s, not codes", dtype_name(t));
    }
    return dtype_is_code(t);
}

static bool holds_codes(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_codes);
}

static bool is_quantized(const RuleSite *s, ValueId v, Buf *why)
{
    DType t = value_of(s, v)->type->dtype;
    bool made = t == DT_I8 || t == DT_E4M3;
    if (!made) {
        put_value(why, s, v);
        buf_printf(why, " is %s, not i8 or e4m3", dtype_name(t));
    }
    return made;
}

static bool holds_quantized(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_quantized);
}

static bool holds_same_codes(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    DType a = value_of(s, arg_value(s, call, 0))->type->dtype;
    DType b = value_of(s, arg_value(s, call, 1))->type->dtype;
    bool same = dtype_is_code(a) && dtype_is_code(b) && (a == DT_E4M3) == (b == DT_E4M3);
    if (!same) {
        buf_printf(why, "%s and %s are not codes of one kind", dtype_name(a), dtype_name(b));
    }
    return same;
}

static bool is_float(const RuleSite *s, ValueId v, Buf *why)
{
    DType t = value_of(s, v)->type->dtype;
    if (!dtype_is_float(t)) {
        put_value(why, s, v);
        buf_printf(why, " is %s, not a floating type", dtype_name(t));
    }
    return dtype_is_float(t);
}

static bool holds_float(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_float);
}

static bool holds_same(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    ValueId a = arg_value(s, call, 0), b = arg_value(s, call, 1);
    if (a != b) {
        put_value(why, s, a);
        buf_puts(why, " and ");
        put_value(why, s, b);
        buf_puts(why, " are different values");
    }
    return a == b;
}

static bool made_by(const RuleSite *s, ValueId v, OpKind kind)
{
    const Value *value = value_of(s, v);
    return value->kind == VALUE_RESULT && s->f->op[value->def].kind == kind;
}

static bool holds_made_by(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    ValueId v = arg_value(s, call, 0);
    OpKind kind = op_parse(call->args.data[1]->word);
    if (v == VALUE_ABSENT || kind == OP_NONE || !made_by(s, v, kind)) {
        if (v != VALUE_ABSENT) {
            put_value(why, s, v);
        }
        buf_printf(why, " is not the result of %s", call->args.data[1]->word);
        return false;
    }
    return true;
}

/* ---- predicates about all users of a value --------------------------------------------------- */

/* One weight, shared by name with a function outside of the layers. */
static const Func *shared_with(const RuleSite *s, ValueId v)
{
    const Module *m = s->f->module;
    Str name = value_of(s, v)->name;
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *g = m->funcs.data[i];
        for (size_t j = 0; g != s->f && j < g->weights.n; j++) {
            if (g->value[g->weights.data[j]].name == name) {
                return g;
            }
        }
    }
    return NULL;
}

static bool func_is_layered(const Func *f)
{
    const Module *m = f->module;
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *step = &m->steps.data[i];
        for (int j = 0; j < step->n_funcs; j++) {
            if (step->layered && m->funcs.data[step->func[j]] == f) {
                return true;
            }
        }
    }
    return false;
}

/* Whether the constant v is computed from a weight that another function reads too (a tied
 * embedding): a changed copy of it would be stored twice. */
static bool is_unshared(const RuleSite *s, ValueId v, Buf *why)
{
    const Value *value = value_of(s, v);
    if (value->kind == VALUE_WEIGHT) {
        const Func *g = func_is_layered(s->f) ? NULL : shared_with(s, v);
        if (g == NULL || func_is_layered(g)) {
            return true;
        }
        put_value(why, s, v);
        buf_printf(why, " is shared with @%s", g->name);
        return false;
    }
    if (value->kind != VALUE_RESULT || !value->constant) {
        return true;
    }
    const Op *op = &s->f->op[value->def];
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0 && !is_unshared(s, op->in[i], why)) {
            return false;
        }
    }
    return true;
}

static bool holds_unshared(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, is_unshared);
}

/* Operand v of op: is it the x of a matmul with a plain constant weight? */
static bool is_plain_matmul_of(const RuleSite *s, const Op *op, ValueId v, Buf *why)
{
    bool plain = op->kind == OP_MATMUL && op->in[0] == v;
    for (int i = 1; i < op->n_in; i++) {
        plain &= op->in[i] != v && (i == 1 || i >= op_slots(OP_MATMUL) || op->in[i] == 0);
    }
    if (!plain) {
        put_value(why, s, v);
        buf_printf(why, " is also read by %s", op_name(op->kind));
        if (op->n_out > 0) {
            buf_puts(why, " ");
            put_value(why, s, op->out[0]);
        }
        return false;
    }
    ValueId w = op->in[1];
    return is_const(s, w, why) && is_float(s, w, why) && is_unshared(s, w, why);
}

static bool feeds_matmuls(const RuleSite *s, ValueId v, Buf *why)
{
    const Func *f = s->f;
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        for (int i = 0; i < op->n_in; i++) {
            if (op->in[i] == v && !is_plain_matmul_of(s, op, v, why)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < f->results.n; i++) {
        if (f->results.data[i] == v) {
            put_value(why, s, v);
            buf_printf(why, " is returned");
            return false;
        }
    }
    return true;
}

static bool holds_feeds_matmuls(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    return all_values(s, call, why, feeds_matmuls);
}

/* ---- predicates about the compilation -------------------------------------------------------- */

static Str word_arg(const RuleTerm *call)
{
    return call->args.data[0]->word;
}

static bool holds_phase(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    const char *phase = s->f->module->phase == PHASE_DECODE ? "decode" : "prefill";
    if (strcmp(word_arg(call), phase) == 0) {
        return true;
    }
    buf_printf(why, "the phase is %s", phase);
    return false;
}

static bool holds_target(const RuleSite *s, const RuleTerm *call, Buf *why)
{
    const char *word = word_arg(call);
    bool has_it = (strcmp(word, "block") == 0 && s->env->block > 0) ||
                  (strcmp(word, "pair_heads") == 0 && s->env->pair_heads);
    if (!has_it) {
        buf_printf(why, "the target has no %s", word_arg(call));
    }
    return has_it;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* The type of an argument; an absent operand has none. */
static const Type *arg_type(const RuleSite *s, const RuleTerm *call)
{
    ValueId v = arg_value(s, call, 0);
    return v == VALUE_ABSENT ? NULL : value_of(s, v)->type;
}

static Quantity value_rows(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    return t == NULL || t->rank == 0 ? (Quantity){0} : quantity_integer(t->dim[0]);
}

static Quantity value_cols(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    return t == NULL || t->rank == 0 ? (Quantity){0} : quantity_integer(t->dim[t->rank - 1]);
}

static Quantity value_dim(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    Quantity i = rule_term_value(s, call->args.data[1]);
    bool inside = t != NULL && i.kind == Q_NUMBER && i.number.integer && i.number.i >= 0 &&
                  i.number.i < t->rank;
    return inside ? quantity_integer(t->dim[i.number.i]) : (Quantity){0};
}

static Quantity value_present(const RuleSite *s, const RuleTerm *call)
{
    return quantity_integer(arg_value(s, call, 0) != VALUE_ABSENT);
}

static Quantity value_rank(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    return t == NULL ? (Quantity){0} : quantity_integer(t->rank);
}

static Quantity value_uses(const RuleSite *s, const RuleTerm *call)
{
    ValueId v = arg_value(s, call, 0);
    return quantity_integer(v == VALUE_ABSENT ? 0 : ir_use_count(s->f, v));
}

static Quantity value_dtype(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    return t == NULL ? (Quantity){0} : (Quantity){.kind = Q_DTYPE, .dtype = t->dtype};
}

static Quantity value_type(const RuleSite *s, const RuleTerm *call)
{
    const Type *t = arg_type(s, call);
    return t == NULL ? (Quantity){0} : (Quantity){.kind = Q_TYPE, .type = t};
}

static Quantity value_shape(const RuleSite *s, const RuleTerm *call)
{
    Quantity q = value_type(s, call);
    q.shape = true;
    return q;
}

/* ---- table ----------------------------------------------------------------------------------- */

#define PREDICATE(name, args, doc)                                                                 \
    {                                                                                              \
#name, args, doc, true, holds_##name, NULL                                                 \
    }
#define FUNCTION(name, args, doc)                                                                  \
    {                                                                                              \
#name, args, doc, false, NULL, value_##name                                                \
    }

const WhereFn where_fns[] = {
    PREDICATE(single_use, "v+", "each value is read exactly once (the function's results count)"),
    PREDICATE(const, "v+", "each value is a weight or computed from weights only"),
    PREDICATE(same, "vv", "both are the same value"),
    PREDICATE(vector, "v+", "each value has rank 1"),
    PREDICATE(float, "v+", "each value has a floating dtype"),
    PREDICATE(quantized, "v+", "each value has a dtype that quantize makes: i8 or e4m3"),
    PREDICATE(codes, "v+", "each value holds codes: i8, u8, u4 or e4m3"),
    PREDICATE(same_codes, "vv", "both hold integer codes, or both e4m3: a matmul multiplies them"),
    PREDICATE(made_by, "vw", "the value is a result of that operator"),
    PREDICATE(unshared, "v+", "no other function reads the weights that the value is made from"),
    PREDICATE(feeds_matmuls, "v+",
              "the value is read only as x of matmuls whose weights are constant, floating, not "
              "shared and without scales"),
    PREDICATE(phase, "w", "the module is compiled for decode or prefill"),
    PREDICATE(target, "w", "the target has it: block, pair_heads"),
    FUNCTION(rows, "v", "the first dim (a vector's length)"),
    FUNCTION(cols, "v", "the last dim (a vector's length)"),
    FUNCTION(dim, "vn", "one dim, counted from 0"),
    FUNCTION(rank, "v", "how many dims"),
    FUNCTION(present, "v", "1 when the optional operand is there, else 0"),
    FUNCTION(uses, "v", "how often the value is read"),
    FUNCTION(dtype, "v", "f32, bf16, f16, e4m3, i32, i8, u8 or u4"),
    FUNCTION(shape, "v", "the dims, compared as a whole"),
    FUNCTION(type, "v", "dtype, dims and layout, compared as a whole"),
};
const int n_where_fns = sizeof where_fns / sizeof where_fns[0];
