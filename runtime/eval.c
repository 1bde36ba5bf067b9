/* eval.c - bits per byte: how well the model predicts a text.
 *
 * The text is tokenised as a whole, without special tokens, and cut into windows; each is fed from
 * an empty cache after the beginning-of-text token, and every id of it is predicted: bits per byte
 * = sum over all ids of -log2 p(id | ids before it in the window) / bytes of the text A model
 * without such a token starts each window with the last id of the one before; then the first id of
 * the text is not counted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "output.h"

typedef struct Eval {
    Sinter *s;
    const CliArgs *args;
    int32_t *ids; /* ids[0] is the lead of the first window */
    size_t n;
    size_t window;
    int32_t *fed; /* [window] */
    double *bits; /* [chunk rows] of the chunk at hand */
    double sum;
    size_t counted;
    /* the chunk at hand */
    const int32_t *want;
    const float *logits;
    size_t rows;
} Eval;

double eval_bits(const float *logits, int vocab, int32_t id)
{
    float max = logits[0];
    for (int i = 1; i < vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    double sum = 0;
    for (int i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - (double)max);
    return (log(sum) + (double)max - (double)logits[id]) / log(2.0);
}

static void chunk_thread(void *arg, int thread)
{
    Eval *e = arg;
    size_t vocab = (size_t)e->s->model->vocab, threads = (size_t)pool_threads(e->s->pool);
    for (size_t i = (size_t)thread; i < e->rows; i += threads)
        e->bits[i] = eval_bits(e->logits + i * vocab, (int)vocab, e->want[i]);
}

static void on_chunk(void *user, size_t first, size_t n, const float *logits)
{
    Eval *e = user;
    const int32_t *window = e->want;
    e->want = window + first;
    e->logits = logits;
    e->rows = n;
    pool_run(e->s->pool, chunk_thread, e);
    for (size_t i = 0; i < n; i++)
        e->sum += e->bits[i];
    e->counted += n;
    e->want = window;
}

static SinterStatus eval_windows(Eval *e, SinterSequence *q)
{
    SinterStatus status = SINTER_OK;
    int bos = sinter_bos(e->s);
    for (size_t at = 1; !status && at < e->n; at += e->window) {
        size_t n = e->n - at < e->window ? e->n - at : e->window;
        e->want = e->ids + at;
        e->fed[0] = bos >= 0 ? bos : e->ids[at - 1];
        for (size_t i = 1; i < n; i++)
            e->fed[i] = e->want[i - 1];
        sinter_sequence_reset(q);
        status = engine_feed_each(q, e->fed, n, on_chunk, e);
        if (!e->args->quiet)
            progress_show("eval", (double)(at + n), (double)e->n);
    }
    if (!e->args->quiet)
        progress_clear();
    return status;
}

static SinterStatus eval_tokenize(Eval *e, const char *text, size_t bytes)
{
    Sinter *s = e->s;
    int64_t n = sinter_tokenize(s, text, bytes, 0, 0, NULL, 0);
    if (n < 0)
        return SINTER_BAD_INPUT;
    size_t lead = sinter_bos(s) >= 0;
    e->n = (size_t)n + lead;
    if (e->n < 2)
        return message_set(&s->error, SINTER_BAD_INPUT, "%s: %lld ids are too few to be predicted",
                           e->args->eval_file ? e->args->eval_file : "the text", (long long)n);
    e->ids = malloc(e->n * sizeof *e->ids);
    e->fed = malloc(e->window * sizeof *e->fed);
    size_t rows = (size_t)s->rows_max;
    e->bits = malloc(rows * sizeof *e->bits);
    if (!e->ids || !e->fed || !e->bits)
        return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu ids", e->n);
    e->ids[0] = sinter_bos(s);
    sinter_tokenize(s, text, bytes, 0, 0, e->ids + lead, (size_t)n);
    return SINTER_OK;
}

static SinterStatus eval_all(Eval *e, const char *text, size_t bytes)
{
    SinterStatus status = eval_tokenize(e, text, bytes);
    SinterSequence *q = status ? NULL : sinter_sequence(e->s);
    if (!q)
        return status ? status : SINTER_ENVIRONMENT;
    status = eval_windows(e, q);
    if (!status && !isfinite(e->sum))
        return message_set(&e->s->error, SINTER_DEFECT, "some logits are not numbers");
    return status;
}

static int window_of(const Sinter *s, const CliArgs *a)
{
    int most = sinter_context(s), usual = most > 1 ? most - 1 : 1;
    return a->window ? a->window : usual;
}

SinterStatus eval_measure(Sinter *s, const CliArgs *a, const char *text, size_t bytes, double *bits,
                          size_t *ids)
{
    if (a->window > sinter_context(s))
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "--window %d is more than the context of %d", a->window,
                           sinter_context(s));
    Eval e = {.s = s, .args = a, .window = (size_t)window_of(s, a)};
    SinterStatus status = eval_all(&e, text, bytes);
    free(e.ids);
    free(e.fed);
    free(e.bits);
    *bits = e.sum;
    *ids = e.counted;
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

typedef struct Result {
    size_t bytes, ids;
    int window;
    double bits, seconds;
} Result;

static void print_json(const CliArgs *a, const Result *r)
{
    printf("{\"file\": ");
    json_string(a->eval_file);
    printf(", \"bytes\": %zu, \"tokens\": %zu, \"window\": %d, \"bits_per_byte\": %.6f, "
           "\"bits_per_token\": %.6f, \"perplexity\": %.6f, \"seconds\": %.3f}\n",
           r->bytes, r->ids, r->window, r->bits / (double)r->bytes, r->bits / (double)r->ids,
           exp2(r->bits / (double)r->ids), r->seconds);
}

static void print_text(const Result *r)
{
    double per_id = r->bits / (double)r->ids;
    printf("%.4f bits per byte  (%zu bytes, %zu tokens in windows of %d; %.4f bits per token, "
           "perplexity %.3f; %.0f tokens/s)\n",
           r->bits / (double)r->bytes, r->bytes, r->ids, r->window, per_id, exp2(per_id),
           r->seconds > 0 ? (double)r->ids / r->seconds : 0);
}

SinterStatus eval_run(Sinter *s, const CliArgs *a)
{
    char *text = NULL;
    Result r = {.window = window_of(s, a)};
    SinterStatus status = input_read(a->eval_file, &text, &r.bytes, &s->error);
    uint64_t start = sinter_now_ns();
    if (!status)
        status = eval_measure(s, a, text, r.bytes, &r.bits, &r.ids);
    r.seconds = (double)(sinter_now_ns() - start) / 1e9;
    free(text);
    if (status)
        return status;
    if (a->json)
        print_json(a, &r);
    else
        print_text(&r);
    return SINTER_OK;
}
