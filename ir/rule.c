/* rule.c - rule sets: adding a file, finding a rule, printing one as it is written. */
#include "ir/rule_ast.h"

RuleSet *ruleset_create(Ctx *ctx)
{
    RuleSet *s = ARENA_NEW(ctx->arena, RuleSet);
    s->ctx = ctx;
    return s;
}

bool ruleset_add(RuleSet *s, const char *path, const char *text, size_t n)
{
    int errors = diag_error_count(s->ctx->diag);
    RuleParser p = {.ctx = s->ctx, .set = s};
    p.pos = diag_add_source(s->ctx->diag, path, text, n);
    rule_parse_text(&p, text, n);
    return diag_error_count(s->ctx->diag) == errors;
}

const Rule *ruleset_find(const RuleSet *s, const char *name)
{
    for (size_t i = 0; i < s->rules.n; i++) {
        if (strcmp(s->rules.data[i]->name, name) == 0) {
            return s->rules.data[i];
        }
    }
    return NULL;
}

const char *rule_name(const Rule *r)
{
    return r->name;
}

const char *rule_doc(const Rule *r)
{
    return r->doc;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_op(Buf *b, const RuleOp *op, bool nested);

static void print_ref(Buf *b, const RuleRef *r)
{
    if (r->name == NULL) {
        buf_putc(b, '_');
        return;
    }
    buf_printf(b, "%c%s%s", r->constant ? '@' : '%', r->name, r->optional ? "?" : "");
}

static void print_terms(Buf *b, const RuleTerms *list);

/* A sum inside a product needs its parentheses back. */
static void print_operand(Buf *b, const struct RuleTerm *t, bool tight);

static void print_term(Buf *b, const RuleTerm *t)
{
    switch (t->kind) {
    case TERM_NUMBER:
        if (t->number.integer) {
            buf_printf(b, "%lld", (long long)t->number.i);
        } else {
            buf_put_double(b, t->number.d);
        }
        break;
    case TERM_WORD:
        buf_puts(b, t->word);
        break;
    case TERM_VAR:
        buf_printf(b, "%c%s", t->constant ? '@' : '%', t->word);
        break;
    case TERM_META:
        buf_printf(b, "$%s", t->word);
        break;
    case TERM_ANY:
        buf_putc(b, '_');
        break;
    case TERM_CALL:
    case TERM_META_CALL:
        buf_printf(b, "%s%s(", t->kind == TERM_META_CALL ? "$" : "", t->word);
        print_terms(b, &t->args);
        buf_putc(b, ')');
        break;
    case TERM_BINARY:
        print_operand(b, t->args.data[0], t->op == '*' || t->op == '/');
        buf_printf(b, " %c ", t->op);
        print_operand(b, t->args.data[1], t->op != '+');
        break;
    case TERM_LIST:
        buf_putc(b, '[');
        print_terms(b, &t->args);
        buf_putc(b, ']');
        break;
    }
}

static void print_operand(Buf *b, const struct RuleTerm *t, bool tight)
{
    bool parens = tight && t->kind == TERM_BINARY;
    buf_puts(b, parens ? "(" : "");
    print_term(b, t);
    buf_puts(b, parens ? ")" : "");
}

static void print_terms(Buf *b, const RuleTerms *list)
{
    for (size_t i = 0; i < list->n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        print_term(b, list->data[i]);
    }
}

static void print_arg(Buf *b, const RuleArg *a)
{
    if (a->slot.s != NULL) {
        buf_printf(b, "%s = ", a->slot.s);
    }
    if (a->call != NULL) {
        print_op(b, a->call, true);
    } else {
        print_ref(b, &a->ref);
    }
}

static void print_items(Buf *b, const RuleItems *items)
{
    for (size_t i = 0; i < items->n; i++) {
        const RuleItem *item = items->data[i];
        buf_puts(b, i > 0 ? ", " : " {");
        if (item->copy.name != NULL) {
            buf_puts(b, ".. ");
            print_ref(b, &item->copy);
        } else {
            buf_printf(b, "%s = ", item->name.s);
            print_term(b, item->value);
        }
    }
    buf_puts(b, items->n > 0 ? "}" : "");
}

static void print_kinds(Buf *b, const RuleOp *op)
{
    if (op->meta.s != NULL) {
        buf_printf(b, "$%s%s", op->meta.s, op->kinds.n > 0 ? ":" : "");
    }
    for (size_t i = 0; i < op->kinds.n; i++) {
        buf_printf(b, "%s%s", i > 0 ? "|" : "", op->kinds.data[i].s);
    }
}

static void print_op(Buf *b, const RuleOp *op, bool nested)
{
    print_kinds(b, op);
    buf_puts(b, nested ? "(" : op->args.n > 0 ? " " : "");
    for (size_t i = 0; i < op->args.n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        print_arg(b, &op->args.data[i]);
    }
    print_items(b, &op->items);
    buf_puts(b, nested ? ")" : "");
}

static void print_lines(Buf *b, const char *block, const RuleOps *ops)
{
    buf_printf(b, "  %s {\n", block);
    for (size_t i = 0; i < ops->n; i++) {
        const RuleOp *op = ops->data[i];
        buf_puts(b, "    ");
        for (size_t j = 0; j < op->results.n; j++) {
            buf_puts(b, j > 0 ? ", " : "");
            print_ref(b, &op->results.data[j]);
        }
        buf_puts(b, " = ");
        print_op(b, op, false);
        buf_putc(b, '\n');
    }
    buf_puts(b, "  }\n");
}

static void print_cond(Buf *b, const RuleCond *c)
{
    static const char *const sign[] = {"", " == ", " != ", " < ", " <= ", " > ", " >= ", " in {"};
    buf_puts(b, c->negated ? "not " : "");
    print_term(b, c->a);
    buf_puts(b, sign[c->kind]);
    if (c->kind == COND_IN) {
        print_terms(b, &c->b->args);
        buf_putc(b, '}');
    } else if (c->kind != COND_CALL) {
        print_term(b, c->b);
    }
}

static void print_where(Buf *b, const RuleConds *conds)
{
    buf_puts(b, conds->n > 0 ? "  where {\n" : "");
    for (size_t i = 0; i < conds->n; i++) {
        buf_puts(b, "    ");
        print_cond(b, conds->data[i]);
        buf_puts(b, i + 1 < conds->n ? ",\n" : "\n  }\n");
    }
}

void rule_print(Buf *b, const Rule *r)
{
    buf_printf(b, "rule %s \"%s\" {\n", r->name, r->doc);
    for (size_t i = 0; i < r->cases.n; i++) {
        const RuleCase *c = r->cases.data[i];
        print_lines(b, "match", &c->match);
        print_where(b, &c->where);
        print_lines(b, "rewrite", &c->rewrite);
    }
    buf_puts(b, "}\n");
}
