/* cuda_profile.c - time of each kernel of a step, by events of the GPU between them: the host's
 * waits and launches are not in it. In a graph the events are nodes, so a decode step is timed as
 * it is replayed; kernels that would begin before the one in front has ended begin behind it. */
#include <stdlib.h>

#include "cuda_parts.h"

enum { EVENT_EXTERNAL = 1, NO_STEP = -1 };

static int grow(GpuProfile *p)
{
    int room = p->room ? 2 * p->room : 256;
    CuHandle *mark = realloc(p->mark, (size_t)room * sizeof *mark);
    p->mark = mark ? mark : p->mark;
    int *step = realloc(p->step, (size_t)room * sizeof *step);
    p->step = step ? step : p->step;
    if (!mark || !step)
        return 0;
    for (int i = p->room; i < room; i++)
        p->mark[i] = NULL;
    p->room = room;
    return 1;
}

void sinter_gpu_lap(SinterGpu *g, int step)
{
    enum { OUT_OF_MEMORY = 2 };
    GpuProfile *p = &g->profile;
    if (p->n == p->room && !grow(p)) {
        gpu_note(g, OUT_OF_MEMORY, "profile");
        return;
    }
    CuHandle *mark = &p->mark[p->n];
    if (!*mark)
        gpu_note(g, g->d.event_create(mark, 0), "event");
    if (!g->error)
        gpu_note(g, g->d.event_mark(*mark, g->stream, p->recording ? EVENT_EXTERNAL : 0), "event");
    p->step[p->n++] = step;
}

void gpu_profile_begin(SinterGpu *g, const SinterRun *run, int graph)
{
    if (!run->profile)
        return;
    g->profile.n = 0;
    g->profile.recording = graph;
    if (!graph)
        g->profiled.entry = NULL; /* the marks are no longer its own */
    sinter_gpu_lap(g, NO_STEP);
}

void gpu_profile_add(SinterGpu *g, uint64_t *ns)
{
    const GpuProfile *p = &g->profile;
    for (int i = 1; i < p->n && !g->error; i++) {
        float ms = 0;
        gpu_note(g, g->d.event_elapsed(&ms, p->mark[i - 1], p->mark[i]), "event");
        ns[p->step[i]] += (uint64_t)((double)ms * 1e6);
    }
}

void gpu_profile_close(SinterGpu *g)
{
    for (int i = 0; i < g->profile.room; i++)
        if (g->profile.mark[i])
            g->d.event_destroy(g->profile.mark[i]);
    free(g->profile.mark);
    free(g->profile.step);
}
