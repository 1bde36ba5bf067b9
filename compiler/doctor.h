/* doctor.h - what is here, and what that allows. */
#ifndef SINTER_COMPILER_DOCTOR_H
#define SINTER_COMPILER_DOCTOR_H

#include "compiler/base/ctx.h"

bool doctor_run(Ctx *ctx);
/* doctor_gpu.c: the part about NVIDIA GPUs. */
void doctor_gpu(Ctx *ctx);

#endif
