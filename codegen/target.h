/* target.h - what the plan and the emitter know of a machine: vector width, instructions, the order
 * in which its kernels read weights.
 *
 * The driver copies `tile` and `block` into PassEnv, so that ir/ knows no target. In the C target
 * every float activation is stored as f32 whatever dtype the IR says (a superset), codes are stored
 * as int8, and caches in their own dtype. */
#ifndef SINTER_CODEGEN_TARGET_H
#define SINTER_CODEGEN_TARGET_H

#include "ir/cost.h"
#include "ir/ir.h"

/* One instruction set of the C target. */
typedef struct Isa {
    const char *name;  /* --cpu NAME: "avx512", "avx512-base", "avx2", "neon-dot", ... */
    const char *words; /* for people, and for SinterModel.cpu_needs: "AVX-512F BW VL VNNI BF16" */
    const char *flags; /* for the C compiler: "-mavx512f -mavx512bw ..." */
    int lanes;         /* floats in a vector: R, the rows of a weight tile */
    int registers;     /* vector registers: how large a register block may be */
    bool vnni;         /* dot products: unsigned by signed int8 (vpdpbusd), bf16 (vdpbf16ps) */
    bool dotprod;      /* dot products of signed int8 (sdot) */
    bool avx512, avx2, neon;
} Isa;

/* What sizes of blocks depend on, in bytes (Device says how much). */
typedef struct Caches {
    int64_t core, chip;
    int ahead; /* how far ahead weights are asked for; 0: not at all */
} Caches;

typedef struct Target {
    const char *name;            /* "c" */
    const char *templates;       /* folder below the data folder: "templates/c" */
    const char *suffix;          /* of template files: ".c" */
    const char *const *preludes; /* template files of helpers, those that need none first; NULL */
    bool gpu;                    /* a kernel is a launch, a thread is a lane: isa->lanes is 1 */
    const char *const *arch;     /* gpu: chips to make machine code for, "sm_90a" */
    int n_arch;
    const Isa *isa;
    Caches caches;         /* CPU targets */
    Layout tile[DT_COUNT]; /* weight layout by dtype */
    bool whole_tiles;      /* a matrix whose columns are not whole tiles stays in rows */
    /* NULL, or: does the kernel of this decode matmul normalise x on the way in? */
    bool (*norm_prologue)(const Func *f, const Op *op);
    bool pair_heads; /* matmul_qkv: rows that RoPE rotates together lie `block` apart */
    int block;       /* rows that interleave_rows takes in turn */
} Target;

/* The C target for an instruction set; "native" asks this machine. NULL after a diagnostic. */
const Target *target_c(Ctx *ctx, const char *cpu);
/* The same CPU target for a device's caches; sizes that its file leaves out stay. */
const Target *target_for_device(Ctx *ctx, const Target *t, const Device *d);
/* The CUDA target for a list of chips, "sm_80,sm_90a,compute_90"; NULL: those. NULL after a
 * diagnostic. */
const Target *target_cuda(Ctx *ctx, const char *chips);
/* Bytes of shared memory that a block can have on a chip; INT_MAX when that depends on the chip
 * that PTX meets. */
int target_block_shared(const char *arch);
/* Of the file that holds the code for "sm_90a": "cubin"; for "compute_90": "ptx". */
const char *target_code_suffix(const char *arch);
/* What this machine can do, best first ("portable" at least). */
const Isa *isa_native(void);
/* NULL when there is none of that name. */
const Isa *isa_find(const char *name);
/* "native, avx512, avx512-base, ...": for --help. */
const char *isa_names(Arena *a);

#endif
