/* infer.h - shared by the infer_*.c files only: what they ask of an operator's operands. Every
 * function that returns false has reported why. A slot that is absent passes infer_want. */
#ifndef SINTER_IR_INFER_H
#define SINTER_IR_INFER_H

#include "ir/ir_text.h"

typedef struct Infer {
    const Func *f;
    const Op *op;
    const Type **out; /* [IR_MAX_OUT] */
} Infer;

/* What an operand may be, besides one DType: DT_NONE = any. */
enum { ANY_FLOAT = DT_COUNT, ANY_CODE, ANY_SCALE };

/* clang-format off */
#define SHAPE(...)                                                                                 \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}
/* clang-format on */

/* infer.c */
/* The message behind "rmsnorm: ", at the operator. */
bool infer_fail(const Infer *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const Type *infer_in(const Infer *c, int slot);      /* NULL when absent */
const char *infer_operand(const Infer *c, int slot); /* "gain @attn_norm" */
const char *infer_type_of(const Infer *c, int slot); /* "bf16[64]" */
bool infer_mismatch(const Infer *c, int slot, const char *expected);
bool infer_dtype_fits(DType t, int wanted);
/* The operand, when it is there, has this dtype and shape; a dim of -1 may be anything. */
bool infer_want(const Infer *c, int slot, int dtype, int rank, const int64_t *dim);
/* One scale (or zero point) for each row, or for each row and group of columns. */
bool infer_want_per_group(const Infer *c, int slot, int dtype, int64_t rows, int64_t columns);
/* A weight of these columns (-1: any); `scales`: the slot of its scale, its zero point behind it.
 */
bool infer_want_weight(const Infer *c, int w_slot, int scales, int64_t columns);
bool infer_want_word(const Infer *c, const char *attr, Str word, const char *allowed);
bool infer_float_attr(const Infer *c);
/* The attribute dtype of codes: absent (i8), i8 or e4m3. */
bool infer_code_attr(const Infer *c);
DType infer_code_dtype(const Infer *c); /* the dtype attribute is a float or absent */
bool infer_group_divides(const Infer *c, int64_t columns);
bool infer_block_is_sane(const Infer *c, const char *attr, int64_t block);
bool infer_even_dims(const Infer *c, int64_t dims);
int64_t infer_round_up(int64_t n, int64_t multiple);
/* Sets result i. */
bool infer_result(Infer *c, int i, DType dtype, int rank, const int64_t *dim);
/* The dtype attribute when given, else x's dtype if that is a float, else f32. */
DType infer_result_dtype(const Infer *c, const Type *x);

/* infer_ops.c, also for matmul_qkv */
/* Slots x, w and, from `scales` on, w_scale, w_zero, x_scale of both matmuls. */
bool infer_want_product(const Infer *c, int scales);
/* Output features of a weight of `rows` rows, -1 after a diagnostic. */
int64_t infer_features(const Infer *c, int64_t rows);
/* The expression reads every operand behind the slots, and these broadcast to the shape. */
bool infer_check_tree(const Infer *c, const Type *shape);

/* infer_const.c */
bool infer_concat(Infer *c);
bool infer_interleave(Infer *c);
/* Heads of head_dim rows, each half of them whole blocks. */
bool infer_head_blocks(Infer *c, int64_t rows);
bool infer_pair_rows(Infer *c);
bool infer_scale_cols(Infer *c);
bool infer_quant_scale(Infer *c);
bool infer_quant_zero(Infer *c);
bool infer_quant_code(Infer *c);
bool infer_cast(Infer *c);
bool infer_tile(Infer *c);
bool infer_rope_freqs(Infer *c);
bool infer_dequant(Infer *c);
bool infer_quantize(Infer *c);
bool infer_embed(Infer *c);

/* infer_ops.c */
bool infer_rmsnorm(Infer *c);
bool infer_layernorm(Infer *c);
bool infer_row_rms(Infer *c);
bool infer_rmsnorm_quant(Infer *c);
bool infer_element(Infer *c);
bool infer_map(Infer *c);
bool infer_split(Infer *c);
bool infer_matmul(Infer *c);

/* infer_attn.c */
bool infer_rope_angles(Infer *c);
bool infer_rope(Infer *c);
bool infer_kv_append(Infer *c);
bool infer_qkv_append(Infer *c);
bool infer_heads_append(Infer *c);
bool infer_attn_scores(Infer *c);
bool infer_softmax(Infer *c);
bool infer_attn_mix(Infer *c);
bool infer_attention(Infer *c);
bool infer_matmul_qkv(Infer *c);

#endif
