/* generate.c - continues a text and streams it: ids become bytes, bytes are held back until they
 * are whole UTF-8 characters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "output.h"
#include "utf8.h"

/* ---- prompt ---------------------------------------------------------------------------------- */

typedef struct Prompt {
    char *text; /* own copy */
    size_t bytes;
    int32_t *ids;
    size_t n;
} Prompt;

static void prompt_free(Prompt *p)
{
    free(p->text);
    free(p->ids);
}

static SinterStatus read_text(Sinter *s, const CliArgs *a, Prompt *p)
{
    if (a->prompt_file)
        return input_read(a->prompt_file, &p->text, &p->bytes, &s->error);
    p->text = strdup(a->prompt);
    p->bytes = strlen(a->prompt);
    return p->text ? SINTER_OK
                   : message_set(&s->error, SINTER_ENVIRONMENT, "no memory for the text");
}

static SinterStatus encode(Sinter *s, const CliArgs *a, Prompt *p)
{
    int64_t n = sinter_tokenize(s, p->text, p->bytes, !a->no_bos, 1, NULL, 0);
    if (n < 0)
        return SINTER_BAD_INPUT;
    p->n = (size_t)n;
    p->ids = malloc((p->n + 1) * sizeof *p->ids);
    if (!p->ids)
        return message_set(&s->error, SINTER_ENVIRONMENT, "no memory for %zu ids", p->n);
    sinter_tokenize(s, p->text, p->bytes, !a->no_bos, 1, p->ids, p->n);
    return SINTER_OK;
}

/* A model needs one id to say what comes next: the beginning of text stands for an empty prompt. */
static SinterStatus begin_empty(Sinter *s, Prompt *p)
{
    if (p->n > 0)
        return SINTER_OK;
    if (sinter_bos(s) < 0)
        return message_set(
            &s->error, SINTER_BAD_INPUT,
            "the prompt is empty and this model has no beginning-of-text token to start "
            "from: give it at least one character");
    p->ids[p->n++] = sinter_bos(s);
    return SINTER_OK;
}

/* ---- stream ---------------------------------------------------------------------------------- */

typedef struct Stream {
    char held[4]; /* the beginning of a character */
    size_t n;
} Stream;

static void stream_put(Stream *t, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t->held[t->n++] = bytes[i];
        if (utf8_incomplete(t->held, t->n))
            continue;
        fwrite(t->held, 1, t->n, stdout);
        t->n = 0;
    }
}

static void stream_end(Stream *t)
{
    fwrite(t->held, 1, t->n, stdout);
    putchar('\n');
    t->n = 0;
}

static void put_id(Sinter *s, Stream *t, int32_t id)
{
    size_t n;
    const char *bytes = sinter_token_bytes(s, id, &n);
    if (!tokenizer_is_control(s->tokenizer, id))
        stream_put(t, bytes, n);
    fflush(stdout);
}

/* ---- generation ------------------------------------------------------------------------------ */

typedef struct Stats {
    size_t prompt, generated;
    uint64_t prompt_ns, generate_ns;
    double bytes;
    const char *end;
} Stats;

static void on_prompt(void *user, size_t done, size_t total)
{
    (void)user;
    progress_show("reading the prompt", (double)done, (double)total);
}

static SinterStatus feed_prompt(SinterSequence *q, const Prompt *p, int quiet)
{
    Sinter *s = q->owner;
    s->progress = quiet ? NULL : on_prompt;
    SinterStatus status = sinter_feed(q, p->ids, p->n);
    if (!quiet)
        progress_clear();
    s->progress = NULL;
    return status;
}

/* A text being told. */
typedef struct Story {
    SinterSequence *q;
    const CliArgs *args;
    Stream *stream;
    Stats *stats;
} Story;

/* Prints an id; 1 when it was the last one. */
static int tell(void *user, const int32_t *id)
{
    const Story *t = user;
    Sinter *s = t->q->owner;
    if (sinter_is_end(s, *id)) {
        t->stats->end = "the text ended";
        return 1;
    }
    put_id(s, t->stream, *id);
    t->stats->generated++;
    if (t->args->n >= 0 && t->stats->generated >= (size_t)t->args->n)
        t->stats->end = "as many as asked for";
    else if (sinter_sequence_length(t->q) == sinter_context(s))
        t->stats->end = "the context is full";
    return t->stats->end != NULL;
}

/* Ids until the text ends, a->n of them, or the context is full. */
static SinterStatus continue_text(Story *t)
{
    const CliArgs *a = t->args;
    SinterSampling sampling = {a->temperature, a->top_k, a->top_p, a->seed};
    int room = sinter_context(t->q->owner) - sinter_sequence_length(t->q);
    if (a->n == 0) {
        t->stats->end = "as many as asked for";
        return SINTER_OK;
    }
    int32_t id = sinter_sample(t->q, &sampling);
    if (id < 0)
        return SINTER_DEFECT;
    return tell(t, &id) ? SINTER_OK : sinter_continue(&t->q, 1, &id, &sampling, room, tell, t);
}

static double per_second(double x, uint64_t ns)
{
    return ns ? x * 1e9 / (double)ns : 0;
}

static void print_stats(const Stats *st)
{
    fprintf(stderr, "prompt: %zu tokens, %.1f tokens/s; generated: %zu tokens (%s)", st->prompt,
            per_second((double)st->prompt, st->prompt_ns), st->generated, st->end);
    if (st->generated > 1)
        fprintf(stderr, ", %.1f tokens/s, %.3f ms/token, %.1f GB/s",
                per_second((double)st->generated, st->generate_ns),
                (double)st->generate_ns / 1e6 / (double)st->generated,
                per_second(st->bytes, st->generate_ns) / 1e9);
    fputc('\n', stderr);
}

static SinterStatus generate(SinterSequence *q, const CliArgs *a, const Prompt *p)
{
    Sinter *s = q->owner;
    Stats st = {.prompt = p->n};
    Stream t = {.n = 0};
    uint64_t start = sinter_now_ns();
    SinterStatus status = feed_prompt(q, p, a->quiet);
    if (status)
        return status;
    fwrite(p->text, 1, p->bytes, stdout);
    fflush(stdout);
    uint64_t begun = sinter_now_ns();
    st.prompt_ns = begun - start;
    double before = s->bytes_read;
    status = continue_text(&(Story){q, a, &t, &st});
    st.generate_ns = sinter_now_ns() - begun;
    st.bytes = s->bytes_read - before;
    stream_end(&t);
    if (!status && !a->quiet)
        print_stats(&st);
    return status;
}

static SinterStatus load_prompt(Sinter *s, const CliArgs *a, Prompt *p)
{
    SinterStatus status = read_text(s, a, p);
    return status ? status : encode(s, a, p);
}

SinterStatus generate_run(Sinter *s, const CliArgs *a)
{
    Prompt p = {0};
    SinterStatus status = load_prompt(s, a, &p);
    if (!status)
        status = begin_empty(s, &p);
    SinterSequence *q = status ? NULL : sinter_sequence(s);
    if (!status)
        status = q ? generate(q, a, &p) : SINTER_ENVIRONMENT;
    prompt_free(&p);
    return status;
}

SinterStatus tokenize_run(Sinter *s, const CliArgs *a)
{
    Prompt p = {0};
    SinterStatus status = load_prompt(s, a, &p);
    for (size_t i = 0; !status && i < p.n; i++)
        printf("%s%d", i ? " " : "", (int)p.ids[i]);
    if (!status)
        putchar('\n');
    prompt_free(&p);
    return status;
}
