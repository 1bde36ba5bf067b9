/* spec.c - from the text of every key to the values of a ModelSpec.
 *
 * Every value is a formula, given or default, and may name other keys. They are evaluated on
 * demand: a key that is asked for while it is being worked out is a cycle. A key that failed was
 * reported once and silences what depends on it. */
#include "compiler/spec.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "codegen/expr.h"
#include "compiler/base/file.h"
#include "compiler/spec_raw.h"

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

/* ---- storing one value ----------------------------------------------------------------------- */

typedef struct Target {
    int key;
    Span at;
    bool is_default;
} Target;

static void *field(const Evaluation *e, int k)
{
    return (char *)e->out + e->t->key[k].offset;
}

static bool fail_type(const Evaluation *e, const Target *t, const char *wanted,
                      const FormulaValue *v)
{
    Buf b = buf_create(e->ctx->arena);
    formula_print(&b, v);
    const SpecKeyInfo *info = &e->t->key[t->key];
    if (t->is_default) {
        return diag_error(e->ctx->diag, t->at,
                          "'%s' is %s when it is not given, which is %s, not %s", info->path,
                          info->def, b.data, wanted);
    }
    const char *advice =
        v->type == FV_RATIO ? "; round it with ceil(x), floor(x), round(x) or ceil_to(x, m)" : "";
    return diag_error(e->ctx->diag, t->at, "'%s' must be %s, found the %s %s%s", info->path, wanted,
                      formula_type_name(v->type), b.data, advice);
}

static bool check_range(const Evaluation *e, const Target *t, double x)
{
    const SpecKeyInfo *info = &e->t->key[t->key];
    if (x >= info->lo && x <= info->hi) {
        return true;
    }
    Buf b = buf_create(e->ctx->arena);
    buf_printf(&b, "'%s' must be between ", info->path);
    buf_put_double(&b, info->lo);
    buf_puts(&b, " and ");
    buf_put_double(&b, info->hi);
    buf_puts(&b, ", found ");
    buf_put_double(&b, x);
    return diag_error(e->ctx->diag, t->at, "%s", b.data);
}

static bool store_int(const Evaluation *e, const Target *t, const FormulaValue *v)
{
    bool whole = v->type == FV_DOUBLE && fabs(v->d) < 9e15 && floor(v->d) == v->d;
    if (v->type != FV_INT && !whole) {
        return fail_type(e, t, "an integer", v);
    }
    if (!check_range(e, t, formula_number(v))) {
        return false;
    }
    *(int64_t *)field(e, t->key) = whole ? (int64_t)v->d : v->i;
    return true;
}

static bool store_num(const Evaluation *e, const Target *t, const FormulaValue *v)
{
    if (!formula_is_number(v)) {
        return fail_type(e, t, "a number", v);
    }
    *(double *)field(e, t->key) = formula_number(v);
    return check_range(e, t, formula_number(v));
}

static bool store_bool(const Evaluation *e, const Target *t, const FormulaValue *v)
{
    if (v->type != FV_BOOL) {
        return fail_type(e, t, "true or false", v);
    }
    *(bool *)field(e, t->key) = v->i != 0;
    return true;
}

static bool store_word(const Evaluation *e, const Target *t, const char *text, size_t n)
{
    const SpecKeyInfo *info = &e->t->key[t->key];
    if (spec_word_allowed(info->words, text)) {
        *(SpecWord *)field(e, t->key) = spec_word_find(text, n);
        return true;
    }
    const char *list = spec_words_list(e->ctx->arena, info->words);
    const char *word[SPEC_WORD_COUNT];
    size_t n_words = 0;
    for (int w = 1; w < SPEC_WORD_COUNT; w++) {
        if (spec_word_allowed(info->words, spec_word_text((SpecWord)w))) {
            word[n_words++] = spec_word_text((SpecWord)w);
        }
    }
    const char *near = str_nearest(text, word, n_words);
    if (near != NULL) {
        return diag_error(e->ctx->diag, t->at,
                          "'%s' cannot be '%s', did you mean '%s'? allowed: %s", info->path, text,
                          near, list);
    }
    return diag_error(e->ctx->diag, t->at, "'%s' cannot be '%s', allowed: %s", info->path, text,
                      list);
}

static bool store_name(const Evaluation *e, const Target *t, const RawText *text)
{
    const SpecKeyInfo *info = &e->t->key[t->key];
    size_t max = (size_t)info->hi;
    size_t good =
        strspn(text->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (text->n == 0 || text->n > max || good != text->n ||
        !isalnum((unsigned char)text->text[0])) {
        return diag_error(
            e->ctx->diag, t->at,
            "'%s' must be 1 to %zu letters, digits, '-', '_' or '.', a letter or digit first",
            info->path, max);
    }
    *(Str *)field(e, t->key) = str_intern(e->ctx->strings, text->text);
    return true;
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

static FormulaValue key_value(const Evaluation *e, int k)
{
    const void *p = field(e, k);
    switch (e->t->key[k].kind) {
    case SPEC_KIND_INT:
        return formula_int(*(const int64_t *)p);
    case SPEC_KIND_NUM:
        return formula_double(*(const double *)p);
    case SPEC_KIND_BOOL:
        return formula_bool(*(const bool *)p);
    case SPEC_KIND_WORD:
        return formula_string(str_intern(e->ctx->strings, spec_word_text(*(const SpecWord *)p)));
    case SPEC_KIND_NAME:
        return formula_string(*(Str const *)p);
    case SPEC_KIND_NUMS:
        break;
    }
    return (FormulaValue){.type = FV_NONE};
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
    *out = key_value(e, k);
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

static bool eval_text(Evaluation *e, const RawText *t, FormulaValue *out)
{
    if (t->inner.hi == 0) {
        return diag_error(e->ctx->diag, t->at,
                          "write the number or formula on one line, without escapes");
    }
    return eval_formula(e, t->text, t->n, t->inner.lo, out);
}

static bool store_number(Evaluation *e, const Target *t, const FormulaValue *v)
{
    switch (e->t->key[t->key].kind) {
    case SPEC_KIND_INT:
        return store_int(e, t, v);
    case SPEC_KIND_NUM:
        return store_num(e, t, v);
    case SPEC_KIND_BOOL:
        return store_bool(e, t, v);
    case SPEC_KIND_WORD:
        return store_word(e, t, v->s, strlen(v->s));
    case SPEC_KIND_NAME:
    case SPEC_KIND_NUMS:
        break;
    }
    BUG("'%s' has no single number", e->t->key[t->key].path);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static bool store_nums(Evaluation *e, const Target *t, const RawValue *v)
{
    if (!v->is_list) {
        return diag_error(e->ctx->diag, t->at, "'%s' must be a list of numbers, like [1, 1.05]",
                          e->t->key[t->key].path);
    }
    double *x = ARENA_ARRAY(e->ctx->arena, double, v->items.n);
    for (size_t i = 0; i < v->items.n; i++) {
        FormulaValue one;
        Target item = {t->key, v->items.data[i].at, false};
        if (!eval_text(e, &v->items.data[i], &one)) {
            return false;
        }
        if (!formula_is_number(&one)) {
            return fail_type(e, &item, "a list of numbers", &one);
        }
        x[i] = formula_number(&one);
        if (!check_range(e, &item, x[i])) {
            return false;
        }
    }
    *(DoubleList *)field(e, t->key) = (DoubleList){(int)v->items.n, x};
    return true;
}

/* ---- one key --------------------------------------------------------------------------------- */

static bool fail_not_bool(const Evaluation *e, const Target *t, const RawText *text)
{
    static const char *const lookalike[] = {"yes",  "no",    "on",  "off", "True", "False",
                                            "TRUE", "FALSE", "Yes", "No",  "On",   "Off"};
    for (size_t i = 0; i < sizeof lookalike / sizeof lookalike[0]; i++) {
        if (strcmp(text->text, lookalike[i]) == 0) {
            return diag_error(e->ctx->diag, t->at, "'%s' must be true or false, found '%s'",
                              e->t->key[t->key].path, text->text);
        }
    }
    return true;
}

static bool eval_given(Evaluation *e, int k)
{
    const RawValue *v = &e->raw->value[k];
    const SpecKeyInfo *info = &e->t->key[k];
    Target t = {k, v->at, false};
    if (info->kind == SPEC_KIND_NUMS) {
        return store_nums(e, &t, v);
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
        return store_word(e, &t, v->one.text, v->one.n);
    }
    if (info->kind == SPEC_KIND_NAME) {
        return store_name(e, &t, &v->one);
    }
    FormulaValue value;
    return (info->kind != SPEC_KIND_BOOL || fail_not_bool(e, &t, &v->one)) &&
           eval_text(e, &v->one, &value) && store_number(e, &t, &value);
}

static bool eval_default(Evaluation *e, int k)
{
    const char *def = e->t->key[k].def;
    Target t = {k, default_blame(e, k), true};
    FormulaValue value;
    return def == NULL || (eval_formula(e, def, strlen(def), e->default_at[k], &value) &&
                           store_number(e, &t, &value));
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

/* ---- the whole file -------------------------------------------------------------------------- */

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
        e->ffn = ok && *(SpecWord *)field(e, e->t->parts_key) == SPEC_FFN;
    }
    ok = refuse_unused(e) && ok;
    ok = report_missing(e) && ok;
    for (int k = 0; k < e->t->n_keys; k++) {
        ok = (!is_used(e, k) || eval_key(e, k)) && ok;
    }
    return ok;
}

/* ---- overrides ------------------------------------------------------------------------------- */

static bool report_unknown_override(Ctx *ctx, const SpecTable *t, const char *name)
{
    const char **known = ARENA_ARRAY(ctx->arena, const char *, t->n_keys);
    for (int k = 0; k < t->n_keys; k++) {
        known[k] = t->key[k].path;
    }
    const char *near = str_nearest(name, known, (size_t)t->n_keys);
    return near != NULL ? diag_error(ctx->diag, (Span){0}, "unknown key '%s', did you mean '%s'?",
                                     name, near)
                        : diag_error(ctx->diag, (Span){0}, "unknown key '%s' of %s", name, t->what);
}

static bool apply_override(Ctx *ctx, const SpecTable *t, const SpecOverride *o, RawSpec *raw)
{
    int k = spec_table_key(t, o->key);
    if (k < 0) {
        return report_unknown_override(ctx, t, o->key);
    }
    const char *line = arena_printf(ctx->arena, "%s: %s", o->key, o->value);
    size_t lead = strlen(o->key) + 2, n = strlen(line);
    uint32_t base = diag_add_source(ctx->diag, "<option>", line, n);
    RawValue *v = &raw->value[k];
    *v = (RawValue){.given = true};
    v->key = (Span){base, base + (uint32_t)lead - 2};
    v->at = (Span){base + (uint32_t)lead, base + (uint32_t)n};
    v->one = (RawText){.text = line + lead, .n = n - lead, .at = v->at, .inner = v->at};
    return true;
}

/* "[1, 1.5]": a value that is a list goes through the YAML reader like a file. */
static bool apply_list(Ctx *ctx, const SpecTable *t, const SpecOverride *o, RawSpec *raw)
{
    const char *dot = strrchr(o->key, '.');
    int depth = 0;
    Buf b = buf_create(ctx->arena);
    for (const char *c = o->key; dot != NULL && c <= dot; c++) {
        if (*c == '.') {
            buf_puts(&b, ": {");
            depth++;
        } else {
            buf_putc(&b, *c);
        }
    }
    buf_printf(&b, "%s: %s", dot != NULL ? dot + 1 : o->key, o->value);
    while (depth-- > 0) {
        buf_putc(&b, '}');
    }
    uint32_t base = diag_add_source(ctx->diag, "<option>", b.data, b.len);
    RawSpec *one = ARENA_NEW(ctx->arena, RawSpec);
    if (!spec_yaml_read(ctx, t, base, b.data, b.len, one)) {
        return false;
    }
    for (int k = 0; k < t->n_keys; k++) {
        if (one->value[k].given) {
            raw->value[k] = one->value[k];
        }
    }
    return true;
}

static bool apply_overrides(Ctx *ctx, const SpecTable *t, const SpecOverride *o, int n,
                            RawSpec *raw)
{
    bool ok = true;
    for (int i = 0; i < n; i++) {
        ok = (o[i].value[0] == '[' ? apply_list(ctx, t, &o[i], raw)
                                   : apply_override(ctx, t, &o[i], raw)) &&
             ok;
    }
    return ok;
}

/* ---- tables ---------------------------------------------------------------------------------- */

int spec_table_key(const SpecTable *t, const char *path)
{
    for (int k = 0; k < t->n_keys; k++) {
        if (strcmp(t->key[k].path, path) == 0) {
            return k;
        }
    }
    return -1;
}

int spec_table_group(const SpecTable *t, const char *path)
{
    for (int g = 0; g < t->n_groups; g++) {
        if (strcmp(t->group[g].path, path) == 0) {
            return g;
        }
    }
    return -1;
}

static bool evaluate(Ctx *ctx, const SpecTable *t, const RawSpec *raw, void *out)
{
    Evaluation e = {.ctx = ctx, .t = t, .raw = raw, .out = out};
    e.state = ARENA_ARRAY(ctx->arena, KeyState, t->n_keys);
    e.busy = ARENA_ARRAY(ctx->arena, int, t->n_keys);
    e.default_at = ARENA_ARRAY(ctx->arena, uint32_t, t->n_keys);
    add_defaults_source(&e);
    return eval_all(&e);
}

bool spec_table_read(Ctx *ctx, const SpecTable *t, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides, RawSpec *raw, void *out)
{
    int before = diag_error_count(ctx->diag);
    uint32_t base = diag_add_source(ctx->diag, path, text, n);
    if (diag_error_count(ctx->diag) > before) {
        return false;
    }
    bool ok = spec_yaml_read(ctx, t, base, text, n, raw);
    ok = apply_overrides(ctx, t, overrides, n_overrides, raw) && ok;
    if (raw->partial) {
        return false; /* what was read may be cut off: values would be judged wrongly */
    }
    return evaluate(ctx, t, raw, out) && ok;
}

/* ---- model specs ----------------------------------------------------------------------------- */

static SpecTable model_table(void)
{
    return (SpecTable){"a spec", spec_keys, KEY_COUNT, spec_groups, n_spec_groups, KEY_PARTS};
}

static void keep_places(const RawSpec *raw, ModelSpec *s)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        s->place[k].given = raw->value[k].given;
        s->place[k].key = raw->value[k].key;
        s->place[k].value = raw->value[k].at;
    }
}

ModelSpec *spec_read(Ctx *ctx, const char *path, const char *text, size_t n,
                     const SpecOverride *overrides, int n_overrides)
{
    SpecTable t = model_table();
    RawSpec raw = {0};
    ModelSpec *s = ARENA_NEW(ctx->arena, ModelSpec);
    s->path = path;
    if (!spec_table_read(ctx, &t, path, text, n, overrides, n_overrides, &raw, s)) {
        return NULL;
    }
    keep_places(&raw, s);
    return s;
}

ModelSpec *spec_load(Ctx *ctx, const char *path, const SpecOverride *overrides, int n_overrides)
{
    size_t n;
    const char *text = file_read(ctx->arena, ctx->diag, path, &n);
    ModelSpec *s = text != NULL ? spec_read(ctx, path, text, n, overrides, n_overrides) : NULL;
    return s != NULL && spec_check(ctx, s) ? s : NULL;
}

ModelSpec *spec_from_values(Ctx *ctx, const char *path, const SpecOverride *values, int n_values)
{
    SpecTable t = model_table();
    RawSpec raw = {.value = ARENA_ARRAY(ctx->arena, RawValue, t.n_keys)};
    ModelSpec *s = ARENA_NEW(ctx->arena, ModelSpec);
    s->path = path;
    bool ok = apply_overrides(ctx, &t, values, n_values, &raw);
    if (!evaluate(ctx, &t, &raw, s) || !ok) {
        return NULL;
    }
    keep_places(&raw, s);
    return s;
}
