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
                           e->args->eval_file, (long long)n);
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

static void print_result(const Eval *e, size_t bytes, double seconds)
{
    double per_byte = e->sum / (double)bytes, per_id = e->sum / (double)e->counted;
    if (e->args->json) {
        printf("{\"file\": ");
        json_string(e->args->eval_file);
        printf(", \"bytes\": %zu, \"tokens\": %zu, \"window\": %zu, \"bits_per_byte\": %.6f, "
               "\"bits_per_token\": %.6f, \"perplexity\": %.6f, \"seconds\": %.3f}\n",
               bytes, e->counted, e->window, per_byte, per_id, exp2(per_id), seconds);
        return;
    }
    printf("%.4f bits per byte  (%zu bytes, %zu tokens in windows of %zu; %.4f bits per token, "
           "perplexity %.3f; %.0f tokens/s)\n",
           per_byte, bytes, e->counted, e->window, per_id, exp2(per_id),
           seconds > 0 ? (double)e->counted / seconds : 0);
}

static SinterStatus eval_text(Eval *e, const char *text, size_t bytes)
{
    SinterStatus status = eval_tokenize(e, text, bytes);
    SinterSequence *q = status ? NULL : sinter_sequence(e->s);
    if (!q)
        return status ? status : SINTER_ENVIRONMENT;
    uint64_t start = sinter_now_ns();
    status = eval_windows(e, q);
    if (status)
        return status;
    if (!isfinite(e->sum))
        return message_set(&e->s->error, SINTER_DEFECT, "some logits are not numbers");
    print_result(e, bytes, (double)(sinter_now_ns() - start) / 1e9);
    return SINTER_OK;
}

SinterStatus eval_run(Sinter *s, const CliArgs *a)
{
    int most = sinter_context(s);
    int usual = most > 1 ? most - 1 : 1;
    if (a->window > most)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "--window %d is more than the context of %d", a->window, most);
    Eval e = {.s = s, .args = a, .window = (size_t)(a->window ? a->window : usual)};
    char *text = NULL;
    size_t bytes = 0;
    SinterStatus status = input_read(a->eval_file, &text, &bytes, &s->error);
    if (!status)
        status = eval_text(&e, text, bytes);
    free(text);
    free(e.ids);
    free(e.fed);
    free(e.bits);
    return status;
}
