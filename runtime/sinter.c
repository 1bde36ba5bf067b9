/* sinter.c - the public interface (sinter.h): opens a model, keeps sequences and their caches. What
 * is fed to them: feed.c. */
#include "sinter.h"

#include <errno.h>
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
        if (strncmp(m->tensors[i].name, "embedding", strlen("embedding")) == 0) /* or its codes */
            return 1;
    return 0;
}

size_t engine_input_bytes(const Sinter *s)
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
    s->input = memory_map(engine_input_bytes(s));
    if (!s->input)
        return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu bytes of activations",
                           engine_input_bytes(s));
    for (size_t i = 0; i < engine_input_bytes(s) / sizeof(float); i++)
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
    size_t rows = (size_t)decode_rows_max(m);
    size_t bytes = (size_t)m->weights_bytes + m->scratch_bytes +
                   (size_t)s->max_sequences * m->kv_bytes + rows * (size_t)m->vocab * sizeof(float);
    return gpu_open(&s->gpu, m, bytes, &s->error);
}

static SinterStatus make_gpu_buffers(Sinter *s)
{
    size_t input = s->input ? engine_input_bytes(s) : 0;
    return s->gpu
               ? gpu_make_buffers(s->gpu, s->rows_max, decode_rows_max(s->model), input, &s->error)
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
    uint64_t seed = (uint64_t)o->random_seed;
    if (path)
        return weights_open(&s->weights, s->model, path, !o->skip_checksums, s->pool, &s->error);
    if (!s->gpu)
        return weights_random(&s->weights, s->model, seed, s->pool, &s->error);
    s->weights = (Weights){.bytes = weights_random_bytes(s->model), .random = 1};
    return gpu_random(s->gpu, s->weights.bytes, seed, &s->error);
}

static SinterStatus load_gpu(Sinter *s, const SinterOptions *o)
{
    const GpuProgress progress = {o->progress, o->progress_user};
    if (!s->gpu || s->weights.random)
        return SINTER_OK;
    return gpu_load(s->gpu, s->weights.data, s->weights.bytes, s->pool, &progress, &s->error);
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
        status = load_gpu(s, o);
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
    memory_unmap(s->input, engine_input_bytes(s));
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
