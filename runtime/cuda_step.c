/* cuda_step.c - a step on the GPU: tokens, positions, caches (one small copy) -> kernels -> logits
 * back.
 *
 * The step's functions are those of the generated source: they call sinter_gpu_launch for each
 * kernel. A decode step takes the same path every time, so it is recorded once as a graph; what
 * differs between steps lies in `control`, on the device. */
#include <stdio.h>
#include <string.h>

#include "cuda_parts.h"

enum { FUNCTION_SHARED = 8, FUNCTION_CARVEOUT = 9, CAPTURE_RELAXED = 2 };
enum { ATTRIBUTE_MULTIPROCESSORS = 16, ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MOST_SHARED = 97 };
enum { LAUNCH_PROGRAMMATIC = 6 };

/* What a step reads besides weights, caches and activations. */
typedef struct Control {
    int32_t *tokens, *pos; /* [rows_max] */
    uint64_t *kv;          /* [SINTER_MAX_BATCH] device pointers */
} Control;

void gpu_note(SinterGpu *g, int error, const char *doing)
{
    if (error && !g->error) {
        g->error = error;
        g->failed = doing;
    }
}

static SinterStatus read_facts(SinterGpu *g, Message *m)
{
    int major = 0;
    int error = g->d.device_attribute(&g->multiprocessors, ATTRIBUTE_MULTIPROCESSORS, g->device);
    if (!error)
        error = g->d.device_attribute(&major, ATTRIBUTE_MAJOR, g->device);
    if (!error)
        error = g->d.device_attribute(&g->most_shared, ATTRIBUTE_MOST_SHARED, g->device);
    g->early = major >= 9;
    return error ? gpu_error(g, error, "does not say how large it is", m) : SINTER_OK;
}

SinterStatus gpu_make_buffers(SinterGpu *g, int rows_max, int logit_rows, size_t input_bytes,
                              Message *m)
{
    const SinterModel *model = g->model;
    size_t vocab = (size_t)model->vocab;
    if (read_facts(g, m))
        return SINTER_ENVIRONMENT;
    g->rows_max = rows_max;
    g->input_bytes = input_bytes;
    g->control_bytes = (size_t)SINTER_MAX_BATCH * 8 + 8 * (size_t)rows_max;
    g->scratch = gpu_device_alloc(g, model->scratch_bytes, "activations", m);
    if (g->scratch)
        g->logits = gpu_device_alloc(g, vocab * (size_t)logit_rows * sizeof(float), "logits", m);
    if (g->logits)
        g->control = gpu_device_alloc(g, g->control_bytes, "tokens", m);
    if (g->control && input_bytes)
        g->input = gpu_device_alloc(g, input_bytes, "activations", m);
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

static int is_decode(const SinterGpu *g, const SinterEntry *e)
{
    return e != &g->model->prefill;
}

void gpu_send_control(SinterGpu *g, const SinterEntry *e, const SinterRun *host)
{
    Control c = control_in(g->pinned, g->rows_max);
    size_t rows = (size_t)e->rows;
    memcpy(c.tokens, host->tokens, rows * sizeof *c.tokens);
    memcpy(c.pos, host->pos, rows * sizeof *c.pos);
    for (int i = 0; i < SINTER_MAX_BATCH; i++)
        c.kv[i] = (uint64_t)(uintptr_t)host->kv[i];
    gpu_note(g, g->d.to_device(g->control, g->pinned, g->control_bytes, g->stream), "tokens");
    if (g->input)
        gpu_send_input(g, host->input);
}

SinterRun gpu_device_run(SinterGpu *g, const SinterEntry *e, const SinterRun *host)
{
    SinterRun run = *host;
    if (is_decode(g, e))
        run.rows = e->rows; /* a graph runs all rows; unused ones are marked by their position */
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

/* A chip takes machine code for an older one of its generation, and may have less shared memory. */
static int fits(SinterGpu *g, const char *name, int shared)
{
    if (shared <= g->most_shared)
        return 1;
    snprintf(g->refused, sizeof g->refused,
             "%s wants %d KiB of shared memory and a block has %d here; compile with --arch for "
             "this chip, or for fewer sequences",
             name, shared >> 10, g->most_shared >> 10);
    gpu_note(g, GPU_BAD_VALUE, g->refused);
    return 0;
}

/* Before a kernel's first launch, and when it wants more dynamic shared memory than before. All
 * kernels want a multiprocessor set up for as much shared memory as it can have: one that is set up
 * for less takes no block of the next kernel before it is idle. */
static void prepare(SinterGpu *g, int kernel, int shared)
{
    const char *name = g->model->gpu->kernels[kernel];
    int asked = shared + 1; /* 0: not launched yet */
    if (asked <= g->shared[kernel] || !fits(g, name, shared))
        return;
    if (!g->shared[kernel])
        gpu_note(g, g->d.function_set(g->kernel[kernel], FUNCTION_CARVEOUT, 100), name);
    gpu_note(g, g->d.function_set(g->kernel[kernel], FUNCTION_SHARED, shared), name);
    g->shared[kernel] = asked;
}

/* A block on every multiprocessor. Every second stream kernel asks for more than half of the shared
 * memory, so that two blocks of one kernel never gather on one multiprocessor while others idle:
 * docs/decode-notes.md, "Rules for a chain with programmatic launch". */
static void spread(SinterGpu *g, SinterGrid *grid)
{
    enum { LEAST_GRID = 64, KEPT_BY_DRIVER = 1 << 10 };
    int more_than_half = g->most_shared / 2 + 2 * KEPT_BY_DRIVER;
    grid->x = g->multiprocessors > LEAST_GRID ? g->multiprocessors : LEAST_GRID;
    if (g->early && g->turn && grid->shared < more_than_half)
        grid->shared = more_than_half;
    g->turn = !g->turn;
}

void sinter_gpu_launch(SinterGpu *g, int kernel, SinterGrid grid, void **arg)
{
    CuLaunchAttribute programmatic = {.id = LAUNCH_PROGRAMMATIC, .value.flag = 1};
    if (!g->kernel[kernel])
        gpu_note(g, GPU_NOT_FOUND, g->model->gpu->kernels[kernel]);
    if (grid.when == SINTER_STREAM)
        spread(g, &grid);
    prepare(g, kernel, grid.shared);
    CuLaunchConfig config = {
        .gx = (unsigned)grid.x,
        .gy = (unsigned)grid.y,
        .gz = 1,
        .bx = (unsigned)grid.block,
        .by = 1,
        .bz = 1,
        .shared = (unsigned)grid.shared,
        .stream = g->stream,
        .attributes = &programmatic,
        .n_attributes = g->early && grid.when != SINTER_AFTER,
    };
    gpu_note(g, g->d.launch(&config, g->kernel[kernel], arg, NULL), g->model->gpu->kernels[kernel]);
}

void sinter_gpu_copy(SinterGpu *g, void *to, const void *from, size_t bytes)
{
    gpu_note(g,
             g->d.on_device((CuPointer)(uintptr_t)to, (CuPointer)(uintptr_t)from, bytes, g->stream),
             "copy");
}

void sinter_gpu_wait(SinterGpu *g)
{
    gpu_note(g, g->d.stream_wait(g->stream), "kernel");
}

/* The entry's kernels, one after the other; then, if wanted, the draw of the next ids. */
static void enqueue(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    if (draws == GPU_LOGITS)
        e->fn(run, 0);
    else
        gpu_enqueue_draw(g, e, run, draws);
}

int gpu_capture_begin(SinterGpu *g)
{
    gpu_note(g, g->d.capture_begin(g->stream, CAPTURE_RELAXED), "graph");
    return !g->error;
}

CuHandle gpu_capture_end(SinterGpu *g)
{
    CuHandle graph = NULL, executable = NULL;
    gpu_note(g, g->d.capture_end(g->stream, &graph), "graph");
    if (!g->error)
        gpu_note(g, g->d.graph_make(&executable, graph, 0), "graph");
    if (graph)
        g->d.graph_destroy(graph);
    return executable;
}

static CuHandle record_graph(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    if (gpu_capture_begin(g)) {
        gpu_profile_begin(g, run, 1);
        enqueue(g, e, run, draws);
    }
    return gpu_capture_end(g);
}

/* Again, when a whole step has just been refused: what was recorded with it is void. */
static CuHandle record_either(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    int apart = g->apart;
    CuHandle executable = record_graph(g, e, run, draws);
    if (executable || apart || !g->apart)
        return executable;
    g->error = 0;
    return record_graph(g, e, run, draws);
}

static Graph *find_graph(SinterGpu *g, const SinterEntry *e, int draws)
{
    for (int i = 0; i < g->n_graphs; i++)
        if (g->graph[i].entry == e && g->graph[i].draws == draws)
            return &g->graph[i];
    return NULL;
}

/* The entry's graph, recorded when it is new; NULL when that fails. A profiled step is a graph with
 * events between its kernels, which only the last one has. */
static Graph *get_graph(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    Graph *have = run->profile ? &g->profiled : find_graph(g, e, draws);
    if (have && have->entry == e && have->draws == draws)
        return have;
    Graph made = {.entry = e, .draws = draws, .executable = record_either(g, e, run, draws)};
    if (!made.executable)
        return NULL;
    if (run->profile && g->profiled.executable)
        g->d.graph_free(g->profiled.executable);
    have = run->profile ? &g->profiled : &g->graph[g->n_graphs++];
    *have = made;
    return have;
}

/* Rows of a model without an embedding come from the host, which takes longer than the kernels do:
 * they are timed after they have run some times, as those of a longer chain would. */
static void warm_up(SinterGpu *g, const SinterEntry *e, const SinterRun *run)
{
    enum { TIMES = 8 };
    SinterRun quiet = *run;
    quiet.profile = NULL;
    for (int i = 0; run->profile && g->input && i < TIMES; i++)
        e->fn(&quiet, 0);
}

void gpu_run_kernels(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    if (!is_decode(g, e)) {
        warm_up(g, e, run);
        gpu_profile_begin(g, run, 0);
        enqueue(g, e, run, draws);
        return;
    }
    Graph *graph = get_graph(g, e, run, draws);
    if (graph)
        gpu_note(g, g->d.graph_launch(graph->executable, g->stream), "graph");
}

/* A chunk of which every row's logits are wanted gets room of its own, made for the first one. */
SinterStatus gpu_place_logits(SinterGpu *g, const SinterEntry *e, SinterRun *run, Message *m)
{
    size_t bytes = (size_t)e->rows * (size_t)g->model->vocab * sizeof(float);
    if (is_decode(g, e) || (run->logits_wanted != SINTER_LOGITS_ALL && !g->model->every_row))
        return SINTER_OK;
    if (!g->chunk_logits)
        g->chunk_logits = gpu_device_alloc(g, bytes, "logits", m);
    run->logits = (float *)(uintptr_t)g->chunk_logits;
    return g->chunk_logits ? SINTER_OK : SINTER_ENVIRONMENT;
}

SinterStatus gpu_step(SinterGpu *g, const SinterEntry *e, const SinterRun *host, int logit_rows,
                      Message *m)
{
    SinterRun run = gpu_device_run(g, e, host);
    if (gpu_place_logits(g, e, &run, m))
        return SINTER_ENVIRONMENT;
    gpu_send_control(g, e, host);
    if (!g->error)
        gpu_run_kernels(g, e, &run, GPU_LOGITS);
    size_t bytes = (size_t)logit_rows * (size_t)g->model->vocab * sizeof(float);
    if (!g->error && bytes)
        gpu_note(g, g->d.to_host(host->logits, (CuPointer)(uintptr_t)run.logits, bytes, g->stream),
                 "logits");
    if (!g->error)
        sinter_gpu_wait(g);
    if (gpu_check_stalled(g, m))
        return SINTER_ENVIRONMENT;
    if (!g->error && host->profile)
        gpu_profile_add(g, host->profile);
    return g->error ? gpu_error(g, g->error, g->failed, m) : SINTER_OK;
}
