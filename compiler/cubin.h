/* cubin.h - machine code for GPUs: nvcc, or NVRTC in the process when there is no nvcc. */
#ifndef SINTER_COMPILER_CUBIN_H
#define SINTER_COMPILER_CUBIN_H

#include "codegen/target.h"

/* DIR/NAME.cu -> DIR/NAME.sm_90a.cubin for each chip of the target, DIR/NAME.compute_90.ptx for
 * PTX; results appear by rename. False after a diagnostic that says what to install, or the
 * compiler's own words. */
bool cubin_build(Ctx *ctx, const Target *target, const char *dir, const char *name, bool verbose);
/* What nvcc is asked for: "-fatbin -gencode arch=compute_90a,code=sm_90a ...". */
const char *cubin_nvcc_flags(Arena *a, const char *arch);
/* nvcc on PATH or in /usr/local/cuda/bin; NULL when there is none. */
char *cubin_nvcc(Arena *a);
/* "version 13.0" of the NVRTC library that would be used; NULL when there is none. */
char *cubin_nvrtc(Arena *a);

#endif
