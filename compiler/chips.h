/* chips.h - what a spec asks of a GPU that not every chip of the CUDA target has. */
#ifndef SINTER_COMPILER_CHIPS_H
#define SINTER_COMPILER_CHIPS_H

#include "codegen/target.h"
#include "compiler/spec.h"

/* The chips of --arch when none are named: those of the target that can run the spec (NULL: all of
 * the target's own default). */
const char *chips_default(const ModelSpec *s);
/* The least compute capability that can, times ten: 80, 89 ... */
int chips_least(const ModelSpec *s);
/* False after a diagnostic that names the chip, the reason and the nearest scheme it can run. */
bool chips_check(Ctx *ctx, const ModelSpec *s, const Target *t);

#endif
