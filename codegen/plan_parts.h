/* plan_parts.h - what the files of the planner share; not for other layers.
 *
 *   plan.c          phases, functions, kernels and their names
 *   plan_place.c    where values live: environment, inputs, views, returned values, caches
 *   plan_memory.c   liveness -> offsets, barriers
 *   plan_print.c    the plan as text */
#ifndef SINTER_CODEGEN_PLAN_PARTS_H
#define SINTER_CODEGEN_PLAN_PARTS_H

#include "codegen/plan.h"

/* The plan while it is made: where the walk over phases and functions stands. */
typedef struct PlanBuild {
    Ctx *ctx;
    Plan *plan;
    PlanPhase *phase;
    PlanFunc *pf;
    const Func *func; /* pf's */
    Str name_tokens, name_pos, name_logits;
} PlanBuild;

/* ---- plan_place.c ---------------------------------------------------------------------------- */

/* Collects the values that functions of the phase hand to each other; their bytes in all. */
int64_t plan_place_environment(PlanBuild *b);
/* Params and states of b->func. */
void plan_place_inputs(PlanBuild *b);
/* A constant that a kernel reads: a tensor of the weights plan. */
void plan_place_constant(PlanBuild *b, ValueId v);
/* Gives the results of a view the operand's place; false when op is a kernel. */
bool plan_place_view(PlanBuild *b, const Op *op);
/* The results of k, which will be b->pf's next kernel; makes buffers where it must. */
void plan_place_results(PlanBuild *b, const Kernel *k);
/* p->kv: the caches of one sequence, the same in all phases. */
void plan_place_caches(Plan *p, const Module *m);

/* The index of the environment's value `name` among b->pf's buffers, entered when it is not there.
 */
int plan_shared_buffer(PlanBuild *b, Str name);
/* Is f what a step of the phase ends with, once and not as a layer? */
bool plan_is_last_func(const PlanPhase *phase, const Func *f);
/* The result that leaves through run->logits: "logits", or all there is in a model without it. */
bool plan_is_output(const PlanBuild *b, const Func *f, size_t result);
/* Is no result of op returned by f? */
bool plan_stays_inside(const Func *f, const Op *op);
/* text with '_' for everything that an identifier of C may not have. */
Str plan_identifier(Ctx *ctx, const char *text);

/* ---- plan_memory.c --------------------------------------------------------------------------- */

/* Bytes of a buffer, a multiple of 64. */
int64_t plan_align(int64_t bytes);
/* Offsets of pf's own buffers from `base` on; the end of the last. */
int64_t plan_place_buffers(PlanFunc *pf, int64_t base);
/* Sets barrier_after; `ends_synced`: another function follows. */
void plan_place_barriers(Ctx *ctx, PlanFunc *pf, bool ends_synced);

#endif
