/* cache.c - `sinter cache`: what is there, why something was made anew, and making room. */
#include "compiler/cache.h"

#include <stdio.h>
#include <string.h>

#include "compiler/base/paths.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, DEFAULT_DAYS = 30 };

static const Span nowhere = {0, 0};

static const char *kind_word(CacheKind kind)
{
    switch (kind) {
    case CACHE_PROGRAM:
        return "program";
    case CACHE_KERNELS:
        return "kernels";
    case CACHE_OBJECTS:
        return "runtime";
    case CACHE_SPEC:
        return "spec";
    case CACHE_LEFTOVER:
        return "leftover";
    }
    return "";
}

/* "3 hours" */
static const char *ago(Arena *a, time_t since)
{
    int64_t s = (int64_t)(time(NULL) - since);
    int64_t unit = s >= DAY ? DAY : s >= HOUR ? HOUR : s >= MINUTE ? MINUTE : 1;
    const char *word = s >= DAY ? "day" : s >= HOUR ? "hour" : s >= MINUTE ? "minute" : "second";
    int64_t n = s > 0 ? s / unit : 0;
    return arena_printf(a, "%lld %s%s", (long long)n, word, n == 1 ? "" : "s");
}

static int64_t total_bytes(const CacheList *list)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < list->n; i++) {
        bytes += list->data[i].bytes;
    }
    return bytes;
}

static const char *plural(size_t n)
{
    return n == 1 ? "y" : "ies";
}

/* An entry is named by its model, or exactly by its id. */
static bool is_named(const CacheEntry *e, const char *name)
{
    return !name || strcmp(e->name, name) == 0 || strcmp(e->id, name) == 0;
}

/* ---- ls -------------------------------------------------------------------------------------- */

static void print_entry(Ctx *ctx, const CacheEntry *e)
{
    printf("%-9s %9.2f MB  used %-11s ago  %s", kind_word(e->kind), (double)e->bytes / 1e6,
           ago(ctx->arena, e->used), e->id);
    if (e->kind == CACHE_KERNELS) {
        printf(", %s, NVRTC %s", cache_part(e, "chip"), cache_part(e, "nvrtc"));
    }
    printf("\n");
}

static bool cache_ls(Ctx *ctx, const CacheList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (is_named(&list->data[i], name)) {
            print_entry(ctx, &list->data[i]);
        }
    }
    printf("%zu entr%s, %.2f MB in %s\n", list->n, plural(list->n), (double)total_bytes(list) / 1e6,
           paths_cache_dir(ctx->arena));
    return true;
}

/* ---- why ------------------------------------------------------------------------------------- */

/* What a part of a key stands for, in words. */
static const char *part_words(const char *part)
{
    static const CachePart words[] = {
        {"sinter", "version of sinter"},
        {"source", "generated source: spec, options, templates or rules"},
        {"kernels", "generated kernels: spec, options, templates or rules"},
        {"runtime", "runtime's sources, C compiler or its flags"},
        {"cuda", "CUDA compiler"},
        {"weights", "weights"},
        {"options", "NVRTC's options"},
        {"nvrtc", "version of NVRTC"},
        {"chip", "GPU that it is for"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].name, part) == 0) {
            return words[i].value;
        }
    }
    return part;
}

static int differences(const CacheEntry *a, const CacheEntry *b)
{
    int n = 0;
    for (size_t i = 0; i < a->parts.n; i++) {
        const CachePart *p = &a->parts.data[i];
        n += strcmp(p->value, cache_part(b, p->name)) != 0;
    }
    for (size_t i = 0; i < b->parts.n; i++) {
        n += *cache_part(a, b->parts.data[i].name) == '\0';
    }
    return n;
}

/* The other entry of this kind and model that differs in the fewest parts. */
static const CacheEntry *nearest(const CacheList *list, const CacheEntry *e)
{
    const CacheEntry *best = NULL;
    for (size_t i = 0; i < list->n; i++) {
        const CacheEntry *x = &list->data[i];
        if (x != e && x->kind == e->kind && strcmp(x->name, e->name) == 0 &&
            (!best || differences(e, x) < differences(e, best))) {
            best = x;
        }
    }
    return best;
}

static void print_difference(const char *part, const char *here, const char *there)
{
    if (strcmp(here, there) != 0) {
        printf("  %-8s %s\n           here %s, there %s\n", part, part_words(part),
               *here ? here : "none", *there ? there : "none");
    }
}

static void explain(Ctx *ctx, const CacheList *list, const CacheEntry *e)
{
    const CacheEntry *other = nearest(list, e);
    printf("%s (%s, used %s ago)\n", e->id, kind_word(e->kind), ago(ctx->arena, e->used));
    if (!other) {
        printf("  nothing else of %s is there to differ from\n", e->name);
        return;
    }
    printf("  differs from %s in\n", other->id);
    for (size_t i = 0; i < e->parts.n; i++) {
        const CachePart *p = &e->parts.data[i];
        print_difference(p->name, p->value, cache_part(other, p->name));
    }
    for (size_t i = 0; i < other->parts.n; i++) {
        const CachePart *p = &other->parts.data[i];
        if (*cache_part(e, p->name) == '\0') {
            print_difference(p->name, "", p->value);
        }
    }
}

/* Entries of that name, or the one that was used last. */
static bool cache_why(Ctx *ctx, const CacheList *list, const char *name)
{
    int explained = 0;
    for (size_t i = 0; i < list->n && (name || !explained); i++) {
        const CacheEntry *e = &list->data[i];
        if (e->parts.n > 0 && is_named(e, name)) {
            explain(ctx, list, e);
            explained++;
        }
    }
    return explained ||
           diag_error(ctx->diag, nowhere,
                      "the cache has no program and no kernels%s%s; 'sinter cache ls' lists it",
                      name ? " of " : "", name ? name : "");
}

/* ---- gc -------------------------------------------------------------------------------------- */

/* A leftover may belong to a process at work. */
static bool is_old(const CacheEntry *e, int64_t days)
{
    int64_t age = (int64_t)(time(NULL) - e->used);
    return e->kind == CACHE_LEFTOVER ? age > HOUR : age > days * DAY;
}

/* Entries come last used first: what no longer fits is the oldest. */
static bool cache_gc(Ctx *ctx, const CacheList *list, const Options *o)
{
    int64_t days = o->days ? o->days : DEFAULT_DAYS, kept = 0, removed = 0;
    int64_t room = o->max_mb ? o->max_mb * 1000000 : INT64_MAX;
    size_t n_kept = 0, n_removed = 0;
    bool ok = true;
    for (size_t i = 0; i < list->n; i++) {
        const CacheEntry *e = &list->data[i];
        if (!is_named(e, o->operand2) || (!is_old(e, days) && kept + e->bytes <= room)) {
            kept += e->bytes;
            n_kept++;
        } else if (cache_remove(e)) {
            removed += e->bytes;
            n_removed++;
        } else {
            ok = diag_env_error(ctx->diag, "cannot remove all of %s", e->path);
        }
    }
    printf("removed %zu entr%s, %.2f MB; kept %zu, %.2f MB\n", n_removed, plural(n_removed),
           (double)removed / 1e6, n_kept, (double)kept / 1e6);
    return ok;
}

bool cache_run(Ctx *ctx, const Options *o)
{
    static const char *const actions[] = {"ls", "why", "gc"};
    CacheList list = cache_entries(ctx);
    if (strcmp(o->operand, "ls") == 0) {
        return cache_ls(ctx, &list, o->operand2);
    }
    if (strcmp(o->operand, "why") == 0) {
        return cache_why(ctx, &list, o->operand2);
    }
    if (strcmp(o->operand, "gc") == 0) {
        return cache_gc(ctx, &list, o);
    }
    const char *near = str_nearest(o->operand, actions, sizeof actions / sizeof *actions);
    return diag_error(ctx->diag, nowhere, "'sinter cache' takes ls, why or gc, not '%s'%s%s%s",
                      o->operand, near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "");
}
