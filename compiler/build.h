/* build.h - ModelSpec -> IR: the plainest graph that is right (docs/pipeline.md); passes improve
 * it. */
#ifndef SINTER_COMPILER_BUILD_H
#define SINTER_COMPILER_BUILD_H

#include "compiler/spec.h"

/* The module of one phase: decode of `tokens` sequences (1 to IR_MAX_BATCH) or prefill of a chunk
 * of `tokens`. The spec was checked. NULL after a diagnostic. */
Module *build_module(Ctx *ctx, const ModelSpec *s, Phase phase, int tokens);

/* `sinter spec --check`: both phases built and verified. */
bool build_check(Ctx *ctx, const ModelSpec *s);

#endif
