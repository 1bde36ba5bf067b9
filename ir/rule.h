/* rule.h - fusion rules as text: match, where, rewrite (syntax: docs/rules.md).
 *
 *   rule residual_epilogue "the residual is added to the accumulators before they are stored" {
 *     match   { %d = matmul %x, @w {epilogue = $e}
 *               %y = add %d, %r }
 *     where   { single_use(%d), shape(%r) == shape(%d) }
 *     rewrite { %y = matmul %x, @w {.. %d, epilogue = add($e, %r)} }
 *   } */
#ifndef SINTER_IR_RULE_H
#define SINTER_IR_RULE_H

#include "ir/ir.h"

typedef struct Rule Rule;

typedef struct RuleSet {
    Ctx *ctx;
    VEC(Rule *) rules;
} RuleSet;

RuleSet *ruleset_create(Ctx *ctx);
/* Parses and type-checks a rule file; false after diagnostics. A later rule of the same name
 * replaces the earlier one. */
bool ruleset_add(RuleSet *s, const char *path, const char *text, size_t n);
const Rule *ruleset_find(const RuleSet *s, const char *name);
const char *rule_name(const Rule *r);
const char *rule_doc(const Rule *r);
void rule_print(Buf *b, const Rule *r);

struct PassEnv;
/* Applies the rule at every site until none is left; number of rewrites, -1 after a diagnostic.
 * Fired and refused sites go to env->ledger. */
int rule_apply(Func *f, const Rule *r, struct PassEnv *env, Str pass);

#endif
