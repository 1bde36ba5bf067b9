/* emit_setup.h - how a kernel gets its parameters and its template's variables; for emit_*.c only.
 */
#ifndef SINTER_CODEGEN_EMIT_SETUP_H
#define SINTER_CODEGEN_EMIT_SETUP_H

#include "codegen/emit_parts.h"

Str emit_intern(const KernelText *k, const char *s);
const Value *emit_value_of(const KernelText *k, ValueId v);
/* Elements of a row: all dims but the first. */
int64_t emit_columns(const Type *t);

/* emit_params.c: the weights of an operand; step: the schedule's, -1 for a function that is not
 * layered (weights_find). */
const WeightTensor *emit_tensor_of(const Emit *e, const Func *f, const Op *op, int slot, int step);
/* Where a tensor lies, "w + AT_LAYER_O_CODE". */
Str emit_weight_address(Ctx *ctx, const WeightTensor *t);
/* Each adds to k->params. */
void emit_add_pointer(KernelText *k, const char *name, ValueId v, bool written);
void emit_add_scalar(KernelText *k, const char *type, const char *name, const char *arg);
/* Operand of a slot, under the slot's name; nothing when absent. */
void emit_add_slot(KernelText *k, int slot, const char *name);
void emit_add_cache(KernelText *k, const char *name, ValueId v);
/* The scales of a cache: a slot of their own, or behind a dequant. False: it has none. */
bool emit_add_cache_scale(KernelText *k, const char *name, ValueId cache, ValueId scale);
/* Operands of the expression, each value once. */
void emit_add_leaves(KernelText *k);
/* rows; on the CPU also thread, threads. */
void emit_add_threads(KernelText *k);

/* Variables of the template. */
void emit_set_int(KernelText *k, const char *name, int64_t i);
void emit_set_heads(KernelText *k);
/* `variable`: the C type of the cache that the parameter is an offset of. */
void emit_set_cache_type(KernelText *k, const char *variable, const char *param);

/* A template's parameters and variables, by its name. */
void emit_setup_rmsnorm(KernelText *k);
void emit_setup_layernorm(KernelText *k);
void emit_setup_rmsnorm_quant(KernelText *k);
void emit_setup_dequant(KernelText *k);
void emit_setup_embed(KernelText *k);
void emit_setup_matmul(KernelText *k);
void emit_setup_qkv(KernelText *k);
void emit_setup_map(KernelText *k);
void emit_setup_rope_angles(KernelText *k);
void emit_setup_rope(KernelText *k);
void emit_setup_kv_append(KernelText *k);
void emit_setup_qkv_append(KernelText *k);
void emit_setup_attn_scores(KernelText *k);
void emit_setup_softmax(KernelText *k);
void emit_setup_attn_mix(KernelText *k);
void emit_setup_attention(KernelText *k);
void emit_setup_copy(KernelText *k);

#endif
