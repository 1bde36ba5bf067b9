/* cuda_repeat.c - one step many times in a row on the device, timed there: what it takes as a layer
 * of a longer model, without copies from the host and launches from it. */
#include "cuda_parts.h"

enum { IN_A_GRAPH = 16 };

static CuHandle record(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int times)
{
    gpu_capture_begin(g);
    for (int i = 0; !g->error && i < times; i++)
        e->fn(run, 0);
    return gpu_capture_end(g);
}

/* Again, when a whole step has just been refused. */
static CuHandle record_either(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int times)
{
    int apart = g->apart;
    CuHandle graph = record(g, e, run, times);
    if (graph || apart || !g->apart)
        return graph;
    g->error = 0;
    return record(g, e, run, times);
}

/* Between two events: the graph so many times. Seconds. */
static double time_launches(SinterGpu *g, CuHandle graph, int launches)
{
    CuHandle mark[2] = {NULL, NULL};
    float ms = 0;
    for (int i = 0; i < 2; i++)
        gpu_note(g, g->d.event_create(&mark[i], 0), "event");
    gpu_note(g, g->d.graph_launch(graph, g->stream), "graph"); /* to warm up */
    for (int i = 0; i <= launches && !g->error; i++) {
        if (i == 0 || i == launches)
            gpu_note(g, g->d.event_record(mark[i > 0], g->stream), "event");
        if (i < launches)
            gpu_note(g, g->d.graph_launch(graph, g->stream), "graph");
    }
    sinter_gpu_wait(g);
    if (!g->error)
        gpu_note(g, g->d.event_elapsed(&ms, mark[0], mark[1]), "event");
    for (int i = 0; i < 2; i++)
        if (mark[i])
            g->d.event_destroy(mark[i]);
    return (double)ms / 1e3;
}

SinterStatus gpu_repeat(SinterGpu *g, const SinterEntry *e, const SinterRun *host, int times,
                        double *seconds, Message *m)
{
    SinterRun run = gpu_device_run(g, e, host);
    if (gpu_place_logits(g, e, &run, m))
        return SINTER_ENVIRONMENT;
    gpu_send_control(g, e, host);
    int in_graph = times < IN_A_GRAPH ? times : IN_A_GRAPH;
    int launches = (times + in_graph - 1) / in_graph;
    CuHandle graph = g->error ? NULL : record_either(g, e, &run, in_graph);
    if (graph) {
        *seconds = time_launches(g, graph, launches) / (launches * in_graph);
        g->d.graph_free(graph);
    }
    if (gpu_check_stalled(g, m))
        return SINTER_ENVIRONMENT;
    return g->error ? gpu_error(g, g->error, g->failed, m) : SINTER_OK;
}
