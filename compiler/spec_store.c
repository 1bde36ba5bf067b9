/* spec_store.c - one value of a spec: checked against the kind, range and words of its key, then
 * put into its field; and read back for formulas that name the key. */
#include "compiler/spec_store.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static bool fail_type(const SpecSlot *s, const char *wanted, const FormulaValue *v)
{
    Buf b = buf_create(s->ctx->arena);
    formula_print(&b, v);
    if (s->is_default) {
        return diag_error(s->ctx->diag, s->at,
                          "'%s' is %s when it is not given, which is %s, not %s", s->info->path,
                          s->info->def, b.data, wanted);
    }
    const char *advice =
        v->type == FV_RATIO ? "; round it with ceil(x), floor(x), round(x) or ceil_to(x, m)" : "";
    return diag_error(s->ctx->diag, s->at, "'%s' must be %s, found the %s %s%s", s->info->path,
                      wanted, formula_type_name(v->type), b.data, advice);
}

static bool check_range(const SpecSlot *s, double x)
{
    if (x >= s->info->lo && x <= s->info->hi) {
        return true;
    }
    Buf b = buf_create(s->ctx->arena);
    buf_printf(&b, "'%s' must be between ", s->info->path);
    buf_put_double(&b, s->info->lo);
    buf_puts(&b, " and ");
    buf_put_double(&b, s->info->hi);
    buf_puts(&b, ", found ");
    buf_put_double(&b, x);
    return diag_error(s->ctx->diag, s->at, "%s", b.data);
}

static bool store_int(const SpecSlot *s, const FormulaValue *v)
{
    bool whole = v->type == FV_DOUBLE && fabs(v->d) < 9e15 && floor(v->d) == v->d;
    if (v->type != FV_INT && !whole) {
        return fail_type(s, "an integer", v);
    }
    if (!check_range(s, formula_number(v))) {
        return false;
    }
    *(int64_t *)s->field = whole ? (int64_t)v->d : v->i;
    return true;
}

static bool store_num(const SpecSlot *s, const FormulaValue *v)
{
    if (!formula_is_number(v)) {
        return fail_type(s, "a number", v);
    }
    *(double *)s->field = formula_number(v);
    return check_range(s, formula_number(v));
}

static bool store_bool(const SpecSlot *s, const FormulaValue *v)
{
    if (v->type != FV_BOOL) {
        return fail_type(s, "true or false", v);
    }
    *(bool *)s->field = v->i != 0;
    return true;
}

bool spec_store_word(const SpecSlot *s, const char *text, size_t n)
{
    if (spec_word_allowed(s->info->words, text)) {
        *(SpecWord *)s->field = spec_word_find(text, n);
        return true;
    }
    const char *list = spec_words_list(s->ctx->arena, s->info->words);
    const char *word[SPEC_WORD_COUNT];
    size_t n_words = 0;
    for (int w = 1; w < SPEC_WORD_COUNT; w++) {
        if (spec_word_allowed(s->info->words, spec_word_text((SpecWord)w))) {
            word[n_words++] = spec_word_text((SpecWord)w);
        }
    }
    const char *near = str_nearest(text, word, n_words);
    if (near != NULL) {
        return diag_error(s->ctx->diag, s->at,
                          "'%s' cannot be '%s', did you mean '%s'? allowed: %s", s->info->path,
                          text, near, list);
    }
    return diag_error(s->ctx->diag, s->at, "'%s' cannot be '%s', allowed: %s", s->info->path, text,
                      list);
}

bool spec_store_value(const SpecSlot *s, const FormulaValue *v)
{
    switch (s->info->kind) {
    case SPEC_KIND_INT:
        return store_int(s, v);
    case SPEC_KIND_NUM:
        return store_num(s, v);
    case SPEC_KIND_BOOL:
        return store_bool(s, v);
    case SPEC_KIND_WORD:
        return spec_store_word(s, v->s, strlen(v->s));
    case SPEC_KIND_NAME:
    case SPEC_KIND_NUMS:
        break;
    }
    BUG("'%s' has no single number", s->info->path);
}

bool spec_store_item(const SpecSlot *s, const FormulaValue *v, double *out)
{
    if (!formula_is_number(v)) {
        return fail_type(s, "a list of numbers", v);
    }
    *out = formula_number(v);
    return check_range(s, *out);
}

bool spec_store_name(const SpecSlot *s, const char *text, size_t n)
{
    size_t max = (size_t)s->info->hi;
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (n == 0 || n > max || good != n || !isalnum((unsigned char)text[0])) {
        return diag_error(
            s->ctx->diag, s->at,
            "'%s' must be 1 to %zu letters, digits, '-', '_' or '.', a letter or digit first",
            s->info->path, max);
    }
    *(Str *)s->field = str_intern(s->ctx->strings, text);
    return true;
}

FormulaValue spec_slot_value(const SpecSlot *s)
{
    const void *p = s->field;
    switch (s->info->kind) {
    case SPEC_KIND_INT:
        return formula_int(*(const int64_t *)p);
    case SPEC_KIND_NUM:
        return formula_double(*(const double *)p);
    case SPEC_KIND_BOOL:
        return formula_bool(*(const bool *)p);
    case SPEC_KIND_WORD:
        return formula_string(str_intern(s->ctx->strings, spec_word_text(*(const SpecWord *)p)));
    case SPEC_KIND_NAME:
        return formula_string(*(Str const *)p);
    case SPEC_KIND_NUMS:
        break;
    }
    return (FormulaValue){.type = FV_NONE};
}
