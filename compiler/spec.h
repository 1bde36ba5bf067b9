/* spec.h - the model spec: a page of YAML as one plain struct, with the place of everything.
 *
 * Reading is: libyaml events -> the text and span of every key -> formulas evaluated in the order
 * that they need each other -> ModelSpec. Keys, kinds, ranges and defaults: spec.def. */
#ifndef SINTER_COMPILER_SPEC_H
#define SINTER_COMPILER_SPEC_H

#include "ir/cost.h"
#include "ir/ir.h"
#include "ir/pass.h"

typedef enum SpecWord {
    SPEC_NOTHING,
#define WORD(id, text) SPEC_##id,
#include "compiler/spec.def"
    SPEC_WORD_COUNT
} SpecWord;

typedef enum SpecKey {
#define KEY(id, field, path, kind, need, def, lo, hi, words, doc) KEY_##id,
#include "compiler/spec.def"
    KEY_COUNT
} SpecKey;

typedef enum SpecKind {
    SPEC_KIND_INT,
    SPEC_KIND_NUM,
    SPEC_KIND_BOOL,
    SPEC_KIND_WORD,
    SPEC_KIND_NAME,
    SPEC_KIND_NUMS
} SpecKind;

typedef enum SpecNeed { SPEC_NEED_NO, SPEC_NEED_ANY, SPEC_NEED_MODEL, SPEC_NEED_ALWAYS } SpecNeed;

#define SPEC_C_INT int64_t
#define SPEC_C_NUM double
#define SPEC_C_BOOL bool
#define SPEC_C_WORD SpecWord
#define SPEC_C_NAME Str
#define SPEC_C_NUMS DoubleList

typedef struct ModelSpec {
#define KEY(id, field, path, kind, need, def, lo, hi, words, doc) SPEC_C_##kind field;
#include "compiler/spec.def"
    const char *path;
    struct {
        bool given;
        Span key, value; /* {0, 0}: the default holds */
    } place[KEY_COUNT];
} ModelSpec;

/* ---- spec_keys.c: the table as data ---------------------------------------------------------- */

typedef struct SpecKeyInfo {
    const char *path;
    SpecKind kind;
    SpecNeed need;
    const char *def; /* formula, NULL = none */
    double lo, hi;
    const char *words; /* separated by spaces, NULL = not a WORD */
    const char *doc;
    size_t offset; /* of the field in ModelSpec */
} SpecKeyInfo;

typedef struct SpecGroupInfo {
    const char *path, *main, *doc; /* main: last part of the key that a bare value sets, or NULL */
} SpecGroupInfo;

extern const SpecKeyInfo spec_keys[KEY_COUNT];
extern const SpecGroupInfo spec_groups[];
extern const int n_spec_groups;

const char *spec_word_text(SpecWord w);
SpecWord spec_word_find(const char *text, size_t n); /* SPEC_NOTHING: none */
/* "rmsnorm, layernorm" from the words of a key. */
const char *spec_words_list(Arena *a, const char *words);
bool spec_word_allowed(const char *words, const char *text);

/* ---- spec.c ---------------------------------------------------------------------------------- */

/* `key` = path in spec.def, value as it would stand in the file; wins over the file (--context,
 * --dtype ...). Defaults that depend on it follow. */
typedef struct SpecOverride {
    const char *key, *value;
} SpecOverride;

/* Syntax, keys, types, ranges, formulas. NULL after diagnostics (as many as there are in one run).
 * path and text must outlive ctx's messages (diag_add_source). */
ModelSpec *spec_read(Ctx *ctx, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides);
/* file_read + spec_read + spec_check. */
ModelSpec *spec_load(Ctx *ctx, const char *path, const SpecOverride *overrides, int n_overrides);
/* A spec made of values alone, for the importer: {"layers", "32"}, {"rope.scaling.kind", "llama3"},
 * {"rope.scaling.long_factors", "[1, 1.5]"}; the same diagnostics as spec_read. */
ModelSpec *spec_from_values(Ctx *ctx, const char *path, const SpecOverride *values, int n_values);

/* ---- spec_check.c ---------------------------------------------------------------------------- */

/* The rules between keys. False after diagnostics. */
bool spec_check(Ctx *ctx, const ModelSpec *s);

/* ---- spec_write.c ---------------------------------------------------------------------------- */

/* YAML text that reads back to the same spec: the keys that were given, in the table's order. */
void spec_write(Buf *b, const ModelSpec *s);

/* ---- spec_help.c ----------------------------------------------------------------------------- */

/* Every key: type, default, range, words, meaning; as text or as the page docs/spec.md. */
void spec_help_print(Buf *b, bool markdown);

/* ---- values derived from a spec (spec_check.c) ----------------------------------------------- */

DType spec_dtype(const ModelSpec *s);
QuantScheme spec_quant(const ModelSpec *s);
/* Numbers in the weights (a tied embedding counts once); -1 when it does not fit in 64 bits. */
int64_t spec_parameters(const ModelSpec *s);
/* One line: "bf16, int4/128, 4 layers, d_model 256, d_ff 768, 8/2 heads, vocab 2048, context 512".
 */
void spec_summary(Buf *b, const ModelSpec *s);

#endif
