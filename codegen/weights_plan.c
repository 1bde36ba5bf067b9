/* weights_plan.c - collects the constants that kernels read, and lays them out in reading order. */
#include "codegen/weights_plan.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/weights_format.h"

/* ---- equality of constant expressions -------------------------------------------------------- */

static void key_value(Buf *b, const Func *f, ValueId v);

static void key_ints(Buf *b, const IntList *l)
{
    for (int i = 0; i < l->n; i++) {
        buf_printf(b, " %lld", (long long)l->v[i]);
    }
}

static void key_doubles(Buf *b, const DoubleList *l)
{
    for (int i = 0; i < l->n; i++) {
        buf_putc(b, ' ');
        buf_put_double(b, l->v[i]);
    }
}

static void key_f64(Buf *b, const double *x)
{
    buf_putc(b, ' ');
    buf_put_double(b, *x);
}

static void key_int(Buf *b, const int64_t *x)
{
    buf_printf(b, " %lld", (long long)*x);
}

static void key_dtype(Buf *b, const DType *t)
{
    buf_printf(b, " %s", dtype_name(*t));
}

static void key_word(Buf *b, const Str *s)
{
    buf_printf(b, " %s", *s != NULL ? *s : "-");
}

#define KEY_F64 key_f64
#define KEY_INT key_int
#define KEY_INTS key_ints
#define KEY_F64S key_doubles
#define KEY_DTYPE key_dtype
#define KEY_WORD key_word

static void key_attrs(Buf *b, OpKind kind, const Attrs *a)
{
    uint32_t mask = op_attr_mask(kind);
#define ATTR(id, field, kind, doc)                                                                 \
    if ((mask >> ATTR_##id & 1) != 0) {                                                            \
        buf_puts(b, " " #field);                                                                   \
        KEY_##kind(b, &a->field);                                                                  \
    }
#include "ir/attrs.def"
#undef ATTR
}

static void key_op(Buf *b, const Func *f, const Op *op)
{
    buf_printf(b, "(%s", op_name(op->kind));
    for (int i = 0; i < op->n_in; i++) {
        buf_putc(b, ' ');
        key_value(b, f, op->in[i]);
    }
    key_attrs(b, op->kind, &op->a);
    buf_putc(b, ')');
}

static void key_value(Buf *b, const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    if (v == 0) {
        buf_puts(b, "-");
    } else if (value->kind == VALUE_WEIGHT) {
        buf_printf(b, "@%s", value->name);
    } else {
        key_op(b, f, &f->op[value->def]);
    }
    if (v != 0) {
        buf_putc(b, ':');
        type_print(b, value->type);
    }
}

Str weights_key(Ctx *ctx, const Func *f, ValueId v)
{
    Buf b = buf_create(ctx->arena);
    key_value(&b, f, v);
    return str_intern(ctx->strings, b.data);
}

/* ---- what random bytes make sense ------------------------------------------------------------ */

static bool is_gain(const Func *f, ValueId v)
{
    for (size_t i = 0; i < f->order.n; i++) {
        const Op *op = &f->op[f->order.data[i]];
        int slots = op_slots(op->kind);
        for (int s = 0; s < op->n_in && s < slots; s++) {
            if (op->in[s] == v && strstr(op_slot_name(op->kind, s), "gain") != NULL) {
                return true;
            }
        }
    }
    return false;
}

static char fill_of_dtype(DType t)
{
    return t == DT_F32 ? 'f' : t == DT_BF16 ? 'b' : t == DT_F16 ? 'h' : t == DT_U8 ? 'z' : 'c';
}

/* Gains are near 1. */
static char gain_fill(DType t)
{
    return t == DT_BF16 ? 'B' : t == DT_F16 ? 'H' : 'g';
}

static double columns_of(const Type *t)
{
    return t->rank < 2 ? 1 : (double)t->dim[t->rank - 1];
}

/* Weights ~ N(0, 1 / sqrt(K)); the scale of a code so that codes reach about 3 sigma. */
static void choose_fill(WeightTensor *w, const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    if (value->kind == VALUE_WEIGHT) {
        DType t = value->type->dtype;
        bool vector = value->type->rank < 2, gain = vector && is_gain(f, w->value);
        w->fill = !vector ? fill_of_dtype(t) : gain ? gain_fill(t) : '0';
        w->fill_scale = gain ? 1 : 1 / sqrt(columns_of(value->type));
        return;
    }
    const Op *op = &f->op[value->def];
    switch ((int)op->kind) {
    case OP_ROPE_FREQS:
        w->fill = 'q';
        w->fill_scale = op->a.theta;
        return;
    case OP_QUANT_SCALE:
        w->fill = value->type->dtype == DT_F16 ? 'S' : 's';
        w->fill_scale = 3 / sqrt(columns_of(f->value[op->in[0]].type)) /
                        (op->a.bits == 8 ? dtype_largest_code(op->a.dtype) : 7);
        return;
    case OP_QUANT_ZERO:
        w->fill = 'z';
        w->fill_scale = 0;
        return;
    default:
        choose_fill(w, f, op->in[0]);
        if (value->type->rank >= 2 && strchr("sSz", w->fill) == NULL) {
            w->fill = fill_of_dtype(value->type->dtype);
        }
    }
}

/* ---- collecting ------------------------------------------------------------------------------ */

typedef struct Collect {
    Ctx *ctx;
    WeightsPlan *plan;
    const Module *module;
    int step, slot, first_layer;
} Collect;

static int find_tensor(const WeightsPlan *p, Str key, bool layered, int step, int slot)
{
    for (size_t i = 0; i < p->tensors.n; i++) {
        const WeightTensor *t = &p->tensors.data[i];
        if (t->key == key && t->layered == layered &&
            (!layered || step < 0 || (t->step == step && (slot < 0 || t->slot == slot)))) {
            return (int)i;
        }
    }
    return -1;
}

static bool same_place(const WeightTensor *a, const WeightTensor *b)
{
    return a->layered == b->layered && (!a->layered || (a->step == b->step && a->slot == b->slot));
}

static bool name_taken(const WeightsPlan *p, const WeightTensor *t, Str name)
{
    for (size_t i = 0; i < p->tensors.n; i++) {
        if (p->tensors.data[i].name == name && same_place(&p->tensors.data[i], t)) {
            return true;
        }
    }
    return false;
}

/* Tensors of one name that stand apart in the file get numbers: head, head_2. */
static Str unique_name(const Collect *c, const WeightTensor *t, Str name)
{
    Str tried = name;
    for (int i = 2; name_taken(c->plan, t, tried); i++) {
        tried = str_internf(c->ctx->strings, "%s_%d", name, i);
    }
    return tried;
}

/* tile(@gate) is still "gate" to people. */
static Str plain_name(const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    while (value->kind == VALUE_RESULT &&
           (f->op[value->def].kind == OP_TILE || f->op[value->def].kind == OP_CAST ||
            f->op[value->def].kind == OP_SCALE_COLS)) {
        value = &f->value[f->op[value->def].in[0]];
    }
    return value->name;
}

static Str symbol_of(Ctx *ctx, Str func, Str name, bool layered)
{
    Buf b = buf_create(ctx->arena);
    buf_printf(&b, "%s%s%s", layered ? func : "", layered ? "_" : "", name);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] =
            isalnum((unsigned char)b.data[i]) ? (char)toupper((unsigned char)b.data[i]) : '_';
    }
    return str_internf(ctx->strings, "AT_%s", b.data);
}

static void collect_value(Collect *c, const Func *f, ValueId v)
{
    const Step *step = &c->module->steps.data[c->step];
    Str key = weights_key(c->ctx, f, v);
    if (find_tensor(c->plan, key, step->layered, c->step, c->slot) >= 0) {
        return;
    }
    WeightTensor t = {.func = f,
                      .value = v,
                      .type = f->value[v].type,
                      .layered = step->layered,
                      .step = c->step,
                      .slot = c->slot,
                      .count = step->layered ? step->repeat : 1,
                      .first_layer = c->first_layer + c->slot,
                      .layer_step = step->n_funcs,
                      .bytes = (uint64_t)type_bytes(f->value[v].type),
                      .key = key};
    t.name = unique_name(c, &t, plain_name(f, v));
    t.symbol = symbol_of(c->ctx, f->name, t.name, t.layered);
    choose_fill(&t, f, v);
    vec_push(c->ctx->arena, &c->plan->tensors, t);
}

static void collect_func(Collect *c, const Func *f)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (f->value[op->out[0]].constant) {
            continue;
        }
        for (int i = 0; i < op->n_in; i++) {
            if (op->in[i] != 0 && f->value[op->in[i]].constant) {
                collect_value(c, f, op->in[i]);
            }
        }
    }
}

static void collect_module(Collect *c, const Module *m)
{
    c->module = m;
    c->first_layer = 0;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        c->step = (int)s;
        for (c->slot = 0; c->slot < step->n_funcs; c->slot++) {
            collect_func(c, m->funcs.data[step->func[c->slot]]);
        }
        c->first_layer += step->layered ? step->repeat * step->n_funcs : 0;
    }
}

/* ---- layout ---------------------------------------------------------------------------------- */

static uint64_t align_up(uint64_t x)
{
    return (x + WEIGHTS_ALIGN - 1) / WEIGHTS_ALIGN * WEIGHTS_ALIGN;
}

/* The tensors of (step, slot), one after another from `at`; the end. */
static uint64_t place_slot(WeightsPlan *p, int step, int slot, uint64_t at)
{
    uint64_t base = at;
    for (size_t i = 0; i < p->tensors.n; i++) {
        WeightTensor *t = &p->tensors.data[i];
        if (t->step == step && t->slot == slot) {
            t->offset = at;
            t->in_block = at - base;
            at = align_up(at + t->bytes);
        }
    }
    return at;
}

static void set_stride(WeightsPlan *p, int step, uint64_t stride)
{
    for (size_t i = 0; i < p->tensors.n; i++) {
        if (p->tensors.data[i].layered && p->tensors.data[i].step == step) {
            p->tensors.data[i].stride = stride;
        }
    }
}

static uint64_t place_step(Ctx *ctx, WeightsPlan *p, const Step *step, int s, uint64_t at)
{
    uint64_t base = at;
    size_t first = p->blocks.n;
    for (int slot = 0; slot < step->n_funcs; slot++) {
        WeightBlock block = {.step = s, .slot = slot, .offset = at};
        at = place_slot(p, s, slot, at);
        if (step->layered) {
            vec_push(ctx->arena, &p->blocks, block);
        }
    }
    if (!step->layered) {
        return at;
    }
    uint64_t stride = at - base;
    set_stride(p, s, stride);
    for (size_t i = first; i < p->blocks.n; i++) {
        p->blocks.data[i].stride = stride;
    }
    return base + stride * (uint64_t)step->repeat;
}

Str weights_entry_name(Ctx *ctx, const WeightTensor *t, int copy)
{
    int layer = t->first_layer + copy * t->layer_step;
    return t->layered ? str_internf(ctx->strings, "layers.%d.%s", layer, t->name) : t->name;
}

static uint64_t hash_layout(Ctx *ctx, const WeightsPlan *p)
{
    Buf b = buf_create(ctx->arena);
    for (size_t i = 0; i < p->tensors.n; i++) {
        const WeightTensor *t = &p->tensors.data[i];
        buf_printf(&b, "%s ", t->name);
        type_print(&b, t->type);
        buf_printf(&b, " %d %d %d %llu %llu\n", t->count, t->first_layer, t->layer_step,
                   (unsigned long long)t->offset, (unsigned long long)t->stride);
    }
    return XXH3_64bits(b.data, b.len);
}

WeightsPlan *weights_plan(Ctx *ctx, Module *const *modules, int n_modules)
{
    WeightsPlan *p = ARENA_NEW(ctx->arena, WeightsPlan);
    Collect c = {.ctx = ctx, .plan = p};
    for (int i = 0; i < n_modules; i++) {
        collect_module(&c, modules[i]);
    }
    for (size_t i = 0; i < p->tensors.n; i++) {
        p->n_entries += p->tensors.data[i].count;
    }
    p->data_offset =
        align_up(sizeof(WeightsHeader) + ((uint64_t)p->n_entries + 1) * sizeof(WeightsEntry));
    uint64_t at = p->data_offset;
    for (size_t s = 0; s < modules[0]->steps.n; s++) {
        at = place_step(ctx, p, &modules[0]->steps.data[s], (int)s, at);
    }
    p->file_bytes = at;
    p->layout_hash = hash_layout(ctx, p);
    return p;
}

int weights_find(Ctx *ctx, const WeightsPlan *p, const Func *f, ValueId v, int step)
{
    Str key = weights_key(ctx, f, v);
    for (size_t i = 0; i < p->tensors.n; i++) {
        const WeightTensor *t = &p->tensors.data[i];
        bool here = t->layered ? t->func->name == f->name && (step < 0 || t->step == step) : true;
        if (t->key == key && here) {
            return (int)i;
        }
    }
    return -1;
}
