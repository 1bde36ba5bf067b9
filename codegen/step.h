/* step.h - may the decode step be one persistent kernel (templates/cuda/step.cu for one token,
 * step_batch.cu for several, step_mlp.cu for models that are one MLP)?
 *
 * It takes what dense decoders in bf16, with weights of 16, 8 or 4 bits, are made of, or nothing
 * but their MLP in bf16; for anything else the step stays a chain of kernels, and the plan says
 * why. */
#ifndef SINTER_CODEGEN_STEP_H
#define SINTER_CODEGEN_STEP_H

#include "codegen/plan.h"

typedef enum DecodeHow {
    DECODE_AUTO,   /* one kernel where it can be */
    DECODE_CHAIN,  /* kernels one after the other */
    DECODE_STREAM, /* one kernel, or a diagnostic */
} DecodeHow;

/* False when the name is none of auto, chain, stream (NULL: auto). */
bool step_parse_how(const char *name, DecodeHow *how);

/* How a layer's tiles go round the blocks: the next layer's first tile is STEP_TURN blocks on.
 * Positions of a head's attention: at most so many shares, of so many positions while there are
 * few. */
enum { STEP_MOST_BLOCKS = 256, STEP_TURN = 37, STEP_MAX_SPLITS = 16 };
enum { STEP_ALONE_POSITIONS = 256, STEP_SPLIT_POSITIONS = 128 };

/* Words in front of the exchange: a line of memory, so that 32 lanes' words are whole lines. */
enum { STEP_HEADER_WORDS = 16 };

typedef enum StepPhase {
    STEP_QKV,
    STEP_O,
    STEP_GATE_UP,
    STEP_DOWN,
    STEP_HEAD,
    STEP_PHASES
} StepPhase;

/* How a matrix is stored. */
typedef struct StepMatrix {
    const PlanFunc *pf;
    const Op *op;
    int bits;         /* of a weight: 16 (bf16), 8, 4 */
    int group;        /* columns that share a scale and a zero point; 0: none do */
    int zero;         /* the code of 0; -1: stored for each group */
    int scale, zeros; /* operands of op: of groups, 0 = none */
    int gain;         /* operand of op: of the norm in front, 0 = none */
    int row_scale[2]; /* operands of op's expression: f32 of each row; [1]: of up */
    int bias[2];      /* the same: bf16 of each row, added; 0 = none */
} StepMatrix;

typedef struct StepPlan StepPlan;
/* The operators of a layer and the head, and what the kernel is planned with. */
struct StepPlan {
    const PlanPhase *phase;
    const PlanFunc *layer, *head;
    const Op *qkv, *attention, *o, *gate_up, *down, *logits;
    const Op *heads;     /* what finishes heads of q and k: qkv, or a heads_append behind it */
    ExprKind activation; /* of the gate */
    StepMatrix matrix[STEP_PHASES];
    const PlanFunc *begin; /* its two kernels are the step's too; NULL: they run in front of it */
    const Op *embed, *angles;
    int tokens;               /* sequences that it has room for */
    int step, layers;         /* the layers' place in the schedule */
    int chunk, slots, flying; /* KiB of a warp in a slot; slots; of them on their way */
    int extra;                /* bytes of scales and zero points in a slot */
    int copies;               /* of a vector that all blocks poll */
    int row_tiles;            /* residual tiles of a block on the smallest GPU */
    int64_t longest;          /* columns of x that shared memory has room for */
    int down_parts, x_rows;   /* several tokens: parts of down's columns, one of them a block's;
                                 slots' columns that shared memory has x of */
    int64_t shared;           /* bytes of a block's shared memory */
    int64_t words, words_at;  /* of the exchange; where it begins in the scratch memory */
    bool mlp;                 /* nothing but gate_up and down, of `layer` */
    bool stamped;             /* the program has a second kernel, which says where time goes */
};

/* Operands of s->heads: angles; the cache of keys (0) or values (1). */
ValueId step_angles(const StepPlan *s);
ValueId step_cache(const StepPlan *s, int which);
/* Sets plan->step and adds its memory to the scratch memory, or says in plan->chain why not. False
 * after a diagnostic: DECODE_STREAM and it cannot be. */
bool step_plan(Plan *plan, DecodeHow how);
/* step_batch.c: one kernel for decode of 2 and more sequences into plan->batch, or why not into
 * plan->batch_chain; neither where there is no such decode. */
void step_plan_batch(Plan *plan);

/* step_mlp.c: is the phase's only function a gated MLP, and what the kernel is planned with; why it
 * takes it not, else NULL. */
bool step_is_mlp(const PlanPhase *phase);
const char *step_plan_mlp(StepPlan *s);

/* What all are planned with (step.c): finds the operators of s->phase, NULL or why it takes them
 * not; the same of s->layer's MLP alone; sets s->begin; an operand's type, NULL where there is
 * none; operator `kind` that kernel i is, or NULL. */
const char *step_check(const Plan *plan, StepPlan *s);
const char *step_check_mlp(StepPlan *s);
const Op *step_kernel_op(const PlanFunc *pf, size_t i, OpKind kind);
void step_find_ends(StepPlan *s);
const Type *step_type(const PlanFunc *pf, const Op *op, int slot);

#endif
