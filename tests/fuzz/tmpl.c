/* tmpl.c - any bytes as a template, expanded with a few names of every type; the same text comes
 * out twice, or the same mistake. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/tmpl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool say_twice(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                      FormulaValue *out, bool *known)
{
    Ctx *ctx = user;
    *known = strcmp(name, "twice") == 0;
    if (*known && (n_args != 1 || arg[0].type != FV_STRING)) {
        return diag_error(ctx->diag, at, "twice takes one string");
    }
    if (*known) {
        *out = formula_string(str_internf(ctx->strings, "%s\n%s", arg[0].s, arg[0].s));
    }
    return true;
}

static bool expand(Ctx *ctx, const Tmpl *t, Buf *out)
{
    TmplEnv env = {.ctx = ctx, .user = ctx, .call = say_twice};
    tmpl_set_int(&env, "N", 3);
    tmpl_set_int(&env, "K", 64);
    tmpl_set_int(&env, "LANES", 16);
    tmpl_set_double(&env, "eps", 1e-5);
    tmpl_set_bool(&env, "tail", true);
    tmpl_set_string(&env, "name", "dot");
    tmpl_set_string(&env, "none", "");
    return tmpl_expand(t, &env, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    const Tmpl *t = tmpl_parse(ctx, "fuzz.c", text, size);
    Buf once = buf_create(ctx->arena), twice = buf_create(ctx->arena);
    if (t != NULL) {
        bool ok = expand(ctx, t, &once);
        if (expand(ctx, t, &twice) != ok || strcmp(once.data, twice.data) != 0) {
            fprintf(stderr, "two expansions differ\n");
            abort();
        }
        if (!ok && diag_error_count(ctx->diag) == 0) {
            abort();
        }
    } else if (diag_error_count(ctx->diag) == 0) {
        abort();
    }
    ctx_destroy(ctx);
    return 0;
}
