/* ctx.h - what one compilation carries everywhere: memory, names, messages. */
#ifndef SINTER_BASE_CTX_H
#define SINTER_BASE_CTX_H

#include "compiler/base/arena.h"
#include "compiler/base/diag.h"
#include "compiler/base/str.h"

typedef struct Ctx {
    Arena *arena;
    StrTable *strings;
    Diag *diag;
} Ctx;

Ctx *ctx_create(void);
void ctx_destroy(Ctx *c);

#endif
