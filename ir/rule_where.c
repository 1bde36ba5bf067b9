/* rule_where.c - conditions of a rule: terms evaluated, arithmetic, comparisons.
 *
 * A condition that does not hold says why, for the ledger, and is quoted as it was written:
 * "shape(%r) is [2, 1], shape(%d) is [2, 16] (shape(%r) == shape(%d))". */
#include <math.h>
#include <string.h>

#include "ir/rule_ast.h"

/* ---- terms ----------------------------------------------------------------------------------- */

bool rule_is_target_word(Str word)
{
    return strcmp(word, "target.block") == 0;
}

static Quantity divide(const RuleSite *s, const RuleTerm *t, const Number *a, const Number *b)
{
    if (!(b->d < 0 || b->d > 0)) {
        diag_error(s->f->module->ctx->diag, t->at, "division by zero in rule %s", s->rule->name);
        return (Quantity){0};
    }
    if (a->integer && b->integer && a->i % b->i == 0) {
        return quantity_integer(a->i / b->i);
    }
    return quantity_real(a->d / b->d);
}

/* Whole numbers stay whole as long as they fit. */
static Quantity whole_or_real(int64_t exact, bool fits, double real)
{
    return fits ? quantity_integer(exact) : quantity_real(real);
}

static Quantity binary_value(const RuleSite *s, const RuleTerm *t)
{
    Quantity a = rule_term_value(s, t->args.data[0]), b = rule_term_value(s, t->args.data[1]);
    if (a.kind != Q_NUMBER || b.kind != Q_NUMBER) {
        return (Quantity){0};
    }
    const Number *x = &a.number, *y = &b.number;
    bool whole = x->integer && y->integer;
    int64_t product = 0;
    switch (t->op) {
    case '+':
        whole = whole && fabs(x->d) + fabs(y->d) < 9e15;
        return whole_or_real(whole ? x->i + y->i : 0, whole, x->d + y->d);
    case '-':
        whole = whole && fabs(x->d) + fabs(y->d) < 9e15;
        return whole_or_real(whole ? x->i - y->i : 0, whole, x->d - y->d);
    case '*':
        whole = whole && fabs(x->d * y->d) < 9e15;
        product = whole ? x->i * y->i : 0;
        return whole_or_real(product, whole, x->d * y->d);
    default:
        return divide(s, t, x, y);
    }
}

Quantity rule_term_value(const RuleSite *s, const RuleTerm *t)
{
    switch (t->kind) {
    case TERM_NUMBER:
        return (Quantity){.kind = Q_NUMBER, .number = t->number};
    case TERM_WORD:
        return rule_is_target_word(t->word) ? quantity_integer(s->env->block)
                                            : (Quantity){.kind = Q_WORD, .word = t->word};
    case TERM_META:
        return s->b.meta[t->index];
    case TERM_CALL:
        return t->fn->value(s, t);
    case TERM_BINARY:
        return binary_value(s, t);
    case TERM_VAR:
    case TERM_ANY:
    case TERM_META_CALL:
    case TERM_LIST:
        break;
    }
    BUG("term kind %d has no value", (int)t->kind);
}

/* ---- conditions ------------------------------------------------------------------------------ */

static void put_source(Buf *b, const RuleSite *s, Span at)
{
    size_t n;
    const char *text = diag_span_text(s->f->module->ctx->diag, at, &n);
    buf_add(b, text, n);
}

static bool is_in(const RuleSite *s, const Quantity *a, const RuleTerm *list)
{
    for (size_t i = 0; i < list->args.n; i++) {
        Quantity x = rule_term_value(s, list->args.data[i]);
        if (quantity_equal(a, &x)) {
            return true;
        }
    }
    return false;
}

static bool compare(CondKind kind, const Quantity *a, const Quantity *b)
{
    bool numbers = a->kind == Q_NUMBER && b->kind == Q_NUMBER;
    double x = a->number.d, y = b->number.d;
    switch (kind) {
    case COND_EQ:
        return quantity_equal(a, b);
    case COND_NE:
        return !quantity_equal(a, b);
    case COND_LT:
        return numbers && x < y;
    case COND_LE:
        return numbers && x <= y;
    case COND_GT:
        return numbers && x > y;
    case COND_GE:
        return numbers && x >= y;
    case COND_CALL:
    case COND_IN:
        break;
    }
    BUG("comparison %d", (int)kind);
}

/* "shape(%r) is [1, 64]", or just the number for a literal. */
static void put_side(Buf *why, const RuleSite *s, const RuleTerm *t, const Quantity *q)
{
    if (t->kind != TERM_NUMBER && t->kind != TERM_WORD) {
        put_source(why, s, t->at);
        buf_puts(why, " is ");
    }
    quantity_print(why, q);
}

static bool comparison_holds(const RuleSite *s, const RuleCond *c, Buf *why)
{
    Quantity a = rule_term_value(s, c->a);
    if (c->kind == COND_IN) {
        if (is_in(s, &a, c->b) != c->negated) {
            return true;
        }
        put_side(why, s, c->a, &a);
        return false;
    }
    Quantity b = rule_term_value(s, c->b);
    if (compare(c->kind, &a, &b) != c->negated) {
        return true;
    }
    put_side(why, s, c->a, &a);
    buf_puts(why, ", ");
    put_side(why, s, c->b, &b);
    return false;
}

static bool predicate_holds(const RuleSite *s, const RuleCond *c, Buf *why)
{
    if (!c->negated) {
        return c->a->fn->holds(s, c->a, why);
    }
    Buf ignored = buf_create(s->f->module->ctx->arena);
    return !c->a->fn->holds(s, c->a, &ignored);
}

bool rule_where(const RuleSite *s, Buf *why)
{
    for (size_t i = 0; i < s->c->where.n; i++) {
        const RuleCond *c = s->c->where.data[i];
        bool holds =
            c->kind == COND_CALL ? predicate_holds(s, c, why) : comparison_holds(s, c, why);
        if (!holds) {
            buf_puts(why, why->len > 0 ? " (" : "(");
            put_source(why, s, c->at);
            buf_putc(why, ')');
            return false;
        }
    }
    return true;
}
