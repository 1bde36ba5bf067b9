/* ledger.c - the record of what was fused, what was not and why, and what it saved. */
#include "ir/ledger.h"

#include <string.h>

static bool same_refusal(const LedgerEntry *a, const LedgerEntry *b)
{
    return !a->fired && !b->fired && a->pass == b->pass && a->rule == b->rule &&
           a->func == b->func && a->site == b->site && a->reason == b->reason;
}

void ledger_add(Ledger *l, LedgerEntry e)
{
    for (size_t i = 0; i < l->entries.n; i++) {
        if (same_refusal(&l->entries.data[i], &e)) {
            return;
        }
    }
    vec_push(l->arena, &l->entries, e);
}

static void put_bytes(Buf *b, double bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    int u = 0;
    double magnitude = bytes < 0 ? -bytes : bytes;
    for (; magnitude >= 10000 && u < 4; u++) {
        bytes /= 1000;
        magnitude /= 1000;
    }
    buf_printf(b, u == 0 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
}

static void put_change(Buf *b, const LedgerEntry *e)
{
    buf_printf(b, "kernels %d -> %d, bytes ", e->before.launches, e->after.launches);
    put_bytes(b, cost_bytes(&e->before));
    buf_puts(b, " -> ");
    put_bytes(b, cost_bytes(&e->after));
    if (e->seconds_before > 0) {
        buf_printf(b, ", %.2f -> %.2f us", e->seconds_before * 1e6, e->seconds_after * 1e6);
    }
}

static size_t widest(const Ledger *l, Str (*field)(const LedgerEntry *e))
{
    size_t n = 4;
    for (size_t i = 0; i < l->entries.n; i++) {
        Str s = field(&l->entries.data[i]);
        n = s != NULL && strlen(s) > n ? strlen(s) : n;
    }
    return n;
}

static Str rule_of(const LedgerEntry *e)
{
    return e->rule;
}

static Str func_of(const LedgerEntry *e)
{
    return e->func;
}

static Str site_of(const LedgerEntry *e)
{
    return e->site;
}

static void put_entry(Buf *b, const LedgerEntry *e, const int *width)
{
    const char *sigil = e->site == NULL ? " " : "%", *site = e->site == NULL ? "" : e->site;
    buf_printf(b, "%-*s  @%-*s  %s%-*s  ", width[0], e->rule, width[1], e->func, sigil, width[2],
               site);
    if (e->fired) {
        buf_puts(b, "fired  ");
        put_change(b, e);
    } else {
        buf_printf(b, "no     %s", e->reason == NULL ? "" : e->reason);
    }
    buf_putc(b, '\n');
}

/* Has a function of this name come before entry n? */
static bool summed_before(const Ledger *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (l->entries.data[i].fired && l->entries.data[i].func == l->entries.data[n].func) {
            return true;
        }
    }
    return false;
}

/* From the state before the function's first rewrite to the one after its last. */
static void put_sum(Buf *b, const Ledger *l, size_t first)
{
    LedgerEntry sum = l->entries.data[first];
    int fired = 0;
    for (size_t i = first; i < l->entries.n; i++) {
        const LedgerEntry *e = &l->entries.data[i];
        if (e->fired && e->func == sum.func) {
            sum.after = e->after;
            sum.seconds_after = e->seconds_after;
            fired++;
        }
    }
    buf_printf(b, "@%s, %d fired: ", sum.func, fired);
    put_change(b, &sum);
    buf_putc(b, '\n');
}

void ledger_print(Buf *b, const Ledger *l)
{
    int width[3] = {(int)widest(l, rule_of), (int)widest(l, func_of), (int)widest(l, site_of)};
    for (size_t i = 0; i < l->entries.n; i++) {
        put_entry(b, &l->entries.data[i], width);
    }
    for (size_t i = 0; i < l->entries.n; i++) {
        if (l->entries.data[i].fired && !summed_before(l, i)) {
            put_sum(b, l, i);
        }
    }
}
