/* sampler.c - see sampler.h.
 *
 * top-k and top-p need the largest candidates, not their order: both partition an array of
 * candidates as quickselect does, so a pick costs a few passes over the vocabulary. */
#include "sampler.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

typedef struct Candidate {
    float logit;
    int32_t id;
    double weight; /* exp((logit - max) / temperature) */
} Candidate;

struct Sampler {
    int vocab;
    Candidate *c; /* [vocab] */
};

Sampler *sampler_create(int vocab)
{
    Sampler *s = malloc(sizeof *s);
    Candidate *c = calloc((size_t)vocab, sizeof *c);
    if (!s || !c) {
        free(s);
        free(c);
        return NULL;
    }
    *s = (Sampler){.vocab = vocab, .c = c};
    return s;
}

void sampler_destroy(Sampler *s)
{
    if (s)
        free(s->c);
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
static int select_weight(Candidate *c, int n, double want)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int p = lo + partition(c + lo, hi - lo);
        double above = 0;
        for (int i = lo; i < p; i++)
            above += c[i].weight;
        if (above >= want) {
            hi = p;
            continue;
        }
        want -= above + c[p].weight;
        lo = p + 1;
        if (want <= 0)
            return lo;
    }
    return lo > 0 ? lo : 1;
}

static double weigh(Candidate *c, int n, float max, float temperature)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        c[i].weight = exp(((double)c[i].logit - (double)max) / (double)temperature);
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
    double sum = weigh(c, n, logits[best], p->temperature);
    if (p->top_p < 1) {
        n = select_weight(c, n, sum * (p->top_p > 0 ? (double)p->top_p : 0));
        sum = 0;
        for (int i = 0; i < n; i++)
            sum += c[i].weight;
    }
    double at = u * sum;
    for (int i = 0; i < n; i++)
        if ((at -= c[i].weight) < 0)
            return c[i].id;
    return best; /* rounding left nothing: the largest is always among them */
}
