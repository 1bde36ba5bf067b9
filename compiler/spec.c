/* spec.c - reading a spec from end to end: text -> the text and place of every key (spec_yaml.c) ->
 * what the command line puts in their place (spec_override.c) -> values (spec_eval.c,
 * spec_store.c) -> the struct. Device files are read by the same code, from another table. */
#include "compiler/spec.h"

#include <string.h>

#include "compiler/base/file.h"
#include "compiler/spec_raw.h"

/* ---- tables ---------------------------------------------------------------------------------- */

int spec_table_key(const SpecTable *t, const char *path)
{
    for (int k = 0; k < t->n_keys; k++) {
        if (strcmp(t->key[k].path, path) == 0) {
            return k;
        }
    }
    return -1;
}

int spec_table_group(const SpecTable *t, const char *path)
{
    for (int g = 0; g < t->n_groups; g++) {
        if (strcmp(t->group[g].path, path) == 0) {
            return g;
        }
    }
    return -1;
}

bool spec_table_read(Ctx *ctx, const SpecTable *t, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides, RawSpec *raw, void *out)
{
    int before = diag_error_count(ctx->diag);
    uint32_t base = diag_add_source(ctx->diag, path, text, n);
    if (diag_error_count(ctx->diag) > before) {
        return false;
    }
    bool ok = spec_yaml_read(ctx, t, base, text, n, raw);
    ok = spec_apply_overrides(ctx, t, overrides, n_overrides, raw) && ok;
    if (raw->partial) {
        return false; /* what was read may be cut off: values would be judged wrongly */
    }
    return spec_evaluate(ctx, t, raw, out) && ok;
}

/* ---- model specs ----------------------------------------------------------------------------- */

static SpecTable model_table(void)
{
    return (SpecTable){"a spec", spec_keys, KEY_COUNT, spec_groups, n_spec_groups, KEY_PARTS};
}

static void keep_places(const RawSpec *raw, ModelSpec *s)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        s->place[k].given = raw->value[k].given;
        s->place[k].key = raw->value[k].key;
        s->place[k].value = raw->value[k].at;
    }
}

ModelSpec *spec_read(Ctx *ctx, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides)
{
    SpecTable t = model_table();
    RawSpec raw = {0};
    ModelSpec *s = ARENA_NEW(ctx->arena, ModelSpec);
    s->path = path;
    if (!spec_table_read(ctx, &t, path, text, n, overrides, n_overrides, &raw, s)) {
        return NULL;
    }
    keep_places(&raw, s);
    return s;
}

ModelSpec *spec_load(Ctx *ctx, const char *path, const SpecOverride *overrides, int n_overrides)
{
    size_t n;
    const char *text = file_read(ctx->arena, ctx->diag, path, &n);
    ModelSpec *s = text != NULL ? spec_read(ctx, path, text, n, overrides, n_overrides) : NULL;
    return s != NULL && spec_check(ctx, s) ? s : NULL;
}

ModelSpec *spec_from_values(Ctx *ctx, const char *path, const SpecOverride *values, int n_values)
{
    SpecTable t = model_table();
    RawSpec raw = {.value = ARENA_ARRAY(ctx->arena, RawValue, t.n_keys)};
    ModelSpec *s = ARENA_NEW(ctx->arena, ModelSpec);
    s->path = path;
    bool ok = spec_apply_overrides(ctx, &t, values, n_values, &raw);
    if (!spec_evaluate(ctx, &t, &raw, s) || !ok) {
        return NULL;
    }
    keep_places(&raw, s);
    return s;
}
