/* attr.c - attributes of an operator one by one: compared, copied, printed, set from text; and
 * names looked up with a suggestion when unknown. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir_text.h"

/* Where attribute `id` lives in an Attrs. */
static const size_t attr_offset[ATTR_COUNT] = {
#define ATTR(id, field, kind, doc) [ATTR_##id] = offsetof(Attrs, field),
#include "ir/attrs.def"
#undef ATTR
};

static const void *field(const Attrs *a, AttrId id)
{
    return (const char *)a + attr_offset[id];
}

static void *field_mut(Attrs *a, AttrId id)
{
    return (char *)a + attr_offset[id];
}

bool attr_is_zero(const Attrs *a, AttrId id)
{
    const void *x = field(a, id);
    switch (attr_kind(id)) {
    case AK_F64:
        return !(*(const double *)x < 0 || *(const double *)x > 0);
    case AK_INT:
        return *(const int64_t *)x == 0;
    case AK_INTS:
        return ((const IntList *)x)->n == 0;
    case AK_F64S:
        return ((const DoubleList *)x)->n == 0;
    case AK_DTYPE:
        return *(const DType *)x == DT_NONE;
    case AK_WORD:
        return *(const Str *)x == NULL;
    }
    BUG("attribute %d has no kind", (int)id);
}

static bool equal_doubles(const double *x, const double *y, int n)
{
    return n == 0 || memcmp(x, y, (size_t)n * sizeof *x) == 0;
}

static bool equal_ints(const IntList *x, const IntList *y)
{
    return x->n == y->n && memcmp(x->v, y->v, (size_t)x->n * sizeof x->v[0]) == 0;
}

bool attr_equal(const Attrs *a, const Attrs *b, AttrId id)
{
    const void *x = field(a, id), *y = field(b, id);
    switch (attr_kind(id)) {
    case AK_F64:
        return equal_doubles(x, y, 1) || (attr_is_zero(a, id) && attr_is_zero(b, id));
    case AK_INT:
        return *(const int64_t *)x == *(const int64_t *)y;
    case AK_INTS:
        return equal_ints(x, y);
    case AK_F64S: {
        const DoubleList *p = x, *q = y;
        return p->n == q->n && equal_doubles(p->v, q->v, p->n);
    }
    case AK_DTYPE:
        return *(const DType *)x == *(const DType *)y;
    case AK_WORD:
        return *(const Str *)x == *(const Str *)y;
    }
    BUG("attribute %d has no kind", (int)id);
}

bool attrs_equal(const Attrs *a, const Attrs *b)
{
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (!attr_equal(a, b, (AttrId)id)) {
            return false;
        }
    }
    return true;
}

void attr_copy(Attrs *to, const Attrs *from, AttrId id)
{
    static const size_t size[] = {
        [AK_F64] = sizeof(double),      [AK_INT] = sizeof(int64_t), [AK_INTS] = sizeof(IntList),
        [AK_F64S] = sizeof(DoubleList), [AK_DTYPE] = sizeof(DType), [AK_WORD] = sizeof(Str),
    };
    memcpy(field_mut(to, id), field(from, id), size[attr_kind(id)]);
}

static void print_ints(Buf *b, const IntList *l)
{
    buf_putc(b, '[');
    for (int i = 0; i < l->n; i++) {
        buf_printf(b, "%s%lld", i > 0 ? ", " : "", (long long)l->v[i]);
    }
    buf_putc(b, ']');
}

static void print_doubles(Buf *b, const DoubleList *l)
{
    buf_putc(b, '[');
    for (int i = 0; i < l->n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        buf_put_double(b, l->v[i]);
    }
    buf_putc(b, ']');
}

void attr_print(Buf *b, const Attrs *a, AttrId id)
{
    const void *x = field(a, id);
    switch (attr_kind(id)) {
    case AK_F64:
        buf_put_double(b, *(const double *)x);
        break;
    case AK_INT:
        buf_printf(b, "%lld", (long long)*(const int64_t *)x);
        break;
    case AK_INTS:
        print_ints(b, x);
        break;
    case AK_F64S:
        print_doubles(b, x);
        break;
    case AK_DTYPE:
        buf_puts(b, dtype_name(*(const DType *)x));
        break;
    case AK_WORD:
        buf_puts(b, *(const Str *)x != NULL ? *(const Str *)x : "none");
        break;
    }
}

/* ---- from text ------------------------------------------------------------------------------- */

bool number_parse(const char *s, size_t n, Number *out)
{
    char text[64];
    if (n == 0 || n >= sizeof text) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = '\0';
    char *end;
    errno = 0;
    long long i = strtoll(text, &end, 10);
    bool integer = *end == '\0' && errno == 0;
    double d = strtod(text, &end);
    if (*end != '\0' || !isfinite(d)) {
        return false;
    }
    *out = (Number){.d = d, .i = integer ? i : 0, .integer = integer};
    return true;
}

static bool set_f64(Ctx *ctx, double *x, AttrId id, const AttrText *v)
{
    if (v->word != NULL || v->list) {
        return diag_error(ctx->diag, v->at, "%s wants a number", attr_name(id));
    }
    *x = v->number[0].d;
    return true;
}

static bool is_count(const Number *x)
{
    return x->integer && x->i >= 0;
}

static bool set_int(Ctx *ctx, int64_t *x, AttrId id, const AttrText *v)
{
    if (v->word != NULL || v->list || !is_count(&v->number[0])) {
        return diag_error(ctx->diag, v->at, "%s wants a whole number, 0 or more", attr_name(id));
    }
    *x = v->number[0].i;
    return true;
}

static bool set_ints(Ctx *ctx, IntList *x, AttrId id, const AttrText *v)
{
    if (v->word != NULL || !v->list || v->n > IR_MAX_OUT) {
        return diag_error(ctx->diag, v->at, "%s wants a list of at most %d whole numbers, [a, b]",
                          attr_name(id), IR_MAX_OUT);
    }
    *x = (IntList){.n = (int)v->n};
    for (size_t i = 0; i < v->n; i++) {
        if (!is_count(&v->number[i])) {
            return diag_error(ctx->diag, v->at, "%s wants whole numbers, 0 or more", attr_name(id));
        }
        x->v[i] = v->number[i].i;
    }
    return true;
}

static bool set_f64s(Ctx *ctx, DoubleList *x, AttrId id, const AttrText *v)
{
    if (v->word != NULL || !v->list || v->n > INT32_MAX) {
        return diag_error(ctx->diag, v->at, "%s wants a list of numbers, [1, 1.5]", attr_name(id));
    }
    double *d = ARENA_ARRAY(ctx->arena, double, v->n);
    for (size_t i = 0; i < v->n; i++) {
        d[i] = v->number[i].d;
    }
    *x = (DoubleList){.n = (int)v->n, .v = d};
    return true;
}

static bool set_dtype(Ctx *ctx, DType *x, AttrId id, const AttrText *v)
{
    if (v->word == NULL) {
        return diag_error(ctx->diag, v->at, "%s wants a dtype such as bf16", attr_name(id));
    }
    *x = text_find_dtype(ctx, v->word, v->at);
    return *x != DT_NONE;
}

static bool set_word(Ctx *ctx, Str *x, AttrId id, const AttrText *v)
{
    if (v->word == NULL) {
        return diag_error(ctx->diag, v->at, "%s wants a word", attr_name(id));
    }
    *x = v->word;
    return true;
}

bool attr_set(Ctx *ctx, Attrs *a, AttrId id, const AttrText *v)
{
    void *x = field_mut(a, id);
    switch (attr_kind(id)) {
    case AK_F64:
        return set_f64(ctx, x, id, v);
    case AK_INT:
        return set_int(ctx, x, id, v);
    case AK_INTS:
        return set_ints(ctx, x, id, v);
    case AK_F64S:
        return set_f64s(ctx, x, id, v);
    case AK_DTYPE:
        return set_dtype(ctx, x, id, v);
    case AK_WORD:
        return set_word(ctx, x, id, v);
    }
    BUG("attribute %d has no kind", (int)id);
}

/* ---- names with suggestions ------------------------------------------------------------------ */

typedef VEC(const char *) Names;

static bool unknown(Ctx *ctx, Span at, const char *what, const char *name, const Names *known)
{
    const char *near = str_nearest(name, known->data, known->n);
    if (near == NULL) {
        return diag_error(ctx->diag, at, "unknown %s '%s'", what, name);
    }
    return diag_error(ctx->diag, at, "unknown %s '%s', did you mean '%s'?", what, name, near);
}

OpKind text_find_op(Ctx *ctx, Str name, Span at)
{
    OpKind k = op_parse(name);
    if (k == OP_NONE) {
        Names known = {0};
        for (int i = OP_NONE + 1; i < OP_COUNT; i++) {
            vec_push(ctx->arena, &known, op_name((OpKind)i));
        }
        unknown(ctx, at, "operator", name, &known);
    }
    return k;
}

DType text_find_dtype(Ctx *ctx, Str name, Span at)
{
    DType t = dtype_parse(name);
    if (t == DT_NONE) {
        Buf all = buf_create(ctx->arena);
        for (int i = DT_NONE + 1; i < DT_COUNT; i++) {
            buf_printf(&all, "%s%s", i > DT_NONE + 1 ? ", " : "", dtype_name((DType)i));
        }
        diag_error(ctx->diag, at, "unknown dtype '%s', known are %s", name, all.data);
    }
    return t;
}

/* Names of everything that may stand between the braces of this operator. */
static Names attrs_taken(Ctx *ctx, OpKind k)
{
    Names names = {0};
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (op_takes_attr(k, (AttrId)id)) {
            vec_push(ctx->arena, &names, attr_name((AttrId)id));
        }
    }
    if (op_expr_attr(k) != NULL) {
        vec_push(ctx->arena, &names, op_expr_attr(k));
    }
    return names;
}

static const char *join(Ctx *ctx, const Names *names)
{
    Buf b = buf_create(ctx->arena);
    for (size_t i = 0; i < names->n; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", names->data[i]);
    }
    return b.data;
}

AttrId text_find_attr(Ctx *ctx, OpKind k, Str name, Span at)
{
    AttrId id = attr_parse(name);
    if (id != ATTR_COUNT && op_takes_attr(k, id)) {
        return id;
    }
    Names taken = attrs_taken(ctx, k);
    const char *near = str_nearest(name, taken.data, taken.n);
    if (taken.n == 0) {
        diag_error(ctx->diag, at, "%s takes no attributes, found '%s'", op_name(k), name);
    } else if (near != NULL && id == ATTR_COUNT) {
        unknown(ctx, at, "attribute", name, &taken);
    } else {
        diag_error(ctx->diag, at, "%s takes no attribute '%s', it takes %s", op_name(k), name,
                   join(ctx, &taken));
    }
    return ATTR_COUNT;
}

int text_find_slot(Ctx *ctx, OpKind k, Str name, Span at)
{
    int slot = op_slot(k, name);
    if (slot < 0) {
        Names known = {0};
        for (int i = 0; i < op_slots(k); i++) {
            vec_push(ctx->arena, &known, op_slot_name(k, i));
        }
        diag_error(ctx->diag, at, "%s has no operand '%s', it has %s", op_name(k), name,
                   known.n > 0 ? join(ctx, &known) : "none");
    }
    return slot;
}

ExprKind text_find_expr(Ctx *ctx, Str name, int n_args, Span at)
{
    ExprKind k = expr_parse(name);
    if (k == EXPR_NONE) {
        Names known = {0};
        for (int i = EXPR_NONE + 1; i < EXPR_ACC; i++) {
            vec_push(ctx->arena, &known, expr_name((ExprKind)i));
        }
        unknown(ctx, at, "function", name, &known);
    } else if (expr_arity(k) != n_args) {
        diag_error(ctx->diag, at, "%s takes %d argument%s, found %d", name, expr_arity(k),
                   expr_arity(k) == 1 ? "" : "s", n_args);
        k = EXPR_NONE;
    }
    return k;
}
