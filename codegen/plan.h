/* plan.h - the graph cut into kernels, with buffers, barriers, bytes and FLOPs.
 *
 *   module (phase, T) --> PlanPhase --> PlanFunc: kernel, [barrier], kernel, ...
 *
 * One kernel for each operator that is neither constant nor a view (split, cast between floats and
 * the dequant of a cache are views: their readers do the work). Scratch memory of a phase:
 *
 *   [shared: values of the environment, x, angles ...][one function's temporaries, reused by all]
 *
 * Threads run a function from beginning to end, each its share of every kernel; `barrier_after`
 * marks where another thread's result is needed. Every function ends synchronised. */
#ifndef SINTER_CODEGEN_PLAN_H
#define SINTER_CODEGEN_PLAN_H

#include "codegen/target.h"
#include "codegen/weights_plan.h"
#include "ir/cost.h"

typedef enum PlaceKind {
    PLACE_NONE,    /* constants that only feed constants */
    PLACE_WEIGHT,  /* index: tensor of the weights plan */
    PLACE_SCRATCH, /* index: buffer of the function */
    PLACE_CACHE,   /* index: state of the function */
    PLACE_TOKENS,  /* run->tokens */
    PLACE_POS,     /* run->pos */
    PLACE_INPUT,   /* run->input: models without @embed */
    PLACE_LOGITS,  /* run->logits */
} PlaceKind;

/* Where a value lives. */
typedef struct Place {
    PlaceKind kind;
    DType stored; /* element type in memory */
    int index;
    int64_t column;  /* SCRATCH: its first column in the buffer's rows (split) */
    int64_t stride;  /* elements from row to row */
    int scale_state; /* CACHE of codes seen through dequant: state of the scales + 1; 0 = none */
} Place;

typedef struct PlanBuffer {
    Str name;
    DType stored;
    int64_t rows, stride; /* elements */
    int64_t bytes, offset;
    bool shared;     /* lives in the environment */
    bool own;        /* each thread has one of its own, on its stack */
    int first, last; /* kernels between which it holds data */
} PlanBuffer;

/* How threads share a buffer: each unit of `unit` columns (or rows) belongs to one thread. HEADS:
 * what belongs to a key/value head does, where their number, `units`, is a multiple of the threads.
 */
typedef enum SplitKind { SPLIT_NONE, SPLIT_ROWS, SPLIT_COLS, SPLIT_HEADS } SplitKind;
typedef struct SplitBy {
    SplitKind kind;
    int64_t unit, units;
} SplitBy;

typedef struct KernelConfig {
    const char *template; /* file below the target's templates, without ".c" */
    const char *variant;  /* file of a kernel made for this case, same parameters; NULL: template */
    const char *dot;      /* matmul: family of the register block, NULL otherwise */
    int tokens, tiles;    /* matmul: rows and tiles in a register block */
    int calls;            /* matmul: calls of the register block for these tiles */
    int unroll;           /* matmul: accumulators that take turns */
    int ahead;            /* matmul: bytes between weights read and weights asked for; 0: none */
    int64_t block_rows;   /* matmul: rows of x that are packed, or kept in cache, at once */
    int ways;             /* matmul: 2 when gate and up rows alternate */
    int64_t units;        /* matmul: blocks of `tiles` tiles, shared out to threads */
    bool per_phase;       /* its text depends on T */
} KernelConfig;

typedef struct Kernel {
    Str name;    /* "decode1_layer_ffn_up" */
    Str purpose; /* "ffn_up" */
    OpId op;     /* 0: copies result `copy` into the environment */
    int copy;
    KernelConfig config;
    Str reason; /* why this variant, in words */
    SplitBy split;
    bool each_thread; /* not shared out: each thread does all of it for itself */
    bool barrier_after;
    int64_t barrier_unless;  /* a barrier, but where this is a multiple of the threads; 0: none */
    Cost cost;               /* one call */
    double kv_bytes_per_pos; /* cache bytes read for each position, one call */
    int info;                /* index into the model's kernel table */
} Kernel;

typedef struct PlanFunc {
    const Func *func;
    Place *place; /* [n_values] */
    VEC(PlanBuffer) buffers;
    VEC(Kernel) kernels;
    int calls; /* per step of the phase */
} PlanFunc;

typedef struct PlanPhase {
    const Module *module;
    Str name;            /* "decode1", "prefill64" */
    VEC(PlanFunc) funcs; /* as in module->funcs */
    VEC(PlanBuffer) shared;
    int64_t scratch_bytes;
    int head; /* the last step's function when it makes the logits, else -1 */
} PlanPhase;

/* Caches of one sequence: state s of the function at (step, slot) in repetition i lies at
 * offset + i * stride + state_offset[s]. Inside: [kv_heads][context][head_dim], or
 * [heads][context]. */
typedef struct KvBlock {
    int step, slot;
    int64_t offset, stride;
} KvBlock;

typedef struct Plan {
    Ctx *ctx;
    const Target *target;
    WeightsPlan *weights;
    VEC(PlanPhase) phases; /* decode by T, then prefill */
    VEC(KvBlock) kv;
    int64_t kv_bytes, scratch_bytes;
    int n_infos;            /* kernels over all phases */
    struct StepPlan *step;  /* decode of one token as one kernel (step.h); NULL: a chain of them */
    Str chain;              /* why a chain; NULL where it was not asked */
    struct StepPlan *batch; /* the same for decode of several sequences, where step is there */
    Str batch_chain;        /* why not; NULL where there is no such decode */
} Plan;

/* modules: after the passes; decode T ascending, then prefill. NULL after a diagnostic. */
Plan *plan_build(Ctx *ctx, const Target *target, Module **modules, int n_modules);
void plan_print(Buf *b, const Plan *p);

/* Bytes of one sequence of state s of f, and where it starts in the function's block. */
int64_t plan_state_bytes(const Func *f, int s);
int64_t plan_state_offset(const Func *f, int s);
/* The buffer of a PLACE_SCRATCH. */
const PlanBuffer *plan_buffer(const PlanFunc *pf, const Place *p);

#endif
