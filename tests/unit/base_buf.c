/* Text buffer: growth, formatting, and doubles that read back to the same bits. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "compiler/base/buf.h"

static void text_grows_and_stays_terminated(void **state)
{
    (void)state;
    Arena *a = arena_create();
    Buf b = buf_create(a);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 1000; i++) {
        buf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(b.len, i + 1);
        assert_int_equal(b.data[b.len], 0);
        assert_true(b.len < b.cap);
    }
    buf_puts(&b, "--");
    buf_add(&b, "xyz", 2);
    buf_add(&b, NULL, 0);
    assert_string_equal(b.data + 1000, "--xy");
    assert_int_equal(strncmp(b.data, "abcdefghijklmnopqrstuvwxyzab", 28), 0);
    arena_destroy(a);
}

static void all_zero_is_an_empty_buffer(void **state)
{
    (void)state;
    Arena *a = arena_create();
    Buf b = {.arena = a};
    buf_printf(&b, "%s %d", "rows", 128);
    assert_string_equal(b.data, "rows 128");
    Buf empty = {.arena = a};
    buf_puts(&empty, "");
    assert_string_equal(empty.data, "");
    arena_destroy(a);
}

static void printf_of_any_length(void **state)
{
    (void)state;
    Arena *a = arena_create();
    Buf b = buf_create(a);
    for (int width = 1; width < 600; width++) {
        size_t before = b.len;
        buf_printf(&b, "%*d", width, 7);
        assert_int_equal(b.len, before + (size_t)width);
        assert_int_equal(b.data[b.len - 1], '7');
    }
    arena_destroy(a);
}

static const char *text_of(Arena *a, double x)
{
    Buf b = buf_create(a);
    buf_put_double(&b, x);
    return b.data;
}

static void doubles_are_short(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1e-5, "1e-05"},
        {0.125, "0.125"},
        {0.1, "0.1"},
        {1.0, "1"},
        {10, "10"},
        {500000, "500000"},
        {1e6, "1000000"},
        {1000.5, "1000.5"},
        {1e16, "1e+16"},
        {1.0 / 3, "0.3333333333333333"},
        {-2.5e-8, "-2.5e-08"},
        {HUGE_VAL, "inf"},
        {-HUGE_VAL, "-inf"},
        {NAN, "nan"},
        {9007199254740993.0, "9007199254740992"},
        {5e-324, "5e-324"},
    };
    Arena *a = arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(text_of(a, cases[i].x), cases[i].text);
    }
    arena_destroy(a);
}

static void check_round_trip(Arena *a, double x)
{
    const char *text = text_of(a, x);
    char *end;
    double back = strtod(text, &end);
    assert_int_equal(*end, 0);
    if (isnan(x)) {
        assert_true(isnan(back));
    } else if (memcmp(&back, &x, sizeof x) != 0) {
        fail_msg("%a printed as %s reads back as %a", x, text, back);
    }
}

/* Bit patterns cover every exponent; products of small numbers are what specs really hold. */
static void random_doubles_read_back_to_the_same_bits(void **state)
{
    (void)state;
    uint64_t random = unit_seed();
    Arena *a = arena_create();
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = unit_random(&random);
        double x;
        memcpy(&x, &bits, sizeof x);
        check_round_trip(a, x);
        check_round_trip(a, (double)(int64_t)(bits >> (bits % 50)) / 1000);
        check_round_trip(a, (double)(bits >> (bits % 64)));
        if (i % 1000 == 0) {
            arena_reset(a);
        }
    }
    arena_destroy(a);
}

static void xml_is_escaped(void **state)
{
    (void)state;
    Arena *a = arena_create();
    Buf b = buf_create(a);
    buf_put_xml(&b, "a<b> & \"c\" 'd' \xc3\xa9");
    assert_string_equal(b.data, "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; \xc3\xa9");
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_stays_terminated),
        cmocka_unit_test(all_zero_is_an_empty_buffer),
        cmocka_unit_test(printf_of_any_length),
        cmocka_unit_test(doubles_are_short),
        cmocka_unit_test(random_doubles_read_back_to_the_same_bits),
        cmocka_unit_test(xml_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
