/* ir.h - the operator-graph IR: types, values, operators, functions, modules.
 *
 *   module @llama-3-8b {phase = decode, tokens = 1, context = 8192}
 *   schedule embed; 32 x layer; head
 *
 *   func @layer(%x: bf16[1, 4096], %angles: f32[1, 128], %pos: i32[1])
 *       state(%k_cache: bf16[1, 8192, 8, 128], %v_cache: bf16[1, 8192, 8, 128])
 *       weights(@attn_norm: bf16[4096], @q: bf16[4096, 4096], ...)
 *       -> (%x: bf16[1, 4096]) {
 *     %n = rmsnorm %x, gain = @attn_norm {eps = 1e-05} : bf16[1, 4096]
 *     %g = matmul %n, @gate : bf16[1, 14336]
 *     ...
 *     return %y
 *   }
 *
 * A module is one phase of one model, T known: `decode` (T sequences, one token each, S = T caches)
 * or `prefill` (a chunk of T tokens of one sequence, S = 1). The schedule runs over an environment
 * of named values that starts with %tokens: i32[T] and %pos: i32[T]; a function's parameters are
 * taken from it by name and its results are put back under the names in its signature. `N x f`
 * marks a layer: each repetition has its own weights and states ("layers.7.gate"); functions
 * without `N x` share weights by name over the whole module (@embedding in embed and head is one
 * tensor).
 *
 * Ids, not pointers: arrays grow, so never hold an Op* or Value* across ir_op(). Id 0 means none.
 * Types and strings are interned: compare with ==. */
#ifndef SINTER_IR_H
#define SINTER_IR_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/base/ctx.h"
#include "compiler/base/vec.h"

enum { IR_MAX_RANK = 4, IR_MAX_IN = 24, IR_MAX_OUT = 5, IR_MAX_BATCH = 8 };

/* ---- type.c ---------------------------------------------------------------------------------- */

typedef enum DType {
    DT_NONE,
#define DTYPE(id, name, bits, is_float, doc) DT_##id,
#include "ir/dtypes.def"
#undef DTYPE
    DT_COUNT
} DType;

/* Physical order of a matrix [N, K]. rows = 0: plain row-major. Otherwise tiles of `rows` x `cols`:
 * tile (i, j) covers rows [i*rows, ..) and columns [j*cols, ..); tiles are stored j fastest, then
 * i; inside a tile row r's `cols` columns lie together, rows one after another. N is padded with
 * zero rows, K with zero columns, to whole tiles. u4 with sub > 0: cols = 2 * sub and byte b
 * (0..sub-1) of a row of the tile holds column b in its lower nibble and column b + sub in its
 * upper one. */
typedef struct Layout {
    int rows, cols, sub;
} Layout;

typedef struct Type {
    DType dtype;
    int rank;
    int64_t dim[IR_MAX_RANK];
    Layout layout;
} Type;

const char *dtype_name(DType t);
DType dtype_parse(const char *name); /* DT_NONE when unknown */
int dtype_bits(DType t);
bool dtype_is_float(DType t); /* plain numbers, not codes */
bool dtype_is_code(DType t);  /* i8, u8, u4 or e4m3 */
/* The largest magnitude that symmetric quantisation to 8 bits makes: 127 or 448. */
double dtype_largest_code(DType t);

typedef struct TypeTable TypeTable;
TypeTable *type_table_create(Ctx *ctx);
const Type *type_intern(TypeTable *t, Type type);
const Type *type_make(TypeTable *t, DType dtype, int rank, const int64_t *dim);
int64_t type_elements(const Type *t); /* logical */
int64_t type_bytes(const Type *t);    /* physical: padding and nibbles counted */
/* Offset in elements (nibbles for u4) of logical (row, col) in the physical order. */
int64_t type_physical_index(const Type *t, int64_t row, int64_t col);
/* "bf16[14336, 4096] tile(16, 2, 0)"; the tile part only when laid out. */
void type_print(Buf *b, const Type *t);
const char *type_text(Arena *a, const Type *t); /* the same as a string */
/* NULL, or what is wrong with dims or layout in words (zero dims, a product that overflows). Every
 * type of a value has passed it, so the other functions do not check. */
const char *type_problem(const Type *t);

/* ---- operators ------------------------------------------------------------------------------- */

typedef uint32_t ValueId;
typedef uint32_t OpId;

typedef enum OpKind {
    OP_NONE,
#define OP(id, name, slots, outs, flags, attrs, doc) OP_##id,
#include "ir/ops.def"
#undef OP
    OP_COUNT
} OpKind;

typedef enum AttrId {
#define ATTR(id, field, kind, doc) ATTR_##id,
#include "ir/attrs.def"
#undef ATTR
    ATTR_COUNT
} AttrId;

enum {
    OPF_ROWWISE = 1,
    OPF_CONST = 2,
    OPF_VIEW = 4,
    OPF_EXPR = 8,
    OPF_ELEMENT = 16,
    OPF_STATE = 32,
};

typedef struct IntList {
    int n;
    int64_t v[IR_MAX_OUT];
} IntList;

typedef struct DoubleList {
    int n;
    const double *v; /* on the arena */
} DoubleList;

/* All attributes side by side (the waste is worth the plainness); zero = absent. */
typedef struct Attrs {
#define ATTR_C_F64 double
#define ATTR_C_INT int64_t
#define ATTR_C_INTS IntList
#define ATTR_C_F64S DoubleList
#define ATTR_C_DTYPE DType
#define ATTR_C_WORD Str
#define ATTR(id, field, kind, doc) ATTR_C_##kind field;
#include "ir/attrs.def"
#undef ATTR
} Attrs;

typedef enum ExprKind {
    EXPR_NONE,
#define EXPR(id, name, arity, doc) EXPR_##id,
#include "ir/exprs.def"
#undef EXPR
    EXPR_ACC,    /* the accumulator; way 0 or 1 (acc.0, acc.1) when rows are interleaved */
    EXPR_INPUT,  /* operand in[input] of the operator, broadcast */
    EXPR_NUMBER, /* a literal */
    EXPR_META,   /* in rules only: $name, a bound expression; on the right side $name(e) puts e for
                    acc */
    EXPR_KIND_COUNT
} ExprKind;

/* Immutable, on the arena, shared freely. acc alone is the identity epilogue (op->expr == NULL). */
typedef struct Expr {
    ExprKind kind;
    int way;   /* EXPR_ACC: 0, 1; -1 = plain acc */
    int input; /* EXPR_INPUT: index into Op.in */
    double number;
    Str meta;
    const struct Expr *a, *b;
} Expr;

typedef struct Op {
    OpKind kind;
    bool dead;
    uint8_t n_in, n_out;
    ValueId in[IR_MAX_IN]; /* fixed slots first (0 = absent optional), then the leaves of expr */
    ValueId out[IR_MAX_OUT];
    Attrs a;
    const Expr *expr;
    Span at;    /* YAML key or IR text this op came from */
    Str origin; /* the rule or pass that made it; NULL = the builder or the parser */
} Op;

typedef enum ValueKind {
    VALUE_NONE,
    VALUE_PARAM,
    VALUE_STATE,
    VALUE_WEIGHT,
    VALUE_RESULT
} ValueKind;

typedef struct Value {
    Str name; /* without sigil; unique in its function */
    const Type *type;
    ValueKind kind;
    bool constant;  /* a weight, or computed from constants only */
    OpId def;       /* VALUE_RESULT: its operator */
    uint8_t result; /* which of its results */
    Span at;
} Value;

typedef struct Func {
    Str name;
    struct Module *module;
    Value *value; /* [n_values], value[0] unused */
    Op *op;       /* [n_ops], op[0] unused; order of execution is `order` */
    uint32_t n_values, n_ops, cap_values, cap_ops;
    VEC(OpId) order;     /* live operators, a topological order */
    VEC(ValueId) params; /* activations in, by name from the environment */
    VEC(ValueId) states; /* caches, updated in place */
    VEC(ValueId) weights;
    VEC(ValueId) results;  /* returned values */
    VEC(Str) result_names; /* the environment names they are put back under */
    Span at;
} Func;

typedef enum Phase { PHASE_DECODE, PHASE_PREFILL } Phase;

enum { IR_MAX_STEP_FUNCS = 4 };
/* `repeat x (func[0]; func[1]; ...)`; layered = written with `N x`. */
typedef struct Step {
    int repeat, n_funcs, func[IR_MAX_STEP_FUNCS];
    bool layered;
} Step;

typedef struct Module {
    Ctx *ctx;
    TypeTable *types;
    Str name;
    Phase phase;
    int tokens;      /* T */
    int64_t context; /* C */
    VEC(Func *) funcs;
    VEC(Step) steps;
} Module;

/* ---- ir.c: tables, building, use lists ------------------------------------------------------- */

const char *op_name(OpKind k);
OpKind op_parse(const char *name); /* OP_NONE when unknown */
int op_flags(OpKind k);
const char *op_doc(OpKind k);
uint32_t op_attr_mask(OpKind k); /* bit ATTR_x set: takes it */
int op_outs(OpKind k);           /* results; 0 = as many as attribute sizes says */
int op_slots(OpKind k);          /* fixed operand slots */
/* The operand slot of the cache whose next version a result is; -1: the result is no cache. */
int op_cache_slot(OpKind k, int result);
const char *op_slot_name(OpKind k, int slot);
bool op_slot_optional(OpKind k, int slot);
bool op_variadic(OpKind k);
int op_slot(OpKind k, const char *name); /* -1 when it has none of that name */

Module *ir_module(Ctx *ctx, Str name, Phase phase, int tokens, int64_t context);
Func *ir_func(Module *m, Str name);
Func *ir_find_func(const Module *m, Str name);
Module *ir_clone(const Module *m); /* deep copy, same ctx */
Func *ir_clone_func(Module *m, const Func *f);

/* Declares a parameter, state or weight. The name is made unique by a suffix if taken. */
ValueId ir_value(Func *f, ValueKind kind, Str name, const Type *type, Span at);
ValueId ir_find_value(const Func *f, Str name); /* 0 when none */

/* Appends an operator (order's end). `proto` gives kind, in, n_in, a, expr, at, origin; result
 * types come from type_infer; names[i] may be NULL (a fresh name). Returns the op, 0 after a
 * diagnostic. */
OpId ir_op(Func *f, const Op *proto, const Str *names);
/* The same for operators with one result: that value, 0 after a diagnostic. n_in of a proto need
 * not count the slots; it matters only for leaves of the expression behind them. */
ValueId ir_op1(Func *f, const Op *proto, Str name);
void ir_return(Func *f, ValueId v, Str env_name);

int ir_use_count(const Func *f, ValueId v); /* uses by live ops and by return */
/* Every use of `from` becomes `to` (ops, results; expression leaves are operands too). */
void ir_replace_uses(Func *f, ValueId from, ValueId to);
void ir_kill(Func *f, OpId op); /* marks dead, removes from order */
/* A value is live unless its operator is dead. The names of dead values are free again. */
bool ir_value_live(const Func *f, ValueId v);
/* Gives a value the name of another one that is dead (the root a rewrite has replaced). */
void ir_take_name(Func *f, ValueId to, ValueId from);
/* Stable topological sort of `order`: an order that is one already stays as it is; false when there
 * is a cycle (order unchanged then). */
bool ir_sort(Func *f);
/* Recomputes Value.constant. */
void ir_mark_constants(Func *f);

#define FOR_EACH_OP(f, id)                                                                         \
    for (size_t id##_i = 0; id##_i < (f)->order.n; id##_i++)                                       \
        for (OpId id = (f)->order.data[id##_i], id##_once = 1; id##_once; id##_once = 0)

/* Leaves of an expression: index of operand v in op (added behind the slots when new); -1 when the
 * operator has IR_MAX_IN operands already. */
int ir_expr_operand(Op *op, ValueId v);
const Expr *expr_acc(Arena *a, int way);
const Expr *expr_input(Arena *a, int input);
const Expr *expr_number(Arena *a, double x);
const Expr *expr_node(Arena *a, ExprKind kind, const Expr *x, const Expr *y);
int expr_arity(ExprKind k); /* 0 for leaves */
const char *expr_name(ExprKind k);
ExprKind expr_parse(const char *name);
/* The expression kind that computes an elementwise op (OP_SILU -> EXPR_SILU); EXPR_NONE for others.
 */
ExprKind expr_of_op(OpKind k);

/* Result types of an operator from its operands and attributes; false after a diagnostic. */
bool type_infer(const Func *f, const Op *op, const Type *out[IR_MAX_OUT]);

/* ---- ir_print.c, ir_parse.y ------------------------------------------------------------------ */

void ir_print_module(Buf *b, const Module *m);
void ir_print_func(Buf *b, const Func *f);
void ir_print_op(Buf *b, const Func *f, const Op *op); /* one line, no newline */
void ir_print_expr(Buf *b, const Func *f, const Op *op, const Expr *e);
/* NULL after diagnostics. `path` is for messages. The result is verified. */
Module *ir_parse(Ctx *ctx, const char *path, const char *text, size_t n);

/* ---- verify.c -------------------------------------------------------------------------------- */

/* Checks every invariant; messages at the op's span. `after` names the pass that ran last (NULL: a
 * user's text). Returns false after a diagnostic. */
bool ir_verify(const Module *m, const char *after);
bool ir_verify_func(const Func *f, const char *after);

#endif
