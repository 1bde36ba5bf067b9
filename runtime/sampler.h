/* sampler.h - from logits to an id: greedy, temperature, top-k, top-p, in this order.
 * The same logits, settings and seed give the same id on every machine with IEEE floats, and on a
 * GPU. */
#ifndef SINTER_SAMPLER_H
#define SINTER_SAMPLER_H

#include "sinter.h"

typedef struct Sampler Sampler;

Sampler *sampler_create(int vocab); /* NULL: no memory */
void sampler_destroy(Sampler *s);
/* The id, and p->seed moves on; -1 when no logit is a number. temperature <= 0: the largest logit,
 * the first of equals. */
int32_t sampler_pick(Sampler *s, const float *logits, SinterSampling *p);

#endif
