/* type.c - interned types and the physical order of their elements.
 *
 * A table is open addressing over the bytes that matter; equal types are one pointer. */
#include <string.h>

#include "ir/ir.h"

#ifdef SINTER_SMALL_LIMITS
enum { FIRST_SLOTS = 2 };
#else
enum { FIRST_SLOTS = 64 };
#endif

struct TypeTable {
    Arena *arena;
    const Type **slot; /* NULL = free */
    size_t n_slots;    /* a power of two */
    size_t n_used;
};

TypeTable *type_table_create(Ctx *ctx)
{
    TypeTable *t = ARENA_NEW(ctx->arena, TypeTable);
    t->arena = ctx->arena;
    t->n_slots = FIRST_SLOTS;
    t->slot = ARENA_ARRAY(t->arena, const Type *, t->n_slots);
    return t;
}

static uint64_t mix(uint64_t h, int64_t x)
{
    h = (h ^ (uint64_t)x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t hash_type(const Type *t)
{
    uint64_t h = mix(mix((uint64_t)t->dtype, t->rank), t->layout.rows);
    h = mix(mix(h, t->layout.cols), t->layout.sub);
    for (int i = 0; i < t->rank; i++) {
        h = mix(h, t->dim[i]);
    }
    return h;
}

static bool equal_types(const Type *a, const Type *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0 &&
           a->layout.rows == b->layout.rows && a->layout.cols == b->layout.cols &&
           a->layout.sub == b->layout.sub;
}

/* The slot that holds the type, or the free one where it belongs. */
static const Type **find(const TypeTable *t, const Type *type)
{
    for (size_t i = (size_t)hash_type(type);; i++) {
        const Type **slot = &t->slot[i & (t->n_slots - 1)];
        if (*slot == NULL || equal_types(*slot, type)) {
            return slot;
        }
    }
}

static void grow(TypeTable *t)
{
    const Type **old = t->slot;
    size_t n_old = t->n_slots;
    t->n_slots = n_old * 2;
    t->slot = ARENA_ARRAY(t->arena, const Type *, t->n_slots);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i] != NULL) {
            *find(t, old[i]) = old[i];
        }
    }
}

const Type *type_intern(TypeTable *t, Type type)
{
    const Type **slot = find(t, &type);
    if (*slot != NULL) {
        return *slot;
    }
    for (int i = type.rank; i < IR_MAX_RANK; i++) {
        type.dim[i] = 0;
    }
    Type *copy = ARENA_NEW(t->arena, Type);
    *copy = type;
    *slot = copy;
    t->n_used++;
    if (t->n_used * 4 > t->n_slots * 3) {
        grow(t);
    }
    return copy;
}

const Type *type_make(TypeTable *t, DType dtype, int rank, const int64_t *dim)
{
    Type type = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) {
        type.dim[i] = dim[i];
    }
    return type_intern(t, type);
}

int64_t type_elements(const Type *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Dims after the first as one: a vector is a column. */
static int64_t columns(const Type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static int64_t rows_of(const Type *t)
{
    return t->rank > 0 ? t->dim[0] : 1;
}

/* Elements with the padding of the layout; false when they cannot be counted in 60 bits. */
static bool padded_elements(const Type *t, int64_t *n)
{
    const Layout *l = &t->layout;
    int64_t factor[IR_MAX_RANK] = {1, 1, 1, 1};
    for (int i = 0; i < t->rank; i++) {
        factor[i] = t->dim[i];
    }
    if (l->rows > 0) {
        factor[0] = ceil_div(t->dim[0], l->rows) * l->rows;
        factor[1] = ceil_div(t->dim[1], l->cols) * l->cols;
    }
    *n = 1;
    for (int i = 0; i < IR_MAX_RANK; i++) {
        if (!checked_mul_i64(*n, factor[i], n)) {
            return false;
        }
    }
    return *n < INT64_C(1) << 58;
}

const char *type_problem(const Type *t)
{
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 1 || t->dim[i] >= INT64_C(1) << 58) {
            return "every dim is between 1 and 2^58";
        }
    }
    const Layout *l = &t->layout;
    bool tiled = l->rows != 0 || l->cols != 0 || l->sub != 0;
    if (tiled && (t->rank != 2 || l->rows < 1 || l->cols < 1)) {
        return "only a matrix has tiles, of at least one row and one column";
    }
    if (l->sub != 0 &&
        (t->dtype != DT_U4 || l->sub < 0 || l->cols / 2 != l->sub || l->cols % 2 != 0)) {
        return "the third number of a tile is for u4 and half the second";
    }
    if (tiled && t->dtype == DT_U4 && l->cols % 2 != 0) {
        return "a tile of u4 has an even number of columns";
    }
    int64_t n;
    return padded_elements(t, &n) ? NULL : "the product of the dims overflows";
}

int64_t type_bytes(const Type *t)
{
    int64_t n;
    if (!padded_elements(t, &n)) {
        BUG("type with unchecked dims");
    }
    return ceil_div(n * dtype_bits(t->dtype), 8);
}

int64_t type_physical_index(const Type *t, int64_t row, int64_t col)
{
    const Layout *l = &t->layout;
    if (l->rows == 0) {
        return row * columns(t) + col;
    }
    if (row >= rows_of(t) || col >= columns(t)) {
        BUG("element (%lld, %lld) is outside of its type", (long long)row, (long long)col);
    }
    int64_t across = ceil_div(t->dim[1], l->cols);
    int64_t tile = row / l->rows * across + col / l->cols;
    int64_t inside = col % l->cols;
    if (l->sub > 0) {
        inside = inside % l->sub * 2 + inside / l->sub;
    }
    return (tile * l->rows + row % l->rows) * l->cols + inside;
}

void type_print(Buf *b, const Type *t)
{
    buf_printf(b, "%s[", dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        buf_printf(b, "%s%lld", i > 0 ? ", " : "", (long long)t->dim[i]);
    }
    buf_putc(b, ']');
    if (t->layout.rows > 0) {
        buf_printf(b, " tile(%d, %d, %d)", t->layout.rows, t->layout.cols, t->layout.sub);
    }
}

const char *type_text(Arena *a, const Type *t)
{
    Buf b = buf_create(a);
    type_print(&b, t);
    return b.data;
}
