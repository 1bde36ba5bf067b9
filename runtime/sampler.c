/* sampler.c - see sampler.h.
 *
 * top-k and top-p need the largest candidates, not their order: both partition an array of
 * candidates as quickselect does, so a pick costs a few passes over the vocabulary. Among those
 * kept the draw goes by id. Weights are integers, so that their sums depend on no order, and the
 * exponential is spelled out: templates/cuda/sample.cu does the same and finds the same id. */
#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

typedef struct Candidate {
    float logit;
    int32_t id;
    uint64_t weight; /* exp((logit - max) / temperature), see weight_of */
} Candidate;

struct Sampler {
    int vocab;
    Candidate *c;   /* [vocab] */
    int32_t *by_id; /* [vocab] a candidate's index + 1, 0: not kept */
};

Sampler *sampler_create(int vocab)
{
    Sampler *s = malloc(sizeof *s);
    Candidate *c = calloc((size_t)vocab, sizeof *c);
    int32_t *by_id = calloc((size_t)vocab, sizeof *by_id);
    if (!s || !c || !by_id) {
        free(s);
        free(c);
        free(by_id);
        return NULL;
    }
    *s = (Sampler){.vocab = vocab, .c = c, .by_id = by_id};
    return s;
}

void sampler_destroy(Sampler *s)
{
    if (s) {
        free(s->c);
        free(s->by_id);
    }
    free(s);
}

static int32_t largest(const float *logits, int n)
{
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++)
        if (logits[i] > -INFINITY && (best < 0 || logits[i] > logits[best]))
            best = i;
    return best;
}

static void swap(Candidate *a, Candidate *b)
{
    Candidate t = *a;
    *a = *b;
    *b = t;
}

/* Larger logit first, then smaller id: a strict order, so that every selection is determined. */
static int before(const Candidate *a, const Candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

/* c[0..n) so that those before the pivot come first; their number. The pivot (middle of three) then
 * stands at that index. */
static int partition(Candidate *c, int n)
{
    int mid = n / 2, last = n - 1;
    if (before(&c[mid], &c[0]))
        swap(&c[mid], &c[0]);
    if (before(&c[last], &c[0]))
        swap(&c[last], &c[0]);
    if (before(&c[mid], &c[last]))
        swap(&c[mid], &c[last]);
    int k = 0;
    for (int i = 0; i < last; i++)
        if (before(&c[i], &c[last]))
            swap(&c[i], &c[k++]);
    swap(&c[k], &c[last]);
    return k;
}

/* Brings the k largest to the front. */
static void select_count(Candidate *c, int n, int k)
{
    int lo = 0, hi = n;
    while (hi - lo > 1 && k > lo && k < hi) {
        int p = lo + partition(c + lo, hi - lo);
        if (p < k)
            lo = p + 1;
        else
            hi = p;
    }
}

/* Brings the smallest set of largest candidates whose weights reach `want` to the front; its size.
 */
static int select_weight(Candidate *c, int n, uint64_t want)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int p = lo + partition(c + lo, hi - lo);
        uint64_t above = 0;
        for (int i = lo; i < p; i++)
            above += c[i].weight;
        if (above >= want) {
            hi = p;
            continue;
        }
        lo = p + 1;
        if (above + c[p].weight >= want)
            return lo;
        want -= above + c[p].weight;
    }
    return lo > 0 ? lo : 1;
}

/* exp(x) in units of 2^-44 for x <= 0, so that half a million weights add up in 64 bits: a power of
 * two times Taylor's series. One rounding a statement, so that no compiler joins a product and a
 * sum. */
static uint64_t weight_of(double x)
{
    enum { TERMS = 13, DROP = 52 - 44 };
    static const double factor[TERMS] = {1.0 / 479001600,
                                         1.0 / 39916800,
                                         1.0 / 3628800,
                                         1.0 / 362880,
                                         1.0 / 40320,
                                         1.0 / 5040,
                                         1.0 / 720,
                                         1.0 / 120,
                                         1.0 / 24,
                                         1.0 / 6,
                                         1.0 / 2,
                                         1.0,
                                         1.0};
    if (x < -32)
        return 0;
    double n = x * 1.4426950408889634;
    n = floor(n + 0.5);
    double r = n * 0.69314718055994531;
    r = x - r;
    double sum = factor[0];
    for (int i = 1; i < TERMS; i++) {
        sum = sum * r;
        sum = sum + factor[i];
    }
    return (uint64_t)(sum * 0x1p52) >> (DROP - (int)n);
}

static uint64_t weigh(Candidate *c, int n, float max, float temperature)
{
    uint64_t sum = 0;
    const double inverse = 1 / (double)temperature;
    for (int i = 0; i < n; i++) {
        c[i].weight = weight_of(((double)c[i].logit - (double)max) * inverse);
        sum += c[i].weight;
    }
    return sum;
}

static int collect(Candidate *c, const float *logits, int vocab)
{
    int n = 0;
    for (int32_t i = 0; i < vocab; i++)
        if (logits[i] > -INFINITY)
            c[n++] = (Candidate){.logit = logits[i], .id = i};
    return n;
}

/* The id at u of the way through the n candidates, which stand in any order, taken by id. */
static int32_t draw(Candidate *c, int n, double u, int32_t *by_id, int vocab)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += c[i].weight;
    uint64_t at = (uint64_t)(u * (double)sum);
    if (at >= sum)
        at = sum - 1;
    memset(by_id, 0, (size_t)vocab * sizeof *by_id);
    for (int i = 0; i < n; i++)
        by_id[c[i].id] = i + 1;
    for (int32_t id = 0; id < vocab; id++) {
        uint64_t weight = by_id[id] ? c[by_id[id] - 1].weight : 0;
        if (at < weight)
            return id;
        at -= weight;
    }
    return -1;
}

int32_t sampler_pick(Sampler *s, const float *logits, SinterSampling *p)
{
    int32_t best = largest(logits, s->vocab);
    double u = random_unit(&p->seed);
    if (best < 0 || !(p->temperature > 0) || p->top_k == 1 || isinf(logits[best]))
        return best;
    Candidate *c = s->c;
    int n = collect(c, logits, s->vocab);
    if (p->top_k > 0 && p->top_k < n) {
        select_count(c, n, p->top_k);
        n = p->top_k;
    }
    uint64_t sum = weigh(c, n, logits[best], p->temperature);
    if (p->top_p < 1)
        n = select_weight(c, n, p->top_p > 0 ? (uint64_t)((double)p->top_p * (double)sum) : 0);
    return draw(c, n, u, s->by_id, s->vocab);
}
