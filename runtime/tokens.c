/* tokens.c - ids in, logits or ids out: the interface for tests and tools, no tokenizer involved.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "output.h"

typedef struct Ids {
    int32_t *id;
    size_t n;
} Ids;

static SinterStatus read_ids(Sinter *s, const char *path, Ids *ids)
{
    char *data;
    size_t bytes;
    SinterStatus status = input_read(path, &data, &bytes, &s->error);
    if (status)
        return status;
    *ids = (Ids){(int32_t *)(void *)data, bytes / 4};
    if (bytes % 4)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "%s has %zu bytes, not a multiple of 4: raw int32 ids are expected",
                           path, bytes);
    if (bytes == 0)
        return message_set(&s->error, SINTER_BAD_INPUT, "%s is empty: at least one id is needed",
                           path);
    return SINTER_OK;
}

/* ---- logits ---------------------------------------------------------------------------------- */

typedef struct Writer {
    Output out;
    size_t row_bytes;
} Writer;

static void write_rows(void *user, size_t first, size_t n, const float *logits)
{
    (void)first;
    Writer *w = user;
    output_write(&w->out, logits, n * w->row_bytes);
}

/* One step of those sequences that have started and not ended; `which` tells if it was one. */
static SinterStatus step_some(const CliArgs *a, SinterSequence *const *q, size_t step, int which,
                              const Ids *ids, int *stepped)
{
    SinterSequence *now[SINTER_MAX_BATCH];
    int32_t id[SINTER_MAX_BATCH];
    int n = 0;
    *stepped = 0;
    for (int k = 0; k < a->batch; k++) {
        size_t start = (size_t)k * (size_t)a->stagger;
        if (step < start || step - start >= ids->n)
            continue;
        *stepped |= k == which;
        id[n] = ids->id[step - start];
        now[n++] = q[k];
    }
    return sinter_step(now, id, n);
}

/* Ids one by one, each a step of all sequences; the logits of sequence `which` are written. */
static SinterStatus decode_and_write(const CliArgs *a, SinterSequence *const *q, int which,
                                     const Ids *ids, Writer *w)
{
    size_t steps = ids->n + (size_t)(a->batch - 1) * (size_t)a->stagger;
    for (int k = 0; k < a->batch; k++)
        sinter_sequence_reset(q[k]);
    for (size_t i = 0; i < steps; i++) {
        int stepped = 0;
        SinterStatus status = step_some(a, q, i, which, ids, &stepped);
        if (status)
            return status;
        if (stepped)
            write_rows(w, i, 1, sinter_logits(q[which]));
    }
    return SINTER_OK;
}

static SinterStatus write_all(const CliArgs *a, SinterSequence *const *q, const Ids *ids, Writer *w)
{
    if (!a->decode && a->batch == 1)
        return engine_feed_each(q[0], ids->id, ids->n, write_rows, w);
    SinterStatus status = SINTER_OK;
    for (int k = 0; !status && k < a->batch; k++)
        status = decode_and_write(a, q, k, ids, w);
    return status;
}

static SinterStatus write_logits(Sinter *s, const CliArgs *a, SinterSequence *const *q,
                                 const Ids *ids)
{
    Writer w = {.row_bytes = (size_t)s->model->vocab * sizeof(float)};
    SinterStatus status = output_open(&w.out, a->logits, &s->error);
    if (status)
        return status;
    status = write_all(a, q, ids, &w);
    if (!status)
        return output_commit(&w.out, &s->error);
    output_abort(&w.out);
    return status;
}

/* ---- generation ------------------------------------------------------------------------------ */

static SinterStatus feed(SinterSequence *q, const CliArgs *a, const Ids *ids)
{
    SinterStatus status = SINTER_OK;
    if (!a->decode)
        return sinter_feed(q, ids->id, ids->n);
    for (size_t i = 0; !status && i < ids->n; i++)
        status = sinter_feed(q, ids->id + i, 1);
    return status;
}

static SinterStatus print_generated(SinterSequence *q, const CliArgs *a, const Ids *ids)
{
    SinterSampling sampling = {a->temperature, a->top_k, a->top_p, a->seed};
    sinter_sequence_reset(q);
    SinterStatus status = feed(q, a, ids);
    for (int i = 0; !status && i < a->generate; i++) {
        int32_t id = sinter_sample(q, &sampling);
        if (id < 0)
            return SINTER_DEFECT;
        printf("%s%" PRId32, i ? " " : "", id);
        if (i + 1 < a->generate)
            status = sinter_feed(q, &id, 1);
    }
    putchar('\n');
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static SinterStatus run(Sinter *s, const CliArgs *a, const Ids *ids)
{
    SinterSequence *q[SINTER_MAX_BATCH];
    for (int k = 0; k < a->batch; k++)
        if (!(q[k] = sinter_sequence(s)))
            return SINTER_ENVIRONMENT;
    SinterStatus status = a->logits ? write_logits(s, a, q, ids) : SINTER_OK;
    if (!status && a->generate >= 0)
        status = print_generated(q[0], a, ids);
    return status;
}

static SinterStatus tokens_to_result(Sinter *s, const CliArgs *a)
{
    Ids ids = {0};
    SinterStatus status = read_ids(s, a->tokens, &ids);
    if (!status)
        status = run(s, a, &ids);
    free(ids.id);
    return status;
}

/* ---- activations in, results out ------------------------------------------------------------- */

/* Of all rows at once, or one by one. */
static SinterStatus feed_rows(SinterSequence *q, const CliArgs *a, const float *rows, size_t n,
                              float *out)
{
    size_t width = (size_t)q->owner->model->d_model, vocab = (size_t)q->owner->model->vocab;
    SinterStatus status = SINTER_OK;
    for (size_t at = 0, size = a->decode ? 1 : n; !status && at < n; at += size)
        status = sinter_feed_rows(q, rows + at * width, size, out + at * vocab);
    return status;
}

static SinterStatus run_rows(Sinter *s, const CliArgs *a, const float *rows, size_t n)
{
    SinterSequence *q = sinter_sequence(s);
    size_t bytes = n * (size_t)s->model->vocab * sizeof(float);
    float *out = q ? malloc(bytes) : NULL;
    if (!out)
        return q ? message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu bytes of results",
                               bytes)
                 : SINTER_ENVIRONMENT;
    Output file;
    SinterStatus status = feed_rows(q, a, rows, n, out);
    if (!status)
        status = output_open(&file, a->logits, &s->error);
    if (!status) {
        output_write(&file, out, bytes);
        status = output_commit(&file, &s->error);
    }
    free(out);
    return status;
}

static SinterStatus rows_to_result(Sinter *s, const CliArgs *a)
{
    char *data;
    size_t bytes, row = (size_t)s->model->d_model * sizeof(float);
    SinterStatus status = input_read(a->rows, &data, &bytes, &s->error);
    if (!status && (bytes == 0 || bytes % row))
        status =
            message_set(&s->error, SINTER_BAD_INPUT,
                        "%s has %zu bytes: raw float32 rows of %d are expected, %zu bytes each",
                        a->rows, bytes, s->model->d_model, row);
    if (!status)
        status = run_rows(s, a, (const float *)(const void *)data, bytes / row);
    free(data);
    return status;
}

SinterStatus tokens_run(Sinter *s, const CliArgs *a)
{
    return a->rows ? rows_to_result(s, a) : tokens_to_result(s, a);
}
