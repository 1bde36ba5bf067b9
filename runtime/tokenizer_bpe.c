/* tokenizer_bpe.c - byte pair encoding of one piece.
 *
 * The piece is a linked list of symbols. A heap holds every neighbouring pair that a merge knows,
 * best rank first, leftmost first among equals; merging one pair queues the two new neighbours.
 * Pairs whose symbols have changed since are thrown away when they come up: O(n log n). */
#include <stdlib.h>
#include <string.h>

#include "tokenizer_parts.h"
#include "utf8.h"

/* ---- heap ------------------------------------------------------------------------------------ */

static bool pair_before(const Pair *a, const Pair *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static bool heap_push(Tokenizer *t, Pair x)
{
    if (t->heap_n == t->heap_cap) {
        size_t cap = t->heap_cap ? t->heap_cap * 2 : 64;
        Pair *more = realloc(t->heap, cap * sizeof *more);
        if (!more)
            return tokenizer_fail(t, "no memory for %zu pairs", cap);
        t->heap = more;
        t->heap_cap = cap;
    }
    size_t i = t->heap_n++;
    while (i > 0 && pair_before(&x, &t->heap[(i - 1) / 2])) {
        t->heap[i] = t->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    t->heap[i] = x;
    return true;
}

static Pair heap_pop(Tokenizer *t)
{
    Pair top = t->heap[0], x = t->heap[--t->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < t->heap_n && pair_before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (child >= t->heap_n || !pair_before(&t->heap[child], &x))
            break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = x;
    return top;
}

/* ---- symbols --------------------------------------------------------------------------------- */

static bool symbols_reserve(Tokenizer *t, size_t n)
{
    if (n <= t->symbols_cap)
        return true;
    Symbol *more = realloc(t->symbol, n * sizeof *more);
    if (!more)
        return tokenizer_fail(t, "no memory for %zu symbols", n);
    t->symbol = more;
    t->symbols_cap = n;
    return true;
}

static bool add_symbol(Tokenizer *t, size_t *n, int32_t id)
{
    t->symbol[*n] = (Symbol){.id = id, .prev = (int32_t)*n - 1, .next = (int32_t)*n + 1};
    ++*n;
    return true;
}

static bool add_byte(Tokenizer *t, size_t *n, char c)
{
    int32_t id = t->byte_id[(unsigned char)c];
    if (id < 0)
        return tokenizer_fail(t, "the text has byte 0x%02x, for which the vocabulary has no token",
                              (unsigned)(unsigned char)c);
    return add_symbol(t, n, id);
}

/* A character that the vocabulary has, or its bytes. Returns false when it cannot be spelt. */
static bool add_character(Tokenizer *t, size_t *n, const char *s, size_t length)
{
    int32_t id = tokenizer_find(t, s, length);
    if (id >= 0)
        return add_symbol(t, n, id);
    if (!(t->flags & TOKENIZER_BYTE_FALLBACK))
        return tokenizer_fail(t, "the text has '%.*s', for which the vocabulary has no token",
                              (int)length, s);
    for (size_t i = 0; i < length; i++)
        if (!add_byte(t, n, s[i]))
            return false;
    return true;
}

static bool make_symbols(Tokenizer *t, const char *s, size_t n, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < n;) {
        size_t length = t->flags & TOKENIZER_BYTE_LEVEL ? 0 : utf8_length(s + i, n - i);
        if (!(length ? add_character(t, count, s + i, length) : add_byte(t, count, s[i])))
            return false;
        i += length ? length : 1;
    }
    t->symbol[*count - 1].next = -1;
    return true;
}

/* ---- merging --------------------------------------------------------------------------------- */

static bool queue_pair(Tokenizer *t, int32_t at)
{
    if (at < 0 || t->symbol[at].next < 0)
        return true;
    int32_t left = t->symbol[at].id, right = t->symbol[t->symbol[at].next].id;
    const Merge *m = tokenizer_find_merge(t, left, right);
    if (!m)
        return true;
    return heap_push(t, (Pair){(uint32_t)(m - t->merge), at, left, right});
}

static bool apply_pair(Tokenizer *t, Pair p)
{
    Symbol *left = &t->symbol[p.at];
    if (left->id != p.left || left->next < 0 || t->symbol[left->next].id != p.right)
        return true;
    Symbol *right = &t->symbol[left->next];
    left->id = (int32_t)t->merge[p.rank].merged;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
        t->symbol[left->next].prev = p.at;
    return queue_pair(t, left->prev) && queue_pair(t, p.at);
}

bool tokenizer_encode_piece(Tokenizer *t, const char *s, size_t n)
{
    if (n == 0)
        return true;
    int32_t whole = t->flags & TOKENIZER_IGNORE_MERGES ? tokenizer_find(t, s, n) : -1;
    if (whole >= 0) {
        tokenizer_emit(t, whole);
        return true;
    }
    size_t count;
    if (!symbols_reserve(t, n) || !make_symbols(t, s, n, &count))
        return false;
    t->heap_n = 0;
    for (size_t i = 0; i + 1 < count; i++)
        if (!queue_pair(t, (int32_t)i))
            return false;
    while (t->heap_n > 0)
        if (!apply_pair(t, heap_pop(t)))
            return false;
    for (int32_t i = 0; i >= 0; i = t->symbol[i].next)
        tokenizer_emit(t, t->symbol[i].id);
    return true;
}
