/* step_cost.h - what a decode step that is one kernel reads: bytes by phase and multiprocessor, and
 * the time that this should take. */
#ifndef SINTER_CODEGEN_STEP_COST_H
#define SINTER_CODEGEN_STEP_COST_H

#include "codegen/step.h"
#include "ir/cost.h"

enum { STEP_COST_PHASES = 6 };

/* All calls of a phase in a step: all layers'. */
typedef struct StepPhaseCost {
    const char *name;
    int calls;
    int64_t tiles;           /* of 16 rows of its matrix; 0: attention */
    double bytes;            /* weights with their scales; attention: caches */
    double mean, most;       /* of a multiprocessor's share, bytes */
    double stream, exchange; /* seconds: bytes / bandwidth; until a phase's values are everywhere */
} StepPhaseCost;

typedef struct StepCost {
    int blocks;                            /* one a multiprocessor */
    StepPhaseCost phase[STEP_COST_PHASES]; /* qkv, attention, o, gate_up, down, head */
    StepPhaseCost sum;
} StepCost;

/* d: its multiprocessors, bandwidth and exchange_seconds; kv_len: positions in the caches. */
StepCost step_cost(const StepPlan *s, int64_t kv_len, const Device *d);
/* " *   phase ..." of each matrix, for the kernel's comment: tiles, and their bytes. */
void step_cost_comment(Buf *b, const StepPlan *s);

#endif
