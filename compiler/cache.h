/* cache.h - what lies in the cache: programs of `sinter run`, kernels that programs compiled at
 * start, objects of the runtime, specs made from folders. */
#ifndef SINTER_COMPILER_CACHE_H
#define SINTER_COMPILER_CACHE_H

#include <time.h>

#include "compiler/options.h"

/* ---- cache_entries.c ------------------------------------------------------------------------- */

typedef enum CacheKind {
    CACHE_PROGRAM,  /* a folder with the file `key` (program_cache.c) */
    CACHE_KERNELS,  /* cubins/NAME-HASH.cubin (runtime/cubin_format.h) */
    CACHE_OBJECTS,  /* runtime-HASH: the runtime, compiled */
    CACHE_SPEC,     /* specs/HASH.yaml */
    CACHE_LEFTOVER, /* of a process that was killed, or damaged */
} CacheKind;

/* One of the things that an entry's key is made of. */
typedef struct CachePart {
    const char *name, *value;
} CachePart;

typedef struct CacheEntry {
    CacheKind kind;
    const char *name; /* of the model */
    const char *id;   /* the last part of its path */
    const char *path;
    int64_t bytes;
    time_t used;
    VEC(CachePart) parts; /* in the order of the key; only programs and kernels have some */
} CacheEntry;

typedef struct CacheList {
    size_t n, cap;
    CacheEntry *data;
} CacheList;

/* Everything, last used first. An empty or missing cache is no error. */
CacheList cache_entries(Ctx *ctx);
const char *cache_part(const CacheEntry *e, const char *name);
/* Removes the entry; false when something of it is left. */
bool cache_remove(const CacheEntry *e);

/* ---- cache.c --------------------------------------------------------------------------------- */

/* `sinter cache ls|why|gc [NAME]`. */
bool cache_run(Ctx *ctx, const Options *o);

#endif
