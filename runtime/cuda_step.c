/* cuda_step.c - a step on the GPU: tokens, positions, caches (one small copy) -> kernels -> logits
 * back.
 *
 * The step's functions are those of the generated source: they call sinter_gpu_launch for each
 * kernel. A decode step takes the same path every time, so it is recorded once as a graph; what
 * differs between steps lies in `control`, on the device. */
#include <string.h>

#include "cuda_parts.h"

enum { FUNCTION_SHARED = 8, CAPTURE_RELAXED = 2 };

/* What a step reads besides weights, caches and activations. */
typedef struct Control {
    int32_t *tokens, *pos; /* [rows_max] */
    uint64_t *kv;          /* [SINTER_MAX_BATCH] device pointers */
} Control;

static void note(SinterGpu *g, int error, const char *doing)
{
    if (error && !g->error) {
        g->error = error;
        g->failed = doing;
    }
}

SinterStatus gpu_make_buffers(SinterGpu *g, int rows_max, int logit_rows, size_t input_bytes,
                              Message *m)
{
    const SinterModel *model = g->model;
    size_t vocab = (size_t)model->vocab;
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
    if (!is_decode(g, e) || run->profile || g->n_graphs == GPU_MAX_GRAPHS) {
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
