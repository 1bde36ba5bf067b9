/* runtime_rows.c - a model without an embedding: rows of activations in, results out, whatever the
 * size of the chunks. */
#include "tests/unit/unit.h"

#include <string.h>

#include "runtime/model.h"
#include "runtime/sinter.h"

enum { WIDTH = 3, OUT = 2, CHUNK = 4, CONTEXT = 16 };

/* y = (x0 + x1, x2) of every row; the last one also in the first place when only it is wanted. */
static void step(const SinterRun *run, int thread)
{
    for (int r = 0; thread == 0 && r < run->rows; r++) {
        const float *x = run->input + r * WIDTH;
        run->logits[r * OUT] = x[0] + x[1];
        run->logits[r * OUT + 1] = x[2];
    }
    if (thread == 0 && run->logits_wanted == SINTER_LOGITS_LAST)
        memcpy(run->logits, run->logits + (run->rows - 1) * OUT, OUT * sizeof(float));
    sinter_barrier(run->barrier, thread);
}

static const SinterTensorInfo tensors[] = {{"up", "f32[3]", 0, 12, 'f', 1}};
static const SinterEntry decode[] = {{1, step, 0, 0}};

const SinterModel sinter_model = {
    .name = "rows",
    .target = "c test",
    .spec_summary = "a sum",
    .d_model = WIDTH,
    .vocab = OUT,
    .context = CONTEXT,
    .bos_id = -1,
    .eos_id = -1,
    .tensors = tensors,
    .n_tensors = 1,
    .decode = decode,
    .n_decode = 1,
    .prefill = {CHUNK, step, 0, 0},
    .every_row = 1,
};

static void test_rows(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    float rows[CONTEXT * WIDTH], out[CONTEXT * OUT];
    for (int i = 0; i < CONTEXT * WIDTH; i++)
        rows[i] = (float)(unit_random(&seed) % 100);
    for (size_t n = 1; n <= CONTEXT; n++) {
        Sinter *s = NULL;
        SinterOptions o = {.threads = 2};
        assert_int_equal(sinter_open(&s, NULL, &o), SINTER_OK);
        assert_int_equal(sinter_width(s), WIDTH);
        SinterSequence *q = sinter_sequence(s);
        assert_int_equal(sinter_feed_rows(q, rows, n, out), SINTER_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(out[i * OUT] == rows[i * WIDTH] + rows[i * WIDTH + 1]);
            assert_true(out[i * OUT + 1] == rows[i * WIDTH + 2]);
        }
        assert_int_equal(sinter_sequence_length(q), n);
        sinter_close(s);
    }
}

static void test_too_many_rows(void **state)
{
    (void)state;
    static float rows[(CONTEXT + 1) * WIDTH], out[(CONTEXT + 1) * OUT];
    Sinter *s = NULL;
    assert_int_equal(sinter_open(&s, NULL, NULL), SINTER_OK);
    SinterSequence *q = sinter_sequence(s);
    assert_int_equal(sinter_feed_rows(q, rows, CONTEXT + 1, out), SINTER_BAD_INPUT);
    assert_non_null(strstr(sinter_error(s), "context exceeded"));
    assert_int_equal(sinter_sequence_length(q), 0);
    sinter_close(s);
}

/* Ids say nothing to it; its results are those of the rows that lie in the input buffer. */
static void test_last_of_ids(void **state)
{
    (void)state;
    static const int32_t ids[CHUNK + 3];
    for (size_t n = 2; n <= CHUNK; n++) {
        float out[CHUNK * OUT];
        Sinter *s = NULL;
        assert_int_equal(sinter_open(&s, NULL, NULL), SINTER_OK);
        SinterSequence *q = sinter_sequence(s);
        assert_int_equal(sinter_feed_logits(q, ids, n, out), SINTER_OK);
        assert_true(memcmp(out, out + (n - 1) * OUT, OUT * sizeof *out) != 0);
        sinter_sequence_reset(q);
        assert_int_equal(sinter_feed(q, ids, n), SINTER_OK);
        assert_memory_equal(sinter_logits(q), out + (n - 1) * OUT, OUT * sizeof *out);
        sinter_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_too_many_rows),
        cmocka_unit_test(test_last_of_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
