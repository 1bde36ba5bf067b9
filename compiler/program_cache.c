/* program_cache.c - `sinter run` and `bench`: a folder of the cache holds the program, its sources,
 * its weights, and the file `key` that says what it was made from.
 *
 *   name tinytales
 *   sinter 0.1.0
 *   source 5f0c2b9e7a64d313        x.c: spec, options, templates, rules
 *   kernels 0a0ed6f0cc7cf2d1       x.cu
 *   runtime 33c8a1f8d0e5ba02       the runtime's sources, the C compiler and its flags
 *   cuda /usr/bin/nvcc 21768 1712  what compiles x.cu: path, size, date
 *   weights tales/model.safetensors 7143232 1712
 *
 * The folder is named after the model and the hash of that text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "compiler/cubin.h"
#include "compiler/import_hf.h"
#include "compiler/program.h"
#include "compiler/toolchain.h"

/* ---- the key --------------------------------------------------------------------------------- */

static void add_hash(Buf *key, const char *part, const Buf *text)
{
    if (text->len > 0) {
        buf_printf(key, "%s %016llx\n", part,
                   (unsigned long long)XXH3_64bits(text->data, text->len));
    }
}

/* A file stands for itself by path, size and date. */
static void add_file(Buf *key, const char *part, const char *path)
{
    struct stat st = {0};
    stat(path, &st);
    buf_printf(key, "%s %s %lld %lld\n", part, path, (long long)st.st_size, (long long)st.st_mtime);
}

static void add_weights(Buf *key, const Program *p)
{
    const Options *o = p->c->o;
    if (o->weights) {
        const char *single = path_join(p->c->ctx->arena, o->weights, "model.safetensors");
        add_file(key, "weights", file_exists(single) ? single : o->weights);
    } else if (o->has_random) {
        buf_printf(key, "weights random %lld\n", (long long)o->random);
    }
}

/* False when there is no C compiler. */
static bool write_key(const Program *p, Buf *key)
{
    Ctx *ctx = p->c->ctx;
    const char *cc = toolchain_cc(ctx, program_cross(p));
    if (!cc) {
        return false;
    }
    const char *runtime = path_join(ctx->arena, paths_data_dir(ctx->arena), "runtime");
    buf_printf(key, "name %s\nsinter %s\n", p->c->spec->name, SINTER_VERSION);
    add_hash(key, "source", &p->source);
    add_hash(key, "kernels", &p->device);
    buf_printf(key, "runtime %016llx\n", (unsigned long long)toolchain_hash(ctx, cc, runtime));
    bool compiles = p->c->target->gpu && !p->c->o->jit;
    const char *nvcc = compiles ? cubin_nvcc(ctx->arena) : NULL;
    const char *nvrtc = compiles && !nvcc ? cubin_nvrtc(ctx->arena) : NULL;
    if (nvcc) {
        add_file(key, "cuda", nvcc);
    } else if (nvrtc) {
        buf_printf(key, "cuda NVRTC %s\n", nvrtc);
    }
    add_weights(key, p);
    return true;
}

/* ---- the spec -------------------------------------------------------------------------------- */

/* A folder of weights and config.json instead of a spec: the spec is made in the cache. */
static bool spec_of_folder(Ctx *ctx, Options *o)
{
    ModelSpec spec;
    const char *dir = path_join(ctx->arena, paths_cache_dir(ctx->arena), "specs");
    if (!import_config(ctx, o->operand, &spec) || !file_make_dirs(ctx->diag, dir)) {
        return false;
    }
    Buf b = buf_create(ctx->arena);
    spec_write(&b, &spec);
    const char *path = path_join(
        ctx->arena, dir,
        arena_printf(ctx->arena, "%016llx.yaml", (unsigned long long)XXH3_64bits(b.data, b.len)));
    o->weights = o->weights ? o->weights : o->operand;
    o->operand = path;
    return file_write(ctx->diag, path, b.data, b.len);
}

/* ---- make and become --------------------------------------------------------------------------
 */

static bool become(Ctx *ctx, const Program *p, const char *dir, const TextList *args)
{
    const TextList *rest = &p->c->o->rest;
    char **argv = ARENA_ARRAY(ctx->arena, char *, args->n + rest->n + 2);
    size_t n = 0;
    argv[n++] = arena_strdup(ctx->arena, program_file(p, dir, ""));
    for (size_t i = 0; i < args->n; i++) {
        argv[n++] = arena_strdup(ctx->arena, args->data[i]);
    }
    for (size_t i = 0; i < rest->n; i++) {
        argv[n++] = arena_strdup(ctx->arena, rest->data[i]);
    }
    fflush(stdout);
    diag_flush(ctx->diag, stderr);
    execv(argv[0], argv);
    return diag_env_error(ctx->diag, "cannot start %s: %s", argv[0], strerror(errno));
}

/* The program of this key: as the cache has it, or made now. The key's date is its last use. */
static const char *cached_dir(Ctx *ctx, Program *p)
{
    Buf key = buf_create(ctx->arena);
    if (!write_key(p, &key)) {
        return NULL;
    }
    const char *name = arena_printf(ctx->arena, "%s-%016llx", p->c->spec->name,
                                    (unsigned long long)XXH3_64bits(key.data, key.len));
    const char *dir = path_join(ctx->arena, paths_cache_dir(ctx->arena), name);
    const char *key_file = path_join(ctx->arena, dir, "key");
    if (file_exists(program_file(p, dir, "")) && utimensat(AT_FDCWD, key_file, NULL, 0) == 0) {
        return dir;
    }
    bool ok = program_write(p, dir) && file_write(ctx->diag, key_file, key.data, key.len) &&
              program_pack(p, dir) && program_build(p, dir);
    return ok ? dir : NULL;
}

bool program_run_cached(Ctx *ctx, const Options *options, const TextList *args)
{
    Options o = *options;
    Compilation c;
    Program p;
    if (file_is_dir(o.operand) && !spec_of_folder(ctx, &o)) {
        return false;
    }
    if (!compilation_open(&c, ctx, &o) || !program_plan(&p, &c) || !program_emit(&p)) {
        return false;
    }
    const char *dir = cached_dir(ctx, &p);
    return dir && become(ctx, &p, dir, args);
}
