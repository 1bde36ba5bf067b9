/* weights_plan.h - which constants the kernels read, and where each lies in x.weights.
 *
 *   [header][table, room for n_entries + 1 (the tokenizer)] ... data_offset:
 *   [embedding][layer 0: attn_norm, qkv, ... ][layer 1: ...]...[head]
 *
 * A packed tensor is a constant value that a non-constant operator reads. Constants of all phases
 * are compared by their expressions, so decode and prefill share what is equal; the order is that
 * of first use in the first module (decode). `N x (f; g)` gives each repetition a block of equal
 * size: offset(repetition i) = offset + i * stride. All offsets are multiples of 64 bytes. */
#ifndef SINTER_CODEGEN_WEIGHTS_PLAN_H
#define SINTER_CODEGEN_WEIGHTS_PLAN_H

#include "ir/ir.h"

typedef struct WeightTensor {
    Str name;         /* "gate_up"; in the file "layers.7.gate_up" when layered */
    Str symbol;       /* "LAYER_GATE_UP": its offset in generated code */
    const Func *func; /* where its expression stands */
    ValueId value;
    const Type *type;
    bool layered;
    int step, slot;              /* layered: position in the schedule */
    int count;                   /* copies in the file: 1, or the step's repetitions */
    int first_layer, layer_step; /* copy i belongs to layer first_layer + i * layer_step */
    uint64_t offset;             /* of copy 0, from the first byte of the file */
    uint64_t stride, bytes;      /* between copies; of one copy */
    uint64_t in_block;           /* layered: offset from the block of its (step, slot) */
    char fill;                   /* see SinterTensorInfo in runtime/model.h */
    double fill_scale;
    Str key; /* the expression as text, for comparison */
} WeightTensor;

/* The tensors of one function of a layered step: block of repetition i at offset + i * stride. */
typedef struct WeightBlock {
    int step, slot;
    uint64_t offset, stride;
} WeightBlock;

typedef struct WeightsPlan {
    VEC(WeightTensor) tensors;
    VEC(WeightBlock) blocks;
    int n_entries; /* tensors in the file, copies counted */
    uint64_t data_offset, file_bytes;
    uint64_t layout_hash; /* XXH3 over all names, types and offsets */
} WeightsPlan;

/* modules: every phase, decode first; all have the same schedule. */
WeightsPlan *weights_plan(Ctx *ctx, Module *const *modules, int n_modules);
/* The tensor that holds constant v of f in step `step` (any step when -1), or -1. */
int weights_find(Ctx *ctx, const WeightsPlan *p, const Func *f, ValueId v, int step);
/* "layers.7.gate_up" of copy i. */
Str weights_entry_name(Ctx *ctx, const WeightTensor *t, int copy);

/* The constant expression behind v as text: equal text, equal tensor. */
Str weights_key(Ctx *ctx, const Func *f, ValueId v);

#endif
