/* pretokenize.c - the steps between a text and its pieces: normalisation (utf8proc), replacements,
 * and cuts (PCRE2, digits).
 *
 * Every step is one function that reads one piece and appends what becomes of it, one piece or
 * several, to the next text. Invalid UTF-8 passes through: whatever understands characters works on
 * the well-formed runs between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

#include "tokenizer_parts.h"
#include "utf8.h"

/* ---- growing --------------------------------------------------------------------------------- */

bool text_add(Tokenizer *t, Text *x, const char *s, size_t n)
{
    if (n > t->text_limit || x->n > t->text_limit - n)
        return tokenizer_fail(t, "normalisation makes the text longer than %zu bytes",
                              t->text_limit);
    if (x->cap - x->n < n) {
        size_t cap = x->cap * 2 > x->n + n ? x->cap * 2 : x->n + n + 64;
        char *more = realloc(x->s, cap);
        if (!more)
            return tokenizer_fail(t, "no memory for a text of %zu bytes", cap);
        x->s = more;
        x->cap = cap;
    }
    if (n)
        memcpy(x->s + x->n, s, n);
    x->n += n;
    return true;
}

bool ends_add(Tokenizer *t, Ends *e, size_t end)
{
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 64;
        size_t *more = realloc(e->end, cap * sizeof *more);
        if (!more)
            return tokenizer_fail(t, "no memory for %zu pieces", cap);
        e->end = more;
        e->cap = cap;
    }
    e->end[e->n++] = end;
    return true;
}

static bool put(Tokenizer *t, const char *s, size_t n)
{
    return text_add(t, &t->pieces.next_text, s, n);
}

/* Ends a piece, unless nothing was put since the last one. */
static bool cut(Tokenizer *t)
{
    const Pieces *p = &t->pieces;
    size_t last = p->next_ends.n ? p->next_ends.end[p->next_ends.n - 1] : 0;
    return p->next_text.n == last || ends_add(t, &t->pieces.next_ends, p->next_text.n);
}

static bool put_piece(Tokenizer *t, const char *s, size_t n)
{
    return put(t, s, n) && cut(t);
}

/* ---- characters ------------------------------------------------------------------------------ */

/* The code point of the well-formed character at s [length]. */
static utf8proc_int32_t code_point(const char *s, size_t length)
{
    utf8proc_int32_t c;
    utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)length, &c);
    return c;
}

size_t whitespace_length(const char *s, size_t n)
{
    size_t length = utf8_length(s, n);
    if (length == 0)
        return 0;
    utf8proc_int32_t c = code_point(s, length);
    utf8proc_category_t k = utf8proc_category(c);
    bool white = (c >= 9 && c <= 13) || c == 0x85 || k == UTF8PROC_CATEGORY_ZS ||
                 k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
    return white ? length : 0;
}

static bool is_number(const char *s, size_t length)
{
    if (length == 0)
        return false;
    utf8proc_category_t k = utf8proc_category(code_point(s, length));
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

/* The end of the well-formed run that begins at s: 0 when the first byte is not part of one. */
static size_t valid_run(const char *s, size_t n)
{
    size_t i = 0, length;
    while (i < n && (length = utf8_length(s + i, n - i)) > 0)
        i += length;
    return i;
}

static bool starts_with(const char *s, size_t n, Bytes a)
{
    return a.n <= n && memcmp(s, a.s, a.n) == 0;
}

/* ---- normalisation --------------------------------------------------------------------------- */

static utf8proc_option_t normal_form(uint32_t kind)
{
    utf8proc_option_t compose = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_option_t decompose = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    if (kind == STEP_NFC)
        return compose;
    if (kind == STEP_NFKC)
        return compose | UTF8PROC_COMPAT;
    return kind == STEP_NFD ? decompose : decompose | UTF8PROC_COMPAT;
}

static bool put_normal(Tokenizer *t, uint32_t kind, const char *s, size_t n)
{
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &out, normal_form(kind));
    if (length < 0)
        return tokenizer_fail(t, "cannot normalise the text: %s", utf8proc_errmsg(length));
    bool ok = put(t, (const char *)out, (size_t)length);
    free(out);
    return ok;
}

static bool put_lower(Tokenizer *t, const char *s, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        utf8proc_uint8_t lower[4];
        length = utf8_length(s + i, n - i);
        utf8proc_int32_t c = utf8proc_tolower(code_point(s + i, length));
        if (!put(t, (const char *)lower, (size_t)utf8proc_encode_char(c, lower)))
            return false;
    }
    return true;
}

static bool is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false;
    return true;
}

/* Well-formed runs through the step, other bytes as they are. */
static bool step_normalise(Tokenizer *t, const Step *step, const char *s, size_t n)
{
    if (step->kind != STEP_LOWERCASE && is_ascii(s, n))
        return put_piece(t, s, n);
    for (size_t i = 0; i < n;) {
        size_t run = valid_run(s + i, n - i);
        bool ok = run == 0                       ? put(t, s + i, 1)
                  : step->kind == STEP_LOWERCASE ? put_lower(t, s + i, run)
                                                 : put_normal(t, step->kind, s + i, run);
        if (!ok)
            return false;
        i += run ? run : 1;
    }
    return cut(t);
}

static bool step_replace(Tokenizer *t, const Step *step, const char *s, size_t n)
{
    size_t from = 0, i = 0;
    while (i < n) {
        if (!starts_with(s + i, n - i, step->a)) {
            i++;
            continue;
        }
        if (!put(t, s + from, i - from) || !put(t, step->b.s, step->b.n))
            return false;
        i += step->a.n;
        from = i;
    }
    return put_piece(t, s + from, n - from);
}

/* ---- cuts ------------------------------------------------------------------------------------ */

struct Regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

enum { JIT_STACK_MIN = 32 * 1024, JIT_STACK_MAX = 1024 * 1024, HEAP_LIMIT_KIB = 65536 };

void regex_destroy(Regex *r)
{
    if (!r)
        return;
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->context);
    pcre2_jit_stack_free(r->stack);
    pcre2_code_free(r->code);
    free(r);
}

/* Matching is faster with machine code, but works without. The match limit is PCRE2's own. */
static bool prepare_match(Regex *r)
{
    r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    r->context = pcre2_match_context_create(NULL);
    if (!r->match || !r->context)
        return false;
    pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
    if (pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0)
        r->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (r->stack)
        pcre2_jit_stack_assign(r->context, NULL, r->stack);
    return true;
}

Regex *regex_create(Bytes pattern, char *err, size_t err_size)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    Regex *r = calloc(1, sizeof *r);
    if (r)
        r->code = pcre2_compile((PCRE2_SPTR)pattern.s, pattern.n,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (r && r->code && prepare_match(r))
        return r;
    PCRE2_UCHAR text[120] = "no memory";
    if (r && !r->code)
        pcre2_get_error_message(code, text, sizeof text);
    snprintf(err, err_size, "%s at byte %zu", (const char *)text, (size_t)at);
    regex_destroy(r);
    return NULL;
}

static int match_at(const Regex *r, const char *s, size_t n, size_t at)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)s;
    int rc = pcre2_match(r->code, subject, n, at, PCRE2_NO_UTF_CHECK, r->match, r->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->code, subject, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, r->match,
                         r->context);
    return rc;
}

static bool regex_fail(Tokenizer *t, int rc, size_t at)
{
    PCRE2_UCHAR text[120] = "";
    pcre2_get_error_message(rc, text, sizeof text);
    return tokenizer_fail(t, "the tokenizer's split pattern gave up at byte %zu of a section: %s",
                          at, (const char *)text);
}

/* Matches and the gaps between them, of well-formed UTF-8. */
static bool split_run(Tokenizer *t, const Regex *r, const char *s, size_t n)
{
    size_t from = 0, at = 0; /* end of the last piece; where to search */
    while (at < n) {
        int rc = match_at(r, s, n, at);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0)
            return regex_fail(t, rc, at);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(r->match);
        if (span[1] <= span[0] || span[0] < at) { /* empty: go on behind the next character */
            size_t next = span[0] > at ? span[0] : at;
            at = next < n ? next + utf8_length(s + next, n - next) : n;
            continue;
        }
        if (!put_piece(t, s + from, span[0] - from) ||
            !put_piece(t, s + span[0], span[1] - span[0]))
            return false;
        from = at = span[1];
    }
    return put_piece(t, s + from, n - from);
}

static bool step_split(Tokenizer *t, const Step *step, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t run = valid_run(s + i, n - i), bad = i + run;
        if (run && !split_run(t, step->regex, s + i, run))
            return false;
        for (i = bad; i < n && utf8_length(s + i, n - i) == 0;)
            i++;
        if (!put_piece(t, s + bad, i - bad))
            return false;
    }
    return true;
}

static bool step_digits(Tokenizer *t, const Step *step, const char *s, size_t n)
{
    bool each = step->flags & 1, before = false;
    for (size_t i = 0, length; i < n; i += length) {
        length = utf8_length(s + i, n - i);
        bool number = is_number(s + i, length);
        length = length ? length : 1;
        if ((number != before || (number && each)) && !cut(t))
            return false;
        if (!put(t, s + i, length))
            return false;
        before = number;
    }
    return cut(t);
}

/* ---- the steps ------------------------------------------------------------------------------- */

/* Whether the step puts its text before this piece. */
static bool prepends(const Step *step, const char *s, size_t n, bool first_piece,
                     bool first_section)
{
    if (step->kind == STEP_PREPEND)
        return !(step->flags & 1) || !starts_with(s, n, step->a);
    if (step->kind == STEP_PREPEND_FIRST)
        return first_piece && first_section && !starts_with(s, n, step->a);
    return first_piece && s[0] != ' '; /* STEP_PREFIX_SPACE */
}

static bool run_step(Tokenizer *t, const Step *step, const char *s, size_t n, bool first_piece,
                     bool first_section)
{
    switch (step->kind) {
    case STEP_SPLIT_REGEX:
        return step_split(t, step, s, n);
    case STEP_DIGITS:
        return step_digits(t, step, s, n);
    case STEP_REPLACE:
        return step_replace(t, step, s, n);
    case STEP_PREPEND:
    case STEP_PREPEND_FIRST:
    case STEP_PREFIX_SPACE: {
        Bytes a = step->kind == STEP_PREFIX_SPACE ? (Bytes){" ", 1} : step->a;
        if (prepends(step, s, n, first_piece, first_section) && !put(t, a.s, a.n))
            return false;
        return put_piece(t, s, n);
    }
    default: /* the blob was checked: a normal form or lower case */
        return step_normalise(t, step, s, n);
    }
}

static void swap_pieces(Pieces *p)
{
    Text text = p->text;
    Ends ends = p->ends;
    p->text = p->next_text;
    p->ends = p->next_ends;
    p->next_text = text;
    p->next_ends = ends;
}

static bool run_on_pieces(Tokenizer *t, const Step *step, bool first_section)
{
    Pieces *p = &t->pieces;
    p->next_text.n = 0;
    p->next_ends.n = 0;
    size_t from = 0;
    for (size_t i = 0; i < p->ends.n; i++) {
        size_t end = p->ends.end[i];
        if (!run_step(t, step, p->text.s + from, end - from, i == 0, first_section))
            return false;
        from = end;
    }
    swap_pieces(p);
    return true;
}

bool tokenizer_run_steps(Tokenizer *t, bool first)
{
    t->pieces.ends.n = 0;
    if (!ends_add(t, &t->pieces.ends, t->pieces.text.n))
        return false;
    for (uint32_t i = 0; i < t->n_steps; i++)
        if (!run_on_pieces(t, &t->step[i], first))
            return false;
    return true;
}
