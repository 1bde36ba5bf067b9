/* cache_entries.c - reads the cache's folder. Other processes may write and remove there at the
 * same time, so a file that is gone by now is no error. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "compiler/cache.h"
#include "runtime/cubin_format.h"

typedef VEC(const char *) Names;

static Names names_in(Ctx *ctx, const char *dir)
{
    Names names = {0};
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            vec_push(ctx->arena, &names, (const char *)arena_strdup(ctx->arena, e->d_name));
        }
    }
    if (d) {
        closedir(d);
    }
    return names;
}

static int64_t bytes_below(Ctx *ctx, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return 0;
    }
    int64_t bytes = S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
    Names names = {0};
    if (S_ISDIR(st.st_mode)) {
        names = names_in(ctx, path);
    }
    for (size_t i = 0; i < names.n; i++) {
        bytes += bytes_below(ctx, path_join(ctx->arena, path, names.data[i]));
    }
    return bytes;
}

static time_t date_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtime : 0;
}

static void add_part(Ctx *ctx, CacheEntry *e, const char *name, const char *value)
{
    CachePart part = {name, value};
    vec_push(ctx->arena, &e->parts, part);
}

const char *cache_part(const CacheEntry *e, const char *name)
{
    for (size_t i = 0; i < e->parts.n; i++) {
        if (strcmp(e->parts.data[i].name, name) == 0) {
            return e->parts.data[i].value;
        }
    }
    return "";
}

/* ---- programs -------------------------------------------------------------------------------- */

/* Lines "name value". */
static void read_key(Ctx *ctx, CacheEntry *e, char *text)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *blank = strchr(line, ' ');
        if (blank) {
            *blank = '\0';
            add_part(ctx, e, line, blank + 1);
        }
    }
}

static void read_program(Ctx *ctx, CacheEntry *e)
{
    size_t n = 0;
    const char *key = path_join(ctx->arena, e->path, "key");
    char *text = file_read(ctx->arena, diag_create(ctx->arena), key, &n);
    if (!text) {
        e->kind = strncmp(e->id, "runtime-", 8) == 0 ? CACHE_OBJECTS : CACHE_LEFTOVER;
        return;
    }
    e->kind = CACHE_PROGRAM;
    e->used = date_of(key);
    read_key(ctx, e, text);
    e->name = cache_part(e, "name");
}

/* ---- kernels --------------------------------------------------------------------------------- */

static bool is_intact(const char *data, size_t n, const CubinHeader *h)
{
    return n >= sizeof *h && memcmp(h->magic, CUBIN_MAGIC, sizeof h->magic) == 0 &&
           h->header_checksum == XXH3_64bits(h, offsetof(CubinHeader, header_checksum)) &&
           h->bytes == n - sizeof *h &&
           h->checksum == XXH3_64bits(data + sizeof *h, (size_t)h->bytes);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* A file gets its name when it is written; before that the name goes on behind ".cubin". */
static void read_kernels(Ctx *ctx, CacheEntry *e)
{
    CubinHeader h = {0};
    size_t n = 0;
    const char *data = file_read(ctx->arena, diag_create(ctx->arena), e->path, &n);
    if (data && n >= sizeof h) {
        memcpy(&h, data, sizeof h);
    }
    if (!ends_with(e->id, ".cubin") || !data || !is_intact(data, n, &h)) {
        e->kind = CACHE_LEFTOVER;
        return;
    }
    e->kind = CACHE_KERNELS;
    e->name = arena_strndup(ctx->arena, h.key.name, sizeof h.key.name);
    add_part(ctx, e, "name", e->name);
    add_part(ctx, e, "source",
             arena_printf(ctx->arena, "%016llx", (unsigned long long)h.key.source));
    add_part(ctx, e, "options", arena_strndup(ctx->arena, h.key.options, sizeof h.key.options));
    add_part(ctx, e, "nvrtc", arena_strndup(ctx->arena, h.key.nvrtc, sizeof h.key.nvrtc));
    add_part(ctx, e, "chip", arena_strndup(ctx->arena, h.key.chip, sizeof h.key.chip));
}

/* ---- all ------------------------------------------------------------------------------------- */

static void read_spec(Ctx *ctx, CacheEntry *e)
{
    (void)ctx;
    e->kind = CACHE_SPEC;
}

static void add_folder(Ctx *ctx, CacheList *list, const char *dir,
                       void (*read)(Ctx *, CacheEntry *))
{
    Names names = names_in(ctx, dir);
    for (size_t i = 0; i < names.n; i++) {
        CacheEntry e = {.id = names.data[i], .name = ""};
        e.path = path_join(ctx->arena, dir, e.id);
        e.bytes = bytes_below(ctx, e.path);
        e.used = date_of(e.path);
        read(ctx, &e);
        vec_push(ctx->arena, list, e);
    }
}

static int by_use(const void *a, const void *b)
{
    const CacheEntry *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? 1 : -1) : strcmp(x->id, y->id);
}

CacheList cache_entries(Ctx *ctx)
{
    const char *dir = paths_cache_dir(ctx->arena);
    CacheList top = {0}, list = {0};
    add_folder(ctx, &top, dir, read_program);
    for (size_t i = 0; i < top.n; i++) {
        if (strcmp(top.data[i].id, "cubins") == 0) {
            add_folder(ctx, &list, top.data[i].path, read_kernels);
        } else if (strcmp(top.data[i].id, "specs") == 0) {
            add_folder(ctx, &list, top.data[i].path, read_spec);
        } else {
            vec_push(ctx->arena, &list, top.data[i]);
        }
    }
    if (list.n > 0) {
        qsort(list.data, list.n, sizeof *list.data, by_use);
    }
    return list;
}

/* ---- removing -------------------------------------------------------------------------------- */

static bool remove_all(const char *path)
{
    struct stat st;
    bool folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode); /* no link is followed */
    DIR *d = folder ? opendir(path) : NULL;
    if (!d) {
        return unlink(path) == 0 || errno == ENOENT;
    }
    bool ok = true;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char inner[4096];
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            int n = snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            ok = n > 0 && (size_t)n < sizeof inner && remove_all(inner) && ok;
        }
    }
    closedir(d);
    return (rmdir(path) == 0 || errno == ENOENT) && ok;
}

bool cache_remove(const CacheEntry *e)
{
    return remove_all(e->path);
}
