/* continue.c - sequences that feed on the ids drawn from their own logits.
 *
 * On the CPU that is a step and a draw in turn. A GPU draws by itself (SinterSampleFn), so steps
 * are enqueued ahead of the ids that have been looked at: when the text ends, the few steps that
 * were too many have written behind its end, where nothing is read. */
#include "engine.h"
#include "random.h"
#include "sinter.h"

enum { AHEAD = 4 }; /* steps on their way; fewer than SINTER_RING */

static SinterStatus continue_here(SinterSequence *const *q, int n, const int32_t *first,
                                  SinterSampling *sampling, int steps, SinterIdsFn each, void *user)
{
    int32_t ids[SINTER_MAX_BATCH];
    for (int i = 0; i < n; i++)
        ids[i] = first[i];
    for (int step = 0; step < steps; step++) {
        SinterStatus status = sinter_step(q, ids, n);
        if (status)
            return status;
        for (int i = 0; i < n; i++)
            if ((ids[i] = sinter_sample(q[i], &sampling[i])) < 0)
                return SINTER_DEFECT;
        if (each(user, ids))
            break;
    }
    return SINTER_OK;
}

/* The ids of the oldest step that nobody has looked at. */
static SinterStatus take_ids(SinterSequence *const *q, int n, const SinterEntry *e,
                             SinterSampling *sampling, int32_t *ids)
{
    Sinter *s = q[0]->owner;
    SinterStatus status = gpu_draw_ids(s->gpu, ids, &s->error);
    if (status)
        return status;
    engine_decoded(s, e, q, n);
    for (int i = 0; i < n; i++) {
        random_next(&sampling[i].seed);
        if (ids[i] < 0)
            return message_set(&s->error, SINTER_DEFECT, "none of the %d logits is a number",
                               s->model->vocab);
    }
    return SINTER_OK;
}

static SinterStatus continue_on_gpu(SinterSequence *const *q, int n, const SinterEntry *e,
                                    const int32_t *first, SinterSampling *sampling, int steps,
                                    SinterIdsFn each, void *user)
{
    Sinter *s = q[0]->owner;
    int32_t ids[SINTER_MAX_BATCH];
    SinterRun run = engine_decode_run(s, e, q, first, n);
    run.profile = s->profile;
    SinterStatus status = gpu_draw_begin(s->gpu, e, &run, sampling, &s->error);
    int ahead =
        s->profile ? 1 : AHEAD; /* the events of a profiled step are looked at before the next */
    for (int sent = 0, taken = 0; !status && taken < steps; taken++) {
        while (!status && sent < steps && sent - taken < ahead) {
            status = gpu_draw_step(s->gpu, &s->error);
            sent++;
        }
        if (!status)
            status = take_ids(q, n, e, sampling, ids);
        if (!status && each(user, ids))
            break;
    }
    return status ? status : gpu_draw_end(s->gpu, &s->error);
}

SinterStatus sinter_continue(SinterSequence *const *q, int n, const int32_t *ids,
                             SinterSampling *sampling, int steps, SinterIdsFn each, void *user)
{
    if (n < 1 || steps < 1)
        return SINTER_OK;
    Sinter *s = q[0]->owner;
    const SinterEntry *e = engine_decode_entry(s, n);
    SinterStatus status = engine_check_step(q, ids, n, steps);
    if (status)
        return status;
    if (s->gpu && s->model->gpu->sample && e)
        return continue_on_gpu(q, n, e, ids, sampling, steps, each, user);
    return continue_here(q, n, ids, sampling, steps, each, user);
}
