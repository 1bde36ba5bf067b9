/* rule_check.c - resolves and type-checks a rule when it is loaded, so that a slip is reported with
 * a caret in the rule file and not at the first model it meets.
 *
 * Nested calls become lines of their own with nameless results. The lines of the match are put in
 * the order of the search: line 0 is the anchor, and every other line shares a value with an
 * earlier one. */
#include "ir/rule_check.h"

/* ---- operators ------------------------------------------------------------------------------- */

/* `$act` alone on the right: whatever the match found. */
static void take_matched_kinds(Checker *k, RuleLine *l, const RuleOp *op)
{
    l->op_meta = checker_bound_meta(k, op->meta.s, META_OP, op->meta.at);
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
        checker_fail(k, op->at, "a line may name %d operators at most", RULE_MAX_KINDS);
        return;
    }
    if (k->right && (op->kinds.n > 1 || (op->meta.s != NULL && op->kinds.n > 0))) {
        checker_fail(k, op->at, "the rewrite names one operator, or a bound one as $name");
        return;
    }
    if (op->kinds.n == 0) {
        if (!k->right) {
            checker_fail(k, op->meta.at, "name the operators that $%s may be: $%s:silu|gelu",
                         op->meta.s, op->meta.s);
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
        l->op_meta = checker_bind_meta(k, op->meta.s, META_OP, op->meta.at);
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
            return checker_fail(k, arg->at, "%s takes %d operand%s", op_name(kind), op_slots(kind),
                                op_slots(kind) == 1 ? "" : "s");
        } else if (op_slot_optional(kind, pos)) {
            const char *name = op_slot_name(kind, pos);
            return checker_fail(k, arg->at, "the operand %s of %s is optional: write %s = ...",
                                name, op_name(kind), name);
        }
        if (arg->ref.optional && !op_slot_optional(kind, slot)) {
            return checker_fail(k, arg->at,
                                "%s always has its operand %s: '?' is for optional ones",
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
                checker_fail(k, op->at, "%s needs its operand %s", op_name(l->kind[i]),
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
    int var = checker_new_var(k, &nameless);
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
        a.var = arg->call != NULL ? check_nested(k, arg->call) : checker_operand_var(k, &arg->ref);
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
    int var = checker_known_var(k, r);
    if (var >= 0 && k->c->var[var].match_line >= 0) {
        checker_fail(k, r->at, "%s is defined twice", r->name);
    }
    l->result[i] = var >= 0 ? var : checker_new_var(k, r);
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
    int var = checker_known_var(k, r);
    if (var >= 0 && k->c->var[var].rewrite_line >= 0) {
        checker_fail(k, r->at, "%s is defined twice", r->name);
    } else if (var >= 0 && k->c->var[var].match_line < 0) {
        checker_fail(k, r->at,
                     "%s is an operand of the match, not a result: it cannot be rewritten",
                     r->name);
    }
    l->result[i] = var >= 0 ? var : checker_new_var(k, r);
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
            checker_fail(k, op->at, "%s has %d result%s", op_name(l->kind[i]), outs,
                         outs == 1 ? "" : "s");
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
        checker_fail(k, op->at, "an operator has %d results at most", IR_MAX_OUT);
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
        checker_item(k, &l, op->items.data[i]);
    }
    int *n = k->right ? &c->n_rewritten : &c->n_lines;
    if (*n == RULE_MAX_LINES) {
        checker_fail(k, op->at, "a block may hold %d operators at most", RULE_MAX_LINES);
        return;
    }
    define_results(k, &l, *n, op, nameless);
    (k->right ? c->rewritten : c->line)[(*n)++] = l;
}

/* ---- the rule as a whole --------------------------------------------------------------------- */

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
            checker_fail(k, c->line[i].src->at,
                         "this line shares no value with the rest of the match");
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
            checker_fail(k, v->at, "%s writes a cache: its result must be rewritten",
                         op_name(l->kind[0]));
        } else if (!v->used) {
            checker_fail(
                k, v->at,
                "%%%s is neither read by another matched operator nor rewritten (write _ if it "
                "does not matter)",
                v->name);
        }
    }
    if (outputs == 0) {
        checker_fail(k, c->at, "the rewrite defines none of the matched results");
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
        return checker_fail(&k, c->at, "a rule needs a match and a rewrite, with a line each");
    }
    check_side(&k, &c->match, false);
    if (k.ok) {
        order_lines(&k);
    }
    for (size_t i = 0; i < c->where.n && k.ok; i++) {
        checker_cond(&k, c->where.data[i]);
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
