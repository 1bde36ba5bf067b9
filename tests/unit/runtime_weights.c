/* runtime_weights.c - a weights file with anything wrong in it is refused before it is used; random
 * weights depend on the seed alone. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/random.h"
#include "runtime/weights.h"
#include "tests/runtime/toy_model.c"

typedef struct Fixture {
    Pool *pool;
    uint8_t *file;
    size_t n;
    Weights w;
    Message m;
} Fixture;

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    static const char blob[37] = "not a tokenizer, but a tensor's bytes";
    f->pool = pool_create(2);
    f->file = toy_weights(blob, sizeof blob, &f->n);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    pool_destroy(f->pool);
    free(f->file);
    free(f);
    return 0;
}

static SinterStatus check(Fixture *f, size_t n)
{
    f->m.text[0] = 0;
    return weights_check(&f->w, &sinter_model, f->file, n, "toy.weights", 1, f->pool, &f->m);
}

static void assert_refused(Fixture *f, const char *words)
{
    assert_int_equal(check(f, f->n), SINTER_BAD_INPUT);
    if (!strstr(f->m.text, words))
        fail_msg("'%s' does not say '%s'", f->m.text, words);
}

/* The file with a changed header or table whose checksum is right again. */
static void reseal(Fixture *f)
{
    WeightsHeader h;
    memcpy(&h, f->file, sizeof h);
    if (h.header_bytes <= f->n)
        h.header_checksum = weights_header_checksum(f->file, (size_t)h.header_bytes);
    memcpy(f->file, &h, sizeof h);
}

static WeightsHeader *header(Fixture *f)
{
    return (void *)f->file;
}

static WeightsEntry *entry(Fixture *f, int i)
{
    return (WeightsEntry *)(void *)(f->file + sizeof(WeightsHeader)) + i;
}

static void test_good_file(void **state)
{
    Fixture *f = *state;
    assert_int_equal(check(f, f->n), SINTER_OK);
    assert_ptr_equal(f->w.data, f->file);
    assert_int_equal(f->w.tokenizer_bytes, 37);
    assert_memory_equal(f->w.tokenizer, "not a tokenizer", 15);
}

static void test_truncated_anywhere(void **state)
{
    Fixture *f = *state;
    for (size_t n = 0; n < f->n; n++)
        assert_int_equal(check(f, n), SINTER_BAD_INPUT);
    assert_non_null(strstr(f->m.text, "cut off"));
}

static void test_every_flipped_byte(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < f->n; i++) {
        f->file[i] ^= 0x10;
        if (check(f, f->n) != SINTER_BAD_INPUT)
            fail_msg("byte %zu changed, and nobody noticed", i);
        f->file[i] ^= 0x10;
    }
    assert_int_equal(check(f, f->n), SINTER_OK);
}

/* Hostile headers and tables, sealed with a right checksum. */
static void test_hostile_header(void **state)
{
    Fixture *f = *state;
    header(f)->n_tensors = UINT32_MAX;
    reseal(f);
    assert_refused(f, "counts 4294967295 tensors");
    header(f)->n_tensors = 3;
    header(f)->header_bytes = UINT64_MAX;
    assert_refused(f, "header_bytes");
    header(f)->header_bytes = 8;
    assert_refused(f, "header_bytes");
    header(f)->header_bytes = sizeof(WeightsHeader) + 3 * sizeof(WeightsEntry);
    memset(header(f)->layout, 'x', sizeof header(f)->layout);
    reseal(f);
    assert_refused(f, "not text");
}

static void test_hostile_table(void **state)
{
    static const struct {
        uint64_t offset, bytes;
        const char *words;
    } cases[] = {
        {UINT64_MAX - 255, 256, "the file ends at"},
        {768, UINT64_MAX, "the file ends at"},
        {0, 64, "overlaps"},
        {769, 64, "not aligned"},
        {1024, TOY_BYTES, "expects embedding"},
        {768, 64, "expects embedding"},
    };
    Fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        entry(f, 0)->offset = cases[i].offset;
        entry(f, 0)->bytes = cases[i].bytes;
        reseal(f);
        assert_refused(f, cases[i].words);
    }
}

static void test_wrong_tensors(void **state)
{
    Fixture *f = *state;
    WeightsEntry good = *entry(f, 1);
    snprintf(entry(f, 1)->name, WEIGHTS_NAME, "gian");
    reseal(f);
    assert_refused(f, "found tensor gian: f32[5]");
    *entry(f, 1) = good;
    snprintf(entry(f, 1)->type, WEIGHTS_NAME, "f32[6]");
    reseal(f);
    assert_refused(f, "expects gain: f32[5]");
    memset(entry(f, 1)->type, 'y', WEIGHTS_NAME);
    reseal(f);
    assert_refused(f, "not text");
    *entry(f, 1) = good;
    entry(f, 1)->offset = entry(f, 0)->offset;
    reseal(f);
    assert_refused(f, "overlaps");
    *entry(f, 1) = good;
    snprintf(entry(f, 2)->name, WEIGHTS_NAME, "extra");
    reseal(f);
    assert_refused(f, "does not know");
    header(f)->n_tensors = 1;
    reseal(f);
    assert_refused(f, "lacks tensor gain");
}

static void test_other_layout(void **state)
{
    Fixture *f = *state;
    header(f)->layout_hash = 0xabcd;
    reseal(f);
    assert_refused(f, "toy, c toy (layout 000000000000abcd)");
    assert_non_null(strstr(f->m.text, "mean of embeddings (layout 0000000000001234)"));
    assert_non_null(strstr(f->m.text, "pack again with"));
}

static void test_open_missing(void **state)
{
    Fixture *f = *state;
    assert_int_equal(weights_open(&f->w, &sinter_model, "/nonexistent", 1, f->pool, &f->m),
                     SINTER_BAD_INPUT);
    assert_int_equal(weights_open(&f->w, &sinter_model, "/", 1, f->pool, &f->m), SINTER_BAD_INPUT);
    assert_null(f->w.data);
}

/* A file of several pages and chunks is the same bytes, copied for its checksums or mapped. */
static void test_open_copied_and_mapped(void **state)
{
    Fixture *f = *state;
    enum { BLOB = (5 << 20) + 77 };
    char *blob = malloc(BLOB), path[] = "/tmp/sinter-weights-XXXXXX";
    uint64_t random = 7;
    for (int i = 0; i < BLOB; i++)
        blob[i] = (char)random_next(&random);
    size_t n;
    uint8_t *file = toy_weights(blob, BLOB, &n);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, file, n), n);
    for (int checksums = 0; checksums < 2; checksums++) {
        assert_int_equal(weights_open(&f->w, &sinter_model, path, checksums, f->pool, &f->m),
                         SINTER_OK);
        assert_int_equal(f->w.bytes, n);
        assert_memory_equal(f->w.data, file, n);
        weights_close(&f->w);
    }
    file[n - BLOB] ^= 1;
    assert_int_equal(pwrite(fd, file, n, 0), n);
    assert_int_equal(weights_open(&f->w, &sinter_model, path, 1, f->pool, &f->m), SINTER_BAD_INPUT);
    assert_null(f->w.data);
    close(fd);
    unlink(path);
    free(file);
    free(blob);
}

/* ---- random ---------------------------------------------------------------------------------- */

enum { KINDS = 11, EACH = 1 << 16 };

static const SinterTensorInfo kinds[KINDS] = {
    {"f", "f32[16384]", 0 * EACH, EACH, 'f', 0.25f},
    {"b", "bf16[32768]", 1 * EACH, EACH, 'b', 0.25f},
    {"h", "f16[32768]", 2 * EACH, EACH, 'h', 0.25f},
    {"g", "f32[16384]", 3 * EACH, EACH, 'g', 1},
    {"s", "f32[16384]", 4 * EACH, EACH, 's', 0.01f},
    {"c", "i8[65536]", 5 * EACH, EACH, 'c', 1},
    {"z", "u8[65536]", 6 * EACH, EACH, 'z', 1},
    {"q", "f32[16384]", 7 * EACH, EACH, 'q', 10000},
    {"0", "f32[16384]", 8 * EACH, EACH, '0', 0},
    {"B", "bf16[32768]", 9 * EACH, EACH, 'B', 1},
    {"H", "f16[32768]", 10 * EACH, EACH, 'H', 1},
};

static float bf16(const uint8_t *p)
{
    uint32_t u = (uint32_t)(p[0] | p[1] << 8) << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static float f16(const uint8_t *p)
{
    int u = p[0] | p[1] << 8, e = u >> 10 & 31, f = u & 1023;
    double x = e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
    return (float)(u & 0x8000 ? -x : x);
}

static float f32(const uint8_t *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}

static void assert_normal(const uint8_t *p, int size, float (*get)(const uint8_t *))
{
    double sum = 0, squares = 0;
    int n = EACH / size;
    for (int i = 0; i < n; i++) {
        double x = (double)get(p + i * size);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / n) < 0.01);
    assert_true(fabs(sqrt(squares / n) - 0.25) < 0.01);
}

static void test_random_kinds(void **state)
{
    Fixture *f = *state;
    const SinterModel model = {.name = "kinds", .tensors = kinds, .n_tensors = KINDS};
    assert_int_equal(weights_random(&f->w, &model, 7, f->pool, &f->m), SINTER_OK);
    const uint8_t *p = f->w.data;
    assert_normal(p, 4, f32);
    assert_normal(p + EACH, 2, bf16);
    assert_normal(p + 2 * EACH, 2, f16);
    for (int i = 0; i < EACH / 4; i++) {
        assert_true(fabsf(f32(p + 3 * EACH + 4 * i) - 1) < 0.5f);
        assert_true(f32(p + 4 * EACH + 4 * i) > 0 && f32(p + 4 * EACH + 4 * i) < 0.02f);
        assert_true(f32(p + 8 * EACH + 4 * i) == 0);
    }
    for (int i = 0; i < EACH / 2; i++) {
        assert_true(fabsf(bf16(p + 9 * EACH + 2 * i) - 1) < 0.5f);
        assert_true(fabsf(f16(p + 10 * EACH + 2 * i) - 1) < 0.5f);
    }
    for (int i = 0; i < EACH; i++) {
        assert_true(p[5 * EACH + i] != 0x80);
        assert_true(p[6 * EACH + i] == 7 || p[6 * EACH + i] == 8);
    }
    assert_true(f32(p + 7 * EACH) == 1);
    assert_true(fabsf(f32(p + 7 * EACH + 4 * 8192) - 0.01f) < 1e-6f);
    weights_close(&f->w);
}

static void test_random_is_repeatable(void **state)
{
    Fixture *f = *state;
    const SinterModel model = {.name = "kinds", .tensors = kinds, .n_tensors = KINDS};
    Weights a, b, c;
    Pool *one = pool_create(1);
    assert_int_equal(weights_random(&a, &model, 7, f->pool, &f->m), SINTER_OK);
    assert_int_equal(weights_random(&b, &model, 7, one, &f->m), SINTER_OK);
    assert_int_equal(weights_random(&c, &model, 8, one, &f->m), SINTER_OK);
    assert_int_equal(a.bytes, KINDS * EACH);
    assert_memory_equal(a.data, b.data, a.bytes);
    assert_memory_not_equal(a.data, c.data, EACH);
    weights_close(&a);
    weights_close(&b);
    weights_close(&c);
    pool_destroy(one);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_file),
        TEST(test_truncated_anywhere),
        TEST(test_every_flipped_byte),
        TEST(test_hostile_header),
        TEST(test_hostile_table),
        TEST(test_wrong_tensors),
        TEST(test_other_layout),
        TEST(test_open_missing),
        TEST(test_open_copied_and_mapped),
        TEST(test_random_kinds),
        TEST(test_random_is_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
