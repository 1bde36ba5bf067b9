/* toolchain.c - runs the C compiler: one object per source, as many at once as there are cores,
 * then two links (the binary and the shared library). */
#include "compiler/toolchain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"

extern char **environ;

static const Span nowhere = {0, 0};

char *toolchain_find(Arena *a, const char *program)
{
    if (strchr(program, '/')) {
        return access(program, X_OK) == 0 ? arena_strdup(a, program) : NULL;
    }
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        char *full = path_join(a, arena_strndup(a, path, n), program);
        if (n && access(full, X_OK) == 0 && !file_is_dir(full)) {
            return full;
        }
        path += n + (path[n] == ':');
    }
    return NULL;
}

char *toolchain_cc(Ctx *ctx, const char *cross)
{
    static const char *const names[] = {"cc", "gcc", "clang"};
    const char *cc = getenv("CC");
    if (cross) {
        char *full = toolchain_find(ctx->arena, arena_printf(ctx->arena, "%sgcc", cross));
        if (!full) {
            diag_env_error(ctx->diag,
                           "cannot find %sgcc to compile for this CPU from here: install "
                           "gcc-aarch64-linux-gnu, or use --emit src and compile there",
                           cross);
        }
        return full;
    }
    for (size_t i = 0; i < (cc && *cc ? 1 : sizeof names / sizeof *names); i++) {
        char *full = toolchain_find(ctx->arena, cc && *cc ? cc : names[i]);
        if (full) {
            return full;
        }
    }
    diag_env_error(ctx->diag, "cannot find a C compiler (%s): install gcc, or use --emit src",
                   cc && *cc ? cc : "cc, gcc, clang");
    return NULL;
}

static void add(Ctx *ctx, TextList *argv, const char *word)
{
    vec_push(ctx->arena, argv, word);
}

static const char *command_text(Arena *a, const TextList *argv)
{
    Buf b = buf_create(a);
    for (size_t i = 0; i < argv->n; i++) {
        buf_printf(&b, "%s%s", i ? " " : "", argv->data[i]);
    }
    return b.data;
}

bool toolchain_start(Ctx *ctx, const TextList *argv, bool verbose, Child *child)
{
    char name[] = "/tmp/sinter-output-XXXXXX";
    *child = (Child){.command = command_text(ctx->arena, argv), .output = mkstemp(name)};
    if (child->output < 0) {
        return diag_env_error(ctx->diag, "cannot make a temporary file in /tmp: %s",
                              strerror(errno));
    }
    unlink(name);
    if (verbose) {
        fprintf(stderr, "+ %s\n", child->command);
    }
    char **args = ARENA_ARRAY(ctx->arena, char *, argv->n + 1);
    for (size_t i = 0; i < argv->n; i++) {
        args[i] = arena_strdup(ctx->arena, argv->data[i]);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child->output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, child->output, STDERR_FILENO);
    pid_t pid = 0;
    int error = posix_spawnp(&pid, args[0], &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    child->pid = (int)pid;
    if (error) {
        close(child->output);
        return diag_env_error(ctx->diag, "cannot run %s: %s", args[0], strerror(error));
    }
    return true;
}

static const char *read_back(Ctx *ctx, int fd)
{
    off_t n = lseek(fd, 0, SEEK_END);
    size_t size = n > 0 ? (size_t)n : 0;
    char *text = arena_alloc(ctx->arena, size + 1);
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, text + have, size - have, (off_t)have);
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    close(fd);
    return text;
}

bool toolchain_wait(Ctx *ctx, Child *child, const char **text)
{
    int status = 0;
    while (waitpid((pid_t)child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    const char *output = read_back(ctx, child->output);
    if (text) {
        *text = output;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    return diag_env_error(ctx->diag, "this command failed:\n  %s\n%s", child->command, output);
}

bool toolchain_run(Ctx *ctx, const TextList *argv, bool verbose, const char **text)
{
    Child child;
    return toolchain_start(ctx, argv, verbose, &child) && toolchain_wait(ctx, &child, text);
}

bool toolchain_filter(Ctx *ctx, const char *program, const char *arg, const char *input, Buf *out)
{
    char name[] = "/tmp/sinter-input-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) {
        return diag_env_error(ctx->diag, "cannot make a temporary file in /tmp: %s",
                              strerror(errno));
    }
    close(fd);
    TextList argv = {0};
    add(ctx, &argv, program);
    add(ctx, &argv, arg);
    add(ctx, &argv, name);
    const char *text = NULL;
    bool ok = file_write(ctx->diag, name, input, strlen(input)) &&
              toolchain_run(ctx, &argv, false, &text);
    unlink(name);
    if (ok) {
        buf_puts(out, text);
    }
    return ok;
}

void toolchain_add_words(Ctx *ctx, TextList *argv, const char *words)
{
    while (words && *words) {
        words += strspn(words, " ");
        size_t n = strcspn(words, " ");
        if (n) {
            add(ctx, argv, arena_strndup(ctx->arena, words, n));
        }
        words += n;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* DIR/NAME.c and every DIR/runtime/ *.c, in a fixed order. */
static bool list_sources(Ctx *ctx, const BuildRequest *r, TextList *sources)
{
    const char *dir = path_join(ctx->arena, r->dir, "runtime");
    DIR *d = opendir(dir);
    if (!d) {
        return diag_error(ctx->diag, nowhere, "cannot read %s: %s", dir, strerror(errno));
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (n > 2 && strcmp(e->d_name + n - 2, ".c") == 0) {
            add(ctx, sources, path_join(ctx->arena, dir, arena_strdup(ctx->arena, e->d_name)));
        }
    }
    closedir(d);
    qsort(sources->data, sources->n, sizeof *sources->data, by_name);
    add(ctx, sources, path_join(ctx->arena, r->dir, arena_printf(ctx->arena, "%s.c", r->name)));
    return true;
}

static TextList compile_command(Ctx *ctx, const char *cc, const BuildRequest *r, const char *source,
                                bool model_source, const char *object)
{
    TextList argv = {0};
    add(ctx, &argv, cc);
    toolchain_add_words(ctx, &argv, TOOLCHAIN_CFLAGS " -I");
    add(ctx, &argv, path_join(ctx->arena, r->dir, "runtime"));
    if (model_source) {
        toolchain_add_words(ctx, &argv, r->cflags);
    }
    add(ctx, &argv, "-c");
    add(ctx, &argv, source);
    add(ctx, &argv, "-o");
    add(ctx, &argv, object);
    return argv;
}

/* ---- objects of the runtime, which are the same for every model ------------------------------ */

static void hash_file(XXH3_state_t *hash, Ctx *ctx, const char *path)
{
    size_t n = 0;
    const char *text = file_read(ctx->arena, diag_create(ctx->arena), path, &n);
    XXH3_64bits_update(hash, path_stem(ctx->arena, path), strlen(path_stem(ctx->arena, path)) + 1);
    if (text) {
        XXH3_64bits_update(hash, text, n);
    }
}

static int is_source(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 2 && e->d_name[n - 2] == '.' && (e->d_name[n - 1] == 'c' || e->d_name[n - 1] == 'h');
}

uint64_t toolchain_hash(Ctx *ctx, const char *cc, const char *runtime)
{
    XXH3_state_t *hash = XXH3_createState();
    struct dirent **entry = NULL;
    struct stat st = {0};
    stat(cc, &st);
    Buf key = buf_create(ctx->arena);
    buf_printf(&key, "%s %lld %lld " TOOLCHAIN_CFLAGS, cc, (long long)st.st_size,
               (long long)st.st_mtime);
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, key.data, key.len);
    int n = scandir(runtime, &entry, is_source, alphasort);
    for (int i = 0; i < n; i++) {
        hash_file(hash, ctx,
                  path_join(ctx->arena, runtime, arena_strdup(ctx->arena, entry[i]->d_name)));
        free(entry[i]);
    }
    free(entry);
    uint64_t digest = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    return digest;
}

/* The folder of the cache for the runtime's objects. */
static const char *object_cache(Ctx *ctx, const char *cc, const BuildRequest *r)
{
    uint64_t hash = toolchain_hash(ctx, cc, path_join(ctx->arena, r->dir, "runtime"));
    return path_join(ctx->arena, paths_cache_dir(ctx->arena),
                     arena_printf(ctx->arena, "runtime-%016llx", (unsigned long long)hash));
}

/* Keeps an object for the next model. A cache that cannot be written is no error. */
static void keep_object(Ctx *ctx, const char *cache, const char *object)
{
    Diag *quiet = diag_create(ctx->arena);
    size_t n = 0;
    const char *data = file_read(ctx->arena, quiet, object, &n);
    const char *name = arena_printf(ctx->arena, "%s.o", path_stem(ctx->arena, object));
    if (data && file_make_dirs(quiet, cache)) {
        file_write(quiet, path_join(ctx->arena, cache, name), data, n);
    }
}

/* ---- compiling and linking ------------------------------------------------------------------- */

typedef struct Job {
    const char *source, *object;
    bool model; /* the model's own source, not one of the runtime's */
    Child child;
} Job;

/* What must be compiled; objects that the cache has go straight to the list. */
static size_t plan_jobs(Ctx *ctx, const TextList *sources, const char *tmp, const char *cache,
                        TextList *objects, Job *jobs)
{
    size_t n = 0;
    for (size_t i = sources->n; i-- > 0;) { /* the model's source, last and largest, starts first */
        const char *source = sources->data[i];
        const char *name = arena_printf(ctx->arena, "%s.o", path_stem(ctx->arena, source));
        const char *cached = path_join(ctx->arena, cache, name);
        bool model = i + 1 == sources->n;
        if (!model && file_exists(cached)) {
            add(ctx, objects, cached);
        } else {
            jobs[n++] = (Job){source, path_join(ctx->arena, tmp, name), model, {0}};
            add(ctx, objects, jobs[n - 1].object);
        }
    }
    return n;
}

/* What to install when a compiler or linker has not found one of the runtime's libraries. */
static bool explain_failure(Ctx *ctx, const BuildRequest *r, const char *output)
{
    static const char *const libraries[] = {"pcre2", "utf8proc", "xxhash"};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        if (strstr(output, libraries[i])) {
            const char *suffix = r->cross ? ":arm64" : "";
            return diag_env_error(ctx->diag,
                                  "programs need PCRE2, utf8proc and xxHash%s: install "
                                  "libpcre2-dev%s, libutf8proc-dev%s and libxxhash-dev, or use "
                                  "--emit src and build with the Makefile elsewhere",
                                  r->cross ? " for their CPU" : "", suffix, suffix);
        }
    }
    return false;
}

static bool finish_job(Ctx *ctx, const BuildRequest *r, Job *job, const char *cache)
{
    const char *output = "";
    bool ok = toolchain_wait(ctx, &job->child, &output);
    if (ok && !job->model) {
        keep_object(ctx, cache, job->object);
    }
    return ok || explain_failure(ctx, r, output);
}

/* As many compilers at once as there are cores. */
static bool compile_objects(Ctx *ctx, const char *cc, const BuildRequest *r,
                            const TextList *sources, const char *tmp, TextList *objects)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t slots = cores > 1 ? (size_t)cores : 1, started = 0, done = 0;
    const char *cache = object_cache(ctx, cc, r);
    Job *jobs = ARENA_ARRAY(ctx->arena, Job, sources->n);
    size_t n = plan_jobs(ctx, sources, tmp, cache, objects, jobs);
    bool ok = true;
    while (done < started || (ok && started < n)) {
        while (ok && started < n && started - done < slots) {
            Job *job = &jobs[started];
            TextList argv = compile_command(ctx, cc, r, job->source, job->model, job->object);
            ok = toolchain_start(ctx, &argv, r->verbose, &job->child);
            started += ok;
        }
        if (done < started) {
            ok = finish_job(ctx, r, &jobs[done++], cache) && ok;
        }
    }
    return ok;
}

static bool link_result(Ctx *ctx, const char *cc, const BuildRequest *r, const TextList *objects,
                        const char *tmp, bool shared)
{
    const char *name = shared ? arena_printf(ctx->arena, "lib%s.so", r->name) : r->name;
    const char *linked = path_join(ctx->arena, tmp, name);
    TextList argv = {0};
    add(ctx, &argv, cc);
    toolchain_add_words(ctx, &argv,
                        shared ? "-shared -s -Wl,--gc-sections -o" : "-s -Wl,--gc-sections -o");
    add(ctx, &argv, linked);
    for (size_t i = 0; i < objects->n; i++) {
        if (!shared || strcmp(path_stem(ctx->arena, objects->data[i]), "main") != 0) {
            add(ctx, &argv, objects->data[i]);
        }
    }
    toolchain_add_words(ctx, &argv, TOOLCHAIN_LIBS);
    const char *output = "";
    if (!toolchain_run(ctx, &argv, r->verbose, &output)) {
        return explain_failure(ctx, r, output);
    }
    const char *final = path_join(ctx->arena, r->dir, name);
    return rename(linked, final) == 0 ||
           diag_env_error(ctx->diag, "cannot write %s: %s", final, strerror(errno));
}

static void remove_folder(Ctx *ctx, const char *tmp)
{
    DIR *d = opendir(tmp);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            unlink(path_join(ctx->arena, tmp, e->d_name));
        }
    }
    if (d) {
        closedir(d);
    }
    rmdir(tmp);
}

bool toolchain_build(Ctx *ctx, const BuildRequest *r)
{
    char *cc = toolchain_cc(ctx, r->cross);
    TextList sources = {0}, objects = {0};
    if (!cc || !list_sources(ctx, r, &sources)) {
        return false;
    }
    char *tmp = path_join(ctx->arena, r->dir, ".build-XXXXXX");
    if (!mkdtemp(tmp)) {
        return diag_env_error(ctx->diag, "cannot write into %s: %s", r->dir, strerror(errno));
    }
    bool ok = compile_objects(ctx, cc, r, &sources, tmp, &objects) &&
              link_result(ctx, cc, r, &objects, tmp, false) &&
              link_result(ctx, cc, r, &objects, tmp, true);
    remove_folder(ctx, tmp);
    return ok;
}
