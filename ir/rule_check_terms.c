/* rule_check_terms.c - what stands in braces and in where: attribute values, expressions,
 * conditions. */
#include "ir/rule_check.h"

/* ---- terms: attribute values and conditions -------------------------------------------------- */

static const WhereFn *find_fn(Checker *k, const RuleTerm *t, bool predicate)
{
    const char **names = ARENA_ARRAY(k->ctx->arena, const char *, n_where_fns);
    size_t n = 0;
    for (int i = 0; i < n_where_fns; i++) {
        const WhereFn *fn = &where_fns[i];
        if (fn->predicate == predicate) {
            names[n++] = fn->name;
            if (strcmp(fn->name, t->word) == 0) {
                return fn;
            }
        }
    }
    const char *kind = predicate ? "predicate" : "function";
    const char *near = str_nearest(t->word, names, n);
    if (near != NULL) {
        checker_fail(k, t->at, "no %s is called '%s', did you mean '%s'?", kind, t->word, near);
    } else {
        checker_fail(k, t->at, "no %s is called '%s' (docs/rules.md lists them)", kind, t->word);
    }
    return NULL;
}

static void check_term(Checker *k, RuleTerm *t);

static void check_value_arg(Checker *k, RuleTerm *t, const char *of)
{
    if (t->kind != TERM_VAR) {
        checker_fail(k, t->at, "%s wants a value such as %%x here", of);
        return;
    }
    RuleRef r = {.name = t->word, .constant = t->constant, .at = t->at};
    t->index = checker_known_var(k, &r);
    const RuleVar *v = t->index >= 0 ? &k->c->var[t->index] : NULL;
    if (v == NULL || (v->match_line < 0 && !v->used)) {
        checker_fail(k, t->at, "%c%s is not matched", t->constant ? '@' : '%', t->word);
    }
}

static void check_arg(Checker *k, RuleTerm *t, char kind, const char *of)
{
    switch (kind) {
    case 'v':
        check_value_arg(k, t, of);
        break;
    case 'w':
        if (t->kind != TERM_WORD) {
            checker_fail(k, t->at, "%s wants a word here", of);
        }
        break;
    default:
        check_term(k, t);
    }
}

/* "vv" two values, "v+" one value or more. */
static void check_call(Checker *k, RuleTerm *t, bool predicate)
{
    t->fn = find_fn(k, t, predicate);
    if (t->fn == NULL) {
        return;
    }
    size_t wanted = strlen(t->fn->args);
    bool more = t->fn->args[wanted - 1] == '+';
    wanted -= more;
    if (t->args.n < wanted || (t->args.n > wanted && !more)) {
        checker_fail(k, t->at, "%s takes %zu argument%s%s, not %zu", t->fn->name, wanted,
                     wanted == 1 ? "" : "s", more ? " or more" : "", t->args.n);
        return;
    }
    for (size_t i = 0; i < t->args.n; i++) {
        check_arg(k, t->args.data[i], t->fn->args[i < wanted ? i : wanted - 1], t->fn->name);
    }
}

/* A bound attribute, for a comparison or a computed attribute. */
static void check_term_meta(Checker *k, RuleTerm *t)
{
    t->index = checker_bound_meta(k, t->word, META_ATTR, t->at);
}

static void check_term(Checker *k, RuleTerm *t)
{
    switch (t->kind) {
    case TERM_NUMBER:
        break;
    case TERM_WORD:
        if (strncmp(t->word, "target.", 7) == 0 && !rule_is_target_word(t->word)) {
            checker_fail(k, t->at, "a target has no '%s', only target.block", t->word + 7);
        }
        break;
    case TERM_META:
        check_term_meta(k, t);
        break;
    case TERM_CALL:
        check_call(k, t, false);
        break;
    case TERM_BINARY:
    case TERM_LIST:
        for (size_t i = 0; i < t->args.n; i++) {
            check_term(k, t->args.data[i]);
        }
        break;
    case TERM_VAR:
        checker_fail(k, t->at, "a value has no number of its own: write rows(%%%s), cols(%%%s) ...",
                     t->word, t->word);
        break;
    case TERM_ANY:
        checker_fail(k, t->at, "'_' has no value");
        break;
    case TERM_META_CALL:
        checker_fail(k, t->at, "only an epilogue is called, inside an epilogue");
        break;
    }
}

void checker_cond(Checker *k, RuleCond *c)
{
    if (c->kind != COND_CALL) {
        check_term(k, c->a);
        check_term(k, c->b);
    } else if (c->a->kind != TERM_CALL) {
        checker_fail(k, c->at,
                     "a condition is a predicate such as single_use(%%g), or a comparison");
    } else {
        check_call(k, c->a, true);
    }
}

/* ---- terms: expressions of the rewrite ------------------------------------------------------- */

static void check_expr(Checker *k, RuleTerm *t, bool acc);

/* Whether every operator that $act can be is a function of one argument in expressions. */
static void check_op_call(Checker *k, const RuleTerm *t, int meta)
{
    for (int i = 0; i < k->c->n_lines; i++) {
        const RuleLine *l = &k->c->line[i];
        for (int j = 0; l->op_meta == meta && j < l->n_kinds; j++) {
            ExprKind e = expr_of_op(l->kind[j]);
            if (e == EXPR_NONE || expr_arity(e) != 1) {
                checker_fail(k, t->at, "%s is no function of one argument in expressions",
                             op_name(l->kind[j]));
            }
        }
    }
}

static void check_expr_meta_call(Checker *k, RuleTerm *t, bool acc)
{
    int i = checker_find_meta(k->c, t->word);
    MetaKind kind = i >= 0 && k->c->meta[i].kind == META_OP ? META_OP : META_EXPR;
    t->index = checker_bound_meta(k, t->word, kind, t->at);
    if (t->index >= 0 && kind == META_OP) {
        check_op_call(k, t, t->index);
    }
    check_expr(k, t->args.data[0], acc);
}

static void check_expr_word(Checker *k, const RuleTerm *t, bool acc)
{
    bool known = strcmp(t->word, "acc") == 0 || strcmp(t->word, "acc.0") == 0 ||
                 strcmp(t->word, "acc.1") == 0;
    if (!known) {
        checker_fail(k, t->at,
                     "'%s' is no leaf of an expression: acc, acc.0, acc.1, a value or a number",
                     t->word);
    } else if (!acc) {
        checker_fail(k, t->at, "map has no accumulator: its leaves are values and numbers");
    }
}

/* acc: an accumulator is there (matmul), not in map. */
static void check_expr(Checker *k, RuleTerm *t, bool acc)
{
    switch (t->kind) {
    case TERM_NUMBER:
        break;
    case TERM_WORD:
        check_expr_word(k, t, acc);
        break;
    case TERM_VAR: {
        RuleRef r = {.name = t->word, .constant = t->constant, .at = t->at};
        t->index = checker_operand_var(k, &r);
        break;
    }
    case TERM_META:
        t->index = checker_bound_meta(k, t->word, META_EXPR, t->at);
        break;
    case TERM_META_CALL:
        check_expr_meta_call(k, t, acc);
        break;
    case TERM_CALL:
        k->ok &= text_find_expr(k->ctx, t->word, (int)t->args.n, t->at) != EXPR_NONE;
        for (size_t i = 0; i < t->args.n; i++) {
            check_expr(k, t->args.data[i], acc);
        }
        break;
    case TERM_BINARY:
        checker_fail(k, t->at, "an expression is written with functions: add(a, b), sub, mul");
        break;
    case TERM_ANY:
    case TERM_LIST:
        checker_fail(k, t->at, "this is no part of an expression");
        break;
    }
}

/* ---- attributes ------------------------------------------------------------------------------ */

static bool is_literal(const RuleTerm *t)
{
    return t->kind == TERM_NUMBER || t->kind == TERM_LIST ||
           (t->kind == TERM_WORD && strncmp(t->word, "target.", 7) != 0);
}

static void set_literal(Checker *k, RuleItem *item)
{
    const RuleTerm *t = item->value;
    bool list = t->kind == TERM_LIST;
    size_t n = list ? t->args.n : 1;
    Number *number = ARENA_ARRAY(k->ctx->arena, Number, n + 1);
    for (size_t i = 0; i < n; i++) {
        const RuleTerm *x = list ? t->args.data[i] : t;
        number[i] = x->number;
        if (list && x->kind != TERM_NUMBER) {
            checker_fail(k, x->at, "a list holds numbers");
            return;
        }
    }
    Str word = t->kind == TERM_WORD ? t->word : NULL;
    AttrText text = {.at = t->at, .word = word, .list = list, .n = n, .number = number};
    item->kind = ITEM_LITERAL;
    k->ok &= attr_set(k->ctx, &item->literal, item->attr, &text);
}

static void check_match_expr(Checker *k, RuleItem *item)
{
    RuleTerm *t = item->value;
    item->kind = ITEM_EXPR;
    if (t->kind == TERM_META) {
        t->index = checker_bind_meta(k, t->word, META_EXPR, t->at);
    } else if (t->kind != TERM_ANY && !(t->kind == TERM_WORD && strcmp(t->word, "acc") == 0)) {
        checker_fail(k, t->at, "%s is matched by a metavariable such as $e, by acc or by _",
                     item->name.s);
    }
}

static void check_match_attr(Checker *k, RuleItem *item)
{
    RuleTerm *t = item->value;
    if (is_literal(t)) {
        set_literal(k, item);
    } else if (t->kind == TERM_META) {
        item->kind = ITEM_META;
        t->index = checker_bind_meta(k, t->word, META_ATTR, t->at);
    } else if (t->kind == TERM_ANY) {
        item->kind = ITEM_ANY;
    } else {
        checker_fail(k, t->at, "%s is matched by a literal, a metavariable or _; compute in where",
                     item->name.s);
    }
}

static void check_rewrite_attr(Checker *k, RuleItem *item)
{
    RuleTerm *t = item->value;
    if (is_literal(t)) {
        set_literal(k, item);
    } else {
        item->kind = t->kind == TERM_META ? ITEM_META : ITEM_TERM;
        check_term(k, t);
    }
}

static void check_copy(Checker *k, RuleItem *item)
{
    if (!k->right) {
        checker_fail(k, item->at, "'..' copies attributes: it belongs in the rewrite");
        return;
    }
    item->var = checker_operand_var(k, &item->copy);
    if (item->var >= 0 && k->c->var[item->var].match_line < 0) {
        checker_fail(k, item->at, "%%%s is not defined by a matched operator", item->copy.name);
    }
}

void checker_item(Checker *k, const RuleLine *l, RuleItem *item)
{
    if (item->copy.name != NULL) {
        check_copy(k, item);
        return;
    }
    const char *expr = op_expr_attr(l->kind[0]);
    if (expr != NULL && strcmp(expr, item->name.s) == 0) {
        if (k->right) {
            item->kind = ITEM_EXPR;
            check_expr(k, item->value, l->kind[0] != OP_MAP);
        } else {
            check_match_expr(k, item);
        }
        return;
    }
    for (int i = 0; i < l->n_kinds; i++) {
        item->attr = text_find_attr(k->ctx, l->kind[i], item->name.s, item->name.at);
        if (item->attr == ATTR_COUNT) {
            k->ok = false;
            return;
        }
    }
    if (k->right) {
        check_rewrite_attr(k, item);
    } else {
        check_match_attr(k, item);
    }
}
