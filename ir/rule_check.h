/* rule_check.h - what the files of the rule checker share. */
#ifndef SINTER_IR_RULE_CHECK_H
#define SINTER_IR_RULE_CHECK_H

#include "ir/rule_ast.h"

/* One case being checked. */
typedef struct Checker {
    Ctx *ctx;
    RuleCase *c;
    bool right; /* checking the rewrite */
    bool ok;
} Checker;

/* ---- rule_check_names.c ---------------------------------------------------------------------- */

/* A message; the case is not ok any more. Always false. */
bool checker_fail(Checker *k, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A new variable, -1 when there are too many. */
int checker_new_var(Checker *k, const RuleRef *r);
/* The variable of that name, -1 when none; a message when it was written with the other sigil. */
int checker_known_var(Checker *k, const RuleRef *r);
/* The variable of an operand; on the right it must be known by then. -1 for `_`. */
int checker_operand_var(Checker *k, const RuleRef *r);
int checker_find_meta(const RuleCase *c, Str name); /* -1: none */
int checker_bind_meta(Checker *k, Str name, MetaKind kind, Span at);
/* A metavariable that the match bound to a thing of this kind; -1 after a diagnostic. */
int checker_bound_meta(Checker *k, Str name, MetaKind kind, Span at);

/* ---- rule_check_terms.c ---------------------------------------------------------------------- */

void checker_cond(Checker *k, RuleCond *c);
/* One attribute, epilogue or copy in the braces of line l. */
void checker_item(Checker *k, const RuleLine *l, RuleItem *item);

#endif
