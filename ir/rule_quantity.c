/* rule_quantity.c - what metavariables are bound to and terms evaluate to. */
#include "ir/rule_ast.h"

Quantity quantity_integer(int64_t x)
{
    return (Quantity){.kind = Q_NUMBER, .number = {.d = (double)x, .i = x, .integer = true}};
}

Quantity quantity_real(double x)
{
    return (Quantity){.kind = Q_NUMBER, .number = {.d = x}};
}

static Quantity of_word(Str x)
{
    return (Quantity){.kind = Q_WORD, .word = x};
}

static Quantity of_dtype(DType x)
{
    return (Quantity){.kind = Q_DTYPE, .dtype = x};
}

static Quantity of_ints(IntList x)
{
    return (Quantity){.kind = Q_INTS, .ints = x};
}

static Quantity of_doubles(DoubleList x)
{
    return (Quantity){.kind = Q_F64S, .doubles = x};
}

Quantity quantity_of_attr(const Attrs *a, AttrId id)
{
#define FROM_F64 quantity_real
#define FROM_INT quantity_integer
#define FROM_INTS of_ints
#define FROM_F64S of_doubles
#define FROM_DTYPE of_dtype
#define FROM_WORD of_word
#define ATTR(ID, field, kind, doc)                                                                 \
    case ATTR_##ID:                                                                                \
        return FROM_##kind(a->field);
    switch (id) {
#include "ir/attrs.def"
    case ATTR_COUNT:
        break;
    }
#undef ATTR
    BUG("attribute %d", (int)id);
}

static bool numbers_equal(const Number *x, const Number *y)
{
    return x->integer && y->integer ? x->i == y->i : !(x->d < y->d || x->d > y->d);
}

static bool dims_equal(const Type *x, const Type *y)
{
    return x->rank == y->rank && memcmp(x->dim, y->dim, (size_t)x->rank * sizeof x->dim[0]) == 0;
}

bool quantity_equal(const Quantity *x, const Quantity *y)
{
    if (x->kind == Q_DTYPE && y->kind == Q_WORD) {
        return y->word != NULL && dtype_parse(y->word) == x->dtype;
    }
    if (x->kind == Q_WORD && y->kind == Q_DTYPE) {
        return quantity_equal(y, x);
    }
    if (x->kind != y->kind) {
        return false;
    }
    switch (x->kind) {
    case Q_NONE:
        return true;
    case Q_NUMBER:
        return numbers_equal(&x->number, &y->number);
    case Q_WORD:
        return x->word == y->word;
    case Q_DTYPE:
        return x->dtype == y->dtype;
    case Q_INTS:
        return x->ints.n == y->ints.n &&
               memcmp(x->ints.v, y->ints.v, (size_t)x->ints.n * sizeof x->ints.v[0]) == 0;
    case Q_F64S:
        return x->doubles.n == y->doubles.n &&
               (x->doubles.n == 0 || memcmp(x->doubles.v, y->doubles.v,
                                            (size_t)x->doubles.n * sizeof x->doubles.v[0]) == 0);
    case Q_TYPE:
        return x->shape || y->shape ? dims_equal(x->type, y->type) : x->type == y->type;
    case Q_EXPR:
        return x->owner == y->owner;
    case Q_OP:
        return x->op == y->op;
    }
    BUG("quantity kind %d", (int)x->kind);
}

static void print_dims(Buf *b, const Type *t)
{
    for (int i = 0; i < t->rank; i++) {
        buf_printf(b, "%s%lld", i == 0 ? "[" : ", ", (long long)t->dim[i]);
    }
    buf_puts(b, t->rank > 0 ? "]" : "[]");
}

static void print_list(Buf *b, const Quantity *q)
{
    int n = q->kind == Q_INTS ? q->ints.n : q->doubles.n;
    buf_putc(b, '[');
    for (int i = 0; i < n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        buf_put_double(b, q->kind == Q_INTS ? (double)q->ints.v[i] : q->doubles.v[i]);
    }
    buf_putc(b, ']');
}

void quantity_print(Buf *b, const Quantity *q)
{
    switch (q->kind) {
    case Q_NONE:
        buf_puts(b, "nothing");
        break;
    case Q_NUMBER:
        buf_put_double(b, q->number.d);
        break;
    case Q_WORD:
        buf_puts(b, q->word != NULL ? q->word : "none");
        break;
    case Q_DTYPE:
        buf_puts(b, q->dtype == DT_NONE ? "no dtype" : dtype_name(q->dtype));
        break;
    case Q_INTS:
    case Q_F64S:
        print_list(b, q);
        break;
    case Q_TYPE:
        if (q->shape) {
            print_dims(b, q->type);
        } else {
            type_print(b, q->type);
        }
        break;
    case Q_EXPR:
        buf_puts(b, q->expr == NULL ? "acc" : "an expression");
        break;
    case Q_OP:
        buf_puts(b, op_name(q->op));
        break;
    }
}
