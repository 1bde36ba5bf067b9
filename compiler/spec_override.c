/* spec_override.c - values from the command line (--set KEY=VALUE) or the importer, put in place of
 * the file's as if they stood there: messages about them show a line "KEY: VALUE". */
#include <string.h>

#include "compiler/spec_raw.h"

static bool report_unknown_override(Ctx *ctx, const SpecTable *t, const char *name)
{
    const char **known = ARENA_ARRAY(ctx->arena, const char *, t->n_keys);
    for (int k = 0; k < t->n_keys; k++) {
        known[k] = t->key[k].path;
    }
    const char *near = str_nearest(name, known, (size_t)t->n_keys);
    return near != NULL ? diag_error(ctx->diag, (Span){0}, "unknown key '%s', did you mean '%s'?",
                                     name, near)
                        : diag_error(ctx->diag, (Span){0}, "unknown key '%s' of %s", name, t->what);
}

static bool apply_override(Ctx *ctx, const SpecTable *t, const SpecOverride *o, RawSpec *raw)
{
    int k = spec_table_key(t, o->key);
    if (k < 0) {
        return report_unknown_override(ctx, t, o->key);
    }
    const char *line = arena_printf(ctx->arena, "%s: %s", o->key, o->value);
    size_t lead = strlen(o->key) + 2, n = strlen(line);
    uint32_t base = diag_add_source(ctx->diag, "<option>", line, n);
    RawValue *v = &raw->value[k];
    *v = (RawValue){.given = true};
    v->key = (Span){base, base + (uint32_t)lead - 2};
    v->at = (Span){base + (uint32_t)lead, base + (uint32_t)n};
    v->one = (RawText){.text = line + lead, .n = n - lead, .at = v->at, .inner = v->at};
    return true;
}

/* "[1, 1.5]": a value that is a list goes through the YAML reader like a file. */
static bool apply_list(Ctx *ctx, const SpecTable *t, const SpecOverride *o, RawSpec *raw)
{
    const char *dot = strrchr(o->key, '.');
    int depth = 0;
    Buf b = buf_create(ctx->arena);
    for (const char *c = o->key; dot != NULL && c <= dot; c++) {
        if (*c == '.') {
            buf_puts(&b, ": {");
            depth++;
        } else {
            buf_putc(&b, *c);
        }
    }
    buf_printf(&b, "%s: %s", dot != NULL ? dot + 1 : o->key, o->value);
    while (depth-- > 0) {
        buf_putc(&b, '}');
    }
    uint32_t base = diag_add_source(ctx->diag, "<option>", b.data, b.len);
    RawSpec *one = ARENA_NEW(ctx->arena, RawSpec);
    if (!spec_yaml_read(ctx, t, base, b.data, b.len, one)) {
        return false;
    }
    for (int k = 0; k < t->n_keys; k++) {
        if (one->value[k].given) {
            raw->value[k] = one->value[k];
        }
    }
    return true;
}

bool spec_apply_overrides(Ctx *ctx, const SpecTable *t, const SpecOverride *o, int n, RawSpec *raw)
{
    bool ok = true;
    for (int i = 0; i < n; i++) {
        ok = (o[i].value[0] == '[' ? apply_list(ctx, t, &o[i], raw)
                                   : apply_override(ctx, t, &o[i], raw)) &&
             ok;
    }
    return ok;
}
