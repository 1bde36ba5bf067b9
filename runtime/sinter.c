/* sinter.c - the public interface (sinter.h): opens a model, keeps sequences and their caches,
 * feeds ids through the generated steps.
 *
 * A feed of several ids runs through the prefill entry in chunks, the last one partly filled; one
 * id of each of n sequences runs through the smallest decode entry with room, rows left over are
 * marked by position -1. */
#include "sinter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "memory.h"
#include "random.h"

/* ---- open ------------------------------------------------------------------------------------ */

static SinterStatus check_options(Sinter *s, const SinterOptions *o)
{
    if (o->threads < 0 || o->threads > POOL_MAX_THREADS)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "threads is %d: 1 to %d, or 0 for every core", o->threads,
                           POOL_MAX_THREADS);
    if (o->context < 0 || o->context > s->model->context)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "context is %d: 1 to %d, what the program was compiled for", o->context,
                           s->model->context);
    if (o->max_sequences < 0 || o->max_sequences > SINTER_MAX_BATCH)
        return message_set(&s->error, SINTER_BAD_INPUT, "max_sequences is %d: 1 to %d",
                           o->max_sequences, SINTER_MAX_BATCH);
    s->context = o->context ? o->context : s->model->context;
    s->max_sequences = o->max_sequences ? o->max_sequences : 1;
    return SINTER_OK;
}

static SinterStatus check_machine(Sinter *s)
{
    const SinterModel *m = s->model;
    if (m->cpu_ok && !m->cpu_ok())
        return message_set(
            &s->error, SINTER_ENVIRONMENT,
            "this program was compiled for a CPU with %s, which this one lacks; compile "
            "it here with --cpu native, or anywhere with --cpu generic",
            m->cpu_needs);
    return SINTER_OK;
}

static SinterStatus start_threads(Sinter *s, int threads)
{
    if (threads == 0)
        threads = pool_default_threads();
    s->pool = pool_create(threads);
    if (!s->pool)
        return message_set(&s->error, SINTER_ENVIRONMENT,
                           "cannot start %d threads: %s; try --threads 1", threads,
                           strerror(errno));
    return SINTER_OK;
}

static int decode_rows_max(const SinterModel *m)
{
    return m->n_decode > 0 ? m->decode[m->n_decode - 1].rows : 1;
}

static int has_embedding(const SinterModel *m)
{
    for (int i = 0; i < m->n_tensors; i++)
        if (strcmp(m->tensors[i].name, "embedding") == 0)
            return 1;
    return 0;
}

static size_t input_bytes(const Sinter *s)
{
    return sizeof(float) * (size_t)s->rows_max * (size_t)s->model->d_model;
}

/* Ids say nothing to a model without an embedding: fed with ids (to measure its speed) it reads the
 * same small numbers each time. */
static SinterStatus make_input(Sinter *s)
{
    if (has_embedding(s->model))
        return SINTER_OK;
    uint64_t state = 1;
    s->input = memory_map(input_bytes(s));
    if (!s->input)
        return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu bytes of activations",
                           input_bytes(s));
    for (size_t i = 0; i < input_bytes(s) / sizeof(float); i++)
        s->input[i] = (float)(2 * random_unit(&state) - 1);
    return SINTER_OK;
}

/* Memory that steps write and the host reads: what a GPU copies into is pinned. */
static void *result_alloc(Sinter *s, size_t bytes)
{
    return s->gpu ? gpu_host_alloc(s->gpu, bytes, &s->error) : memory_map(bytes);
}

static void result_free(Sinter *s, void *p, size_t bytes)
{
    if (s->gpu)
        gpu_host_free(s->gpu, p);
    else
        memory_unmap(p, bytes);
}

/* The GPU, and that there is room on it for everything this program will want. */
static SinterStatus open_gpu(Sinter *s)
{
    const SinterModel *m = s->model;
    if (!m->gpu)
        return SINTER_OK;
    size_t rows =
        (size_t)(m->prefill.rows > decode_rows_max(m) ? m->prefill.rows : decode_rows_max(m));
    size_t bytes = (size_t)m->weights_bytes + m->scratch_bytes +
                   (size_t)s->max_sequences * m->kv_bytes + rows * (size_t)m->vocab * sizeof(float);
    return gpu_open(&s->gpu, m, bytes, &s->error);
}

static SinterStatus make_gpu_buffers(Sinter *s)
{
    size_t input = s->input ? input_bytes(s) : 0;
    return s->gpu ? gpu_make_buffers(s->gpu, s->rows_max, s->rows_max, input, &s->error)
                  : SINTER_OK;
}

static SinterStatus make_buffers(Sinter *s)
{
    const SinterModel *m = s->model;
    int rows = decode_rows_max(m);
    size_t vocab = (size_t)m->vocab;
    s->rows_max = m->prefill.rows > rows ? m->prefill.rows : rows;
    s->scratch = memory_map(s->gpu ? 0 : m->scratch_bytes);
    s->tokens = memory_map(sizeof(int32_t) * (size_t)s->rows_max);
    s->pos = memory_map(sizeof(int32_t) * (size_t)s->rows_max);
    s->batch_logits = result_alloc(s, sizeof(float) * vocab * (size_t)rows);
    s->sampler = sampler_create(m->vocab);
    if (s->scratch && s->tokens && s->pos && s->batch_logits && s->sampler)
        return SINTER_OK;
    if (s->error.text[0]) /* the GPU has said what is missing */
        return SINTER_ENVIRONMENT;
    return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu bytes of activations",
                       m->scratch_bytes);
}

static SinterStatus load_weights(Sinter *s, const char *path, const SinterOptions *o)
{
    if (!path)
        return weights_random(&s->weights, s->model, (uint64_t)o->random_seed, s->pool, &s->error);
    return weights_open(&s->weights, s->model, path, !o->skip_checksums, s->pool, &s->error);
}

static SinterStatus load_gpu(Sinter *s)
{
    return s->gpu ? gpu_load(s->gpu, s->weights.data, s->weights.bytes, &s->error) : SINTER_OK;
}

static SinterStatus load_tokenizer(Sinter *s, const char *path)
{
    if (!s->weights.tokenizer)
        return SINTER_OK;
    char reason[256] = "";
    s->tokenizer =
        tokenizer_open(s->weights.tokenizer, s->weights.tokenizer_bytes, reason, sizeof reason);
    if (!s->tokenizer)
        return message_set(&s->error, SINTER_BAD_INPUT, "the tokenizer in %s is damaged: %s", path,
                           reason);
    return SINTER_OK;
}

SinterStatus sinter_open(Sinter **out, const char *weights_path, const SinterOptions *options)
{
    static const SinterOptions defaults;
    const SinterOptions *o = options ? options : &defaults;
    Sinter *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return SINTER_ENVIRONMENT;
    s->model = &sinter_model;
    SinterStatus status = check_options(s, o);
    if (!status)
        status = check_machine(s);
    if (!status)
        status = start_threads(s, o->threads);
    if (!status)
        status = open_gpu(s);
    if (!status)
        status = make_buffers(s);
    if (!status)
        status = make_input(s);
    if (!status)
        status = make_gpu_buffers(s);
    if (!status)
        status = load_weights(s, weights_path, o);
    if (!status)
        status = load_gpu(s);
    if (!status)
        status = load_tokenizer(s, weights_path);
    return status;
}

static uint8_t *cache_alloc(Sinter *s)
{
    size_t bytes = s->model->kv_bytes;
    return s->gpu ? gpu_alloc(s->gpu, bytes, "caches", &s->error) : memory_map(bytes);
}

static void free_sequence(Sinter *s, SinterSequence *q)
{
    if (s->gpu)
        gpu_free(s->gpu, q->kv);
    else
        memory_unmap(q->kv, s->model->kv_bytes);
    result_free(s, q->logits, (size_t)s->model->vocab * sizeof(float));
}

void sinter_close(Sinter *s)
{
    if (!s)
        return;
    const SinterModel *m = s->model;
    size_t vocab = (size_t)m->vocab * sizeof(float);
    for (int i = 0; i < s->n_sequences; i++)
        free_sequence(s, &s->sequence[i]);
    memory_unmap(s->scratch, s->gpu ? 0 : m->scratch_bytes);
    memory_unmap(s->tokens, sizeof(int32_t) * (size_t)s->rows_max);
    memory_unmap(s->pos, sizeof(int32_t) * (size_t)s->rows_max);
    memory_unmap(s->input, input_bytes(s));
    result_free(s, s->batch_logits, vocab * (size_t)decode_rows_max(m));
    memory_unmap(s->chunk_logits, vocab * (size_t)m->prefill.rows);
    sampler_destroy(s->sampler);
    tokenizer_close(s->tokenizer);
    weights_close(&s->weights);
    gpu_close(s->gpu);
    pool_destroy(s->pool);
    free(s);
}

/* ---- facts ----------------------------------------------------------------------------------- */

const char *sinter_error(const Sinter *s)
{
    return s ? s->error.text : "no memory";
}

int sinter_vocab(const Sinter *s)
{
    return s->model->vocab;
}

int sinter_width(const Sinter *s)
{
    return s->model->d_model;
}

int sinter_context(const Sinter *s)
{
    return s->context;
}

/* The tokenizer's ids are only used where the model has a row for them. */
int sinter_bos(const Sinter *s)
{
    int id = s->tokenizer ? tokenizer_bos(s->tokenizer) : s->model->bos_id;
    return id < s->model->vocab ? id : -1;
}

int sinter_eos(const Sinter *s)
{
    int id = s->tokenizer ? tokenizer_eos(s->tokenizer) : s->model->eos_id;
    return id < s->model->vocab ? id : -1;
}

int sinter_is_end(const Sinter *s, int32_t id)
{
    return id >= 0 && (id == sinter_eos(s) || (s->tokenizer && tokenizer_is_end(s->tokenizer, id)));
}

int sinter_has_tokenizer(const Sinter *s)
{
    return s->tokenizer != NULL;
}

int64_t sinter_tokenize(Sinter *s, const char *text, size_t n, int add_bos, int parse_special,
                        int32_t *ids, size_t max)
{
    if (!s->tokenizer) {
        message_set(
            &s->error, SINTER_BAD_INPUT,
            "the weights have no tokenizer: feed ids instead (--tokens FILE), or pack weights "
            "from a folder with tokenizer.json");
        return -1;
    }
    int64_t count = tokenizer_encode(s->tokenizer, text, n, add_bos, parse_special, ids, max);
    if (count < 0)
        message_set(&s->error, SINTER_BAD_INPUT, "%s", tokenizer_error(s->tokenizer));
    return count;
}

const char *sinter_token_bytes(Sinter *s, int32_t id, size_t *n)
{
    *n = 0;
    return s->tokenizer ? tokenizer_bytes(s->tokenizer, id, n) : "";
}

/* ---- sequences ------------------------------------------------------------------------------- */

SinterSequence *sinter_sequence(Sinter *s)
{
    if (s->n_sequences == s->max_sequences) {
        message_set(&s->error, SINTER_BAD_INPUT,
                    "all %d sequences are in use: open with a larger max_sequences (up to %d)",
                    s->max_sequences, SINTER_MAX_BATCH);
        return NULL;
    }
    SinterSequence q = {.owner = s};
    size_t vocab = (size_t)s->model->vocab * sizeof(float);
    q.kv = cache_alloc(s);
    q.logits = result_alloc(s, vocab);
    if (!q.kv || !q.logits) {
        free_sequence(s, &q);
        if (s->gpu)
            return NULL; /* the GPU has said why */
        message_set(&s->error, SINTER_ENVIRONMENT,
                    "no memory for the %.1f MB of caches of a sequence",
                    (double)s->model->kv_bytes / 1e6);
        return NULL;
    }
    s->sequence[s->n_sequences] = q;
    return &s->sequence[s->n_sequences++];
}

void sinter_sequence_reset(SinterSequence *q)
{
    q->length = 0;
}

int sinter_sequence_length(const SinterSequence *q)
{
    return q->length;
}

const float *sinter_logits(const SinterSequence *q)
{
    return q->logits;
}

int32_t sinter_sample(SinterSequence *q, SinterSampling *p)
{
    int32_t id = sampler_pick(q->owner->sampler, q->logits, p);
    if (id < 0)
        message_set(&q->owner->error, SINTER_DEFECT, "none of the %d logits is a number",
                    q->owner->model->vocab);
    return id;
}

/* ---- steps ----------------------------------------------------------------------------------- */

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

/* Runs an entry on what s->tokens and s->pos hold; run has kv, logits, rows and logits_wanted. */
static SinterStatus run_entry(Sinter *s, const SinterEntry *e, SinterRun run)
{
    for (int i = run.rows; i < e->rows; i++) {
        s->tokens[i] = 0;
        s->pos[i] = -1;
    }
    run.tokens = s->tokens;
    run.pos = s->pos;
    run.input = s->input;
    run.profile = s->profile;
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

/* One id to each of n sequences, all checked. */
static SinterStatus decode(Sinter *s, const SinterEntry *e, SinterSequence *const *q,
                           const int32_t *ids, int n)
{
    SinterRun run = {.rows = n, .logits_wanted = SINTER_LOGITS_ALL};
    double positions = 0;
    for (int i = 0; i < e->rows && i < SINTER_MAX_BATCH; i++)
        run.kv[i] = q[i < n ? i : 0]->kv;
    for (int i = 0; i < n; i++) {
        s->tokens[i] = ids[i];
        s->pos[i] = q[i]->length++;
        positions += q[i]->length;
    }
    run.logits = e->rows == 1 ? q[0]->logits : s->batch_logits;
    SinterStatus status = run_entry(s, e, run);
    StepBytes b = engine_step_bytes(s, e);
    s->bytes_read += b.weights + b.kv_per_pos * positions / e->rows;
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
    memset(s->input, 0, input_bytes(s));
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

/* Without a decode entry that large, the sequences run one after another. */
SinterStatus sinter_step(SinterSequence *const *q, const int32_t *ids, int n)
{
    if (n < 1)
        return SINTER_OK;
    Sinter *s = q[0]->owner;
    SinterStatus status = check_step(s, q, n);
    if (!status)
        status = check_ids(s, ids, (size_t)n);
    for (int i = 0; !status && i < n; i++)
        status = check_room(q[i], 1);
    if (status)
        return status;
    const SinterEntry *e = engine_decode_entry(s, n);
    if (e)
        return decode(s, e, q, ids, n);
    for (int i = 0; !status && i < n; i++)
        status = feed_chunk(q[i], ids + i, 1, SINTER_LOGITS_LAST, q[i]->logits);
    return status;
}
