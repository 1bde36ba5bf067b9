/* tokenizer.c - text to ids and ids to bytes (tokenizer.h).
 *
 *   text -> added tokens found in it | sections between -> steps: pieces -> merges: ids */
#include "tokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer_parts.h"

enum { MAX_GROWTH = 64, MAX_TEXT = INT32_MAX / 2 / MAX_GROWTH - 65536 };

bool tokenizer_fail(Tokenizer *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->error, sizeof t->error, fmt, ap);
    va_end(ap);
    return false;
}

void tokenizer_emit(Tokenizer *t, int32_t id)
{
    if ((uint64_t)t->n_out < t->out_max)
        t->out[t->n_out] = id;
    t->n_out++;
}

/* ---- open and close -------------------------------------------------------------------------- */

Tokenizer *tokenizer_open(const uint8_t *blob, size_t n, char *err, size_t err_size)
{
    Tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        snprintf(err, err_size, "no memory");
        return NULL;
    }
    if (tokenizer_read_blob(t, blob, n))
        return t;
    snprintf(err, err_size, "%s", t->error);
    tokenizer_close(t);
    return NULL;
}

void tokenizer_close(Tokenizer *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; t->step && i < t->n_steps; i++)
        regex_destroy(t->step[i].regex);
    void *owned[] = {t->end,          t->vocab,        t->decoded,         t->decoded_text,
                     t->control,      t->merge,        t->special,         t->step,
                     t->by_text.slot, t->by_pair.slot, t->pieces.text.s,   t->pieces.next_text.s,
                     t->symbol,       t->heap,         t->pieces.ends.end, t->pieces.next_ends.end};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(t);
}

/* ---- sections -------------------------------------------------------------------------------- */

static bool encode_section(Tokenizer *t, const char *s, size_t n, bool first)
{
    if (n == 0)
        return true;
    t->pieces.text.n = 0;
    t->text_limit = n * MAX_GROWTH + 65536;
    if (!text_add(t, &t->pieces.text, s, n) || !tokenizer_run_steps(t, first))
        return false;
    const Pieces *p = &t->pieces;
    size_t from = 0;
    for (size_t i = 0; i < p->ends.n; i++) {
        if (!tokenizer_encode_piece(t, p->text.s + from, p->ends.end[i] - from))
            return false;
        from = p->ends.end[i];
    }
    return true;
}

/* The added token that begins at s, the longest first. */
static const Special *special_at(const Tokenizer *t, const char *s, size_t n, bool parse_control)
{
    for (uint32_t i = 0; i < t->n_special; i++) {
        const Special *x = &t->special[i];
        if (x->text.n > n || (x->flags & SPECIAL_CONTROL && !parse_control))
            continue;
        if (memcmp(x->text.s, s, x->text.n) == 0)
            return x;
    }
    return NULL;
}

/* The end of [from, at) without the white space before `at`. */
static size_t trim_right(const char *s, size_t from, size_t at)
{
    size_t end = from;
    for (size_t i = from; i < at;) {
        size_t n = whitespace_length(s + i, at - i);
        i += n ? n : 1;
        if (!n)
            end = i;
    }
    return end;
}

static size_t skip_white(const char *s, size_t at, size_t n)
{
    size_t white;
    while (at < n && (white = whitespace_length(s + at, n - at)) > 0)
        at += white;
    return at;
}

static bool encode_text(Tokenizer *t, const char *s, size_t n, bool parse_control)
{
    bool may_begin[256] = {false};
    for (uint32_t i = 0; i < t->n_special; i++)
        may_begin[(unsigned char)t->special[i].text.s[0]] = true;
    size_t from = 0, at = 0;
    while (at < n) {
        const Special *x =
            may_begin[(unsigned char)s[at]] ? special_at(t, s + at, n - at, parse_control) : NULL;
        if (!x) {
            at++;
            continue;
        }
        size_t end = x->flags & SPECIAL_LSTRIP ? trim_right(s, from, at) : at;
        if (!encode_section(t, s + from, end - from, from == 0))
            return false;
        tokenizer_emit(t, x->id);
        at += x->text.n;
        if (x->flags & SPECIAL_RSTRIP)
            at = skip_white(s, at, n);
        from = at;
    }
    return encode_section(t, s + from, n - from, from == 0);
}

int64_t tokenizer_encode(Tokenizer *t, const char *text, size_t n, bool add_bos, bool parse_special,
                         int32_t *ids, size_t max)
{
    t->out = ids;
    t->out_max = max;
    t->n_out = 0;
    if (n > MAX_TEXT) {
        tokenizer_fail(t, "a text of %zu bytes is too long: at most %d", n, MAX_TEXT);
        return -1;
    }
    if (add_bos && t->flags & TOKENIZER_ADD_BOS && t->bos >= 0)
        tokenizer_emit(t, t->bos);
    return encode_text(t, text, n, parse_special) ? t->n_out : -1;
}

/* ---- facts ----------------------------------------------------------------------------------- */

const char *tokenizer_error(const Tokenizer *t)
{
    return t->error;
}

const char *tokenizer_bytes(const Tokenizer *t, int32_t id, size_t *n)
{
    if (id < 0 || (uint32_t)id >= t->n_vocab) {
        *n = 0;
        return "";
    }
    *n = t->decoded[id].n;
    return t->decoded[id].s;
}

bool tokenizer_is_end(const Tokenizer *t, int32_t id)
{
    for (uint32_t i = 0; i < t->n_end; i++)
        if (t->end[i] == id)
            return true;
    return false;
}

bool tokenizer_is_control(const Tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->n_vocab && t->control[id];
}

int tokenizer_bos(const Tokenizer *t)
{
    return t->bos;
}

int tokenizer_eos(const Tokenizer *t)
{
    return t->eos;
}

int tokenizer_vocab(const Tokenizer *t)
{
    return (int)t->n_vocab;
}
