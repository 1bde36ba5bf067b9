/* str.c - interned strings in an open-addressing hash table, and "did you mean". */
#include "compiler/base/str.h"

#include <stdarg.h>
#include <string.h>

#ifdef SINTER_SMALL_LIMITS
enum { FIRST_SLOTS = 2 };
#else
enum { FIRST_SLOTS = 1024 };
#endif

typedef struct Slot {
    Str str; /* NULL = free */
    size_t len;
    uint64_t hash;
} Slot;

struct StrTable {
    Arena *arena;
    Slot *slot;
    size_t n_slots; /* a power of two */
    size_t n_used;
};

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    }
    return h;
}

StrTable *str_table_create(Arena *a)
{
    StrTable *t = ARENA_NEW(a, StrTable);
    t->arena = a;
    t->n_slots = FIRST_SLOTS;
    t->slot = ARENA_ARRAY(a, Slot, t->n_slots);
    return t;
}

/* The slot that holds the text, or the free one where it belongs. */
static Slot *find(const StrTable *t, const char *s, size_t n, uint64_t hash)
{
    for (size_t i = (size_t)hash;; i++) {
        Slot *slot = &t->slot[i & (t->n_slots - 1)];
        if (slot->str == NULL) {
            return slot;
        }
        if (slot->hash == hash && slot->len == n && (n == 0 || memcmp(slot->str, s, n) == 0)) {
            return slot;
        }
    }
}

static void grow(StrTable *t)
{
    Slot *old = t->slot;
    size_t n_old = t->n_slots;
    t->n_slots = n_old * 2;
    t->slot = ARENA_ARRAY(t->arena, Slot, t->n_slots);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].str != NULL) {
            *find(t, old[i].str, old[i].len, old[i].hash) = old[i];
        }
    }
}

Str str_intern_n(StrTable *t, const char *s, size_t n)
{
    uint64_t hash = hash_bytes(s, n);
    Slot *slot = find(t, s, n, hash);
    if (slot->str != NULL) {
        return slot->str;
    }
    Str str = arena_strndup(t->arena, s, n);
    *slot = (Slot){.str = str, .len = n, .hash = hash};
    t->n_used++;
    if (t->n_used * 4 > t->n_slots * 3) {
        grow(t);
    }
    return str;
}

Str str_intern(StrTable *t, const char *s)
{
    return str_intern_n(t, s, strlen(s));
}

Str str_internf(StrTable *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Str s = str_intern(t, arena_vprintf(t->arena, fmt, ap));
    va_end(ap);
    return s;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

enum { MAX_NAME = 64 }; /* longer texts are not names: no suggestion for them */

/* Rows of the usual table; row i-2 is kept for the swap of two neighbours. */
int str_distance(const char *a, const char *b, int limit)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX_NAME || nb > MAX_NAME) {
        return strcmp(a, b) == 0 ? 0 : limit;
    }
    int row[3][MAX_NAME + 1] = {0};
    for (size_t j = 0; j <= nb; j++) {
        row[0][j] = (int)j;
    }
    for (size_t i = 1; i <= na; i++) {
        int *now = row[i % 3];
        const int *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int substituted = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min_int(substituted, min_int(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = min_int(now[j], before[j - 2] + 1);
            }
        }
    }
    return min_int(row[na % 3][nb], limit);
}

/* Near enough: a third of the name may differ, at most three edits, and something must agree. */
const char *str_nearest(const char *name, const char *const *candidates, size_t n)
{
    int len = (int)min_int((int)strnlen(name, MAX_NAME), MAX_NAME);
    int best = min_int(min_int((len + 2) / 3, 3) + 1, len);
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        int distance = str_distance(name, candidates[i], best);
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
