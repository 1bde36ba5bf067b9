/* jit.c - see jit.h. NVRTC works on several programs at once, so the kernels are shared out over
 * threads: each takes the next part until none is left. */
#include "jit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "jit_source.h"
#include "nvrtc.h"
#include "pool.h"

enum { MAX_PARTS = 32, PARTS_A_THREAD = 4, INVALID_OPTION = 5 };

static const char *const options[] = {"--std=c++17", "--gpu-architecture="}; /* the chip follows */

typedef struct Part {
    char *cubin, *log;
    size_t bytes;
    int error;
} Part;

typedef struct Work {
    const Nvrtc *nvrtc;
    const JitSource *source;
    const char *chip_option;
    Part part[MAX_PARTS];
    int parts;
    atomic_int next;
} Work;

/* ---- compiling ------------------------------------------------------------------------------- */

static void take_log(const Nvrtc *n, NvrtcProgram program, Part *p)
{
    size_t bytes = 0;
    if (n->log_size(program, &bytes) || bytes == 0)
        return;
    p->log = calloc(1, bytes + 1);
    if (p->log)
        n->log(program, p->log);
}

static int take_cubin(const Nvrtc *n, NvrtcProgram program, Part *p)
{
    int error = n->cubin_size(program, &p->bytes);
    if (error)
        return error;
    p->cubin = malloc(p->bytes + 1);
    return p->cubin ? n->cubin(program, p->cubin) : -1;
}

static void compile_part(Work *w, int i)
{
    const Nvrtc *n = w->nvrtc;
    Part *p = &w->part[i];
    const char *const words[] = {options[0], w->chip_option};
    char *text = jit_source_part(w->source, i, w->parts);
    NvrtcProgram program = NULL;
    p->error = text ? n->create(&program, text, w->source->name, 0, NULL, NULL) : -1;
    if (!p->error)
        p->error = n->compile(program, 2, words);
    if (p->error && program)
        take_log(n, program, p);
    if (!p->error)
        p->error = take_cubin(n, program, p);
    if (program)
        n->destroy(&program);
    free(text);
}

static void *work_on(void *user)
{
    Work *w = user;
    for (int i = atomic_fetch_add(&w->next, 1); i < w->parts; i = atomic_fetch_add(&w->next, 1))
        compile_part(w, i);
    return NULL;
}

/* This thread and up to threads - 1 more; with fewer when the system gives fewer. */
static void compile_all(Work *w, int threads)
{
    pthread_t thread[MAX_PARTS];
    int n = 0;
    while (n + 1 < threads && n < MAX_PARTS && !pthread_create(&thread[n], NULL, work_on, w))
        n++;
    work_on(w);
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

/* ---- results --------------------------------------------------------------------------------- */

static size_t aligned(size_t n)
{
    return (n + CUBIN_ALIGN - 1) / CUBIN_ALIGN * CUBIN_ALIGN;
}

/* Table and images in one block; 0 when memory is short. */
static int join_parts(const Work *w, CubinBlock *out)
{
    size_t table = (size_t)w->parts * sizeof(CubinImage), bytes = aligned(table);
    for (int i = 0; i < w->parts; i++)
        bytes += aligned(w->part[i].bytes);
    void *data = NULL;
    if (posix_memalign(&data, CUBIN_ALIGN, bytes))
        return 0;
    memset(data, 0, bytes);
    *out = (CubinBlock){.data = data, .bytes = bytes, .n = w->parts};
    size_t at = aligned(table);
    for (int i = 0; i < w->parts; i++) {
        CubinImage image = {.offset = at, .bytes = w->part[i].bytes};
        memcpy(out->data + (size_t)i * sizeof image, &image, sizeof image);
        memcpy(out->data + at, w->part[i].cubin, w->part[i].bytes);
        at += aligned(w->part[i].bytes);
    }
    return 1;
}

static SinterStatus explain(const Work *w, const Part *p, const char *chip, Message *m)
{
    char words[900];
    if (p->error == INVALID_OPTION)
        return message_set(m, SINTER_ENVIRONMENT,
                           "NVRTC %d.%d does not know %s: install a newer CUDA toolkit, or compile "
                           "the spec with --arch compute_90 instead of --jit",
                           w->nvrtc->major, w->nvrtc->minor, chip);
    if (!p->log || !*p->log)
        return message_set(m, SINTER_ENVIRONMENT, "NVRTC %d.%d fails with error %d",
                           w->nvrtc->major, w->nvrtc->minor, p->error);
    jit_source_explain(w->source, p->log, words, sizeof words);
    return message_set(m, SINTER_DEFECT, "NVRTC %d.%d does not compile the kernels for %s:\n%s",
                       w->nvrtc->major, w->nvrtc->minor, chip, words);
}

static SinterStatus collect(const Work *w, const char *chip, CubinBlock *out, Message *m)
{
    for (int i = 0; i < w->parts; i++)
        if (w->part[i].error)
            return explain(w, &w->part[i], chip, m);
    return join_parts(w, out) ? SINTER_OK : message_set(m, SINTER_ENVIRONMENT, "no memory");
}

static SinterStatus compile(const Nvrtc *n, const JitSource *source, const char *chip,
                            CubinBlock *out, Message *m)
{
    char chip_option[64];
    snprintf(chip_option, sizeof chip_option, "%s%s", options[1], chip);
    int threads = pool_default_threads(), parts = PARTS_A_THREAD * threads;
    parts = parts > MAX_PARTS ? MAX_PARTS : parts;
    Work w = {.nvrtc = n, .source = source, .chip_option = chip_option};
    w.parts = parts > source->n ? source->n : parts;
    compile_all(&w, threads);
    SinterStatus status = collect(&w, chip, out, m);
    for (int i = 0; i < w.parts; i++) {
        free(w.part[i].cubin);
        free(w.part[i].log);
    }
    return status;
}

/* ---- cache or compiler ----------------------------------------------------------------------- */

static CubinKey make_key(const SinterModel *model, const Nvrtc *n, const char *chip)
{
    const SinterGpuProgram *p = model->gpu;
    CubinKey key = {.source = XXH3_64bits(p->source, (size_t)(p->source_end - p->source))};
    snprintf(key.name, sizeof key.name, "%s", model->name);
    snprintf(key.options, sizeof key.options, "%s", options[0]);
    snprintf(key.nvrtc, sizeof key.nvrtc, "%d.%d", n->major, n->minor);
    snprintf(key.chip, sizeof key.chip, "%s", chip);
    return key;
}

static double seconds_since(uint64_t start)
{
    return (double)(sinter_now_ns() - start) / 1e9;
}

static SinterStatus compile_and_keep(const SinterModel *model, const Nvrtc *n, const CubinKey *key,
                                     CubinBlock *out, Message *m)
{
    const SinterGpuProgram *p = model->gpu;
    char name[128];
    JitSource source;
    snprintf(name, sizeof name, "%s.cu", model->name);
    SinterStatus status =
        jit_source_split(&source, name, p->source, (size_t)(p->source_end - p->source))
            ? compile(n, &source, key->chip, out, m)
            : message_set(m, SINTER_DEFECT, "%s has no kernel", name);
    jit_source_free(&source);
    if (!status)
        cubin_cache_store(key, out);
    return status;
}

SinterStatus jit_kernels(const SinterModel *model, const char *chip, CubinBlock *out, char *words,
                         size_t words_size, Message *m)
{
    uint64_t start = sinter_now_ns();
    Nvrtc n;
    SinterStatus status = nvrtc_open(&n, m);
    if (status)
        return status;
    CubinKey key = make_key(model, &n, chip);
    if (cubin_cache_load(&key, out)) {
        snprintf(words, words_size, "kernels from the cache in %.3f s", seconds_since(start));
        return SINTER_OK;
    }
    status = compile_and_keep(model, &n, &key, out, m);
    snprintf(words, words_size, "kernels compiled in %.2f s by NVRTC %d.%d", seconds_since(start),
             n.major, n.minor);
    return status;
}
