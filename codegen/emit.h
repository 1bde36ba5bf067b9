/* emit.h - a plan becomes C sources: x.c (the whole program but the runtime) and x.h. */
#ifndef SINTER_CODEGEN_EMIT_H
#define SINTER_CODEGEN_EMIT_H

#include "codegen/plan.h"

/* What the plan does not know. Strings may be NULL. */
typedef struct EmitOptions {
    const char *version;      /* of the compiler */
    const char *spec_path;    /* as the user gave it */
    const char *spec_summary; /* one line for people */
    int bos_id, eos_id;       /* -1: none */
    bool jit;                 /* GPU: the program takes in x.cu itself, not machine code */
    int least_chip;           /* with jit: compute capability times ten that x.cu needs */
} EmitOptions;

/* Reads templates from data_dir/target->templates. The same plan gives the same bytes. False after
 * a diagnostic; the buffers are written only on success. */
bool emit_c(const Plan *plan, const EmitOptions *options, const char *data_dir, Buf *source,
            Buf *header);

/* The same for GPU targets: x.cu (`device`: all kernels) besides the host's x.c and x.h. */
bool emit_cuda(const Plan *plan, const EmitOptions *options, const char *data_dir, Buf *source,
               Buf *header, Buf *device);

#endif
