/* spec_raw.h - what stands between YAML and values: the text and place of every key; for the
 * files of the spec reader (spec.c) and device.c only. */
#ifndef SINTER_COMPILER_SPEC_RAW_H
#define SINTER_COMPILER_SPEC_RAW_H

#include "compiler/spec.h"

typedef struct RawText {
    const char *text; /* without quotes, NUL-terminated */
    size_t n;
    Span at;    /* in the source, quotes included */
    Span inner; /* the same bytes as `text`, so that carets can point inside; {0, 0}: escapes or
                   line breaks make them differ */
    bool quoted;
} RawText;

typedef struct RawValue {
    bool given, is_list;
    Span key, at; /* the key; the whole value */
    RawText one;
    VEC(RawText) items;
} RawValue;

/* Keys of one kind of file: model specs and devices are read by the same code. */
typedef struct SpecTable {
    const char *what; /* "a spec": for messages */
    const SpecKeyInfo *key;
    int n_keys;
    const SpecGroupInfo *group;
    int n_groups;
    int parts_key; /* the key that says whether a whole model is described; -1 = none */
} SpecTable;

typedef struct RawSpec {
    RawValue *value; /* [n_keys] */
    Span top;        /* where "something is missing" points to */
    bool partial;    /* a syntax error ended reading: keys may follow that nobody saw */
} RawSpec;

/* ---- spec_yaml.c ----------------------------------------------------------------------------- */

/* Fills raw from the file; false after diagnostics (what could be read is there all the same). */
bool spec_yaml_read(Ctx *ctx, const SpecTable *t, uint32_t base, const char *text, size_t n,
                    RawSpec *raw);

/* ---- spec_override.c ------------------------------------------------------------------------- */

/* Puts the values into raw. False after diagnostics. */
bool spec_apply_overrides(Ctx *ctx, const SpecTable *t, const SpecOverride *o, int n, RawSpec *raw);

/* ---- spec_eval.c ----------------------------------------------------------------------------- */

/* Stores every key, given or default, into `out` at its offset. False after diagnostics. */
bool spec_evaluate(Ctx *ctx, const SpecTable *t, const RawSpec *raw, void *out);

/* ---- spec.c ---------------------------------------------------------------------------------- */

/* Index of a path, or -1. */
int spec_table_key(const SpecTable *t, const char *path);
int spec_table_group(const SpecTable *t, const char *path);

/* Reads the file and stores every key into `out` at its offset. False after diagnostics. raw:
 * places, may be looked at afterwards. */
bool spec_table_read(Ctx *ctx, const SpecTable *t, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides, RawSpec *raw, void *out);

#endif
