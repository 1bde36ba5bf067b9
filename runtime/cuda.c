/* cuda.c - runs a model compiled for GPUs through the CUDA driver.
 *
 *   open      driver -> device -> context -> machine code for its chip -> kernels, stream
 *   load      file -> pinned buffer -> device, two buffers in turn
 *   step      tokens, positions, caches (one small copy) -> kernels -> logits back
 *
 * The step's functions are those of the generated source: they call sinter_gpu_launch for each
 * kernel. A decode step takes the same path every time, so it is recorded once as a graph; what
 * differs between steps lies in `control`, on the device. */
#include "cuda.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_driver.h"

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76, FUNCTION_SHARED = 8, STREAM_NON_BLOCKING = 1 };
enum { EVENT_NO_TIMING = 2, CAPTURE_RELAXED = 2 };
enum { STAGING_BYTES = 32 << 20, MAX_ENTRIES = SINTER_MAX_BATCH };

/* What a step reads besides weights, caches and activations. */
typedef struct Control {
    int32_t *tokens, *pos; /* [rows_max] */
    uint64_t *kv;          /* [SINTER_MAX_BATCH] device pointers */
} Control;

typedef struct Graph {
    const SinterEntry *entry;
    CuHandle executable;
} Graph;

struct SinterGpu {
    CudaDriver d;
    const SinterModel *model;
    int device, has_context;
    CuHandle context, module, stream;
    CuHandle *kernel;
    int *shared; /* [kernels] dynamic shared memory that was asked for */
    CuPointer weights, scratch, logits, control, input;
    uint8_t *pinned; /* control as the host writes it */
    size_t control_bytes, input_bytes;
    int rows_max;
    Graph graph[MAX_ENTRIES];
    int n_graphs;
    int error; /* the first one of a step */
    const char *failed;
    char words[192];
};

/* ---- errors ---------------------------------------------------------------------------------- */

static SinterStatus gpu_error(const SinterGpu *g, int error, const char *doing, Message *m)
{
    char text[256];
    return message_set(m, SINTER_ENVIRONMENT, "%s: %s: %s", g->words[0] ? g->words : "GPU", doing,
                       cuda_driver_words(&g->d, error, text, sizeof text));
}

static void note(SinterGpu *g, int error, const char *doing)
{
    if (error && !g->error) {
        g->error = error;
        g->failed = doing;
    }
}

/* ---- open ------------------------------------------------------------------------------------ */

static SinterStatus choose_device(SinterGpu *g, Message *m)
{
    const char *named = getenv("SINTER_DEVICE");
    int count = 0, ordinal = named ? atoi(named) : 0, version = 0;
    int error = g->d.init(0);
    if (error)
        return gpu_error(g, error, "the driver does not start", m);
    error = g->d.device_count(&count);
    if (error || count == 0)
        return message_set(m, SINTER_ENVIRONMENT,
                           "the NVIDIA driver sees no GPU; this program was compiled for GPUs, "
                           "compile the spec with --target c to run on the CPU");
    if (ordinal < 0 || ordinal >= count)
        return message_set(m, SINTER_BAD_INPUT, "SINTER_DEVICE is %s: there are GPUs 0 to %d",
                           named, count - 1);
    g->d.driver_version(&version);
    error = g->d.device_get(&g->device, ordinal);
    char name[96] = "GPU";
    if (!error)
        error = g->d.device_name(name, sizeof name, g->device);
    snprintf(g->words, sizeof g->words, "%s, driver for CUDA %d.%d", name, version / 1000,
             version % 1000 / 10);
    return error ? gpu_error(g, error, "no such device", m) : SINTER_OK;
}

static SinterStatus make_context(SinterGpu *g, Message *m)
{
    int error = g->d.context_retain(&g->context, g->device);
    g->has_context = !error;
    if (!error)
        error = g->d.context_set(g->context);
    if (!error)
        error = g->d.stream_create(&g->stream, STREAM_NON_BLOCKING);
    return error ? gpu_error(g, error, "cannot be used", m) : SINTER_OK;
}

/* "sm_90a" -> 90; *exact: only for this chip, not for later ones of the family. */
static int chip_number(const char *arch, int *exact)
{
    char *end = NULL;
    long n = strtol(arch + 3, &end, 10);
    *exact = *end == 'a';
    return (int)n;
}

/* Machine code runs on its own chip and on later ones of the same generation (8.0 on 8.6); the
 * best is the latest that does. */
static const SinterCubin *best_cubin(const SinterGpuProgram *p, int chip)
{
    const SinterCubin *best = NULL;
    int best_score = -1;
    for (int i = 0; i < p->n_cubins; i++) {
        int exact = 0, n = chip_number(p->cubins[i].arch, &exact);
        int fits = exact ? n == chip : n / 10 == chip / 10 && n <= chip;
        int score = 2 * n + exact;
        if (fits && score > best_score) {
            best = &p->cubins[i];
            best_score = score;
        }
    }
    return best;
}

static SinterStatus no_cubin(const SinterGpu *g, int chip, Message *m)
{
    char list[128] = "";
    size_t n = 0;
    for (int i = 0; i < g->model->gpu->n_cubins && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "",
                              g->model->gpu->cubins[i].arch);
    return message_set(m, SINTER_ENVIRONMENT,
                       "%s has compute capability %d.%d, and this program has machine code for %s "
                       "only; compile the spec with --arch sm_%d",
                       g->words, chip / 10, chip % 10, list, chip);
}

static SinterStatus load_module(SinterGpu *g, Message *m)
{
    const SinterGpuProgram *p = g->model->gpu;
    int major = 0, minor = 0;
    int error = g->d.device_attribute(&major, ATTRIBUTE_MAJOR, g->device);
    if (!error)
        error = g->d.device_attribute(&minor, ATTRIBUTE_MINOR, g->device);
    if (error)
        return gpu_error(g, error, "does not say what chip it is", m);
    const SinterCubin *code = best_cubin(p, 10 * major + minor);
    if (!code)
        return no_cubin(g, 10 * major + minor, m);
    error = g->d.module_load(&g->module, code->data);
    if (error)
        return gpu_error(g, error, "does not take the machine code inside", m);
    for (int i = 0; i < p->n_kernels; i++) {
        error = g->d.module_function(&g->kernel[i], g->module, p->kernels[i]);
        if (error)
            return gpu_error(g, error, p->kernels[i], m);
    }
    return SINTER_OK;
}

static SinterStatus check_memory(const SinterGpu *g, size_t bytes, Message *m)
{
    size_t available = 0, total = 0;
    int error = g->d.memory_info(&available, &total);
    if (error)
        return gpu_error(g, error, "does not say how much memory it has", m);
    if (bytes <= available)
        return SINTER_OK;
    return message_set(
        m, SINTER_ENVIRONMENT,
        "%s: the model needs %.2f GB (weights, caches, activations), %.2f of %.2f GB "
        "are free; use a larger GPU, quantised weights (--quant), or a smaller "
        "--context",
        g->words, (double)bytes / 1e9, (double)available / 1e9, (double)total / 1e9);
}

SinterStatus gpu_open(SinterGpu **out, const SinterModel *model, size_t bytes, Message *m)
{
    SinterGpu *g = calloc(1, sizeof *g);
    *out = g;
    if (!g)
        return message_set(m, SINTER_ENVIRONMENT, "no memory");
    size_t n = (size_t)model->gpu->n_kernels;
    g->model = model;
    g->kernel = calloc(n, sizeof(CuHandle));
    g->shared = calloc(n, sizeof *g->shared);
    if (!g->kernel || !g->shared)
        return message_set(m, SINTER_ENVIRONMENT, "no memory");
    SinterStatus status = cuda_driver_open(&g->d, m);
    if (!status)
        status = choose_device(g, m);
    if (!status)
        status = make_context(g, m);
    if (!status)
        status = check_memory(g, bytes, m);
    return status ? status : load_module(g, m);
}

void gpu_close(SinterGpu *g)
{
    if (!g)
        return;
    if (g->has_context) {
        for (int i = 0; i < g->n_graphs; i++)
            g->d.graph_free(g->graph[i].executable);
        const CuPointer all[] = {g->weights, g->scratch, g->logits, g->control, g->input};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i])
                g->d.release(all[i]);
        if (g->pinned)
            g->d.host_release(g->pinned);
        if (g->module)
            g->d.module_unload(g->module);
        if (g->stream)
            g->d.stream_destroy(g->stream);
        g->d.context_release(g->device);
    }
    if (g->d.library)
        cuda_driver_close(&g->d);
    free(g->kernel);
    free(g->shared);
    free(g);
}

const char *gpu_words(const SinterGpu *g)
{
    return g->words;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static CuPointer device_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m)
{
    CuPointer p = 0;
    size_t size = bytes ? bytes : 1, available = 0, total = 0;
    int error = g->d.alloc(&p, size);
    if (error) {
        g->d.memory_info(&available, &total);
        char text[256];
        message_set(m, SINTER_ENVIRONMENT, "%s: no memory for %.1f MB of %s, %.1f MB are free: %s",
                    g->words, (double)size / 1e6, what, (double)available / 1e6,
                    cuda_driver_words(&g->d, error, text, sizeof text));
        return 0;
    }
    error = g->d.fill8(p, 0, size, g->stream);
    if (!error)
        error = g->d.stream_wait(g->stream);
    if (error) {
        gpu_error(g, error, what, m);
        g->d.release(p);
        return 0;
    }
    return p;
}

void *gpu_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m)
{
    return (void *)(uintptr_t)device_alloc(g, bytes, what, m);
}

void gpu_free(SinterGpu *g, void *p)
{
    if (p)
        g->d.release((CuPointer)(uintptr_t)p);
}

void *gpu_host_alloc(SinterGpu *g, size_t bytes, Message *m)
{
    void *p = NULL;
    int error = g->d.host_alloc(&p, bytes ? bytes : 1);
    if (error)
        gpu_error(g, error, "no pinned memory", m);
    return error ? NULL : p;
}

void gpu_host_free(SinterGpu *g, void *p)
{
    if (p)
        g->d.host_release(p);
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct Staging {
    void *buffer[2];
    CuHandle sent[2]; /* the buffer may be filled again */
} Staging;

static int make_staging(SinterGpu *g, Staging *s)
{
    int error = 0;
    for (int i = 0; !error && i < 2; i++) {
        error = g->d.host_alloc(&s->buffer[i], STAGING_BYTES);
        if (!error)
            error = g->d.event_create(&s->sent[i], EVENT_NO_TIMING);
    }
    return error;
}

static void free_staging(SinterGpu *g, Staging *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->sent[i])
            g->d.event_destroy(s->sent[i]);
        if (s->buffer[i])
            g->d.host_release(s->buffer[i]);
    }
}

static int send_weights(SinterGpu *g, Staging *s, const uint8_t *data, size_t bytes)
{
    int error = 0;
    size_t piece = 0;
    for (size_t at = 0; !error && at < bytes; at += STAGING_BYTES, piece++) {
        size_t n = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
        int side = (int)(piece % 2);
        if (piece >= 2)
            error = g->d.event_wait(s->sent[side]);
        if (error)
            break;
        memcpy(s->buffer[side], data + at, n);
        error = g->d.to_device(g->weights + at, s->buffer[side], n, g->stream);
        if (!error)
            error = g->d.event_record(s->sent[side], g->stream);
    }
    return error ? error : g->d.stream_wait(g->stream);
}

SinterStatus gpu_load(SinterGpu *g, const uint8_t *data, size_t bytes, Message *m)
{
    Staging s = {0};
    g->weights = device_alloc(g, bytes, "weights", m);
    if (!g->weights)
        return SINTER_ENVIRONMENT;
    int error = make_staging(g, &s);
    if (!error)
        error = send_weights(g, &s, data, bytes);
    free_staging(g, &s);
    return error ? gpu_error(g, error, "weights cannot be copied", m) : SINTER_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

SinterStatus gpu_make_buffers(SinterGpu *g, int rows_max, int logit_rows, size_t input_bytes,
                              Message *m)
{
    const SinterModel *model = g->model;
    size_t vocab = (size_t)model->vocab;
    g->rows_max = rows_max;
    g->input_bytes = input_bytes;
    g->control_bytes = (size_t)SINTER_MAX_BATCH * 8 + 8 * (size_t)rows_max;
    g->scratch = device_alloc(g, model->scratch_bytes, "activations", m);
    if (g->scratch)
        g->logits = device_alloc(g, vocab * (size_t)logit_rows * sizeof(float), "logits", m);
    if (g->logits)
        g->control = device_alloc(g, g->control_bytes, "tokens", m);
    if (g->control && input_bytes)
        g->input = device_alloc(g, input_bytes, "activations", m);
    if (!g->control || (input_bytes && !g->input))
        return SINTER_ENVIRONMENT;
    g->pinned = gpu_host_alloc(g, g->control_bytes, m);
    return g->pinned ? SINTER_OK : SINTER_ENVIRONMENT;
}

static Control control_in(uint8_t *base, int rows_max)
{
    Control c = {.kv = (uint64_t *)(void *)base};
    c.tokens = (int32_t *)(void *)(base + SINTER_MAX_BATCH * 8);
    c.pos = c.tokens + rows_max;
    return c;
}

static void send_control(SinterGpu *g, const SinterEntry *e, const SinterRun *host)
{
    Control c = control_in(g->pinned, g->rows_max);
    size_t rows = (size_t)e->rows;
    memcpy(c.tokens, host->tokens, rows * sizeof *c.tokens);
    memcpy(c.pos, host->pos, rows * sizeof *c.pos);
    for (int i = 0; i < SINTER_MAX_BATCH; i++)
        c.kv[i] = (uint64_t)(uintptr_t)host->kv[i];
    note(g, g->d.to_device(g->control, g->pinned, g->control_bytes, g->stream), "tokens");
    if (g->input)
        note(g, g->d.to_device(g->input, host->input, g->input_bytes, g->stream), "activations");
}

/* The run as the step's functions see it: device pointers. */
static SinterRun device_run(SinterGpu *g, const SinterRun *host)
{
    SinterRun run = *host;
    Control c = control_in((uint8_t *)(uintptr_t)g->control, g->rows_max);
    run.weights = (const uint8_t *)(uintptr_t)g->weights;
    run.scratch = (uint8_t *)(uintptr_t)g->scratch;
    run.tokens = c.tokens;
    run.pos = c.pos;
    run.kv_table = (uint8_t *const *)(void *)c.kv;
    run.logits = (float *)(uintptr_t)g->logits;
    run.input = (const float *)(uintptr_t)g->input;
    run.gpu = g;
    return run;
}

void sinter_gpu_launch(SinterGpu *g, int kernel, SinterGrid grid, void **arg)
{
    if (grid.shared > g->shared[kernel]) {
        note(g, g->d.function_set(g->kernel[kernel], FUNCTION_SHARED, grid.shared),
             g->model->gpu->kernels[kernel]);
        g->shared[kernel] = grid.shared;
    }
    note(g,
         g->d.launch(g->kernel[kernel], (unsigned)grid.x, (unsigned)grid.y, 1, (unsigned)grid.block,
                     1, 1, (unsigned)grid.shared, g->stream, arg, NULL),
         g->model->gpu->kernels[kernel]);
}

void sinter_gpu_copy(SinterGpu *g, void *to, const void *from, size_t bytes)
{
    note(g, g->d.on_device((CuPointer)(uintptr_t)to, (CuPointer)(uintptr_t)from, bytes, g->stream),
         "copy");
}

void sinter_gpu_wait(SinterGpu *g)
{
    note(g, g->d.stream_wait(g->stream), "kernel");
}

static Graph *find_graph(SinterGpu *g, const SinterEntry *e)
{
    for (int i = 0; i < g->n_graphs; i++)
        if (g->graph[i].entry == e)
            return &g->graph[i];
    return NULL;
}

/* Records the entry's step; NULL when that fails. */
static Graph *make_graph(SinterGpu *g, const SinterEntry *e, const SinterRun *run)
{
    CuHandle graph = NULL;
    Graph made = {.entry = e};
    note(g, g->d.capture_begin(g->stream, CAPTURE_RELAXED), "graph");
    if (!g->error)
        e->fn(run, 0);
    int error = g->d.capture_end(g->stream, &graph);
    note(g, error, "graph");
    if (!g->error)
        note(g, g->d.graph_make(&made.executable, graph, 0), "graph");
    if (graph)
        g->d.graph_destroy(graph);
    if (g->error)
        return NULL;
    g->graph[g->n_graphs++] = made;
    return &g->graph[g->n_graphs - 1];
}

static int is_decode(const SinterGpu *g, const SinterEntry *e)
{
    return e != &g->model->prefill;
}

static void run_kernels(SinterGpu *g, const SinterEntry *e, const SinterRun *run)
{
    if (!is_decode(g, e) || run->profile || g->n_graphs == MAX_ENTRIES) {
        e->fn(run, 0);
        return;
    }
    Graph *graph = find_graph(g, e);
    if (!graph)
        graph = make_graph(g, e, run);
    if (graph)
        note(g, g->d.graph_launch(graph->executable, g->stream), "graph");
}

SinterStatus gpu_step(SinterGpu *g, const SinterEntry *e, const SinterRun *host, int logit_rows,
                      Message *m)
{
    SinterRun run = device_run(g, host);
    if (is_decode(g, e))
        run.rows = e->rows; /* a graph runs all rows; unused ones are marked by their position */
    send_control(g, e, host);
    if (!g->error)
        run_kernels(g, e, &run);
    size_t bytes = (size_t)logit_rows * (size_t)g->model->vocab * sizeof(float);
    if (!g->error && bytes)
        note(g, g->d.to_host(host->logits, g->logits, bytes, g->stream), "logits");
    if (!g->error)
        sinter_gpu_wait(g);
    return g->error ? gpu_error(g, g->error, g->failed, m) : SINTER_OK;
}

double gpu_bandwidth(SinterGpu *g)
{
    enum { BYTES = 1 << 30, TIMES = 20 };
    CuPointer p = 0;
    double rate = 0;
    if (g->d.alloc(&p, BYTES))
        return 0;
    for (int i = -2, error = 0; !error && i < TIMES; i++) {
        uint64_t start = sinter_now_ns();
        error = g->d.on_device(p, p + BYTES / 2, BYTES / 2, g->stream);
        if (!error)
            error = g->d.stream_wait(g->stream);
        double now = error ? 0 : (double)BYTES / ((double)(sinter_now_ns() - start) / 1e9);
        rate = i >= 0 && now > rate ? now : rate;
    }
    g->d.release(p);
    return rate;
}
