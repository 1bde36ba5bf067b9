/* tokenizer_blob.c - reads the tokenizer blob of tokenizer.h: every count, length and id is checked
 * against what is there before it is used; then the two tables that encoding looks into are built.
 */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tokenizer_parts.h"

enum { FREE = -1, MAX_STEPS = 64, HEADER_WORDS = 10 };

static const uint32_t free_slot = UINT32_MAX;

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct Reader {
    Tokenizer *t;
    const uint8_t *p;
    size_t left;
} Reader;

static bool read_u32(Reader *r, uint32_t *out)
{
    if (r->left < 4)
        return tokenizer_fail(r->t, "it is cut off");
    *out = (uint32_t)r->p[0] | (uint32_t)r->p[1] << 8 | (uint32_t)r->p[2] << 16 |
           (uint32_t)r->p[3] << 24;
    r->p += 4;
    r->left -= 4;
    return true;
}

/* n things of at least `size` bytes each must still be there: no table is made for a count that the
 * blob cannot hold. */
static bool check_count(Reader *r, uint32_t n, size_t size, const char *what)
{
    if (n > r->left / size)
        return tokenizer_fail(r->t, "it counts %lu %s, but has %zu bytes left", (unsigned long)n,
                              what, r->left);
    return true;
}

static bool read_string(Reader *r, Bytes *out)
{
    uint32_t n = 0;
    if (!read_u32(r, &n))
        return false;
    size_t padded = ((size_t)n + 3) / 4 * 4;
    if (padded > r->left)
        return tokenizer_fail(r->t, "a string of %lu bytes is longer than what is left",
                              (unsigned long)n);
    *out = (Bytes){(const char *)r->p, n};
    r->p += padded;
    r->left -= padded;
    return true;
}

static bool check_id(Tokenizer *t, uint32_t id, const char *what)
{
    return id < t->n_vocab || tokenizer_fail(t, "%s has id %lu, the vocabulary has %lu entries",
                                             what, (unsigned long)id, (unsigned long)t->n_vocab);
}

static void *make_table(Tokenizer *t, size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        tokenizer_fail(t, "no memory for its tables");
    return p;
}

static bool read_header(Reader *r)
{
    Tokenizer *t = r->t;
    uint32_t magic = 0, version = 0, bos = 0, eos = 0;
    if (!read_u32(r, &magic) || !read_u32(r, &version))
        return false;
    if (magic != 0x4b4f5453u) /* "STOK" */
        return tokenizer_fail(t, "it does not begin with \"STOK\"");
    if (version != 1)
        return tokenizer_fail(t, "it has version %lu, this program reads 1",
                              (unsigned long)version);
    if (!read_u32(r, &t->flags) || !read_u32(r, &t->n_vocab) || !read_u32(r, &bos) ||
        !read_u32(r, &eos) || !read_u32(r, &t->n_end) || !read_u32(r, &t->n_merges) ||
        !read_u32(r, &t->n_special) || !read_u32(r, &t->n_steps))
        return false;
    t->bos = (int32_t)bos;
    t->eos = (int32_t)eos;
    if (t->n_vocab == 0 || t->n_vocab > INT32_MAX)
        return tokenizer_fail(t, "its vocabulary has %lu entries", (unsigned long)t->n_vocab);
    if (t->n_steps > MAX_STEPS)
        return tokenizer_fail(t, "it has %lu steps, at most %d are read", (unsigned long)t->n_steps,
                              MAX_STEPS);
    return (t->bos == -1 || check_id(t, bos, "bos")) && (t->eos == -1 || check_id(t, eos, "eos"));
}

static bool read_end_ids(Reader *r)
{
    Tokenizer *t = r->t;
    if (!check_count(r, t->n_end, 4, "end ids") ||
        !(t->end = make_table(t, t->n_end, sizeof *t->end)))
        return false;
    for (uint32_t i = 0; i < t->n_end; i++) {
        uint32_t id = 0;
        if (!read_u32(r, &id) || !check_id(t, id, "an end of text"))
            return false;
        t->end[i] = (int32_t)id;
    }
    return true;
}

static bool read_vocab(Reader *r)
{
    Tokenizer *t = r->t;
    if (!check_count(r, t->n_vocab, 4, "vocabulary entries") ||
        !(t->vocab = make_table(t, t->n_vocab, sizeof *t->vocab)) ||
        !(t->decoded = make_table(t, t->n_vocab, sizeof *t->decoded)) ||
        !(t->control = make_table(t, t->n_vocab, 1)))
        return false;
    for (uint32_t i = 0; i < t->n_vocab; i++)
        if (!read_string(r, &t->vocab[i]))
            return false;
    return true;
}

static bool read_merges(Reader *r)
{
    Tokenizer *t = r->t;
    if (!check_count(r, t->n_merges, 12, "merges") ||
        !(t->merge = make_table(t, t->n_merges, sizeof *t->merge)))
        return false;
    for (uint32_t i = 0; i < t->n_merges; i++) {
        Merge *m = &t->merge[i];
        if (!read_u32(r, &m->left) || !read_u32(r, &m->right) || !read_u32(r, &m->merged) ||
            !check_id(t, m->left, "a merge") || !check_id(t, m->right, "a merge") ||
            !check_id(t, m->merged, "a merge"))
            return false;
    }
    return true;
}

static bool read_special(Reader *r)
{
    Tokenizer *t = r->t;
    if (!check_count(r, t->n_special, 12, "added tokens") ||
        !(t->special = make_table(t, t->n_special, sizeof *t->special)))
        return false;
    for (uint32_t i = 0; i < t->n_special; i++) {
        Special *s = &t->special[i];
        uint32_t id = 0;
        if (!read_u32(r, &id) || !read_u32(r, &s->flags) || !read_string(r, &s->text) ||
            !check_id(t, id, "an added token"))
            return false;
        if (s->text.n == 0)
            return tokenizer_fail(t, "the added token %lu has no text", (unsigned long)id);
        s->id = (int32_t)id;
        if (s->flags & SPECIAL_CONTROL)
            t->control[id] = 1;
    }
    return true;
}

static bool check_step(Tokenizer *t, Step *s)
{
    if (s->kind < STEP_NFC || s->kind > STEP_PREPEND_FIRST)
        return tokenizer_fail(t, "it has a step of kind %lu that this program does not know",
                              (unsigned long)s->kind);
    if (s->kind == STEP_REPLACE && s->a.n == 0)
        return tokenizer_fail(t, "a replace step replaces nothing");
    if (s->kind != STEP_SPLIT_REGEX)
        return true;
    char reason[160];
    s->regex = regex_create(s->a, reason, sizeof reason);
    return s->regex || tokenizer_fail(t, "its split pattern: %s", reason);
}

static bool read_steps(Reader *r)
{
    Tokenizer *t = r->t;
    if (!check_count(r, t->n_steps, 16, "steps") ||
        !(t->step = make_table(t, t->n_steps, sizeof *t->step)))
        return false;
    for (uint32_t i = 0; i < t->n_steps; i++) {
        Step *s = &t->step[i];
        if (!read_u32(r, &s->kind) || !read_u32(r, &s->flags) || !read_string(r, &s->a) ||
            !read_string(r, &s->b) || !check_step(t, s))
            return false;
    }
    return true;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static bool make_index(Tokenizer *t, Index *x, uint32_t n)
{
    size_t size = 16;
    while (size < (size_t)n * 2)
        size *= 2;
    x->mask = size - 1;
    x->slot = make_table(t, size, sizeof *x->slot);
    for (size_t i = 0; x->slot && i < size; i++)
        x->slot[i] = free_slot;
    return x->slot != NULL;
}

/* The slot of a text: its own or the free one where it belongs. */
static uint32_t *text_slot(const Tokenizer *t, const char *s, size_t n)
{
    size_t i = (size_t)XXH3_64bits(s, n) & t->by_text.mask;
    for (;; i = (i + 1) & t->by_text.mask) {
        uint32_t *slot = &t->by_text.slot[i];
        if (*slot == free_slot)
            return slot;
        Bytes b = t->vocab[*slot];
        if (b.n == n && memcmp(b.s, s, n) == 0)
            return slot;
    }
}

static uint32_t *pair_slot(const Tokenizer *t, uint32_t left, uint32_t right)
{
    uint64_t key = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(key ^ key >> 32) & t->by_pair.mask;
    for (;; i = (i + 1) & t->by_pair.mask) {
        uint32_t *slot = &t->by_pair.slot[i];
        if (*slot == free_slot)
            return slot;
        const Merge *m = &t->merge[*slot];
        if (m->left == left && m->right == right)
            return slot;
    }
}

int32_t tokenizer_find(const Tokenizer *t, const char *s, size_t n)
{
    uint32_t slot = *text_slot(t, s, n);
    return slot == free_slot ? -1 : (int32_t)slot;
}

const Merge *tokenizer_find_merge(const Tokenizer *t, int32_t left, int32_t right)
{
    uint32_t slot = *pair_slot(t, (uint32_t)left, (uint32_t)right);
    return slot == free_slot ? NULL : &t->merge[slot];
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0xAB>" -> 0xAB; -1: another text. */
static int byte_token(Bytes b)
{
    if (b.n != 6 || memcmp(b.s, "<0x", 3) != 0 || b.s[5] != '>')
        return -1;
    int high = hex_digit(b.s[3]), low = hex_digit(b.s[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Control tokens are never the result of merging, so text cannot spell them. */
static bool index_vocab(Tokenizer *t)
{
    if (!make_index(t, &t->by_text, t->n_vocab))
        return false;
    for (int i = 0; i < 256; i++)
        t->byte_id[i] = FREE;
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        Bytes b = t->vocab[i];
        if (b.n == 0 || t->control[i])
            continue;
        uint32_t *slot = text_slot(t, b.s, b.n);
        if (*slot == free_slot)
            *slot = i;
        int byte = t->flags & TOKENIZER_BYTE_FALLBACK ? byte_token(b) : -1;
        if (byte < 0 && b.n == 1 && t->byte_id[(unsigned char)b.s[0]] == FREE)
            t->byte_id[(unsigned char)b.s[0]] = (int32_t)i;
        if (byte >= 0)
            t->byte_id[byte] = (int32_t)i;
    }
    return true;
}

/* The first of equal merges has the best rank and wins. */
static bool index_merges(Tokenizer *t)
{
    if (!make_index(t, &t->by_pair, t->n_merges))
        return false;
    for (uint32_t i = 0; i < t->n_merges; i++) {
        uint32_t *slot = pair_slot(t, t->merge[i].left, t->merge[i].right);
        if (*slot == free_slot)
            *slot = i;
    }
    return true;
}

/* ---- what ids mean --------------------------------------------------------------------------- */

/* What a step puts in the place of a space. */
static Bytes space_mark(const Tokenizer *t)
{
    for (uint32_t i = 0; i < t->n_steps; i++) {
        const Step *s = &t->step[i];
        if (s->kind == STEP_REPLACE && s->a.n == 1 && s->a.s[0] == ' ' && s->b.n > 0)
            return s->b;
    }
    return (Bytes){NULL, 0};
}

/* b with every mark made a space, at `out`; its length. */
static size_t undo_marks(char *out, Bytes b, Bytes mark)
{
    size_t n = 0;
    for (size_t i = 0; i < b.n;) {
        bool here = mark.n && mark.n <= b.n - i && memcmp(b.s + i, mark.s, mark.n) == 0;
        out[n++] = here ? ' ' : b.s[i];
        i += here ? mark.n : 1;
    }
    return n;
}

static bool decode_vocab(Tokenizer *t)
{
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < t->n_vocab; i++)
        total += t->vocab[i].n;
    if (!(t->decoded_text = make_table(t, total, 1)))
        return false;
    Bytes mark = space_mark(t);
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        Bytes b = t->vocab[i];
        char *out = t->decoded_text + at;
        int byte = t->flags & TOKENIZER_BYTE_FALLBACK ? byte_token(b) : -1;
        size_t n = 1;
        if (byte >= 0)
            out[0] = (char)byte;
        else
            n = undo_marks(out, b, mark);
        t->decoded[i] = (Bytes){out, n};
        at += n;
    }
    for (uint32_t i = 0; i < t->n_special; i++)
        t->decoded[t->special[i].id] = t->special[i].text;
    return true;
}

bool tokenizer_read_blob(Tokenizer *t, const uint8_t *blob, size_t n)
{
    Reader r = {.t = t, .p = blob, .left = n};
    if (!read_header(&r) || !read_end_ids(&r) || !read_vocab(&r) || !read_merges(&r) ||
        !read_special(&r) || !read_steps(&r))
        return false;
    if (r.left > 0)
        return tokenizer_fail(t, "%zu bytes follow its end", r.left);
    return index_vocab(t) && index_merges(t) && decode_vocab(t);
}
