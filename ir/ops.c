/* ops.c - the tables ops.def, attrs.def, exprs.def and dtypes.def as arrays, and the questions
 * about them. A slot list is one string in ops.def ("x w w_scale? ..."); it is cut into names once,
 * at the first question. */
#include <pthread.h>
#include <string.h>

#include "ir/ir_text.h"

enum { MAX_SLOTS = 16, SLOT_TEXT = 128 };
_Static_assert(ATTR_COUNT <= 32, "op_attr_mask has a bit for each attribute");

typedef struct OpInfo {
    const char *name, *slots, *doc;
    int outs, flags;
    uint32_t attrs;
} OpInfo;

#define A(x) (UINT32_C(1) << ATTR_##x)
static const OpInfo op_info[OP_COUNT] = {
#define OP(id, name, slots, outs, flags, attrs, doc)                                               \
    [OP_##id] = {name, slots, doc, outs, flags, attrs},
#include "ir/ops.def"
#undef OP
};
#undef A

/* The slot list of one operator, cut. */
typedef struct Slots {
    char text[SLOT_TEXT];
    const char *name[MAX_SLOTS];
    bool optional[MAX_SLOTS], variadic;
    int n;
} Slots;

static Slots slot_table[OP_COUNT];
static pthread_once_t slots_cut = PTHREAD_ONCE_INIT;

static void cut_slots(Slots *s, const char *text)
{
    if (strlen(text) >= SLOT_TEXT) {
        BUG("operand list too long: %s", text);
    }
    strcpy(s->text, text);
    char *rest = s->text;
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        size_t len = strlen(word);
        if (strcmp(word, "...") == 0) {
            s->variadic = true;
            continue;
        }
        if (s->n == MAX_SLOTS) {
            BUG("too many operands: %s", text);
        }
        s->optional[s->n] = word[len - 1] == '?';
        if (s->optional[s->n]) {
            word[len - 1] = '\0';
        }
        s->name[s->n++] = word;
    }
}

static void cut_all_slots(void)
{
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        cut_slots(&slot_table[k], op_info[k].slots);
    }
}

static const Slots *slots_of(OpKind k)
{
    pthread_once(&slots_cut, cut_all_slots);
    return &slot_table[k];
}

const char *op_name(OpKind k)
{
    return k == OP_NONE ? "none" : op_info[k].name;
}

OpKind op_parse(const char *name)
{
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        if (strcmp(op_info[k].name, name) == 0) {
            return (OpKind)k;
        }
    }
    return OP_NONE;
}

int op_flags(OpKind k)
{
    return op_info[k].flags;
}

const char *op_doc(OpKind k)
{
    return op_info[k].doc;
}

uint32_t op_attr_mask(OpKind k)
{
    return op_info[k].attrs;
}

bool op_takes_attr(OpKind k, AttrId id)
{
    return (op_info[k].attrs >> id & 1) != 0;
}

int op_outs(OpKind k)
{
    return op_info[k].outs;
}

int op_slots(OpKind k)
{
    return slots_of(k)->n;
}

const char *op_slot_name(OpKind k, int slot)
{
    return slots_of(k)->name[slot];
}

bool op_slot_optional(OpKind k, int slot)
{
    return slots_of(k)->optional[slot];
}

bool op_variadic(OpKind k)
{
    return slots_of(k)->variadic;
}

int op_slot(OpKind k, const char *name)
{
    const Slots *s = slots_of(k);
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->name[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *op_expr_attr(OpKind k)
{
    if ((op_info[k].flags & OPF_EXPR) == 0) {
        return NULL;
    }
    return k == OP_MAP ? "expr" : "epilogue";
}

/* ---- attributes ------------------------------------------------------------------------------ */

typedef struct AttrInfo {
    const char *name, *doc;
    AttrKind kind;
} AttrInfo;

static const AttrInfo attr_info[ATTR_COUNT] = {
#define ATTR(id, field, kind, doc) [ATTR_##id] = {#field, doc, AK_##kind},
#include "ir/attrs.def"
#undef ATTR
};

const char *attr_name(AttrId id)
{
    return attr_info[id].name;
}

AttrKind attr_kind(AttrId id)
{
    return attr_info[id].kind;
}

const char *attr_doc(AttrId id)
{
    return attr_info[id].doc;
}

AttrId attr_parse(const char *name)
{
    for (int id = 0; id < ATTR_COUNT; id++) {
        if (strcmp(attr_info[id].name, name) == 0) {
            return (AttrId)id;
        }
    }
    return ATTR_COUNT;
}

/* ---- expressions ----------------------------------------------------------------------------- */

typedef struct ExprInfo {
    const char *name;
    int arity;
} ExprInfo;

static const ExprInfo expr_info[EXPR_KIND_COUNT] = {
#define EXPR(id, name, arity, doc) [EXPR_##id] = {name, arity},
#include "ir/exprs.def"
#undef EXPR
    [EXPR_ACC] = {"acc", 0},
};

int expr_arity(ExprKind k)
{
    return expr_info[k].arity;
}

const char *expr_name(ExprKind k)
{
    return expr_info[k].name != NULL ? expr_info[k].name : "";
}

/* Functions only: a leaf has a spelling of its own. */
ExprKind expr_parse(const char *name)
{
    for (int k = EXPR_NONE + 1; k < EXPR_ACC; k++) {
        if (strcmp(expr_info[k].name, name) == 0) {
            return (ExprKind)k;
        }
    }
    return EXPR_NONE;
}

/* They carry the same name in both tables. */
ExprKind expr_of_op(OpKind k)
{
    bool elementwise = (op_info[k].flags & OPF_ELEMENT) != 0 && k != OP_MAP;
    return elementwise ? expr_parse(op_info[k].name) : EXPR_NONE;
}

/* ---- dtypes ---------------------------------------------------------------------------------- */

typedef struct DTypeInfo {
    const char *name;
    int bits, is_float;
} DTypeInfo;

static const DTypeInfo dtype_info[DT_COUNT] = {
    [DT_NONE] = {"none", 0, 0},
#define DTYPE(id, name, bits, is_float, doc) [DT_##id] = {name, bits, is_float},
#include "ir/dtypes.def"
#undef DTYPE
};

const char *dtype_name(DType t)
{
    return dtype_info[t].name;
}

DType dtype_parse(const char *name)
{
    for (int t = DT_NONE + 1; t < DT_COUNT; t++) {
        if (strcmp(dtype_info[t].name, name) == 0) {
            return (DType)t;
        }
    }
    return DT_NONE;
}

int dtype_bits(DType t)
{
    return dtype_info[t].bits;
}

bool dtype_is_float(DType t)
{
    return dtype_info[t].is_float != 0;
}

bool dtype_is_code(DType t)
{
    return t == DT_I8 || t == DT_U8 || t == DT_U4 || t == DT_E4M3;
}

double dtype_largest_code(DType t)
{
    return t == DT_E4M3 ? 448 : 127;
}

/* Caches are slots 0 of kv_append, 2 and 3 of matmul_qkv, 1 to 4 of qkv_append, 1 and 2 of
 * heads_append; all but the first have q as their first result. */
int op_cache_slot(OpKind k, int result)
{
    if (k == OP_KV_APPEND) {
        return 0;
    }
    bool fused = k == OP_MATMUL_QKV || k == OP_QKV_APPEND || k == OP_HEADS_APPEND;
    return !fused || result == 0 ? -1 : result + (k == OP_MATMUL_QKV ? 1 : 0);
}
