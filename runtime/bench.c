/* bench.c - tokens/s of prefill (pp) and decode (tg), and how much of the memory's bandwidth decode
 * uses: the bandwidth is probed right before and right after, with the same threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "random.h"

enum { DEFAULT_PROMPT = 512, DEFAULT_DECODE = 128 };

typedef struct Bench {
    Sinter *s;
    const CliArgs *args;
    SinterSequence *q[SINTER_MAX_BATCH];
    int32_t *ids;         /* [context] */
    double before, after; /* bytes/s */
} Bench;

/* One test: `tokens` per run, seconds of each run, ascending. */
typedef struct Result {
    char name[32];
    int tokens; /* per sequence */
    int sequences;
    double *seconds; /* [repeats] */
    int n;
    double bytes; /* read by all runs together; 0: not counted */
} Result;

/* ---- running --------------------------------------------------------------------------------- */

static SinterStatus fill_depth(Bench *b)
{
    SinterStatus status = SINTER_OK;
    for (int k = 0; !status && k < b->args->batch; k++) {
        sinter_sequence_reset(b->q[k]);
        if (b->args->bench_depth > 0)
            status = sinter_feed(b->q[k], b->ids, (size_t)b->args->bench_depth);
    }
    return status;
}

static SinterStatus run_prefill(Bench *b, int tokens)
{
    return sinter_feed(b->q[0], b->ids, (size_t)tokens);
}

static SinterStatus run_decode(Bench *b, int tokens)
{
    int32_t id[SINTER_MAX_BATCH];
    SinterStatus status = SINTER_OK;
    for (int i = 0; !status && i < tokens; i++) {
        for (int k = 0; k < b->args->batch; k++)
            id[k] = b->ids[(i + k) % sinter_context(b->s)];
        status = sinter_step(b->q, id, b->args->batch);
    }
    return status;
}

typedef SinterStatus (*BenchFn)(Bench *b, int tokens);

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* One run to warm up, then the ones that count. */
static SinterStatus measure(Bench *b, BenchFn fn, Result *r)
{
    Sinter *s = b->s;
    for (int i = -1; i < b->args->repeats; i++) {
        SinterStatus status = fill_depth(b);
        double bytes = s->bytes_read;
        uint64_t start = sinter_now_ns();
        if (!status)
            status = fn(b, r->tokens);
        if (status)
            return status;
        if (!b->args->quiet)
            progress_show(r->name, i + 2, b->args->repeats + 1);
        if (i < 0)
            continue;
        r->seconds[r->n++] = (double)(sinter_now_ns() - start) / 1e9;
        r->bytes += s->bytes_read - bytes;
    }
    qsort(r->seconds, (size_t)r->n, sizeof *r->seconds, compare_doubles);
    return SINTER_OK;
}

/* ---- figures --------------------------------------------------------------------------------- */

static double median(const Result *r)
{
    int h = r->n / 2;
    return r->n % 2 ? r->seconds[h] : (r->seconds[h - 1] + r->seconds[h]) / 2;
}

static double speed(const Result *r, double seconds)
{
    return r->tokens * r->sequences / seconds;
}

static double bytes_per_second(const Result *r)
{
    return r->bytes / r->n / median(r);
}

static double bandwidth(const Bench *b)
{
    return b->before > b->after ? b->before : b->after;
}

static void print_row(const Bench *b, const Result *r)
{
    double m = median(r);
    printf("%-12s %10.2f  %10.2f .. %-10.2f %10.3f", r->name, speed(r, m),
           speed(r, r->seconds[r->n - 1]), speed(r, r->seconds[0]), m * 1e3 / r->tokens);
    if (r->bytes > 0 && bandwidth(b) > 0)
        printf(" %9.2f %6.1f %%", bytes_per_second(r) / 1e9,
               100 * bytes_per_second(r) / bandwidth(b));
    putchar('\n');
}

static void print_table(const Bench *b, const Result *r, int n)
{
    const SinterModel *m = b->s->model;
    printf("%s (%s)\n%s, %d threads, %s weights, %.3f GB\n\n", m->name, m->spec_summary, m->target,
           pool_threads(b->s->pool), b->s->weights.random ? "random" : "packed",
           (double)b->s->weights.bytes / 1e9);
    printf("%-12s %10s  %24s %10s %9s %8s\n", "test", "tokens/s", "min .. max       ", "ms/token",
           "GB/s", "of read");
    for (int i = 0; i < n; i++)
        print_row(b, &r[i]);
    if (b->s->gpu)
        printf("\n%s: memory copied at %.2f GB/s before, %.2f GB/s after (bytes read and written); "
               "%s\n",
               gpu_words(b->s->gpu), b->before / 1e9, b->after / 1e9, gpu_code(b->s->gpu));
    else
        printf("\nmemory read by %d threads: %.2f GB/s before, %.2f GB/s after\n",
               pool_threads(b->s->pool), b->before / 1e9, b->after / 1e9);
}

static void print_json_result(const Bench *b, const Result *r)
{
    double m = median(r);
    printf("{\"test\": \"%s\", \"tokens\": %d, \"sequences\": %d, \"tokens_per_second\": %.4f, "
           "\"min\": %.4f, \"max\": %.4f, \"ms_per_token\": %.6f",
           r->name, r->tokens, r->sequences, speed(r, m), speed(r, r->seconds[r->n - 1]),
           speed(r, r->seconds[0]), m * 1e3 / r->tokens);
    if (r->bytes > 0 && bandwidth(b) > 0)
        printf(", \"bytes_per_second\": %.0f, \"of_read_bandwidth\": %.4f", bytes_per_second(r),
               bytes_per_second(r) / bandwidth(b));
    putchar('}');
}

static void print_json(const Bench *b, const Result *r, int n)
{
    const SinterModel *m = b->s->model;
    printf("{\"model\": ");
    json_string(m->name);
    printf(", \"target\": ");
    json_string(m->target);
    printf(", \"spec\": ");
    json_string(m->spec_summary);
    printf(", \"threads\": %d, \"random_weights\": %s, \"weights_bytes\": %zu, \"depth\": %d, "
           "\"read_bandwidth_before\": %.0f, \"read_bandwidth_after\": %.0f, \"results\": [",
           pool_threads(b->s->pool), b->s->weights.random ? "true" : "false", b->s->weights.bytes,
           b->args->bench_depth, b->before, b->after);
    for (int i = 0; i < n; i++) {
        if (i)
            fputs(", ", stdout);
        print_json_result(b, &r[i]);
    }
    printf("]}\n");
}

/* ---- profile --------------------------------------------------------------------------------- */

/* Totals of `runs` steps of one entry, at `pos` positions on average. */
static void print_profile(const Bench *b, const SinterEntry *e, const char *name, int runs,
                          double pos)
{
    const SinterModel *m = b->s->model;
    const uint64_t *ns = b->s->profile;
    uint64_t total = 0;
    for (int i = e->first_step; i < e->first_step + e->n_steps; i++)
        total += ns[i];
    printf("\n%s: %.3f ms a step\n%-36s %6s %10s %10s %9s %9s %7s\n", name,
           (double)total / 1e6 / runs, "kernel", "calls", "us", "MB", "GB/s", "GFLOP/s", "share");
    for (int i = e->first_step; i < e->first_step + e->n_steps; i++) {
        const SinterKernelInfo *k = &m->steps[i];
        double seconds = (double)ns[i] / 1e9 / runs, safe = seconds > 0 ? seconds : 1;
        double bytes = k->weight_bytes + k->activation_bytes + k->kv_bytes_per_pos * pos;
        printf("%-36s %6d %10.2f %10.3f %9.2f %9.1f %5.1f %%\n", k->name, k->calls, seconds * 1e6,
               bytes / 1e6, bytes / safe / 1e9, k->flops / safe / 1e9,
               total ? 100.0 * (double)ns[i] / (double)total : 0);
    }
}

static SinterStatus profile(Bench *b, BenchFn fn, const SinterEntry *e, const Result *r, int steps)
{
    size_t n = (size_t)b->s->model->n_steps;
    uint64_t *ns = calloc(n ? n : 1, sizeof *ns);
    if (!ns)
        return message_set(&b->s->error, SINTER_ENVIRONMENT, "no memory for the profile");
    SinterStatus status = fill_depth(b);
    b->s->profile = ns;
    if (!status)
        status = fn(b, r->tokens);
    if (!status)
        print_profile(b, e, r->name, steps, b->args->bench_depth + r->tokens / 2.0);
    b->s->profile = NULL;
    free(ns);
    return status;
}

static SinterStatus profile_all(Bench *b, const Result *r, int n)
{
    SinterStatus status = SINTER_OK;
    const SinterEntry *prefill = &b->s->model->prefill;
    const SinterEntry *decode = engine_decode_entry(b->s, b->args->batch);
    for (int i = 0; !status && i < n; i++) {
        if (r[i].name[0] == 'p' && prefill->fn)
            status = profile(b, run_prefill, prefill, &r[i],
                             (r[i].tokens + prefill->rows - 1) / prefill->rows);
        else if (r[i].name[0] == 't' && decode)
            status = profile(b, run_decode, decode, &r[i], r[i].tokens);
    }
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static Result make_result(const char *kind, int tokens, int sequences, int depth, double *seconds)
{
    Result r = {.tokens = tokens, .sequences = sequences, .seconds = seconds};
    int n = snprintf(r.name, sizeof r.name, "%s%d", kind, tokens);
    if (sequences > 1)
        n += snprintf(r.name + n, sizeof r.name - (size_t)n, "x%d", sequences);
    if (depth > 0)
        snprintf(r.name + n, sizeof r.name - (size_t)n, "@%d", depth);
    return r;
}

/* Of the memory that holds the weights: read by the CPU's threads, or copied by the GPU. */
static double probe(const Bench *b)
{
    return b->s->gpu ? gpu_bandwidth(b->s->gpu) : bandwidth_probe(b->s->pool);
}

static SinterStatus measure_all(Bench *b, double *seconds, int prompt, int decode)
{
    const CliArgs *a = b->args;
    Result r[2];
    int n = 0;
    SinterStatus status = SINTER_OK;
    b->before = probe(b);
    if (prompt > 0) {
        r[n] = make_result("pp", prompt, 1, a->bench_depth, seconds);
        status = measure(b, run_prefill, &r[n++]);
    }
    if (!status && decode > 0) {
        r[n] = make_result("tg", decode, a->batch, a->bench_depth, seconds + a->repeats);
        status = measure(b, run_decode, &r[n++]);
    }
    if (status)
        return status;
    b->after = probe(b);
    if (!a->quiet)
        progress_clear();
    if (a->json)
        print_json(b, r, n);
    else
        print_table(b, r, n);
    return a->profile && !a->json ? profile_all(b, r, n) : SINTER_OK;
}

/* What was asked for, else the usual length, cut to what the context has room for. */
static int test_tokens(const Bench *b, int asked, int usual)
{
    int room = sinter_context(b->s) - b->args->bench_depth;
    return asked >= 0 ? asked : usual < room ? usual : room;
}

static SinterStatus prepare(Bench *b)
{
    Sinter *s = b->s;
    int context = sinter_context(s);
    uint64_t state = 1;
    if (b->args->bench_depth >= context)
        return message_set(&s->error, SINTER_BAD_INPUT,
                           "--depth %d leaves no room in the context of %d", b->args->bench_depth,
                           context);
    for (int k = 0; k < b->args->batch; k++)
        if (!(b->q[k] = sinter_sequence(s)))
            return SINTER_ENVIRONMENT;
    b->ids = malloc((size_t)context * sizeof *b->ids);
    for (int i = 0; b->ids && i < context; i++)
        b->ids[i] = (int32_t)(random_next(&state) % (uint64_t)s->model->vocab);
    return b->ids ? SINTER_OK : message_set(&s->error, SINTER_ENVIRONMENT, "no memory for the ids");
}

SinterStatus bench_run(Sinter *s, const CliArgs *a)
{
    Bench b = {.s = s, .args = a};
    double *seconds = calloc((size_t)a->repeats * 2, sizeof *seconds);
    SinterStatus status = seconds ? prepare(&b) : SINTER_ENVIRONMENT;
    int prompt = test_tokens(&b, a->bench_prompt, DEFAULT_PROMPT);
    int decode = test_tokens(&b, a->bench_n, DEFAULT_DECODE);
    if (!status && prompt > sinter_context(s) - a->bench_depth)
        status = message_set(&s->error, SINTER_BAD_INPUT, "-p %d does not fit the context of %d",
                             prompt, sinter_context(s));
    if (!status)
        status = measure_all(&b, seconds, prompt, decode);
    free(seconds);
    free(b.ids);
    return status;
}
