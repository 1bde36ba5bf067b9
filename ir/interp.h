/* interp.h - every operator in double precision, obvious before fast: the oracle for rules, passes,
 * both code generators and the packer.
 *
 * A Tensor holds its elements in logical row-major order whatever its type's layout. Integer dtypes
 * hold integers. Values are not rounded to their dtype unless `round` is set (weights are always
 * given as stored); then every activation is, and every constant that an activation operator reads:
 * a constant that only feeds other constants is never stored, so quantising scale_cols(w, g) sees
 * the exact products. Quantisation scales and RoPE frequencies are f32 numbers in either mode. */
#ifndef SINTER_IR_INTERP_H
#define SINTER_IR_INTERP_H

#include "ir/ir.h"

typedef struct Tensor {
    const Type *type;
    double *v; /* [type_elements] */
} Tensor;

Tensor tensor_create(Arena *a, const Type *t);
/* x as the nearest number that dtype can hold (round to nearest even; integers clamp). */
double dtype_round(DType t, double x);
/* The same for n numbers in place, fast enough for whole checkpoints. */
void dtype_round_all(DType t, double *x, int64_t n);
/* One operator of an expression (b is ignored where it takes one operand). */
double expr_apply(ExprKind kind, double a, double b);

/* Runs one function. in: params, states, weights in the order of the function's lists; states are
 * updated in place; out: one tensor per result, made on `a`. False after a diagnostic (an id out of
 * range, a position beyond the context). */
typedef struct InterpArgs {
    const Tensor *params, *weights;
    Tensor *states;
    bool round;
} InterpArgs;
bool interp_func(Arena *a, const Func *f, const InterpArgs *args, Tensor *out);

/* Runs the whole schedule. `weight` is asked for each weight tensor: (layer index or -1, name);
 * states are kept between calls in `state` (created by interp_states). Result: the value the
 * environment holds under "logits" (or the last function's first result), [T, vocab]. */
typedef struct InterpModel {
    const Module *module;
    bool (*weight)(void *user, int layer, Str name, const Type *type, Tensor *out);
    void *user;
    Tensor *states; /* one after another in schedule order */
    int n_states;
    bool round;
} InterpModel;
void interp_states(Arena *a, InterpModel *m);
bool interp_module(Arena *a, InterpModel *m, const int32_t *tokens, const int32_t *pos,
                   Tensor *logits);

/* The constant half, streaming: rows [row, row + n) of a constant value, as doubles [n, K]
 * (vectors: n elements), rounded as stored: equal bit for bit to what interp_func computes with
 * `round` set. `load` reads rows of a weight parameter. Memory on `scratch` is bounded by a few
 * times n rows (and whole vectors), reset it between calls. Used by pack. */
typedef struct ConstSource {
    bool (*load)(void *user, Str weight, int64_t row, int64_t n, double *out);
    void *user;
} ConstSource;
bool interp_const_rows(Arena *scratch, const Func *f, ValueId v, int64_t row, int64_t n,
                       const ConstSource *src, double *out);

#endif
