/* device.c - what the runtime does on the GPU, against what it does on the host. Linked with a
 * compiled program's sources (tests/gpu/device.sh) it is that program with other commands:
 *
 *   device draw            ids drawn from random logits: the sampler's, one by one
 *   device story           ids that feed the next step on the GPU: those of a step and a draw in
 * turn device random          random weights: the same bytes device write FILE      a file of
 * weights for this program, to see how fast it is uploaded
 *
 * Exit code 1 and a line when something differs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_parts.h"
#include "engine.h"
#include "random.h"

enum { ROWS = 3, DRAWS = 12 };

static Message message;

static int failed(const char *what)
{
    fprintf(stderr, "FAILED: %s %s\n", what, message.text);
    return 1;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Logits of different kinds: a bell, many ties, few numbers, all equal, one far above. */
static void make_logits(float *x, int n, int kind, uint64_t *state)
{
    for (int i = 0; i < n; i++) {
        float z = 0;
        for (int k = 0; k < 6; k++)
            z += (float)random_unit(state) - 0.5f;
        x[i] = kind == 0   ? 4 * z
               : kind == 1 ? (float)(int)(6 * z) / 4
               : kind == 2 ? (random_next(state) % 3   ? NAN
                              : random_next(state) % 3 ? -INFINITY
                                                       : z)
               : kind == 3 ? -0.0f * (float)(i % 2)
                           : z - 30 * (float)(i != n / 3);
    }
}

static SinterSampling make_sampling(uint64_t *state, int n)
{
    static const float temperatures[] = {0, 0.3f, 0.8f, 1, 1.7f};
    SinterSampling s = {temperatures[random_next(state) % 5], 0, 1, random_next(state)};
    if (random_next(state) % 2)
        s.top_k = (int)(random_next(state) % (random_next(state) % 2 ? 64 : (uint64_t)n + 9));
    if (random_next(state) % 2)
        s.top_p = (float)(random_next(state) % 1000) / 999;
    return s;
}

typedef struct Place {
    CuPointer logits, state, tokens, pos, work;
    int32_t *ring;
} Place;

static int make_place(SinterGpu *g, Place *p, size_t vocab)
{
    size_t work = ROWS * g->model->gpu->sample_work;
    p->logits = gpu_device_alloc(g, ROWS * vocab * sizeof(float), "logits", &message);
    p->state = gpu_device_alloc(g, ROWS * sizeof(SinterSample), "state", &message);
    p->tokens = gpu_device_alloc(g, ROWS * 4, "tokens", &message);
    p->pos = gpu_device_alloc(g, ROWS * 4, "positions", &message);
    p->work = gpu_device_alloc(g, work, "work", &message);
    p->ring = gpu_host_alloc(g, SINTER_RING * SINTER_MAX_BATCH * sizeof *p->ring, &message);
    return p->logits && p->state && p->tokens && p->pos && p->work && p->ring;
}

static void enqueue(SinterGpu *g, const Place *p)
{
    SinterRun run = {.gpu = g};
    g->model->gpu->sample(&run, (const float *)(uintptr_t)p->logits,
                          (SinterSample *)(uintptr_t)p->state, (int32_t *)(uintptr_t)p->tokens,
                          (int32_t *)(uintptr_t)p->pos, (void *)(uintptr_t)p->work, p->ring, ROWS);
}

static int compare_draws(const float *x, int vocab, const Place *p, SinterSampling *s)
{
    Sampler *sampler = sampler_create(vocab);
    int wrong = 0;
    for (int r = 0; r < ROWS; r++) {
        SinterSampling was = s[r];
        for (int i = 0; i < DRAWS; i++) {
            int32_t want = sampler_pick(sampler, x + (size_t)r * (size_t)vocab, &s[r]);
            int32_t got = p->ring[i % SINTER_RING * SINTER_MAX_BATCH + r];
            if (want != got && wrong++ < 3)
                fprintf(
                    stderr,
                    "FAILED: row %d draw %d: %d, the host %d (temperature %g top_k %d top_p %g)\n",
                    r, i, got, want, (double)was.temperature, was.top_k, (double)was.top_p);
        }
    }
    sampler_destroy(sampler);
    return wrong;
}

static int draw_round(SinterGpu *g, const Place *p, float *x, int kind, uint64_t *seed)
{
    SinterSampling s[ROWS];
    SinterSample state[ROWS];
    int32_t pos[ROWS] = {0};
    size_t vocab = (size_t)g->model->vocab;
    for (int r = 0; r < ROWS; r++) {
        make_logits(x + (size_t)r * vocab, (int)vocab, kind, seed);
        s[r] = make_sampling(seed, (int)vocab);
        state[r] = (SinterSample){s[r].seed, s[r].temperature, s[r].top_k, s[r].top_p, 0};
    }
    int error = g->d.to_device(p->logits, x, ROWS * vocab * sizeof *x, g->stream);
    error |= g->d.to_device(p->state, state, sizeof state, g->stream);
    error |= g->d.to_device(p->pos, pos, sizeof pos, g->stream);
    for (int i = 0; i < DRAWS; i++)
        enqueue(g, p);
    error |= g->d.stream_wait(g->stream);
    if (error || g->error)
        return failed("a launch") + 1000;
    return compare_draws(x, (int)vocab, p, s);
}

static void time_draws(SinterGpu *g, const Place *p, float temperature, int top_k, float top_p)
{
    enum { TIMES = 50 };
    SinterSample state[ROWS];
    for (int r = 0; r < ROWS; r++)
        state[r] = (SinterSample){1, temperature, top_k, top_p, 0};
    CuHandle from, to;
    float ms = 0;
    g->d.to_device(p->state, state, sizeof state, g->stream);
    g->d.event_create(&from, 0);
    g->d.event_create(&to, 0);
    for (int i = -5; i < TIMES; i++) {
        if (i == 0)
            g->d.event_record(from, g->stream);
        enqueue(g, p);
    }
    g->d.event_record(to, g->stream);
    g->d.stream_wait(g->stream);
    g->d.event_elapsed(&ms, from, to);
    printf("temperature %g top_k %d top_p %g: %.2f us for %d rows\n", (double)temperature, top_k,
           (double)top_p, (double)ms * 1e3 / TIMES, ROWS);
}

static int test_draw(SinterGpu *g)
{
    Place p;
    uint64_t seed = getenv("SINTER_SEED") ? strtoull(getenv("SINTER_SEED"), NULL, 10) : 1;
    size_t vocab = (size_t)g->model->vocab;
    float *x = malloc(ROWS * vocab * sizeof *x);
    int wrong = 0, rounds = vocab > 10000 ? 20 : 100;
    if (!x || !make_place(g, &p, vocab))
        return failed("memory");
    for (int i = 0; i < rounds && wrong < 10; i++)
        wrong += draw_round(g, &p, x, i % 5, &seed);
    printf("draws of %d ids: %d wrong in %d\n", (int)vocab, wrong, rounds * ROWS * DRAWS);
    make_logits(x, (int)(ROWS * vocab), 0, &seed);
    g->d.to_device(p.logits, x, ROWS * vocab * sizeof *x, g->stream);
    time_draws(g, &p, 0, 0, 1);
    time_draws(g, &p, 1, 0, 1);
    time_draws(g, &p, 1, 40, 1);
    time_draws(g, &p, 1, 0, 0.9f);
    time_draws(g, &p, 1, 40, 0.9f);
    free(x);
    return wrong != 0;
}

/* ---- steps that feed themselves -------------------------------------------------------------- */

enum { STORY = 64 };

typedef struct Ids {
    int32_t id[STORY][SINTER_MAX_BATCH];
    int n, rows, stop;
} Ids;

static int keep(void *user, const int32_t *ids)
{
    Ids *k = user;
    memcpy(k->id[k->n++], ids, (size_t)k->rows * sizeof *ids);
    return k->n == k->stop;
}

static SinterStatus in_turn(SinterSequence **q, int rows, const int32_t *first, SinterSampling *s,
                            Ids *out)
{
    int32_t ids[SINTER_MAX_BATCH];
    memcpy(ids, first, (size_t)rows * sizeof *ids);
    for (out->n = 0; out->n < out->stop;) {
        SinterStatus status = sinter_step(q, ids, rows);
        if (status)
            return status;
        for (int r = 0; r < rows; r++)
            ids[r] = sinter_sample(q[r], &s[r]);
        keep(out, ids);
    }
    return SINTER_OK;
}

static int story_round(SinterSequence **q, int rows, float temperature, int top_k, float top_p)
{
    static Ids a, b;
    int32_t first[SINTER_MAX_BATCH];
    SinterSampling s[SINTER_MAX_BATCH], t[SINTER_MAX_BATCH];
    for (int r = 0; r < rows; r++) {
        const int32_t prompt[3] = {1 + r, 7, 9};
        sinter_sequence_reset(q[r]);
        sinter_feed(q[r], prompt, 3);
        first[r] = 11 + r;
        s[r] = t[r] = (SinterSampling){temperature, top_k, top_p, 100 + (uint64_t)r};
    }
    a = (Ids){.rows = rows, .stop = STORY - 1};
    b = a;
    SinterStatus status = sinter_continue(q, rows, first, s, STORY, keep, &a);
    int length = sinter_sequence_length(q[0]);
    for (int r = 0; r < rows; r++) {
        const int32_t prompt[3] = {1 + r, 7, 9};
        sinter_sequence_reset(q[r]);
        sinter_feed(q[r], prompt, 3);
    }
    if (!status)
        status = in_turn(q, rows, first, t, &b);
    int same = a.n == b.n && memcmp(a.id, b.id, sizeof a.id) == 0 && s[0].seed == t[0].seed &&
               length == sinter_sequence_length(q[0]);
    fprintf(status || !same ? stderr : stdout,
            "%s: story of %d rows, temperature %g top_k %d top_p %g: %d %d %d ...\n",
            status ? "FAILED"
            : same ? "ok"
                   : "FAILED",
            rows, (double)temperature, top_k, (double)top_p, a.id[0][0], a.id[1][0], a.id[2][0]);
    return status || !same;
}

static int test_story(void)
{
    Sinter *s = NULL;
    SinterSequence *q[2];
    const SinterOptions o = {.max_sequences = 2, .random_seed = 5};
    int wrong = 0;
    if (sinter_open(&s, NULL, &o))
        fprintf(stderr, "FAILED: %s\n", sinter_error(s));
    else if (!(q[0] = sinter_sequence(s)) || !(q[1] = sinter_sequence(s)))
        wrong = 1;
    else
        wrong = story_round(q, 1, 0, 0, 1) + story_round(q, 2, 0, 0, 1) +
                story_round(q, 1, 1, 0, 1) + story_round(q, 2, 0.8f, 40, 0.95f);
    wrong += sinter_error(s)[0] != 0;
    if (wrong)
        fprintf(stderr, "%s\n", sinter_error(s));
    sinter_close(s);
    return wrong != 0;
}

/* ---- weights --------------------------------------------------------------------------------- */

static int test_random(SinterGpu *g)
{
    Weights w;
    Pool *pool = pool_create(pool_default_threads());
    if (weights_random(&w, g->model, 9, pool, &message) || gpu_random(g, w.bytes, 9, &message))
        return failed("random weights");
    uint8_t *got = malloc(w.bytes);
    int wrong = 0, error = g->d.to_host(got, g->weights, w.bytes, g->stream);
    error |= g->d.stream_wait(g->stream);
    for (int i = 0; !error && i < g->model->n_tensors; i++) {
        const SinterTensorInfo *t = &g->model->tensors[i];
        if (memcmp(got + t->offset, w.data + t->offset, t->bytes) != 0 && wrong++ < 5)
            fprintf(stderr, "FAILED: %s (%s, kind %c) differs\n", t->name, t->type, t->fill);
    }
    printf("random weights: %d of %d tensors differ\n", wrong, g->model->n_tensors);
    free(got);
    pool_destroy(pool);
    return error || wrong;
}

static void put_table(uint8_t *out, const SinterModel *m, WeightsHeader *h)
{
    for (int i = 0; i < m->n_tensors; i++) {
        const SinterTensorInfo *t = &m->tensors[i];
        WeightsEntry e = {.offset = t->offset, .bytes = t->bytes};
        snprintf(e.name, sizeof e.name, "%s", t->name);
        snprintf(e.type, sizeof e.type, "%s", t->type);
        memcpy(out + sizeof *h + (size_t)i * sizeof e, &e, sizeof e);
    }
    memcpy(out, h, sizeof *h);
    h->header_checksum = weights_header_checksum(out, h->header_bytes);
    memcpy(out, h, sizeof *h);
}

/* Header and table are right, the tensors anything: for --skip-checksums. */
static int write_weights(const SinterModel *m, const char *path)
{
    enum { BLOCK = 64 << 20 };
    FILE *f = fopen(path, "wb");
    void *block = malloc(BLOCK);
    WeightsHeader h = {.n_tensors = (uint32_t)m->n_tensors, .layout_hash = m->layout_hash};
    memcpy(h.magic, WEIGHTS_MAGIC, sizeof h.magic);
    snprintf(h.model, sizeof h.model, "%s", m->name);
    snprintf(h.layout, sizeof h.layout, "%s", m->target);
    h.header_bytes = sizeof h + (uint64_t)m->n_tensors * sizeof(WeightsEntry);
    h.file_bytes = weights_random_bytes(m);
    if (!f || !block)
        return failed("cannot write");
    memset(block, 0x3c, BLOCK); /* 0.0115 in every float */
    for (uint64_t at = 0; at < h.file_bytes; at += BLOCK)
        fwrite(block, 1, h.file_bytes - at < BLOCK ? (size_t)(h.file_bytes - at) : BLOCK, f);
    uint8_t *head = calloc(1, (size_t)h.header_bytes);
    put_table(head, m, &h);
    int bad = fseek(f, 0, SEEK_SET) != 0 || fwrite(head, 1, h.header_bytes, f) != h.header_bytes;
    return fclose(f) != 0 || bad ? failed("cannot write") : 0;
}

/* ---- commands -------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(what, "write") == 0 && argc == 3)
        return write_weights(&sinter_model, argv[2]);
    if (strcmp(what, "story") == 0)
        return test_story();
    SinterGpu *g = NULL;
    int code = 2;
    if (gpu_open(&g, &sinter_model, 0, &message))
        printf("%s\n", message.text);
    else if (strcmp(what, "draw") == 0)
        code = test_draw(g);
    else if (strcmp(what, "random") == 0)
        code = test_random(g);
    else
        printf("device draw | story | random | write FILE\n");
    gpu_close(g);
    return code;
}
