/* rule_check_names.c - names of a rule while it is checked: values (%x, @w) and metavariables ($e).
 */
#include "ir/rule_check.h"

bool checker_fail(Checker *k, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_error(k->ctx->diag, at, "%s", arena_vprintf(k->ctx->arena, fmt, ap));
    va_end(ap);
    return k->ok = false;
}

static int find_var(const RuleCase *c, Str name)
{
    for (int i = 0; i < c->n_vars; i++) {
        if (c->var[i].name != NULL && c->var[i].name == name) {
            return i;
        }
    }
    return -1;
}

int checker_new_var(Checker *k, const RuleRef *r)
{
    if (k->c->n_vars == RULE_MAX_VARS) {
        checker_fail(k, r->at, "a rule may name %d values at most", RULE_MAX_VARS);
        return -1;
    }
    int i = k->c->n_vars++;
    k->c->var[i] = (RuleVar){.name = r->name,
                             .constant = r->constant,
                             .at = r->at,
                             .match_line = -1,
                             .rewrite_line = -1};
    return i;
}

/* A name has one sigil in a rule. */
int checker_known_var(Checker *k, const RuleRef *r)
{
    int i = find_var(k->c, r->name);
    if (i >= 0 && k->c->var[i].constant != r->constant) {
        checker_fail(k, r->at, "%s is written with '%c' before", r->name,
                     k->c->var[i].constant ? '@' : '%');
    }
    return i;
}

/* The variable of an operand; on the right it must be known by then. -1 for `_`. */
int checker_operand_var(Checker *k, const RuleRef *r)
{
    if (r->name == NULL) {
        if (k->right) {
            checker_fail(k, r->at, "'_' stands for anything: the rewrite needs a value");
        }
        return -1;
    }
    int i = checker_known_var(k, r);
    if (i < 0 && k->right) {
        checker_fail(k, r->at, "%c%s is neither matched nor defined above", r->constant ? '@' : '%',
                     r->name);
        return -1;
    }
    return i >= 0 ? i : checker_new_var(k, r);
}

int checker_find_meta(const RuleCase *c, Str name)
{
    for (int i = 0; i < c->n_metas; i++) {
        if (c->meta[i].name == name) {
            return i;
        }
    }
    return -1;
}

int checker_bind_meta(Checker *k, Str name, MetaKind kind, Span at)
{
    int i = checker_find_meta(k->c, name);
    if (i >= 0) {
        if (kind != META_ATTR || k->c->meta[i].kind != META_ATTR) {
            checker_fail(k, at, "$%s is bound twice", name);
        }
        return i;
    }
    if (k->c->n_metas == RULE_MAX_METAS) {
        checker_fail(k, at, "a rule may bind %d metavariables at most", RULE_MAX_METAS);
        return 0;
    }
    k->c->meta[k->c->n_metas] = (RuleMeta){.name = name, .kind = kind, .at = at};
    return k->c->n_metas++;
}

static const char *meta_kind_name(MetaKind kind)
{
    static const char *const names[] = {"an attribute", "an epilogue", "an operator"};
    return names[kind];
}

/* A metavariable that the match bound to a thing of this kind; -1 after a diagnostic. */
int checker_bound_meta(Checker *k, Str name, MetaKind kind, Span at)
{
    int i = checker_find_meta(k->c, name);
    if (i < 0) {
        checker_fail(k, at, "$%s is not bound by the match", name);
        return -1;
    }
    if (k->c->meta[i].kind != kind) {
        checker_fail(k, at, "$%s is bound to %s, %s is wanted here", name,
                     meta_kind_name(k->c->meta[i].kind), meta_kind_name(kind));
        return -1;
    }
    return i;
}
