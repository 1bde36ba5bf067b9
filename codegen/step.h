/* step.h - may the decode step of one token be one persistent kernel (templates/cuda/step.cu)?
 *
 * It takes what dense decoders of 16 bits are made of; for anything else the step stays a chain of
 * kernels, and the plan says why. */
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

enum { STEP_MOST_BLOCKS = 256 };

typedef struct StepPlan StepPlan;
/* The operators of a layer and the head, and what the kernel is planned with. */
struct StepPlan {
    const PlanPhase *phase;
    const PlanFunc *layer, *head;
    const Op *qkv, *attention, *o, *gate_up, *down, *logits;
    const PlanFunc *begin; /* its two kernels are the step's too; NULL: they run in front of it */
    const Op *embed, *angles;
    int step, layers;         /* the layers' place in the schedule */
    int chunk, slots, flying; /* KiB of a warp in a slot; slots; copies on their way */
    int copies;               /* of a vector that all blocks poll */
    int row_tiles;            /* residual tiles of a block on the smallest GPU */
    int64_t longest;          /* columns of the widest matrix */
    int64_t shared;           /* bytes of a block's shared memory */
    int64_t words, words_at;  /* of the exchange; where it begins in the scratch memory */
    bool stamped;             /* the program has a second kernel, which says where time goes */
};

/* Sets plan->step and adds its memory to the scratch memory, or says in plan->chain why not. False
 * after a diagnostic: DECODE_STREAM and it cannot be. */
bool step_plan(Plan *plan, DecodeHow how);

#endif
