/* rule_apply.c - a rule to its fixpoint on one function, with the ledger's entries.
 *
 * The cases of a rule are tried in order, each until it fits nowhere. Refusals are those of the
 * last look at the function, when nothing fires any more. */
#include "ir/rule_ast.h"

typedef struct Refusal {
    Str site, why;
} Refusal;

typedef VEC(Refusal) Refusals;

typedef struct Applier {
    RuleSite site;
    Arena *scratch;
    Str pass;
    Refusals refused; /* by this look at the function */
    bool error;
} Applier;

/* The first matched value that the last rewritten line defines anew. */
static Str site_name(const RuleSite *s)
{
    for (int i = s->c->n_rewritten; i-- > 0;) {
        const RuleLine *l = &s->c->rewritten[i];
        for (int j = 0; j < l->n_results; j++) {
            int var = l->result[j];
            if (var >= 0 && s->c->var[var].match_line >= 0) {
                return s->f->value[s->b.var[var]].name;
            }
        }
    }
    BUG("rule %s rewrites nothing", s->rule->name);
}

static void refuse(Applier *a, const char *why)
{
    Ctx *ctx = a->site.f->module->ctx;
    Refusal r = {.site = site_name(&a->site), .why = str_intern(ctx->strings, why)};
    vec_push(ctx->arena, &a->refused, r);
}

/* Returns true when the search is over: the rule fired, or failed for good. */
static bool rewrite_site(Applier *a)
{
    RuleSite *s = &a->site;
    PassSite entry = pass_site(s->env, s->f, a->pass, s->rule->name, site_name(s));
    arena_reset(a->scratch);
    switch (rule_rewrite(s, a->scratch)) {
    case REWRITE_DONE:
        pass_fired(s->env, s->f, &entry);
        return true;
    case REWRITE_CYCLE:
        refuse(a, "the rewritten operators would need each other's results");
        return false;
    case REWRITE_ERROR:
        a->error = true;
        return true;
    }
    BUG("rewrite status");
}

static bool found(void *user, const RuleBinding *b)
{
    Applier *a = user;
    a->site.b = *b;
    int errors = diag_error_count(a->site.f->module->ctx->diag);
    Buf why = buf_create(a->scratch);
    bool holds = rule_where(&a->site, &why);
    if (diag_error_count(a->site.f->module->ctx->diag) > errors) {
        return a->error = true;
    }
    if (!holds) {
        refuse(a, why.data);
        return false;
    }
    return rewrite_site(a);
}

/* One look at the function; true when the rule fired (or failed) somewhere. */
static bool apply_once(Applier *a)
{
    const Func *f = a->site.f;
    a->refused.n = 0;
    for (size_t i = 0; i < f->order.n; i++) {
        arena_reset(a->scratch);
        if (rule_match(f, a->site.c, f->order.data[i], found, a)) {
            return true;
        }
    }
    return false;
}

static bool fired_too_often(const Applier *a, int n)
{
    const RuleSite *s = &a->site;
    if (n < RULE_MAX_FIRED) {
        return false;
    }
    diag_error(s->f->module->ctx->diag, s->rule->at,
               "rule %s fired %d times in @%s: does its right side contain its left side?",
               s->rule->name, n, s->f->name);
    return true;
}

/* The case until it fits nowhere; -1 after a diagnostic. */
static int apply_case(Applier *a, int fired_before)
{
    int n = 0;
    while (apply_once(a)) {
        n++;
        if (a->error || fired_too_often(a, fired_before + n)) {
            return -1;
        }
    }
    return n;
}

static void report_refusals(const Applier *a)
{
    const RuleSite *s = &a->site;
    for (size_t i = 0; i < a->refused.n; i++) {
        pass_refused(s->env, s->f, a->pass, s->rule->name, a->refused.data[i].site, "%s",
                     a->refused.data[i].why);
    }
}

/* All cases once; -1 after a diagnostic. Their refusals are reported if nothing fired. */
static int apply_cases(Applier *a, int fired_before)
{
    const Rule *r = a->site.rule;
    int n = 0;
    for (size_t i = 0; i < r->cases.n; i++) {
        a->site.c = r->cases.data[i];
        int more = apply_case(a, fired_before + n);
        if (more < 0) {
            return -1;
        }
        n += more;
        if (n == 0) {
            report_refusals(a);
        }
    }
    return n;
}

int rule_apply(Func *f, const Rule *r, PassEnv *env, Str pass)
{
    Applier a = {.site = {.f = f, .rule = r, .env = env}, .scratch = arena_create(), .pass = pass};
    int n = 0, more = 1;
    while (more > 0) {
        more = apply_cases(&a, n);
        n += more;
    }
    arena_destroy(a.scratch);
    return more < 0 ? -1 : n;
}
