/* feed.c - feeds ids through the generated steps (sinter.h).
 *
 * A feed of several ids runs through the prefill entry in chunks, the last one partly filled; one
 * id of each of n sequences runs through the smallest decode entry with room, rows left over are
 * marked by position -1. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "memory.h"

typedef struct Step {
    SinterRun run;
    SinterStepFn fn;
} Step;

static void step_thread(void *arg, int thread)
{
    const Step *step = arg;
    step->fn(&step->run, thread);
}

/* Rows of logits that a step leaves. */
static int logit_rows(const Sinter *s, const SinterEntry *e, const SinterRun *run)
{
    if (e != &s->model->prefill || run->logits_wanted == SINTER_LOGITS_ALL)
        return run->rows;
    return run->logits_wanted == SINTER_LOGITS_LAST;
}

/* The run with what the host has for it; rows that the step has more are marked. */
static SinterRun with_rows(Sinter *s, const SinterEntry *e, SinterRun run)
{
    for (int i = run.rows; i < e->rows; i++) {
        s->tokens[i] = 0;
        s->pos[i] = -1;
    }
    run.tokens = s->tokens;
    run.pos = s->pos;
    run.input = s->input;
    run.profile = s->profile;
    return run;
}

/* Runs an entry on what s->tokens and s->pos hold; run has kv, logits, rows and logits_wanted. */
static SinterStatus run_entry(Sinter *s, const SinterEntry *e, SinterRun run)
{
    run = with_rows(s, e, run);
    if (s->gpu)
        return gpu_step(s->gpu, e, &run, logit_rows(s, e, &run), &s->error);
    run.weights = s->weights.data;
    run.scratch = s->scratch;
    run.threads = pool_threads(s->pool);
    run.barrier = pool_barrier(s->pool);
    Step step = {.run = run, .fn = e->fn};
    pool_run(s->pool, step_thread, &step);
    return SINTER_OK;
}

const SinterEntry *engine_decode_entry(const Sinter *s, int n)
{
    for (int i = 0; i < s->model->n_decode; i++)
        if (s->model->decode[i].rows >= n)
            return &s->model->decode[i];
    return NULL;
}

StepBytes engine_step_bytes(const Sinter *s, const SinterEntry *e)
{
    StepBytes b = {0, 0};
    for (int i = e->first_step; i < e->first_step + e->n_steps; i++) {
        b.weights += s->model->steps[i].weight_bytes;
        b.kv_per_pos += s->model->steps[i].kv_bytes_per_pos;
    }
    return b;
}

static SinterStatus check_room(SinterSequence *q, size_t n)
{
    Sinter *s = q->owner;
    size_t room = (size_t)(s->context - q->length);
    if (n <= room)
        return SINTER_OK;
    const char *remedy = s->context < s->model->context
                             ? "raise --context"
                             : "shorten the text, or compile the spec with a larger context";
    return message_set(
        &s->error, SINTER_BAD_INPUT,
        "context exceeded: %d ids are in it and %zu more were given, it holds %d; %s", q->length, n,
        s->context, remedy);
}

static SinterStatus check_ids(Sinter *s, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= s->model->vocab)
            return message_set(&s->error, SINTER_BAD_INPUT,
                               "id %" PRId32
                               " at index %zu is out of range: the model has ids 0 to %d",
                               ids[i], i, s->model->vocab - 1);
    return SINTER_OK;
}

SinterRun engine_decode_run(Sinter *s, const SinterEntry *e, SinterSequence *const *q,
                            const int32_t *ids, int n)
{
    SinterRun run = {.rows = n, .logits_wanted = SINTER_LOGITS_ALL};
    for (int i = 0; i < e->rows; i++) {
        run.kv[i] = q[i < n ? i : 0]->kv;
        s->tokens[i] = i < n ? ids[i] : 0;
        s->pos[i] = i < n ? q[i]->length : -1;
    }
    run.tokens = s->tokens;
    run.pos = s->pos;
    return run;
}

void engine_decoded(Sinter *s, const SinterEntry *e, SinterSequence *const *q, int n)
{
    double positions = 0;
    for (int i = 0; i < n; i++)
        positions += ++q[i]->length;
    StepBytes b = engine_step_bytes(s, e);
    s->bytes_read += b.weights + b.kv_per_pos * positions / e->rows;
}

/* One id to each of n sequences, all checked. */
static SinterStatus decode(Sinter *s, const SinterEntry *e, SinterSequence *const *q,
                           const int32_t *ids, int n)
{
    SinterRun run = engine_decode_run(s, e, q, ids, n);
    run.logits = e->rows == 1 ? q[0]->logits : s->batch_logits;
    engine_decoded(s, e, q, n);
    SinterStatus status = run_entry(s, e, run);
    size_t vocab = (size_t)s->model->vocab;
    for (int i = 0; i < n && e->rows > 1; i++)
        memcpy(q[i]->logits, s->batch_logits + (size_t)i * vocab, vocab * sizeof(float));
    return status;
}

static SinterStatus make_chunk_logits(Sinter *s)
{
    size_t bytes = (size_t)s->model->prefill.rows * (size_t)s->model->vocab * sizeof(float);
    if (!s->chunk_logits)
        s->chunk_logits = memory_map(bytes);
    if (!s->chunk_logits)
        return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %.1f MB of logits",
                           (double)bytes / 1e6);
    return SINTER_OK;
}

/* A step that leaves every row gets room for them; the one that is wanted goes to `logits`. */
static SinterStatus run_every_row(Sinter *s, SinterRun run)
{
    float *logits = run.logits;
    SinterStatus status = make_chunk_logits(s);
    run.logits = s->chunk_logits;
    if (!status)
        status = run_entry(s, &s->model->prefill, run);
    if (!status && run.logits_wanted == SINTER_LOGITS_LAST)
        memcpy(logits, run.logits, (size_t)s->model->vocab * sizeof(float));
    return status;
}

/* The next n <= prefill.rows ids of one sequence. */
static SinterStatus prefill(SinterSequence *q, const int32_t *ids, size_t n, int wanted,
                            float *logits)
{
    Sinter *s = q->owner;
    SinterRun run = {.rows = (int)n, .logits_wanted = wanted, .logits = logits};
    run.kv[0] = q->kv;
    for (size_t i = 0; i < n; i++) {
        s->tokens[i] = ids[i];
        s->pos[i] = q->length++;
    }
    if (s->model->every_row && wanted != SINTER_LOGITS_ALL)
        return run_every_row(s, run);
    return run_entry(s, &s->model->prefill, run);
}

/* Ids of a feed that go through one step: several by prefill, one by decode. */
static size_t chunk_size(const Sinter *s, size_t left)
{
    const SinterModel *m = s->model;
    if (!m->prefill.fn || (left == 1 && m->n_decode > 0))
        return 1;
    return left < (size_t)m->prefill.rows ? left : (size_t)m->prefill.rows;
}

static SinterStatus feed_chunk(SinterSequence *q, const int32_t *ids, size_t n, int wanted,
                               float *logits)
{
    const SinterEntry *e = n == 1 ? engine_decode_entry(q->owner, 1) : NULL;
    return e ? decode(q->owner, e, &q, ids, 1) : prefill(q, ids, n, wanted, logits);
}

static void report_progress(const Sinter *s, size_t done, size_t total)
{
    if (s->progress)
        s->progress(s->progress_user, done, total);
}

static SinterStatus check_feed(SinterSequence *q, const int32_t *ids, size_t n)
{
    SinterStatus status = check_room(q, n);
    return status ? status : check_ids(q->owner, ids, n);
}

SinterStatus sinter_feed(SinterSequence *q, const int32_t *ids, size_t n)
{
    SinterStatus status = check_feed(q, ids, n);
    if (status)
        return status;
    for (size_t at = 0, size; at < n; at += size) {
        size = chunk_size(q->owner, n - at);
        int wanted = at + size == n ? SINTER_LOGITS_LAST : SINTER_LOGITS_NONE;
        status = feed_chunk(q, ids + at, size, wanted, q->logits);
        if (status)
            return status;
        report_progress(q->owner, at + size, n);
    }
    return SINTER_OK;
}

SinterStatus engine_feed_each(SinterSequence *q, const int32_t *ids, size_t n, EngineLogitsFn each,
                              void *user)
{
    Sinter *s = q->owner;
    size_t vocab = (size_t)s->model->vocab;
    SinterStatus status = check_feed(q, ids, n);
    if (!status)
        status = make_chunk_logits(s);
    if (status)
        return status;
    for (size_t at = 0, size; at < n; at += size) {
        size = chunk_size(s, n - at);
        status = feed_chunk(q, ids + at, size, SINTER_LOGITS_ALL, s->chunk_logits);
        if (status)
            return status;
        const float *logits = s->chunk_logits;
        if (size == 1 && s->model->n_decode > 0)
            logits = q->logits;
        else
            memcpy(q->logits, logits + (size - 1) * vocab, vocab * sizeof(float));
        each(user, at, size, logits);
        report_progress(s, at + size, n);
    }
    return SINTER_OK;
}

typedef struct CopyTo {
    float *out;
    size_t vocab;
} CopyTo;

static void copy_logits(void *user, size_t first, size_t n, const float *logits)
{
    const CopyTo *c = user;
    memcpy(c->out + first * c->vocab, logits, n * c->vocab * sizeof(float));
}

SinterStatus sinter_feed_logits(SinterSequence *q, const int32_t *ids, size_t n, float *out)
{
    CopyTo c = {.out = out, .vocab = (size_t)q->owner->model->vocab};
    return engine_feed_each(q, ids, n, copy_logits, &c);
}

/* The next rows of the input buffer through one step. */
static SinterStatus feed_rows_chunk(SinterSequence *q, const float *rows, size_t n, float *out)
{
    Sinter *s = q->owner;
    size_t width = (size_t)s->model->d_model, vocab = (size_t)s->model->vocab;
    CopyTo c = {.out = out, .vocab = vocab};
    memset(s->input, 0, engine_input_bytes(s));
    memcpy(s->input, rows, n * width * sizeof(float));
    int32_t *ids = calloc(n, sizeof *ids);
    SinterStatus status =
        ids ? engine_feed_each(q, ids, n, copy_logits, &c)
            : message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu rows", n);
    free(ids);
    return status;
}

SinterStatus sinter_feed_rows(SinterSequence *q, const float *rows, size_t n, float *out)
{
    Sinter *s = q->owner;
    size_t width = (size_t)s->model->d_model, vocab = (size_t)s->model->vocab;
    if (!s->input)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "%s has an embedding: feed it ids, not rows of activations",
                           s->model->name);
    SinterStatus status = check_room(q, n);
    for (size_t at = 0, size; !status && at < n; at += size) {
        size = chunk_size(s, n - at);
        status = feed_rows_chunk(q, rows + at * width, size, out + at * vocab);
    }
    return status;
}

SinterStatus engine_repeat_rows(SinterSequence *q, const SinterEntry *e, int n, int times,
                                double *seconds)
{
    Sinter *s = q->owner;
    for (int i = 0; i < n; i++) {
        s->tokens[i] = 0;
        s->pos[i] = i;
    }
    SinterRun run = {.rows = n, .logits_wanted = SINTER_LOGITS_ALL, .kv = {q->kv}};
    run = with_rows(s, e, run);
    s->bytes_read += times * engine_step_bytes(s, e).weights;
    return gpu_repeat(s->gpu, e, &run, times, seconds, &s->error);
}

/* Sequences of one model, each once. */
static SinterStatus check_step(Sinter *s, SinterSequence *const *q, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (q[i] == q[k])
                return message_set(&s->error, SINTER_BAD_INPUT,
                                   "sequences %d and %d of the step are the same one", k, i);
    return SINTER_OK;
}

SinterStatus engine_check_step(SinterSequence *const *q, const int32_t *ids, int n, int steps)
{
    Sinter *s = q[0]->owner;
    SinterStatus status = check_step(s, q, n);
    if (!status)
        status = check_ids(s, ids, (size_t)n);
    for (int i = 0; !status && i < n; i++)
        status = check_room(q[i], (size_t)steps);
    return status;
}

/* Without a decode entry that large, the sequences run one after another. */
SinterStatus sinter_step(SinterSequence *const *q, const int32_t *ids, int n)
{
    if (n < 1)
        return SINTER_OK;
    SinterStatus status = engine_check_step(q, ids, n, 1);
    if (status)
        return status;
    const SinterEntry *e = engine_decode_entry(q[0]->owner, n);
    if (e)
        return decode(q[0]->owner, e, q, ids, n);
    for (int i = 0; !status && i < n; i++)
        status = feed_chunk(q[i], ids + i, 1, SINTER_LOGITS_LAST, q[i]->logits);
    return status;
}
