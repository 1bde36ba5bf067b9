/* runtime_sampler.c - the sampler draws what it should, as often as it should, and the same again.
 */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/random.h"
#include "runtime/sampler.h"

enum { VOCAB = 6, DRAWS = 60000 };

static const float logits[VOCAB] = {0.0f, 2.0f, 1.0f, -1.0f, 2.0f, -INFINITY};

static void draw(SinterSampling p, double *share)
{
    Sampler *s = sampler_create(VOCAB);
    int count[VOCAB] = {0};
    for (int i = 0; i < DRAWS; i++) {
        int32_t id = sampler_pick(s, logits, &p);
        assert_in_range(id, 0, VOCAB - 1);
        count[id]++;
    }
    for (int i = 0; i < VOCAB; i++)
        share[i] = (double)count[i] / DRAWS;
    sampler_destroy(s);
}

/* Shares of the ids in `kept` as the softmax at this temperature has them. */
static void assert_shares(const double *share, const int *kept, float temperature)
{
    double sum = 0;
    for (int i = 0; i < VOCAB; i++)
        sum += kept[i] ? exp((double)(logits[i] / temperature)) : 0;
    for (int i = 0; i < VOCAB; i++) {
        double want = kept[i] ? exp((double)(logits[i] / temperature)) / sum : 0;
        if (fabs(share[i] - want) > 0.01 || (want == 0 && share[i] > 0))
            fail_msg("id %d drawn with share %.4f, expected %.4f", i, share[i], want);
    }
}

static void test_greedy(void **state)
{
    (void)state;
    double share[VOCAB];
    draw((SinterSampling){.temperature = 0, .top_p = 1}, share);
    assert_true(share[1] == 1); /* the first of equals */
}

static void test_temperature(void **state)
{
    (void)state;
    double share[VOCAB];
    const int all[VOCAB] = {1, 1, 1, 1, 1, 0};
    draw((SinterSampling){.temperature = 1, .top_p = 1, .seed = unit_seed()}, share);
    assert_shares(share, all, 1);
    draw((SinterSampling){.temperature = 2.5f, .top_p = 1, .seed = 2}, share);
    assert_shares(share, all, 2.5f);
}

static void test_top_k(void **state)
{
    (void)state;
    double share[VOCAB];
    const int three[VOCAB] = {0, 1, 1, 0, 1, 0}, one[VOCAB] = {0, 1, 0, 0, 0, 0};
    draw((SinterSampling){.temperature = 1, .top_k = 3, .top_p = 1, .seed = 3}, share);
    assert_shares(share, three, 1);
    draw((SinterSampling){.temperature = 1, .top_k = 1, .top_p = 1, .seed = 4}, share);
    assert_shares(share, one, 1);
}

/* Probabilities are .385 .385 .142 .052 .019: .8 takes three ids, .5 two, 0 one. */
static void test_top_p(void **state)
{
    (void)state;
    double share[VOCAB];
    const int three[VOCAB] = {0, 1, 1, 0, 1, 0}, two[VOCAB] = {0, 1, 0, 0, 1, 0};
    const int one[VOCAB] = {0, 1, 0, 0, 0, 0};
    draw((SinterSampling){.temperature = 1, .top_p = 0.8f, .seed = 5}, share);
    assert_shares(share, three, 1);
    draw((SinterSampling){.temperature = 1, .top_p = 0.5f, .seed = 6}, share);
    assert_shares(share, two, 1);
    draw((SinterSampling){.temperature = 1, .top_p = 0, .seed = 7}, share);
    assert_shares(share, one, 1);
}

/* On random logits, top-k and top-p keep exactly what sorting would keep. */
static void test_selection_against_sorting(void **state)
{
    (void)state;
    enum { N = 500 };
    uint64_t seed = unit_seed();
    Sampler *s = sampler_create(N);
    for (int round = 0; round < 300; round++) {
        float x[N];
        for (int i = 0; i < N; i++)
            x[i] = (float)(unit_random(&seed) % 64) / 8;
        SinterSampling p = {1, 1 + (int)(unit_random(&seed) % N), 1, unit_random(&seed)};
        p.top_p = (float)(unit_random(&seed) % 100) / 100;
        int32_t id = sampler_pick(s, x, &p);
        int better = 0;
        double above = 0, all = 0;
        for (int i = 0; i < N; i++) {
            int first = x[i] > x[id] || (x[i] == x[id] && i < id);
            better += first;
            above += first ? exp((double)x[i]) : 0;
            all += exp((double)x[i]);
        }
        assert_true(better < p.top_k);
        assert_true(above <= (double)p.top_p * all + 1e-9 * all);
    }
    sampler_destroy(s);
}

typedef struct Ranked {
    float logit;
    int id;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit ? 1 : -1) : x->id - y->id;
}

/* The id at u of the way through what sorting keeps, taken by id; *near: u is next to an edge. */
static int draw_by_sorting(const float *x, int n, const SinterSampling *p, double u, int *near)
{
    Ranked *r = malloc((size_t)n * sizeof *r);
    double *weight = calloc((size_t)n, sizeof *weight), all = 0, kept = 0, sum = 0;
    int keep = p->top_k > 0 && p->top_k < n ? p->top_k : n, found = -1, size = 0;
    for (int i = 0; i < n; i++)
        r[i] = (Ranked){x[i], i};
    qsort(r, (size_t)n, sizeof *r, compare_ranked);
    for (int i = 0; i < keep; i++)
        all += exp((double)(r[i].logit - r[0].logit) / (double)p->temperature);
    *near = 0;
    while (size < keep && (size == 0 || p->top_p >= 1 || kept < (double)p->top_p * all)) {
        weight[r[size].id] = exp((double)(r[size].logit - r[0].logit) / (double)p->temperature);
        kept += weight[r[size++].id];
        *near |= fabs(kept - (double)p->top_p * all) < 1e-9 * all;
    }
    for (int i = 0; i < n; i++) {
        sum += weight[i];
        *near |= fabs(sum - u * kept) < 1e-9 * kept;
        found = found < 0 && u * kept < sum ? i : found;
    }
    free(r);
    free(weight);
    return found;
}

/* Any selection, any seed: the id that sorting and the C library's exp find. */
static void test_draw_against_sorting(void **state)
{
    (void)state;
    enum { N = 300 };
    uint64_t seed = unit_seed();
    Sampler *s = sampler_create(N);
    for (int round = 0; round < 500; round++) {
        float x[N];
        for (int i = 0; i < N; i++)
            x[i] = (float)(unit_random(&seed) % 4096) / (round % 2 ? 128 : 512);
        SinterSampling p = {0.1f + (float)(unit_random(&seed) % 30) / 10, 0, 1, unit_random(&seed)};
        p.top_k = (int)(unit_random(&seed) % (N + 20));
        p.top_p = (float)(unit_random(&seed) % 120) / 100;
        uint64_t after = p.seed;
        int near, want = draw_by_sorting(x, N, &p, random_unit(&after), &near);
        int32_t id = sampler_pick(s, x, &p);
        assert_true(p.seed == after);
        if (p.top_k != 1 && !near)
            assert_int_equal(id, want);
    }
    sampler_destroy(s);
}

static void test_seed(void **state)
{
    (void)state;
    Sampler *s = sampler_create(VOCAB);
    SinterSampling a = {1, 0, 0.9f, 42}, b = a, c = {1, 0, 0.9f, 43};
    int same = 0;
    for (int i = 0; i < 200; i++) {
        int32_t x = sampler_pick(s, logits, &a);
        assert_int_equal(x, sampler_pick(s, logits, &b));
        same += x == sampler_pick(s, logits, &c);
    }
    assert_true(same < 150);
    sampler_destroy(s);
}

static void test_not_numbers(void **state)
{
    (void)state;
    Sampler *s = sampler_create(3);
    const float none[3] = {NAN, NAN, -INFINITY}, some[3] = {NAN, 1, NAN},
                huge[3] = {0, INFINITY, 1};
    SinterSampling greedy = {0, 0, 1, 1}, warm = {1, 2, 0.5f, 1};
    assert_int_equal(sampler_pick(s, none, &greedy), -1);
    assert_int_equal(sampler_pick(s, none, &warm), -1);
    assert_int_equal(sampler_pick(s, some, &greedy), 1);
    assert_int_equal(sampler_pick(s, some, &warm), 1);
    assert_int_equal(sampler_pick(s, huge, &warm), 1);
    sampler_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_selection_against_sorting),
        cmocka_unit_test(test_draw_against_sorting),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_not_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
