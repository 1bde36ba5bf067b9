/* spec_raw.h - what stands between YAML and values: the text and place of every key; for spec.c and
 * spec_yaml.c only. */
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

typedef struct RawSpec {
    RawValue value[KEY_COUNT];
    Span top;     /* where "something is missing" points to */
    bool partial; /* a syntax error ended reading: keys may follow that nobody saw */
} RawSpec;

/* Fills raw from the file; false after diagnostics (what could be read is there all the same). */
bool spec_yaml_read(Ctx *ctx, uint32_t base, const char *text, size_t n, RawSpec *raw);

#endif
