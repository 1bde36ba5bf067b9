/* runtime_tokenizer.c - merges, byte fallback, added tokens, each step, and blobs with anything
 * wrong. */
#include "tests/unit/unit.h"

#include <string.h>

#include "runtime/tokenizer.h"
#include "tests/runtime/blob.h"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

enum { MAX_IDS = 4096, END = -1000 };

static Blob blob;

static Tokenizer *open_blob(void)
{
    char err[256] = "";
    Tokenizer *t = tokenizer_open(blob.data, blob.n, err, sizeof err);
    if (!t)
        fail_msg("%s", err);
    return t;
}

static Tokenizer *byte_level(uint32_t flags, const char *pattern)
{
    blob_byte_level(&blob, flags, pattern);
    return open_blob();
}

/* Expected ids end with END. */
static void assert_ids(Tokenizer *t, const char *text, bool bos, bool special, const int32_t *want)
{
    int32_t ids[MAX_IDS];
    int64_t n = tokenizer_encode(t, text, strlen(text), bos, special, ids, MAX_IDS);
    if (n < 0)
        fail_msg("%s", tokenizer_error(t));
    int64_t i = 0;
    for (; want[i] != END; i++)
        if (i >= n || ids[i] != want[i])
            fail_msg("'%s': id %d is %d, expected %d", text, (int)i, i < n ? (int)ids[i] : -1,
                     (int)want[i]);
    assert_int_equal(n, i);
}

#define IDS(...) ((const int32_t[]){__VA_ARGS__, END})

static void test_merges(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(0, GPT2);
    assert_int_equal(tokenizer_vocab(t), BLOB_VOCAB);
    assert_ids(t, "hello world", false, false, IDS(BLOB_HELL, 'o', BLOB__WOR, 'l', 'd'));
    assert_ids(t, "hel", false, false, IDS(BLOB_HE, 'l'));
    assert_ids(t, "lll", false, false, IDS(BLOB_LL, 'l')); /* the leftmost of equals */
    assert_ids(t, "o", false, false, IDS('o'));
    assert_ids(t, "", false, false, (const int32_t[]){END});
    assert_ids(t, "", true, false, (const int32_t[]){END}); /* its post-processor adds none */
    tokenizer_close(t);
    t = byte_level(TOKENIZER_ADD_BOS, GPT2);
    assert_ids(t, "he", true, false, IDS(BLOB_BOS, BLOB_HE));
    assert_ids(t, "he", false, false, IDS(BLOB_HE));
    tokenizer_close(t);
}

/* "hello" is in the vocabulary, but no merge makes it. */
static void test_ignore_merges(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(TOKENIZER_IGNORE_MERGES, GPT2);
    assert_ids(t, "hello", false, false, IDS(BLOB_HELLO));
    assert_ids(t, "hello1", false, false, IDS(BLOB_HELLO, '1'));
    tokenizer_close(t);
}

static void test_split(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(0, "\\p{N}");
    assert_ids(t, "12", false, false, IDS('1', '2')); /* each digit is a piece of its own */
    tokenizer_close(t);
    t = byte_level(0, NULL);
    assert_ids(t, "12", false, false, IDS(BLOB_12));
    tokenizer_close(t);
    t = byte_level(0, "x*"); /* matches nothing nearly everywhere */
    assert_ids(t, "hexxll", false, false, IDS(BLOB_HE, 'x', 'x', BLOB_LL));
    tokenizer_close(t);
}

static void test_added_tokens(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(0, GPT2);
    assert_ids(t, "he<eos>", false, true, IDS(BLOB_HE, BLOB_EOS));
    assert_ids(t, "<eos>", false, false, IDS('<', 'e', 'o', 's', '>'));
    /* not a control token: always found; takes the white space beside it */
    assert_ids(t, "he \n<mark>  he", false, false, IDS(BLOB_HE, BLOB_MARK, BLOB_HE));
    assert_ids(t, "<bos><bos", false, true, IDS(BLOB_BOS, '<', 'b', 'o', 's'));
    assert_true(tokenizer_is_control(t, BLOB_EOS) && !tokenizer_is_control(t, BLOB_MARK));
    assert_true(tokenizer_is_end(t, BLOB_EOS) && !tokenizer_is_end(t, BLOB_BOS));
    size_t n;
    assert_memory_equal(tokenizer_bytes(t, BLOB_EOS, &n), "<eos>", 5);
    assert_int_equal(n, 5);
    tokenizer_bytes(t, BLOB_VOCAB, &n);
    assert_int_equal(n, 0);
    tokenizer_bytes(t, -1, &n);
    assert_int_equal(n, 0);
    tokenizer_close(t);
}

static void test_room(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(0, GPT2);
    int32_t ids[3] = {7, 7, 7};
    assert_int_equal(tokenizer_encode(t, "abcd", 4, false, false, ids, 2), 4);
    assert_int_equal(ids[1], 'b');
    assert_int_equal(ids[2], 7);
    assert_int_equal(tokenizer_encode(t, "abcd", 4, false, false, NULL, 0), 4);
    tokenizer_close(t);
}

/* Any bytes at all: what comes out spells what went in. */
static void test_round_trip(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    Tokenizer *t = byte_level(0, GPT2);
    for (int round = 0; round < 400; round++) {
        char text[300], back[300];
        size_t n = unit_random(&seed) % sizeof text, at = 0;
        for (size_t i = 0; i < n; i++) {
            uint64_t r = unit_random(&seed);
            text[i] =
                (char)(r & 1 ? r >> 8
                             : (unsigned char)"hello wor12\xc3\xa9\xe2\x82\xac"[(r >> 8) % 16]);
        }
        int32_t ids[300];
        int64_t count = tokenizer_encode(t, text, n, false, false, ids, 300);
        assert_in_range(count, 0, (int64_t)n);
        for (int64_t i = 0; i < count; i++) {
            size_t length;
            const char *bytes = tokenizer_bytes(t, ids[i], &length);
            assert_true(at + length <= n);
            memcpy(back + at, bytes, length);
            at += length;
        }
        assert_int_equal(at, n);
        assert_memory_equal(back, text, n);
    }
    tokenizer_close(t);
}

/* Long pieces: n log n, and one answer whatever the length. */
static void test_long_piece(void **state)
{
    (void)state;
    enum { N = 200000 };
    Tokenizer *t = byte_level(0, NULL);
    char *text = malloc(N);
    memset(text, 'l', N);
    int32_t *ids = malloc(N * sizeof *ids);
    assert_int_equal(tokenizer_encode(t, text, N, false, false, ids, N), N / 2);
    assert_int_equal(ids[N / 2 - 1], BLOB_LL);
    free(ids);
    free(text);
    tokenizer_close(t);
}

/* A pattern that tries exponentially many ways gives up with a message instead of hanging. */
static void test_hostile_pattern(void **state)
{
    (void)state;
    Tokenizer *t = byte_level(0, "(a|aa)+\\d");
    char text[2000];
    int32_t ids[2000];
    memset(text, 'a', sizeof text);
    assert_int_equal(tokenizer_encode(t, text, sizeof text, false, false, ids, 2000), -1);
    assert_non_null(strstr(tokenizer_error(t), "split pattern gave up"));
    assert_int_equal(tokenizer_encode(t, "he", 2, false, false, ids, 2000), 1);
    tokenizer_close(t);
}

/* ---- byte fallback --------------------------------------------------------------------------- */

/* <0x00>..<0xFF> are ids 0..255, then the mark for a space, "a", "b", "ab", mark + "a", e acute. */
enum { FB_SPACE = 256, FB_A, FB_B, FB_AB, FB__A, FB_E, FB_VOCAB };

#define MARK "\xe2\x96\x81"

static void begin_fallback(uint32_t n_steps)
{
    char name[8];
    blob_begin(&blob, (BlobCounts){TOKENIZER_BYTE_FALLBACK, FB_VOCAB, -1, -1, 0, 2, 0, n_steps});
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        blob_text(&blob, name);
    }
    blob_text(&blob, MARK);
    blob_text(&blob, "a");
    blob_text(&blob, "b");
    blob_text(&blob, "ab");
    blob_text(&blob, MARK "a");
    blob_text(&blob, "\xc3\xa9");
    blob_merge(&blob, FB_A, FB_B, FB_AB);
    blob_merge(&blob, FB_SPACE, FB_A, FB__A);
}

static void test_byte_fallback(void **state)
{
    (void)state;
    begin_fallback(2);
    blob_step(&blob, STEP_PREPEND, 0, MARK, "");
    blob_step(&blob, STEP_REPLACE, 0, " ", MARK);
    Tokenizer *t = open_blob();
    assert_ids(t, "ab a", false, false, IDS(FB_SPACE, FB_AB, FB__A));
    assert_ids(t, "a\n", false, false, IDS(FB__A, '\n'));
    assert_ids(t, "\xc3\xa9\xc3\xa8", false, false, IDS(FB_SPACE, FB_E, 0xc3, 0xa8));
    assert_ids(t, "\xff", false, false, IDS(FB_SPACE, 0xff));
    size_t n;
    assert_memory_equal(tokenizer_bytes(t, FB__A, &n), " a", 2);
    assert_int_equal(n, 2);
    assert_memory_equal(tokenizer_bytes(t, '\n', &n), "\n", 1);
    assert_int_equal(n, 1);
    tokenizer_close(t);
}

/* One step over the fallback vocabulary; the pieces show in what is merged. */
static void assert_step(uint32_t kind, uint32_t flags, const char *a, const char *text,
                        const int32_t *want)
{
    begin_fallback(1);
    blob_step(&blob, kind, flags, a, "");
    Tokenizer *t = open_blob();
    assert_ids(t, text, false, false, want);
    tokenizer_close(t);
}

static void test_steps(void **state)
{
    (void)state;
    assert_step(STEP_NFC, 0, "", "e\xcc\x81", IDS(FB_E));
    assert_step(STEP_NFC, 0, "",
                "\xff"
                "e\xcc\x81\xcc",
                IDS(0xff, FB_E, 0xcc));
    assert_step(STEP_NFD, 0, "", "\xc3\xa9", IDS('e', 0xcc, 0x81));
    assert_step(STEP_NFKC, 0, "", "\xef\xbd\x81", IDS(FB_A)); /* full-width a */
    assert_step(STEP_NFKD, 0, "", "\xef\xbd\x81", IDS(FB_A));
    assert_step(STEP_LOWERCASE, 0, "", "AB\xc3\x89\xff", IDS(FB_AB, FB_E, 0xff));
    assert_step(STEP_DIGITS, 1, "", "ab12ab", IDS(FB_AB, '1', '2', FB_AB));
    assert_step(STEP_PREFIX_SPACE, 0, "", "a", IDS(' ', FB_A));
    assert_step(STEP_PREFIX_SPACE, 0, "", " a", IDS(' ', FB_A));
    assert_step(STEP_PREFIX_SPACE, 0, "", "\xc2\xa0", IDS(' ', 0xc2, 0xa0));
    assert_step(STEP_PREPEND, 0, MARK, MARK "a", IDS(FB_SPACE, FB__A));
    assert_step(STEP_PREPEND, 1, MARK, MARK "a", IDS(FB__A));
    assert_step(STEP_PREPEND_FIRST, 0, MARK, "a", IDS(FB__A));
    assert_step(STEP_PREPEND_FIRST, 0, MARK, "", (const int32_t[]){END});
}

/* Digits in runs or alone: "12" merges only when both are in one piece. */
static void test_digit_runs(void **state)
{
    (void)state;
    for (uint32_t each = 0; each < 2; each++) {
        blob_byte_level(&blob, 0, NULL);
        blob.data[36] = 1; /* n_steps */
        blob_step(&blob, STEP_DIGITS, each, "", "");
        Tokenizer *t = open_blob();
        if (each)
            assert_ids(t, "a12", false, false, IDS('a', '1', '2'));
        else
            assert_ids(t, "a12", false, false, IDS('a', BLOB_12));
        tokenizer_close(t);
    }
}

static void test_prepend_first_section(void **state)
{
    (void)state;
    blob_byte_level(&blob, 0, NULL);
    blob.data[36] = 1;
    blob_step(&blob, STEP_PREPEND_FIRST, 0, "h", "");
    Tokenizer *t = open_blob();
    assert_ids(t, "e<bos>e", false, true, IDS(BLOB_HE, BLOB_BOS, 'e'));
    assert_ids(t, "<bos>e", false, true, IDS(BLOB_BOS, 'e'));
    tokenizer_close(t);
}

static void test_no_symbol(void **state)
{
    (void)state;
    blob_begin(&blob, (BlobCounts){0, 1, -1, -1, 0, 0, 0, 0});
    blob_text(&blob, "a");
    Tokenizer *t = open_blob();
    int32_t ids[4];
    assert_int_equal(tokenizer_encode(t, "aa", 2, false, false, ids, 4), 2);
    assert_int_equal(tokenizer_encode(t, "b", 1, false, false, ids, 4), -1);
    assert_non_null(strstr(tokenizer_error(t), "'b'"));
    assert_int_equal(tokenizer_encode(t, "\xff", 1, false, false, ids, 4), -1);
    assert_non_null(strstr(tokenizer_error(t), "0xff"));
    tokenizer_close(t);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static void assert_bad_blob(const char *words)
{
    char err[256] = "";
    Tokenizer *t = tokenizer_open(blob.data, blob.n, err, sizeof err);
    tokenizer_close(t);
    if (t || !strstr(err, words))
        fail_msg("'%s' does not say '%s'", err, words);
}

static void test_truncated_blob(void **state)
{
    (void)state;
    char err[256];
    blob_byte_level(&blob, 0, GPT2);
    for (size_t n = 0; n < blob.n; n++)
        assert_null(tokenizer_open(blob.data, n, err, sizeof err));
}

static void test_bad_blobs(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } cases[] = {
        {0, 'X', "STOK"},
        {4, 2, "version 2"},
        {14, 0xff, "vocabulary entries"},
        {17, 0x7f, "bos has id"},
        {21, 0x7f, "eos has id"},
        {27, 0x7f, "end ids"},
        {31, 0x7f, "merges"},
        {35, 0x7f, "added tokens"},
        {36, 0xff, "at most 64"},
        {41, 0x7f, "an end of text"},
        {47, 0x7f, "string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        blob_byte_level(&blob, 0, GPT2);
        blob.data[cases[i].at] = cases[i].value;
        assert_bad_blob(cases[i].words);
    }
    blob_byte_level(&blob, 0, "(");
    assert_bad_blob("its split pattern");
    blob_byte_level(&blob, 0, NULL);
    blob_u32(&blob, 0);
    assert_bad_blob("4 bytes follow");
    blob_byte_level(&blob, 0, NULL);
    blob.data[36] = 1;
    blob_step(&blob, 99, 0, "", "");
    assert_bad_blob("kind 99");
    blob_byte_level(&blob, 0, NULL);
    blob.data[36] = 1;
    blob_step(&blob, STEP_REPLACE, 0, "", "x");
    assert_bad_blob("replaces nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),        cmocka_unit_test(test_ignore_merges),
        cmocka_unit_test(test_split),         cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_room),          cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_piece),    cmocka_unit_test(test_hostile_pattern),
        cmocka_unit_test(test_byte_fallback), cmocka_unit_test(test_steps),
        cmocka_unit_test(test_digit_runs),    cmocka_unit_test(test_prepend_first_section),
        cmocka_unit_test(test_no_symbol),     cmocka_unit_test(test_truncated_blob),
        cmocka_unit_test(test_bad_blobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
