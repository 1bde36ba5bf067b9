/* rule_check.c - resolves and type-checks a rule when it is loaded, so that a slip is reported with
 * a caret in the rule file and not at the first model it meets.
 *
 * Nested calls become lines of their own with nameless results. The lines of the match are put in
 * the order of the search: line 0 is the anchor, and every other line shares a value with an
 * earlier one. */
#include "ir/rule_ast.h"

typedef struct Checker {
    Ctx *ctx;
    RuleCase *c;
    bool right; /* checking the rewrite */
    bool ok;
} Checker;

static bool fail(Checker *k, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool fail(Checker *k, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_error(k->ctx->diag, at, "%s", arena_vprintf(k->ctx->arena, fmt, ap));
    va_end(ap);
    return k->ok = false;
}

/* ---- variables and metavariables ------------------------------------------------------------- */

static int find_var(const RuleCase *c, Str name)
{
    for (int i = 0; i < c->n_vars; i++) {
        if (c->var[i].name != NULL && c->var[i].name == name) {
            return i;
        }
    }
    return -1;
}

static int new_var(Checker *k, const RuleRef *r)
{
    if (k->c->n_vars == RULE_MAX_VARS) {
        fail(k, r->at, "a rule may name %d values at most", RULE_MAX_VARS);
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
static int known_var(Checker *k, const RuleRef *r)
{
    int i = find_var(k->c, r->name);
    if (i >= 0 && k->c->var[i].constant != r->constant) {
        fail(k, r->at, "%s is written with '%c' before", r->name,
             k->c->var[i].constant ? '@' : '%');
    }
    return i;
}

/* The variable of an operand; on the right it must be known by then. -1 for `_`. */
static int operand_var(Checker *k, const RuleRef *r)
{
    if (r->name == NULL) {
        if (k->right) {
            fail(k, r->at, "'_' stands for anything: the rewrite needs a value");
        }
        return -1;
    }
    int i = known_var(k, r);
    if (i < 0 && k->right) {
        fail(k, r->at, "%c%s is neither matched nor defined above", r->constant ? '@' : '%',
             r->name);
        return -1;
    }
    return i >= 0 ? i : new_var(k, r);
}

static int find_meta(const RuleCase *c, Str name)
{
    for (int i = 0; i < c->n_metas; i++) {
        if (c->meta[i].name == name) {
            return i;
        }
    }
    return -1;
}

static int bind_meta(Checker *k, Str name, MetaKind kind, Span at)
{
    int i = find_meta(k->c, name);
    if (i >= 0) {
        if (kind != META_ATTR || k->c->meta[i].kind != META_ATTR) {
            fail(k, at, "$%s is bound twice", name);
        }
        return i;
    }
    if (k->c->n_metas == RULE_MAX_METAS) {
        fail(k, at, "a rule may bind %d metavariables at most", RULE_MAX_METAS);
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
static int bound_meta(Checker *k, Str name, MetaKind kind, Span at)
{
    int i = find_meta(k->c, name);
    if (i < 0) {
        fail(k, at, "$%s is not bound by the match", name);
        return -1;
    }
    if (k->c->meta[i].kind != kind) {
        fail(k, at, "$%s is bound to %s, %s is wanted here", name,
             meta_kind_name(k->c->meta[i].kind), meta_kind_name(kind));
        return -1;
    }
    return i;
}

/* ---- terms: attribute values and conditions ---------------------------------------------------
 */

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
        fail(k, t->at, "no %s is called '%s', did you mean '%s'?", kind, t->word, near);
    } else {
        fail(k, t->at, "no %s is called '%s' (docs/rules.md lists them)", kind, t->word);
    }
    return NULL;
}

static void check_term(Checker *k, RuleTerm *t);

static void check_value_arg(Checker *k, RuleTerm *t, const char *of)
{
    if (t->kind != TERM_VAR) {
        fail(k, t->at, "%s wants a value such as %%x here", of);
        return;
    }
    RuleRef r = {.name = t->word, .constant = t->constant, .at = t->at};
    t->index = known_var(k, &r);
    const RuleVar *v = t->index >= 0 ? &k->c->var[t->index] : NULL;
    if (v == NULL || (v->match_line < 0 && !v->used)) {
        fail(k, t->at, "%c%s is not matched", t->constant ? '@' : '%', t->word);
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
            fail(k, t->at, "%s wants a word here", of);
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
        fail(k, t->at, "%s takes %zu argument%s%s, not %zu", t->fn->name, wanted,
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
    t->index = bound_meta(k, t->word, META_ATTR, t->at);
}

static void check_term(Checker *k, RuleTerm *t)
{
    switch (t->kind) {
    case TERM_NUMBER:
        break;
    case TERM_WORD:
        if (strncmp(t->word, "target.", 7) == 0 && !rule_is_target_word(t->word)) {
            fail(k, t->at, "a target has no '%s', only target.block", t->word + 7);
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
        fail(k, t->at, "a value has no number of its own: write rows(%%%s), cols(%%%s) ...",
             t->word, t->word);
        break;
    case TERM_ANY:
        fail(k, t->at, "'_' has no value");
        break;
    case TERM_META_CALL:
        fail(k, t->at, "only an epilogue is called, inside an epilogue");
        break;
    }
}

static void check_cond(Checker *k, RuleCond *c)
{
    if (c->kind != COND_CALL) {
        check_term(k, c->a);
        check_term(k, c->b);
    } else if (c->a->kind != TERM_CALL) {
        fail(k, c->at, "a condition is a predicate such as single_use(%%g), or a comparison");
    } else {
        check_call(k, c->a, true);
    }
}

/* ---- terms: expressions of the rewrite --------------------------------------------------------
 */

static void check_expr(Checker *k, RuleTerm *t, bool acc);

/* Whether every operator that $act can be is a function of one argument in expressions. */
static void check_op_call(Checker *k, const RuleTerm *t, int meta)
{
    for (int i = 0; i < k->c->n_lines; i++) {
        const RuleLine *l = &k->c->line[i];
        for (int j = 0; l->op_meta == meta && j < l->n_kinds; j++) {
            ExprKind e = expr_of_op(l->kind[j]);
            if (e == EXPR_NONE || expr_arity(e) != 1) {
                fail(k, t->at, "%s is no function of one argument in expressions",
                     op_name(l->kind[j]));
            }
        }
    }
}

static void check_expr_meta_call(Checker *k, RuleTerm *t, bool acc)
{
    int i = find_meta(k->c, t->word);
    MetaKind kind = i >= 0 && k->c->meta[i].kind == META_OP ? META_OP : META_EXPR;
    t->index = bound_meta(k, t->word, kind, t->at);
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
        fail(k, t->at, "'%s' is no leaf of an expression: acc, acc.0, acc.1, a value or a number",
             t->word);
    } else if (!acc) {
        fail(k, t->at, "map has no accumulator: its leaves are values and numbers");
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
        t->index = operand_var(k, &r);
        break;
    }
    case TERM_META:
        t->index = bound_meta(k, t->word, META_EXPR, t->at);
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
        fail(k, t->at, "an expression is written with functions: add(a, b), sub, mul");
        break;
    case TERM_ANY:
    case TERM_LIST:
        fail(k, t->at, "this is no part of an expression");
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
            fail(k, x->at, "a list holds numbers");
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
        t->index = bind_meta(k, t->word, META_EXPR, t->at);
    } else if (t->kind != TERM_ANY && !(t->kind == TERM_WORD && strcmp(t->word, "acc") == 0)) {
        fail(k, t->at, "%s is matched by a metavariable such as $e, by acc or by _", item->name.s);
    }
}

static void check_match_attr(Checker *k, RuleItem *item)
{
    RuleTerm *t = item->value;
    if (is_literal(t)) {
        set_literal(k, item);
    } else if (t->kind == TERM_META) {
        item->kind = ITEM_META;
        t->index = bind_meta(k, t->word, META_ATTR, t->at);
    } else if (t->kind == TERM_ANY) {
        item->kind = ITEM_ANY;
    } else {
        fail(k, t->at, "%s is matched by a literal, a metavariable or _; compute in where",
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
        fail(k, item->at, "'..' copies attributes: it belongs in the rewrite");
        return;
    }
    item->var = operand_var(k, &item->copy);
    if (item->var >= 0 && k->c->var[item->var].match_line < 0) {
        fail(k, item->at, "%%%s is not defined by a matched operator", item->copy.name);
    }
}

static void check_item(Checker *k, const RuleLine *l, RuleItem *item)
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

/* ---- operators ------------------------------------------------------------------------------- */

/* `$act` alone on the right: whatever the match found. */
static void take_matched_kinds(Checker *k, RuleLine *l, const RuleOp *op)
{
    l->op_meta = bound_meta(k, op->meta.s, META_OP, op->meta.at);
    for (int i = 0; i < k->c->n_lines; i++) {
        const RuleLine *m = &k->c->line[i];
        if (l->op_meta >= 0 && m->op_meta == l->op_meta) {
            memcpy(l->kind, m->kind, sizeof l->kind);
            l->n_kinds = m->n_kinds;
        }
    }
}

static void check_kinds(Checker *k, RuleLine *l, const RuleOp *op)
{
    l->op_meta = -1;
    if (op->kinds.n > RULE_MAX_KINDS) {
        fail(k, op->at, "a line may name %d operators at most", RULE_MAX_KINDS);
        return;
    }
    if (k->right && (op->kinds.n > 1 || (op->meta.s != NULL && op->kinds.n > 0))) {
        fail(k, op->at, "the rewrite names one operator, or a bound one as $name");
        return;
    }
    if (op->kinds.n == 0) {
        if (!k->right) {
            fail(k, op->meta.at, "name the operators that $%s may be: $%s:silu|gelu", op->meta.s,
                 op->meta.s);
            return;
        }
        take_matched_kinds(k, l, op);
        return;
    }
    for (size_t i = 0; i < op->kinds.n; i++) {
        const RuleName *name = &op->kinds.data[i];
        OpKind kind = text_find_op(k->ctx, name->s, name->at);
        k->ok &= kind != OP_NONE;
        l->kind[l->n_kinds++] = kind;
    }
    if (op->meta.s != NULL) {
        l->op_meta = bind_meta(k, op->meta.s, META_OP, op->meta.at);
    }
}

/* The slot of an operand in each alternative: all must have it. */
static bool check_slot(Checker *k, const RuleLine *l, const RuleArg *arg, int pos)
{
    for (int i = 0; i < l->n_kinds; i++) {
        OpKind kind = l->kind[i];
        int slot = pos;
        if (arg->slot.s != NULL) {
            slot = text_find_slot(k->ctx, kind, arg->slot.s, arg->slot.at);
            if (slot < 0) {
                return k->ok = false;
            }
        } else if (pos >= op_slots(kind)) {
            return fail(k, arg->at, "%s takes %d operand%s", op_name(kind), op_slots(kind),
                        op_slots(kind) == 1 ? "" : "s");
        } else if (op_slot_optional(kind, pos)) {
            const char *name = op_slot_name(kind, pos);
            return fail(k, arg->at, "the operand %s of %s is optional: write %s = ...", name,
                        op_name(kind), name);
        }
        if (arg->ref.optional && !op_slot_optional(kind, slot)) {
            return fail(k, arg->at, "%s always has its operand %s: '?' is for optional ones",
                        op_name(kind), op_slot_name(kind, slot));
        }
    }
    return true;
}

static void check_required_slots(Checker *k, const RuleLine *l, const RuleOp *op)
{
    for (int i = 0; i < l->n_kinds; i++) {
        for (int slot = 0; slot < op_slots(l->kind[i]); slot++) {
            bool given = op_slot_optional(l->kind[i], slot);
            for (size_t j = 0; j < l->args.n && !given; j++) {
                const RuleLineArg *a = &l->args.data[j];
                given = a->slot == NULL ? a->pos == slot : op_slot(l->kind[i], a->slot) == slot;
            }
            if (!given) {
                fail(k, op->at, "%s needs its operand %s", op_name(l->kind[i]),
                     op_slot_name(l->kind[i], slot));
                return;
            }
        }
    }
}

static void check_line(Checker *k, const RuleOp *op, int nameless);

/* A nested call is a line with one nameless result. */
static int check_nested(Checker *k, const RuleOp *call)
{
    RuleRef nameless = {.at = call->at};
    int var = new_var(k, &nameless);
    if (var >= 0) {
        check_line(k, call, var);
    }
    return var;
}

static void check_args(Checker *k, RuleLine *l, const RuleOp *op)
{
    int pos = 0;
    for (size_t i = 0; i < op->args.n; i++) {
        const RuleArg *arg = &op->args.data[i];
        RuleLineArg a = {.slot = arg->slot.s, .pos = -1, .at = arg->at};
        if (a.slot == NULL) {
            a.pos = pos++;
        }
        if (!check_slot(k, l, arg, a.pos)) {
            continue;
        }
        a.var = arg->call != NULL ? check_nested(k, arg->call) : operand_var(k, &arg->ref);
        if (a.var >= 0) {
            k->c->var[a.var].used |= !k->right;
            k->c->var[a.var].optional |= arg->ref.optional && !k->right;
        }
        vec_push(k->ctx->arena, &l->args, a);
    }
    if (k->ok) {
        check_required_slots(k, l, op);
    }
}

static void define_matched(Checker *k, RuleLine *l, int line, int i, const RuleRef *r)
{
    if (r->name == NULL) {
        l->result[i] = -1;
        return;
    }
    int var = known_var(k, r);
    if (var >= 0 && k->c->var[var].match_line >= 0) {
        fail(k, r->at, "%s is defined twice", r->name);
    }
    l->result[i] = var >= 0 ? var : new_var(k, r);
    if (l->result[i] >= 0) {
        k->c->var[l->result[i]].match_line = line;
        k->c->var[l->result[i]].match_result = i;
    }
}

static void define_rewritten(Checker *k, RuleLine *l, int line, int i, const RuleRef *r)
{
    if (r->name == NULL) {
        l->result[i] = -1;
        return;
    }
    int var = known_var(k, r);
    if (var >= 0 && k->c->var[var].rewrite_line >= 0) {
        fail(k, r->at, "%s is defined twice", r->name);
    } else if (var >= 0 && k->c->var[var].match_line < 0) {
        fail(k, r->at, "%s is an operand of the match, not a result: it cannot be rewritten",
             r->name);
    }
    l->result[i] = var >= 0 ? var : new_var(k, r);
    if (l->result[i] >= 0) {
        k->c->var[l->result[i]].rewrite_line = line;
        k->c->var[l->result[i]].rewrite_result = i;
    }
}

static void check_result_count(Checker *k, const RuleLine *l, const RuleOp *op)
{
    for (int i = 0; i < l->n_kinds; i++) {
        int outs = op_outs(l->kind[i]);
        if (outs > 0 && outs != l->n_results) {
            fail(k, op->at, "%s has %d result%s", op_name(l->kind[i]), outs, outs == 1 ? "" : "s");
            return;
        }
    }
}

static void define_results(Checker *k, RuleLine *l, int line, const RuleOp *op, int nameless)
{
    if (nameless >= 0) {
        RuleVar *v = &k->c->var[nameless];
        l->n_results = 1;
        l->result[0] = nameless;
        *(k->right ? &v->rewrite_line : &v->match_line) = line;
        check_result_count(k, l, op);
        return;
    }
    if (op->results.n > IR_MAX_OUT) {
        fail(k, op->at, "an operator has %d results at most", IR_MAX_OUT);
        return;
    }
    l->n_results = (int)op->results.n;
    for (int i = 0; i < l->n_results; i++) {
        if (k->right) {
            define_rewritten(k, l, line, i, &op->results.data[i]);
        } else {
            define_matched(k, l, line, i, &op->results.data[i]);
        }
    }
    check_result_count(k, l, op);
}

/* Lines nested in this one come before it. */
static void check_line(Checker *k, const RuleOp *op, int nameless)
{
    RuleCase *c = k->c;
    RuleLine l = {.src = op};
    check_kinds(k, &l, op);
    if (!k->ok) {
        return;
    }
    check_args(k, &l, op);
    for (size_t i = 0; i < op->items.n && k->ok; i++) {
        check_item(k, &l, op->items.data[i]);
    }
    int *n = k->right ? &c->n_rewritten : &c->n_lines;
    if (*n == RULE_MAX_LINES) {
        fail(k, op->at, "a block may hold %d operators at most", RULE_MAX_LINES);
        return;
    }
    define_results(k, &l, *n, op, nameless);
    (k->right ? c->rewritten : c->line)[(*n)++] = l;
}

/* ---- the rule as a whole ----------------------------------------------------------------------
 */

static bool line_defines_bound(const RuleLine *l, const bool *bound)
{
    for (int i = 0; i < l->n_results; i++) {
        if (l->result[i] >= 0 && bound[l->result[i]]) {
            return true;
        }
    }
    return false;
}

static bool line_reads_bound(const RuleLine *l, const bool *bound)
{
    for (size_t i = 0; i < l->args.n; i++) {
        int var = l->args.data[i].var;
        if (var >= 0 && bound[var]) {
            return true;
        }
    }
    return false;
}

static void mark_bound(const RuleLine *l, bool *bound)
{
    for (int i = 0; i < l->n_results; i++) {
        if (l->result[i] >= 0) {
            bound[l->result[i]] = true;
        }
    }
    for (size_t i = 0; i < l->args.n; i++) {
        if (l->args.data[i].var >= 0) {
            bound[l->args.data[i].var] = true;
        }
    }
}

/* The next line of the search: one whose result is known already has one candidate only, one that
 * reads a known value has its users; -1: not connected. */
static int next_line(const RuleCase *c, const bool *placed, const bool *bound)
{
    int reader = -1;
    for (int i = 0; i < c->n_lines; i++) {
        if (!placed[i] && line_defines_bound(&c->line[i], bound)) {
            return i;
        }
        if (!placed[i] && reader < 0 && line_reads_bound(&c->line[i], bound)) {
            reader = i;
        }
    }
    return reader;
}

/* The last line is the anchor. */
static void order_lines(Checker *k)
{
    RuleCase *c = k->c;
    bool placed[RULE_MAX_LINES] = {false}, bound[RULE_MAX_VARS] = {false};
    RuleLine *sorted = ARENA_ARRAY(k->ctx->arena, RuleLine, c->n_lines);
    int place[RULE_MAX_LINES];
    for (int n = 0; n < c->n_lines; n++) {
        int i = n == 0 ? c->n_lines - 1 : next_line(c, placed, bound);
        if (i < 0) {
            for (i = 0; placed[i]; i++) {
            }
            fail(k, c->line[i].src->at, "this line shares no value with the rest of the match");
            return;
        }
        placed[i] = true;
        place[i] = n;
        sorted[n] = c->line[i];
        mark_bound(&c->line[i], bound);
    }
    memcpy(c->line, sorted, (size_t)c->n_lines * sizeof *sorted);
    for (int i = 0; i < c->n_vars; i++) {
        if (c->var[i].match_line >= 0) {
            c->var[i].match_line = place[c->var[i].match_line];
        }
    }
}

/* What `.. %d` in a rewritten line takes over, d's line need not name. */
static void note_copies(RuleCase *c, const RuleLine *l)
{
    bool has_expr = false;
    for (size_t i = 0; i < l->src->items.n; i++) {
        has_expr |= l->src->items.data[i]->kind == ITEM_EXPR;
    }
    for (size_t i = 0; i < l->src->items.n; i++) {
        const RuleItem *item = l->src->items.data[i];
        if (item->kind != ITEM_COPY) {
            continue;
        }
        RuleLine *m = &c->line[c->var[item->var].match_line];
        for (int j = 0; j < l->n_kinds; j++) {
            m->copied_attrs |= op_attr_mask(l->kind[j]);
            m->copied_expr |= !has_expr && (op_flags(l->kind[j]) & OPF_EXPR) != 0;
            if (m->n_copied_as < RULE_MAX_KINDS) {
                m->copied_as[m->n_copied_as++] = l->kind[j];
            }
        }
    }
}

/* Every result of the match is read by another matched line, or rewritten, or `_`; a state operator
 * would lose its effect if it stayed behind. */
static void check_outputs(Checker *k)
{
    const RuleCase *c = k->c;
    int outputs = 0;
    for (int i = 0; i < c->n_vars; i++) {
        const RuleVar *v = &c->var[i];
        if (v->match_line < 0) {
            continue;
        }
        const RuleLine *l = &c->line[v->match_line];
        bool state = (op_flags(l->kind[0]) & OPF_STATE) != 0;
        if (v->rewrite_line >= 0) {
            outputs++;
        } else if (state) {
            fail(k, v->at, "%s writes a cache: its result must be rewritten", op_name(l->kind[0]));
        } else if (!v->used) {
            fail(k, v->at,
                 "%%%s is neither read by another matched operator nor rewritten (write _ if it "
                 "does not matter)",
                 v->name);
        }
    }
    if (outputs == 0) {
        fail(k, c->at, "the rewrite defines none of the matched results");
    }
}

static void check_side(Checker *k, const RuleOps *ops, bool right)
{
    k->right = right;
    for (size_t i = 0; i < ops->n; i++) {
        check_line(k, ops->data[i], -1);
    }
}

static bool check_case(Ctx *ctx, RuleCase *c)
{
    Checker k = {.ctx = ctx, .c = c, .ok = true};
    if (!c->has_rewrite || c->match.n == 0 || c->rewrite.n == 0) {
        return fail(&k, c->at, "a rule needs a match and a rewrite, with a line each");
    }
    check_side(&k, &c->match, false);
    if (k.ok) {
        order_lines(&k);
    }
    for (size_t i = 0; i < c->where.n && k.ok; i++) {
        check_cond(&k, c->where.data[i]);
    }
    if (!k.ok) {
        return false;
    }
    check_side(&k, &c->rewrite, true);
    for (int i = 0; i < c->n_rewritten && k.ok; i++) {
        note_copies(c, &c->rewritten[i]);
    }
    if (k.ok) {
        check_outputs(&k);
    }
    return k.ok;
}

bool rule_check(Ctx *ctx, Rule *r)
{
    if (r->cases.n == 0) {
        return diag_error(ctx->diag, r->at, "rule %s has no match block", r->name);
    }
    bool ok = true;
    for (size_t i = 0; i < r->cases.n; i++) {
        ok &= check_case(ctx, r->cases.data[i]);
    }
    return ok;
}
