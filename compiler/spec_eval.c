/* spec_eval.c - from the text of every key to its value.
 *
 * Every value is a formula, given or default, and may name other keys. They are evaluated on
 * demand: a key that is asked for while it is being worked out is a cycle. A key that failed was
 * reported once and silences what depends on it. */
#include <string.h>

#include "codegen/expr.h"
#include "compiler/spec_raw.h"
#include "compiler/spec_store.h"

typedef enum KeyState { STATE_NEW, STATE_BUSY, STATE_DONE, STATE_FAILED } KeyState;

typedef struct Evaluation {
    Ctx *ctx;
    const SpecTable *t;
    const RawSpec *raw;
    void *out; /* the struct that is filled */
    bool ffn;  /* parts: ffn */
    KeyState *state;
    int *busy, n_busy;    /* the chain of keys being worked out */
    uint32_t *default_at; /* source offsets of the default formulas */
} Evaluation;

/* Where key k goes; `at`: what messages point to. */
static SpecSlot slot_of(const Evaluation *e, int k, Span at)
{
    const SpecKeyInfo *info = &e->t->key[k];
    return (SpecSlot){
        .ctx = e->ctx, .info = info, .field = (char *)e->out + info->offset, .at = at};
}

/* ---- the defaults as a source of their own, so that messages can show them ------------------- */

static void add_defaults_source(Evaluation *e)
{
    Buf b = buf_create(e->ctx->arena);
    for (int k = 0; k < e->t->n_keys; k++) {
        buf_printf(&b, "%s: ", e->t->key[k].path);
        e->default_at[k] = (uint32_t)b.len;
        buf_printf(&b, "%s\n", e->t->key[k].def != NULL ? e->t->key[k].def : "");
    }
    uint32_t base = diag_add_source(e->ctx->diag, "<defaults>", b.data, b.len);
    for (int k = 0; k < e->t->n_keys; k++) {
        e->default_at[k] += base;
    }
}

/* Where to complain about a default: the first given key that its formula names, else the top. */
static Span default_blame(const Evaluation *e, int k)
{
    const char *c = e->t->key[k].def;
    while (c != NULL && *c != '\0') {
        size_t n = strspn(c, "abcdefghijklmnopqrstuvwxyz_0123456789.");
        int named = n > 0 ? spec_table_key(e->t, arena_strndup(e->ctx->arena, c, n)) : -1;
        if (named >= 0 && e->raw->value[named].given) {
            return e->raw->value[named].at;
        }
        c += n > 0 ? n : 1;
    }
    return e->raw->top;
}

/* ---- formulas -------------------------------------------------------------------------------- */

static bool eval_key(Evaluation *e, int k);

static bool report_cycle(const Evaluation *e, int k, Span at)
{
    int innermost = e->busy[e->n_busy - 1];
    bool in_default = !e->raw->value[innermost].given;
    diag_error(e->ctx->diag, in_default ? default_blame(e, innermost) : at,
               "'%s' depends on itself", e->t->key[k].path);
    for (int i = e->n_busy - 1; i >= 0 && e->busy[i] != k; i--) {
        int through = e->busy[i];
        if (e->raw->value[through].given) {
            diag_note(e->ctx->diag, e->raw->value[through].at, "through '%s'",
                      e->t->key[through].path);
        } else {
            diag_note(e->ctx->diag, (Span){0}, "through '%s', which is %s when it is not given",
                      e->t->key[through].path, e->t->key[through].def);
        }
    }
    return false;
}

static bool report_unknown_name(const Evaluation *e, Str name, Span at)
{
    const char **known = ARENA_ARRAY(e->ctx->arena, const char *, e->t->n_keys);
    size_t n = 0;
    for (int k = 0; k < e->t->n_keys; k++) {
        if (e->t->key[k].kind == SPEC_KIND_INT || e->t->key[k].kind == SPEC_KIND_NUM) {
            known[n++] = e->t->key[k].path;
        }
    }
    const char *near = str_nearest(name, known, n);
    if (near != NULL) {
        return diag_error(e->ctx->diag, at, "unknown name '%s', did you mean '%s'?", name, near);
    }
    return diag_error(e->ctx->diag, at,
                      "unknown name '%s', a formula can use keys like d_model or "
                      "rope.theta",
                      name);
}

static bool lookup_key(void *user, Str name, Span at, FormulaValue *out)
{
    Evaluation *e = user;
    int k = spec_table_key(e->t, name);
    if (k < 0) {
        return report_unknown_name(e, name, at);
    }
    if (e->state[k] == STATE_BUSY) {
        return report_cycle(e, k, at);
    }
    if (!eval_key(e, k)) {
        return false;
    }
    SpecSlot s = slot_of(e, k, at);
    *out = spec_slot_value(&s);
    return out->type != FV_NONE ||
           diag_error(e->ctx->diag, at, "'%s' is a list and has no place in a formula", name);
}

static bool eval_formula(Evaluation *e, const char *text, size_t n, uint32_t base,
                         FormulaValue *out)
{
    Formula *f = formula_parse(e->ctx, text, n, base);
    FormulaEnv env = {.ctx = e->ctx, .user = e, .lookup = lookup_key};
    return f != NULL && formula_eval(&env, f, out);
}

static bool eval_text(Evaluation *e, const RawText *t, FormulaValue *out)
{
    if (t->inner.hi == 0) {
        return diag_error(e->ctx->diag, t->at,
                          "write the number or formula on one line, without escapes");
    }
    return eval_formula(e, t->text, t->n, t->inner.lo, out);
}

/* ---- one key --------------------------------------------------------------------------------- */

static bool eval_nums(Evaluation *e, const SpecSlot *s, const RawValue *v)
{
    if (!v->is_list) {
        return diag_error(e->ctx->diag, s->at, "'%s' must be a list of numbers, like [1, 1.05]",
                          s->info->path);
    }
    double *x = ARENA_ARRAY(e->ctx->arena, double, v->items.n);
    for (size_t i = 0; i < v->items.n; i++) {
        FormulaValue one;
        SpecSlot item = *s;
        item.at = v->items.data[i].at;
        if (!eval_text(e, &v->items.data[i], &one) || !spec_store_item(&item, &one, &x[i])) {
            return false;
        }
    }
    *(DoubleList *)s->field = (DoubleList){(int)v->items.n, x};
    return true;
}

static bool is_nothing(const RawText *t)
{
    return !t->quoted && (t->n == 0 || strcmp(t->text, "~") == 0 || strcmp(t->text, "null") == 0);
}

static bool fail_nothing(const Evaluation *e, int k)
{
    const RawValue *v = &e->raw->value[k];
    bool required = e->t->key[k].def == NULL;
    return diag_error(e->ctx->diag, v->at.hi > v->at.lo ? v->at : v->key, "'%s' has no value; %s",
                      e->t->key[k].path,
                      required ? "it must be given" : "leave the key out for its default");
}

static bool fail_not_bool(const SpecSlot *s, const RawText *text)
{
    static const char *const lookalike[] = {"yes",  "no",    "on",  "off", "True", "False",
                                            "TRUE", "FALSE", "Yes", "No",  "On",   "Off"};
    for (size_t i = 0; i < sizeof lookalike / sizeof lookalike[0]; i++) {
        if (strcmp(text->text, lookalike[i]) == 0) {
            return diag_error(s->ctx->diag, s->at, "'%s' must be true or false, found '%s'",
                              s->info->path, text->text);
        }
    }
    return true;
}

static bool eval_given(Evaluation *e, int k)
{
    const RawValue *v = &e->raw->value[k];
    const SpecKeyInfo *info = &e->t->key[k];
    SpecSlot s = slot_of(e, k, v->at);
    if (info->kind == SPEC_KIND_NUMS) {
        return eval_nums(e, &s, v);
    }
    if (v->is_list) {
        return diag_error(e->ctx->diag, v->at, "'%s' is a single value, found a list", info->path);
    }
    if (v->one.text == NULL) {
        return false; /* a mapping, reported by the reader */
    }
    if (is_nothing(&v->one) && (info->kind != SPEC_KIND_WORD)) {
        return fail_nothing(e, k);
    }
    if (info->kind == SPEC_KIND_WORD) {
        return spec_store_word(&s, v->one.text, v->one.n);
    }
    if (info->kind == SPEC_KIND_NAME) {
        return spec_store_name(&s, v->one.text, v->one.n);
    }
    FormulaValue value;
    return (info->kind != SPEC_KIND_BOOL || fail_not_bool(&s, &v->one)) &&
           eval_text(e, &v->one, &value) && spec_store_value(&s, &value);
}

static bool eval_default(Evaluation *e, int k)
{
    const char *def = e->t->key[k].def;
    SpecSlot s = slot_of(e, k, default_blame(e, k));
    s.is_default = true;
    FormulaValue value;
    return def == NULL || (eval_formula(e, def, strlen(def), e->default_at[k], &value) &&
                           spec_store_value(&s, &value));
}

static bool eval_key(Evaluation *e, int k)
{
    if (e->state[k] != STATE_NEW) {
        return e->state[k] == STATE_DONE;
    }
    e->state[k] = STATE_BUSY;
    e->busy[e->n_busy++] = k;
    bool ok = e->raw->value[k].given ? eval_given(e, k) : eval_default(e, k);
    e->n_busy--;
    e->state[k] = ok ? STATE_DONE : STATE_FAILED;
    return ok;
}

/* ---- all keys -------------------------------------------------------------------------------- */

/* Keys of a whole model say nothing about a lone MLP. */
static bool is_used(const Evaluation *e, int k)
{
    SpecNeed need = e->t->key[k].need;
    return !e->ffn || need == SPEC_NEED_ALWAYS || need == SPEC_NEED_ANY;
}

static bool is_required(const Evaluation *e, int k)
{
    SpecNeed need = e->t->key[k].need;
    return need == SPEC_NEED_ALWAYS || (need == SPEC_NEED_MODEL && !e->ffn);
}

/* One message for all of them. */
static bool report_missing(Evaluation *e)
{
    Buf b = buf_create(e->ctx->arena);
    int n = 0;
    bool known_parts = e->t->parts_key < 0 || e->state[e->t->parts_key] == STATE_DONE;
    for (int k = 0; k < e->t->n_keys; k++) {
        if (is_required(e, k) && !e->raw->value[k].given) {
            e->state[k] = STATE_FAILED;
            if (known_parts || e->t->key[k].need == SPEC_NEED_ALWAYS) {
                buf_printf(&b, "%s%s", n++ == 0 ? "" : ", ", e->t->key[k].path);
            }
        }
    }
    return n == 0 ||
           diag_error(e->ctx->diag, e->raw->top, "missing key%s: %s", n == 1 ? "" : "s", b.data);
}

static bool refuse_unused(Evaluation *e)
{
    bool ok = true;
    for (int k = 0; k < e->t->n_keys; k++) {
        if (is_used(e, k)) {
            continue;
        }
        e->state[k] = STATE_FAILED;
        if (e->raw->value[k].given) {
            ok = diag_error(e->ctx->diag, e->raw->value[k].key,
                            "'%s' means nothing with parts: ffn", e->t->key[k].path);
        }
    }
    return ok;
}

static bool eval_all(Evaluation *e)
{
    bool ok = true;
    if (e->t->parts_key >= 0) {
        ok = eval_key(e, e->t->parts_key);
        SpecSlot s = slot_of(e, e->t->parts_key, e->raw->top);
        e->ffn = ok && *(SpecWord *)s.field == SPEC_FFN;
    }
    ok = refuse_unused(e) && ok;
    ok = report_missing(e) && ok;
    for (int k = 0; k < e->t->n_keys; k++) {
        ok = (!is_used(e, k) || eval_key(e, k)) && ok;
    }
    return ok;
}

bool spec_evaluate(Ctx *ctx, const SpecTable *t, const RawSpec *raw, void *out)
{
    Evaluation e = {.ctx = ctx, .t = t, .raw = raw, .out = out};
    e.state = ARENA_ARRAY(ctx->arena, KeyState, t->n_keys);
    e.busy = ARENA_ARRAY(ctx->arena, int, t->n_keys);
    e.default_at = ARENA_ARRAY(ctx->arena, uint32_t, t->n_keys);
    add_defaults_source(&e);
    return eval_all(&e);
}
