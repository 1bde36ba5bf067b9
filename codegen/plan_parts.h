/* plan_parts.h - what the files of the planner share; not for other layers.
 *
 *   plan.c          phases, places, kernels and their names
 *   plan_memory.c   liveness -> offsets, barriers
 *   plan_print.c    the plan as text */
#ifndef SINTER_CODEGEN_PLAN_PARTS_H
#define SINTER_CODEGEN_PLAN_PARTS_H

#include "codegen/plan.h"

/* Bytes of a buffer, a multiple of 64. */
int64_t plan_align(int64_t bytes);
/* Offsets of pf's own buffers from `base` on; the end of the last. */
int64_t plan_place_buffers(PlanFunc *pf, int64_t base);
/* Sets barrier_after; `ends_synced`: another function follows. */
void plan_place_barriers(Ctx *ctx, PlanFunc *pf, bool ends_synced);

#endif
