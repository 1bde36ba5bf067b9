/* bench_print.c - results of `x bench` as a table or JSON (bench.h). */
#include <stdio.h>

#include "bench.h"

/* ---- profile --------------------------------------------------------------------------------- */

/* One kernel of a profiled step. */
typedef struct Line {
    const char *name;
    int calls;
    double seconds, bytes, flops, share;
} Line;

/* Line i of the profile: the entry's kernels, then drawing the ids where the device does that. */
static Line profile_line(const Bench *b, const BenchProfile *p, int i)
{
    const SinterModel *m = b->s->model;
    const SinterEntry *e = p->entry;
    uint64_t total = p->ns[m->n_steps];
    for (int k = 0; k < e->n_steps; k++)
        total += p->ns[e->first_step + k];
    int at = i < e->n_steps ? e->first_step + i : m->n_steps;
    Line l = {.name = "sample_ids", .calls = 1, .bytes = 4.0 * m->vocab * e->rows};
    if (i < e->n_steps) {
        const SinterKernelInfo *k = &m->steps[at];
        l = (Line){.name = k->name, .calls = k->calls, .flops = k->flops};
        l.bytes = k->weight_bytes + k->activation_bytes + k->kv_bytes_per_pos * p->pos;
    }
    l.seconds = (double)p->ns[at] / 1e9 / p->steps;
    l.share = total ? (double)p->ns[at] / (double)total : 0;
    return l;
}

static int profile_lines(const Bench *b, const BenchProfile *p)
{
    return p->entry->n_steps + (p->ns[b->s->model->n_steps] > 0);
}

static double per_second(double x, double seconds)
{
    return seconds > 0 ? x / seconds : 0;
}

static void print_profile(const Bench *b, const Result *r)
{
    const BenchProfile *p = &r->profile;
    double total = 0;
    for (int i = 0; i < profile_lines(b, p); i++)
        total += profile_line(b, p, i).seconds;
    printf("\n%s: %.3f ms a step\n%-36s %6s %10s %10s %9s %9s %7s\n", r->name, total * 1e3,
           "kernel", "calls", "us", "MB", "GB/s", "GFLOP/s", "share");
    for (int i = 0; i < profile_lines(b, p); i++) {
        Line l = profile_line(b, p, i);
        printf("%-36s %6d %10.2f %10.3f %9.2f %9.1f %5.1f %%\n", l.name, l.calls, l.seconds * 1e6,
               l.bytes / 1e6, per_second(l.bytes, l.seconds) / 1e9,
               per_second(l.flops, l.seconds) / 1e9, 100 * l.share);
    }
}

static void print_json_profile(const Bench *b, const BenchProfile *p)
{
    fputs(", \"profile\": [", stdout);
    for (int i = 0; i < profile_lines(b, p); i++) {
        Line l = profile_line(b, p, i);
        printf("%s{\"kernel\": \"%s\", \"calls\": %d, \"seconds\": %.9f, \"bytes\": %.0f, "
               "\"bytes_per_second\": %.0f, \"flops_per_second\": %.0f, \"share\": %.4f}",
               i ? ", " : "", l.name, l.calls, l.seconds, l.bytes, per_second(l.bytes, l.seconds),
               per_second(l.flops, l.seconds), l.share);
    }
    putchar(']');
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

/* Of the steps, at `quarters` quarters of them: 2 is the median. */
static double share(const Result *r, int quarters)
{
    return r->shares[(r->n_shares - 1) * quarters / 4];
}

static void print_row(const Bench *b, const Result *r)
{
    double m = median(r);
    printf("%-12s %10.2f  %10.2f .. %-10.2f %10.3f", r->name, speed(r, m),
           speed(r, r->seconds[r->n - 1]), speed(r, r->seconds[0]), m * 1e3 / r->tokens);
    if (r->bytes > 0 && bandwidth(b) > 0)
        printf(" %9.2f %6.1f %%", bytes_per_second(r) / 1e9,
               100 * bytes_per_second(r) / bandwidth(b));
    if (r->bytes > 0 && b->peak > 0)
        printf(" %6.1f %%", 100 * bytes_per_second(r) / b->peak);
    putchar('\n');
    if (r->n_shares > 0)
        printf("%-12s a step's share of the reads beside it: %.1f %% (a quarter below %.1f, above "
               "%.1f)\n",
               "", 100 * share(r, 2), 100 * share(r, 1), 100 * share(r, 3));
}

/* What the GPU's memory and the link to it gave. */
static void print_gpu(const Bench *b)
{
    double seconds = gpu_load_seconds(b->s->gpu);
    printf(
        "\n%s: memory copied at %.2f GB/s before, %.2f GB/s after (bytes read and written); %s\n",
        gpu_words(b->s->gpu), b->before / 1e9, b->after / 1e9, gpu_code(b->s->gpu));
    if (seconds > 0)
        printf("weights uploaded in %.3f s: %.2f GB/s; a plain copy of pinned memory: %.2f GB/s\n",
               seconds, (double)b->s->weights.bytes / seconds / 1e9, gpu_link(b->s->gpu) / 1e9);
}

static void print_table(const Bench *b, const Result *r, int n)
{
    const SinterModel *m = b->s->model;
    printf("%s (%s)\n%s, %d threads, %s weights, %.3f GB\n\n", m->name, m->spec_summary, m->target,
           pool_threads(b->s->pool), b->s->weights.random ? "random" : "packed",
           (double)b->s->weights.bytes / 1e9);
    printf("%-12s %10s  %24s %10s %9s %8s%s\n", "test", "tokens/s", "min .. max       ", "ms/token",
           "GB/s", b->s->gpu ? "of copy" : "of read", b->peak > 0 ? "  of peak" : "");
    for (int i = 0; i < n; i++)
        print_row(b, &r[i]);
    if (b->s->gpu)
        print_gpu(b);
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
    if (r->bytes > 0 && b->peak > 0)
        printf(", \"of_peak\": %.4f", bytes_per_second(r) / b->peak);
    if (r->n_shares > 0)
        printf(", \"of_reads_beside\": [%.4f, %.4f, %.4f]", share(r, 1), share(r, 2), share(r, 3));
    if (r->profile.entry)
        print_json_profile(b, &r->profile);
    bench_print_json_phases(&r->profile);
    putchar('}');
}

static void print_json_gpu(const Bench *b)
{
    double seconds = gpu_load_seconds(b->s->gpu);
    fputs(", \"device\": ", stdout);
    json_string(gpu_words(b->s->gpu));
    fputs(", \"code\": ", stdout);
    json_string(gpu_code(b->s->gpu));
    printf(", \"peak_bandwidth\": %.0f", b->peak);
    if (seconds > 0)
        printf(", \"upload_bytes_per_second\": %.0f, \"link_bytes_per_second\": %.0f",
               (double)b->s->weights.bytes / seconds, gpu_link(b->s->gpu));
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
           "\"read_bandwidth_before\": %.0f, \"read_bandwidth_after\": %.0f",
           pool_threads(b->s->pool), b->s->weights.random ? "true" : "false", b->s->weights.bytes,
           b->args->bench_depth, b->before, b->after);
    if (b->s->gpu)
        print_json_gpu(b);
    fputs(", \"results\": [", stdout);
    for (int i = 0; i < n; i++) {
        if (i)
            fputs(", ", stdout);
        print_json_result(b, &r[i]);
    }
    printf("]}\n");
}

void bench_print(const Bench *b, const Result *r, int n)
{
    if (b->args->json) {
        print_json(b, r, n);
        return;
    }
    print_table(b, r, n);
    for (int i = 0; i < n; i++)
        if (r[i].profile.entry) {
            print_profile(b, &r[i]);
            bench_print_phases(&r[i].profile);
        }
}
