/* interp_ops.h - what the files of the interpreter share: the frame of one running function and the
 * operators, one function each. Not for other layers.
 *
 *   interp.c         frame, dispatch, elementwise operators, rounding
 *   interp_const.c   the constant half, by rows (whole tensors are one long run of rows)
 *   interp_norm.c    norms, quantize, embed
 *   interp_matmul.c  matmul, matmul_qkv and epilogues
 *   interp_attn.c    positions, caches, attention
 *   interp_module.c  a whole schedule */
#ifndef SINTER_IR_INTERP_OPS_H
#define SINTER_IR_INTERP_OPS_H

#include "ir/interp.h"
#include "ir/slots.h"

typedef struct Frame {
    Arena *arena;
    const Func *func;
    Tensor *value;      /* by ValueId; v == NULL until computed */
    const bool *stored; /* by ValueId, see interp_stored_values */
    bool round;
} Frame;

/* Which values exist in memory: every activation, and the constants that an activation operator
 * reads. A constant that only feeds other constants is never stored, so it is never rounded:
 * quantising scale_cols(w, g) quantises the exact products. */
bool *interp_stored_values(Arena *a, const Func *f);
/* Must the result of `op` be rounded to its dtype? */
bool interp_rounds(const Func *f, const bool *stored, const Op *op, ValueId v);

const Tensor *frame_in(const Frame *fr, const Op *op, int slot); /* NULL: absent */
Tensor *frame_new(Frame *fr, const Op *op, int result);          /* makes the result's tensor */
bool frame_error(const Frame *fr, const Op *op, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int64_t tensor_rows(const Tensor *t); /* dim 0 */
int64_t tensor_cols(const Tensor *t); /* elements per row */
/* Index into `in` of element `flat` of `out`, broadcasting as numpy does (dims aligned at the end).
 */
int64_t interp_broadcast(const Type *out, const Type *in, int64_t flat);

/* An expression at element `flat` of the result: accumulators acc[0], acc[1] (NULL for map). */
double interp_expr(const Frame *fr, const Op *op, const Expr *e, const Type *out, int64_t flat,
                   const double *acc);

bool interp_const_op(Frame *fr, const Op *op);

void interp_rmsnorm(Frame *fr, const Op *op);
void interp_layernorm(Frame *fr, const Op *op);
void interp_row_rms(Frame *fr, const Op *op);
void interp_rmsnorm_quant(Frame *fr, const Op *op);
void interp_quantize(Frame *fr, const Op *op);
bool interp_embed(Frame *fr, const Op *op);
/* code[n] and their scale; t: i8 or e4m3. */
void interp_quantize_group(DType t, const double *x, int64_t n, double *code, double *scale);
/* x[n] becomes x / sqrt(mean(x^2) + eps) * gain (gain may be NULL). */
void interp_rms_row(double *x, int64_t n, double eps, const double *gain);

void interp_matmul(Frame *fr, const Op *op);
bool interp_matmul_qkv(Frame *fr, const Op *op);

void interp_rope_angles(Frame *fr, const Op *op);
void interp_rope(Frame *fr, const Op *op);
/* Norm of each of `heads` heads that lie side by side (gain != NULL), then RoPE (angles != NULL:
 * this row's), by the attributes of the operator. */
void interp_finish_heads(const Op *op, double *x, int64_t heads, const Tensor *gain,
                         const double *angles);
/* Rotates the first dims columns of one head; angles: cos [dims / 2], then sin. */
void interp_rope_head(double *x, const double *angles, int64_t dims, bool adjacent);
bool interp_rope_adjacent(const Op *op);
bool interp_kv_append(Frame *fr, const Op *op);
bool interp_qkv_append(Frame *fr, const Op *op);
bool interp_heads_append(Frame *fr, const Op *op);
/* Row t of x (its first column at x, `n` columns) into the cache at pos; pos < 0 is skipped. */
bool interp_append_row(const Frame *fr, const Op *op, Tensor *cache, int64_t t, double pos,
                       const double *x);
void interp_attn_scores(Frame *fr, const Op *op);
void interp_softmax(Frame *fr, const Op *op);
void interp_attn_mix(Frame *fr, const Op *op);
void interp_attention(Frame *fr, const Op *op);

#endif
