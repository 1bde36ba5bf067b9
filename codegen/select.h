/* select.h - operator, dtypes and shapes -> template and KernelConfig. */
#ifndef SINTER_CODEGEN_SELECT_H
#define SINTER_CODEGEN_SELECT_H

#include "codegen/plan.h"

/* Fills config, reason and split of the kernel for k->op. False after a diagnostic. */
bool select_kernel(Ctx *ctx, const Target *target, const Module *m, const Func *f, Kernel *k);
/* The same for GPU targets (select_cuda.c, kernels_cuda.def). */
bool select_cuda(Ctx *ctx, const Target *target, const Module *m, const Func *f, Kernel *k);
/* "matmul bf16 4 tokens x 2 tiles, 896 units". */
void select_print(Buf *b, const KernelConfig *c);

#endif
