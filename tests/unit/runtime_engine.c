/* runtime_engine.c - the engine on the toy model: chunks, single ids and batches give the same
 * logits; whatever the caller gets wrong is said with figures; bits per byte is what it claims. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "runtime/commands.h"
#include "runtime/utf8.h"
#include "tests/runtime/blob.h"
#include "tests/runtime/toy_model.c"

enum { N_IDS = 23 }; /* chunks of 5: four whole ones and one of 3 */

static char path[64];
static int32_t ids[TOY_CONTEXT];
static Blob blob;

static int setup_file(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < TOY_CONTEXT; i++)
        ids[i] = (int32_t)(unit_random(&seed) % TOY_VOCAB);
    blob_byte_level(&blob, 0, "\\p{L}+");
    snprintf(path, sizeof path, "/tmp/sinter-toy-%ld.weights", (long)getpid());
    return toy_write_weights(path, blob.data, blob.n);
}

static int teardown_file(void **state)
{
    (void)state;
    return unlink(path);
}

static Sinter *open_toy(int threads, int sequences)
{
    Sinter *s = NULL;
    SinterOptions o = {.threads = threads, .max_sequences = sequences};
    if (sinter_open(&s, path, &o) != SINTER_OK)
        fail_msg("%s", sinter_error(s));
    return s;
}

static void assert_logits(const float *got, const int32_t *fed, size_t n)
{
    double want[TOY_VOCAB];
    toy_logits(fed, n, want);
    for (int i = 0; i < TOY_VOCAB; i++)
        if (!(fabs((double)got[i] - want[i]) < 1e-4))
            fail_msg("after %zu ids: logit %d is %g, expected %g", n, i, (double)got[i], want[i]);
}

static void test_prefill(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        Sinter *s = open_toy(threads, 1);
        SinterSequence *q = sinter_sequence(s);
        for (size_t n = 1; n <= N_IDS; n++) {
            sinter_sequence_reset(q);
            assert_int_equal(sinter_feed(q, ids, n), SINTER_OK);
            assert_int_equal(sinter_sequence_length(q), n);
            assert_logits(sinter_logits(q), ids, n);
        }
        sinter_close(s);
    }
}

static void test_token_by_token(void **state)
{
    (void)state;
    Sinter *s = open_toy(2, 1);
    SinterSequence *q = sinter_sequence(s);
    for (size_t n = 1; n <= TOY_CONTEXT; n++) {
        assert_int_equal(sinter_feed(q, &ids[n - 1], 1), SINTER_OK);
        assert_logits(sinter_logits(q), ids, n);
    }
    sinter_close(s);
}

static void test_pieces_of_any_size(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    Sinter *s = open_toy(2, 1);
    SinterSequence *q = sinter_sequence(s);
    for (int round = 0; round < 50; round++) {
        sinter_sequence_reset(q);
        for (size_t at = 0, n; at < N_IDS; at += n) {
            n = 1 + unit_random(&seed) % (N_IDS - at);
            assert_int_equal(sinter_feed(q, ids + at, n), SINTER_OK);
            assert_logits(sinter_logits(q), ids, at + n);
        }
    }
    sinter_close(s);
}

static void test_every_logit(void **state)
{
    (void)state;
    Sinter *s = open_toy(2, 1);
    SinterSequence *q = sinter_sequence(s);
    float *all = malloc(sizeof(float) * TOY_VOCAB * (N_IDS + 3));
    assert_int_equal(sinter_feed(q, ids, 2), SINTER_OK);
    assert_int_equal(sinter_feed_logits(q, ids + 2, N_IDS - 2, all), SINTER_OK);
    for (size_t n = 3; n <= N_IDS; n++)
        assert_logits(all + (n - 3) * TOY_VOCAB, ids, n);
    assert_logits(sinter_logits(q), ids, N_IDS);
    free(all);
    sinter_close(s);
}

/* Sequences of different lengths in one step, 1 to 8 of them: more than the largest decode entry
 * too. */
static void test_batches(void **state)
{
    (void)state;
    for (int n = 1; n <= SINTER_MAX_BATCH; n++) {
        Sinter *s = open_toy(2, SINTER_MAX_BATCH);
        SinterSequence *q[SINTER_MAX_BATCH];
        int32_t fed[SINTER_MAX_BATCH][TOY_CONTEXT];
        for (int k = 0; k < n; k++) {
            q[k] = sinter_sequence(s);
            memcpy(fed[k], ids, sizeof ids);
            assert_int_equal(sinter_feed(q[k], fed[k], (size_t)k + 1), SINTER_OK);
        }
        for (int step = 0; step < 6; step++) {
            int32_t next[SINTER_MAX_BATCH];
            for (int k = 0; k < n; k++)
                next[k] = fed[k][k + 1 + step] = (ids[step] + 11 * k) % TOY_VOCAB;
            assert_int_equal(sinter_step(q, next, n), SINTER_OK);
            for (int k = 0; k < n; k++)
                assert_logits(sinter_logits(q[k]), fed[k], (size_t)(k + 2 + step));
        }
        sinter_close(s);
    }
}

static void assert_error(const Sinter *s, SinterStatus status, SinterStatus want, const char *words)
{
    assert_int_equal(status, want);
    if (!strstr(sinter_error(s), words))
        fail_msg("'%s' does not say '%s'", sinter_error(s), words);
}

static void test_bad_input(void **state)
{
    (void)state;
    Sinter *s = open_toy(1, 2);
    SinterSequence *q = sinter_sequence(s), *r = sinter_sequence(s);
    const int32_t high[3] = {1, 2, TOY_VOCAB}, low[2] = {0, -1};
    assert_error(s, sinter_feed(q, high, 3), SINTER_BAD_INPUT, "id 300 at index 2 is out of range");
    assert_error(s, sinter_feed(q, low, 2), SINTER_BAD_INPUT, "id -1 at index 1");
    assert_int_equal(sinter_sequence_length(q), 0);
    assert_int_equal(sinter_feed(q, ids, TOY_CONTEXT), SINTER_OK);
    assert_error(s, sinter_feed(q, ids, 1), SINTER_BAD_INPUT, "32 ids are in it and 1 more");
    SinterSequence *both[2] = {r, q}, *twice[2] = {r, r};
    assert_error(s, sinter_step(both, ids, 2), SINTER_BAD_INPUT, "context exceeded");
    assert_error(s, sinter_step(twice, ids, 2), SINTER_BAD_INPUT, "the same one");
    assert_error(s, sinter_feed_rows(r, NULL, 1, NULL), SINTER_BAD_INPUT, "toy has an embedding");
    assert_int_equal(sinter_sequence_length(r), 0);
    assert_null(sinter_sequence(s));
    assert_non_null(strstr(sinter_error(s), "all 2 sequences are in use"));
    sinter_close(s);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct {
        SinterOptions o;
        const char *words;
    } cases[] = {{{.threads = -1}, "threads is -1"},
                 {{.context = TOY_CONTEXT + 1}, "context is 33: 1 to 32"},
                 {{.max_sequences = 9}, "max_sequences is 9: 1 to 8"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Sinter *s = NULL;
        SinterStatus status = sinter_open(&s, path, &cases[i].o);
        assert_error(s, status, SINTER_BAD_INPUT, cases[i].words);
        sinter_close(s);
    }
    Sinter *s = NULL;
    SinterOptions small = {.context = 3, .threads = 1};
    assert_int_equal(sinter_open(&s, path, &small), SINTER_OK);
    assert_error(s, sinter_feed(sinter_sequence(s), ids, 4), SINTER_BAD_INPUT, "raise --context");
    sinter_close(s);
}

static void test_random_model(void **state)
{
    (void)state;
    Sinter *s = NULL;
    SinterOptions o = {.random_seed = 5, .threads = 2};
    assert_int_equal(sinter_open(&s, NULL, &o), SINTER_OK);
    SinterSequence *q = sinter_sequence(s);
    assert_int_equal(sinter_feed(q, ids, N_IDS), SINTER_OK);
    for (int i = 0; i < TOY_VOCAB; i++)
        assert_true(isfinite(sinter_logits(q)[i]));
    assert_int_equal(sinter_bos(s), 256);
    assert_int_equal(sinter_tokenize(s, "a", 1, 0, 0, NULL, 0), -1);
    assert_non_null(strstr(sinter_error(s), "--tokens"));
    sinter_close(s);
}

static void test_sample_and_facts(void **state)
{
    (void)state;
    Sinter *s = open_toy(1, 1);
    SinterSequence *q = sinter_sequence(s);
    SinterSampling greedy = {0, 0, 1, 0};
    double want[TOY_VOCAB];
    assert_int_equal(sinter_feed(q, ids, 4), SINTER_OK);
    toy_logits(ids, 4, want);
    int32_t id = sinter_sample(q, &greedy);
    for (int i = 0; i < TOY_VOCAB; i++)
        assert_true(want[i] <= want[id] + 1e-4);
    assert_int_equal(sinter_vocab(s), TOY_VOCAB);
    assert_int_equal(sinter_context(s), TOY_CONTEXT);
    assert_int_equal(sinter_eos(s), BLOB_EOS);
    assert_true(sinter_is_end(s, BLOB_EOS) && !sinter_is_end(s, 5) && !sinter_is_end(s, -1));
    assert_true(sinter_has_tokenizer(s));
    sinter_close(s);
}

/* Ids of a loop, and after how many it is to stop. */
typedef struct Loop {
    int32_t id[TOY_CONTEXT][2];
    int n, stop;
} Loop;

static int take_ids(void *user, const int32_t *drawn)
{
    Loop *l = user;
    memcpy(l->id[l->n++], drawn, sizeof l->id[0]);
    return l->n == l->stop;
}

/* Two sequences that feed on their own ids: those that a step and a draw in turn give. */
static void test_continue(void **state)
{
    (void)state;
    enum { STEPS = 9 };
    Sinter *s = open_toy(2, 4);
    SinterSequence *a[2] = {sinter_sequence(s), sinter_sequence(s)};
    SinterSequence *b[2] = {sinter_sequence(s), sinter_sequence(s)};
    SinterSampling p[2] = {{0.9f, 0, 0.95f, 3}, {0, 0, 1, 4}}, r[2] = {p[0], p[1]};
    int32_t next[2] = {ids[5], ids[6]};
    Loop loop = {.stop = STEPS};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sinter_feed(a[i], ids, 5), SINTER_OK);
        assert_int_equal(sinter_feed(b[i], ids, 5), SINTER_OK);
    }
    assert_int_equal(sinter_continue(a, 2, next, p, STEPS + 3, take_ids, &loop), SINTER_OK);
    assert_int_equal(loop.n, STEPS);
    for (int step = 0; step < STEPS; step++) {
        assert_int_equal(sinter_step(b, next, 2), SINTER_OK);
        for (int i = 0; i < 2; i++) {
            next[i] = sinter_sample(b[i], &r[i]);
            assert_int_equal(loop.id[step][i], next[i]);
        }
    }
    assert_true(p[0].seed == r[0].seed && p[1].seed == r[1].seed);
    assert_int_equal(sinter_sequence_length(a[0]), 5 + STEPS);
    loop = (Loop){.stop = -1};
    assert_int_equal(sinter_continue(a, 2, next, p, 2, take_ids, &loop), SINTER_OK);
    assert_int_equal(loop.n, 2);
    next[1] = TOY_VOCAB;
    assert_int_equal(sinter_continue(a, 2, next, p, 2, take_ids, &loop), SINTER_BAD_INPUT);
    assert_non_null(strstr(sinter_error(s), "out of range"));
    next[1] = 0;
    int room = TOY_CONTEXT - sinter_sequence_length(a[0]);
    assert_int_equal(sinter_continue(a, 2, next, p, room + 1, take_ids, &loop), SINTER_BAD_INPUT);
    assert_non_null(strstr(sinter_error(s), "context exceeded"));
    assert_int_equal(sinter_continue(a, 2, next, p, room, take_ids, &loop), SINTER_OK);
    assert_int_equal(loop.n, 2 + room);
    sinter_close(s);
}

/* Decode steps read the weights once, and the cache up to their positions. */
static void test_bytes_read(void **state)
{
    (void)state;
    Sinter *s = open_toy(1, 1);
    SinterSequence *q = sinter_sequence(s);
    assert_int_equal(sinter_feed(q, ids, 10), SINTER_OK);
    assert_true(s->bytes_read == 0);
    assert_int_equal(sinter_feed(q, ids, 1), SINTER_OK);
    assert_true(s->bytes_read == 9600 + 11 * 32);
    sinter_close(s);
}

/* ---- bits per byte --------------------------------------------------------------------------- */

static double bits_of(const int32_t *fed, size_t n, int32_t id)
{
    double x[TOY_VOCAB], max = -1e300, sum = 0;
    toy_logits(fed, n, x);
    for (int i = 0; i < TOY_VOCAB; i++)
        max = x[i] > max ? x[i] : max;
    for (int i = 0; i < TOY_VOCAB; i++)
        sum += exp(x[i] - max);
    return -log2(exp(x[id] - max) / sum);
}

static void test_eval(void **state)
{
    (void)state;
    const char *text = "hello world, hello hello 12 times <eos> or so, the other day";
    static const int windows[] = {0, 1, 4, 7, TOY_CONTEXT};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        Sinter *s = open_toy(2, 1);
        CliArgs a = {.window = windows[w], .quiet = 1};
        int32_t id[100], fed[TOY_CONTEXT + 1] = {BLOB_BOS};
        size_t n = (size_t)sinter_tokenize(s, text, strlen(text), 0, 0, id, 100), counted;
        size_t window = windows[w] ? (size_t)windows[w] : TOY_CONTEXT - 1;
        double want = 0, got;
        for (size_t i = 0; i < n; i++) {
            want += bits_of(fed, i % window + 1, id[i]);
            fed[(i + 1) % window] = (i + 1) % window ? id[i] : BLOB_BOS;
        }
        assert_int_equal(eval_measure(s, &a, text, strlen(text), &got, &counted), SINTER_OK);
        assert_int_equal(counted, n);
        if (!(fabs(got - want) < 1e-3))
            fail_msg("window %zu: %f bits, expected %f", window, got, want);
        sinter_close(s);
    }
}

static void test_eval_bits(void **state)
{
    (void)state;
    const float even[4] = {3, 3, 3, 3}, far[2] = {0, 2000};
    assert_true(fabs(eval_bits(even, 4, 1) - 2) < 1e-12);
    assert_true(eval_bits(far, 2, 1) < 1e-12);
    assert_true(fabs(eval_bits(far, 2, 0) - 2000 / log(2)) < 1e-6);
}

static void test_eval_refuses(void **state)
{
    (void)state;
    Sinter *s = open_toy(1, 1);
    CliArgs a = {.window = TOY_CONTEXT + 1, .quiet = 1};
    double bits;
    size_t n;
    assert_error(s, eval_measure(s, &a, "abc", 3, &bits, &n), SINTER_BAD_INPUT,
                 "more than the context");
    a.window = 0;
    assert_error(s, eval_measure(s, &a, "", 0, &bits, &n), SINTER_BAD_INPUT, "too few");
    sinter_close(s);
}

/* ---- characters held back -------------------------------------------------------------------- */

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        size_t length;
        int incomplete;
    } cases[] = {
        {"a", 1, 0},
        {"\xc3\xa9", 2, 0},
        {"\xc3", 0, 1},
        {"\xe2\x82", 0, 1},
        {"\xe2\x82\xac", 3, 0},
        {"\xf0\x9f\x98\x80", 4, 0},
        {"\xf0\x9f\x98", 0, 1},
        {"\xc0\x80", 0, 0},
        {"\xed\xa0\x80", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\x80", 0, 0},
        {"\xe0\x80", 0, 0},
        {"\xc3(", 0, 0},
        {"\xff", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].s);
        assert_int_equal(utf8_length(cases[i].s, n), cases[i].length);
        assert_int_equal(utf8_incomplete(cases[i].s, n), cases[i].incomplete);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefill),
        cmocka_unit_test(test_token_by_token),
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_every_logit),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_random_model),
        cmocka_unit_test(test_sample_and_facts),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_bytes_read),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_eval_bits),
        cmocka_unit_test(test_eval_refuses),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, setup_file, teardown_file);
}
