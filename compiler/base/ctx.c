/* ctx.c - creates and frees what one compilation carries everywhere. */
#include "compiler/base/ctx.h"

Ctx *ctx_create(void)
{
    Arena *a = arena_create();
    Ctx *c = ARENA_NEW(a, Ctx);
    c->arena = a;
    c->strings = str_table_create(a);
    c->diag = diag_create(a);
    return c;
}

void ctx_destroy(Ctx *c)
{
    if (c != NULL) {
        arena_destroy(c->arena); /* c itself lives there */
    }
}
