/* spec_store.h - where one value of a spec goes; for spec_eval.c and spec_store.c only. */
#ifndef SINTER_COMPILER_SPEC_STORE_H
#define SINTER_COMPILER_SPEC_STORE_H

#include "codegen/expr.h"
#include "compiler/spec.h"

typedef struct SpecSlot {
    Ctx *ctx;
    const SpecKeyInfo *info;
    void *field;
    Span at; /* the value, or what to blame for a default: for messages */
    bool is_default;
} SpecSlot;

/* Each is false after a diagnostic: the wrong kind, out of range, not one of the words. */

/* An INT, NUM, BOOL or WORD. */
bool spec_store_value(const SpecSlot *s, const FormulaValue *v);
/* A WORD, a NAME as they stand in the file. */
bool spec_store_word(const SpecSlot *s, const char *text, size_t n);
bool spec_store_name(const SpecSlot *s, const char *text, size_t n);
/* One number of NUMS into *out. */
bool spec_store_item(const SpecSlot *s, const FormulaValue *v, double *out);

/* What the field holds; FV_NONE for a list. */
FormulaValue spec_slot_value(const SpecSlot *s);

#endif
