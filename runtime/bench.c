/* bench.c - tokens/s of prefill (pp) and decode (tg), and how much of the memory's bandwidth decode
 * uses: the bandwidth is probed right before and right after, with the same threads. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "random.h"

enum { DEFAULT_PROMPT = 512, DEFAULT_DECODE = 128, PREFILLS = 16 };

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

/* Of rows that the host would take longer to send than the GPU takes for them: only the GPU's time
 * is the run's, so many times that of a step. */
static SinterStatus run_rows(Bench *b, Result *r, const SinterEntry *e, int n, int times)
{
    double seconds = 0;
    uint64_t start = sinter_now_ns();
    SinterStatus status = engine_repeat_rows(b->q[0], e, n, times > 1 ? times : PREFILLS, &seconds);
    r->aside = (double)(sinter_now_ns() - start) / 1e9 - seconds * times;
    return status;
}

static int rows_on_gpu(const Bench *b)
{
    return b->s->gpu && b->s->input && !b->s->profile;
}

static SinterStatus run_prefill(Bench *b, Result *r)
{
    if (rows_on_gpu(b) && r->tokens <= b->s->model->prefill.rows)
        return run_rows(b, r, &b->s->model->prefill, r->tokens, 1);
    return sinter_feed(b->q[0], b->ids, (size_t)r->tokens);
}

static int want_more(void *user, const int32_t *ids)
{
    (void)user;
    (void)ids;
    return 0;
}

/* From embedding to the likeliest id, which is the next step's token: nothing passes the host. */
static SinterStatus run_draws(Bench *b, int tokens)
{
    static const SinterSampling greedy = {.top_p = 1};
    SinterSampling sampling[SINTER_MAX_BATCH];
    for (int k = 0; k < b->args->batch; k++)
        sampling[k] = greedy;
    return sinter_continue(b->q, b->args->batch, b->ids, sampling, tokens, want_more, NULL);
}

SinterStatus bench_step(Bench *b, int i)
{
    int32_t id[SINTER_MAX_BATCH];
    for (int k = 0; k < b->args->batch; k++)
        id[k] = b->ids[(i + k) % sinter_context(b->s)];
    return sinter_step(b->q, id, b->args->batch);
}

static SinterStatus run_decode(Bench *b, Result *r)
{
    SinterStatus status = SINTER_OK;
    const SinterEntry *e = engine_decode_entry(b->s, b->args->batch);
    if (rows_on_gpu(b) && e)
        return run_rows(b, r, e, b->args->batch, r->tokens);
    if (b->s->gpu && b->s->model->gpu->sample)
        return run_draws(b, r->tokens);
    if (b->reads && !b->s->profile)
        return bench_decode_beside_reads(b, r);
    for (int i = 0; !status && i < r->tokens; i++)
        status = bench_step(b, i);
    return status;
}

typedef SinterStatus (*BenchFn)(Bench *b, Result *r);

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
        r->aside = 0, r->n_shares = i <= 0 ? 0 : r->n_shares;
        uint64_t start = sinter_now_ns();
        if (!status)
            status = fn(b, r);
        if (status)
            return status;
        if (!b->args->quiet)
            progress_show(r->name, i + 2, b->args->repeats + 1);
        if (i < 0)
            continue;
        r->seconds[r->n++] = (double)(sinter_now_ns() - start) / 1e9 - r->aside;
        r->bytes += s->bytes_read - bytes;
    }
    qsort(r->seconds, (size_t)r->n, sizeof *r->seconds, compare_doubles);
    if (r->n_shares > 0)
        qsort(r->shares, (size_t)r->n_shares, sizeof *r->shares, compare_doubles);
    return SINTER_OK;
}

/* Events gave the whole step's time to its first phase: shared out as its blocks' clocks say. */
static void share_step(BenchProfile *p)
{
    const SinterWhole *w = p->stamps.whole;
    double sum = 0;
    for (int i = 0; w && i < SINTER_STEP_PHASES; i++)
        sum += p->stamps.phase[i].all;
    double of_second = sum > 0 ? (double)p->ns[w->step[0]] / sum : 0;
    for (int i = 0; of_second > 0 && i < SINTER_STEP_PHASES; i++)
        p->ns[w->step[i]] = (uint64_t)(p->stamps.phase[i].all * of_second);
}

static SinterStatus read_stamps(Bench *b, BenchProfile *p)
{
    SinterStatus status = SINTER_OK;
    if (b->s->gpu)
        status = gpu_stamps_read(b->s->gpu, &p->stamps, &b->s->error);
    if (!status)
        share_step(p);
    return status;
}

/* One more run of a test with a look at each kernel. */
static SinterStatus profile(Bench *b, BenchFn fn, const SinterEntry *e, Result *r, int steps)
{
    size_t n = (size_t)b->s->model->n_steps + 1;
    r->profile.ns = calloc(n, sizeof *r->profile.ns);
    if (!r->profile.ns)
        return message_set(&b->s->error, SINTER_ENVIRONMENT, "no memory for the profile");
    SinterStatus status = fill_depth(b);
    if (!status && b->s->gpu)
        status = gpu_stamps_clear(b->s->gpu, &b->s->error);
    b->s->profile = r->profile.ns;
    if (!status)
        status = fn(b, r);
    b->s->profile = NULL;
    if (!status)
        status = read_stamps(b, &r->profile);
    r->profile.entry = e;
    r->profile.steps = steps;
    r->profile.pos = b->args->bench_depth + r->tokens / 2.0;
    return status;
}

static SinterStatus profile_all(Bench *b, Result *r, int n)
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

/* What --probe-steps needs for the test of decode. */
static SinterStatus prepare_reads(Bench *b, Result *r)
{
    if (b->s->gpu)
        return message_set(
            &b->s->error, SINTER_BAD_INPUT,
            "--probe-steps: reads between steps are for programs of the CPU; leave it out");
    b->reads = bandwidth_open(b->s->pool);
    r->shares = calloc((size_t)b->args->repeats * (size_t)r->tokens, sizeof *r->shares);
    return b->reads && r->shares ? SINTER_OK
                                 : message_set(&b->s->error, SINTER_ENVIRONMENT,
                                               "no memory for the reads of --probe-steps");
}

static SinterStatus run_tests(Bench *b, Result *r, int n)
{
    SinterStatus status = SINTER_OK;
    b->before = probe(b);
    for (int i = 0; !status && i < n; i++)
        status = measure(b, r[i].name[0] == 'p' ? run_prefill : run_decode, &r[i]);
    b->after = probe(b);
    return !status && b->args->profile ? profile_all(b, r, n) : status;
}

static SinterStatus measure_all(Bench *b, double *seconds, int prompt, int decode)
{
    const CliArgs *a = b->args;
    Result r[2] = {0};
    int n = 0;
    if (prompt > 0)
        r[n++] = make_result("pp", prompt, 1, a->bench_depth, seconds);
    if (decode > 0)
        r[n++] = make_result("tg", decode, a->batch, a->bench_depth, seconds + a->repeats);
    SinterStatus status = SINTER_OK;
    if (decode > 0 && a->probe_steps)
        status = prepare_reads(b, &r[n - 1]);
    if (!status)
        status = run_tests(b, r, n);
    bandwidth_close(b->reads);
    if (!a->quiet)
        progress_clear();
    if (!status)
        bench_print(b, r, n);
    for (int i = 0; i < n; i++) {
        free(r[i].profile.ns);
        free(r[i].shares);
    }
    return status;
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
    Bench b = {.s = s, .args = a, .peak = (double)a->peak * 1e9};
    if (b.peak <= 0 && s->gpu)
        b.peak = gpu_peak(s->gpu);
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
