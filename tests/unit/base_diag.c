/* Diagnostics: places, carets under tabs and UTF-8, notes, the limit, environment errors. */
#include "unit.h"

#include <string.h>

#include "compiler/base/ctx.h"

/* The span of the first `what` in `text`, which is registered as source `base`. */
static Span span_of(const char *text, uint32_t base, const char *what)
{
    const char *at = strstr(text, what);
    assert_non_null(at);
    uint32_t lo = base + (uint32_t)(at - text);
    return (Span){lo, lo + (uint32_t)strlen(what)};
}

/* The whole message for an error at the first `what` of a source. */
static void check_message(const char *text, const char *what, const char *expected)
{
    Ctx *c = ctx_create();
    uint32_t base = diag_add_source(c->diag, "x.yaml", text, strlen(text));
    assert_false(diag_error(c->diag, span_of(text, base, what), "bad %s", "key"));
    assert_string_equal(diag_text(c->diag), expected);
    ctx_destroy(c);
}

static void caret_and_tildes_underline_the_span(void **state)
{
    (void)state;
    check_message("name: x\nheads: 30\n", "30",
                  "x.yaml:2:8: error: bad key\n  heads: 30\n         ^~\n");
    check_message("heads: 30", "h", "x.yaml:1:1: error: bad key\n  heads: 30\n  ^\n");
}

static void tabs_are_copied_below(void **state)
{
    (void)state;
    check_message("\theads:\t30\n", "30",
                  "x.yaml:1:9: error: bad key\n  \theads:\t30\n  \t      \t^~\n");
}

static void a_utf8_character_takes_one_column(void **state)
{
    (void)state;
    check_message("n\xc3\xa9m: \xe2\x82\xac\xe2\x82\xac!\n", "\xe2\x82\xac\xe2\x82\xac!",
                  "x.yaml:1:6: error: bad key\n  n\xc3\xa9m: \xe2\x82\xac\xe2\x82\xac!\n"
                  "       ^~~\n");
}

static void a_span_of_several_lines_ends_with_its_first(void **state)
{
    (void)state;
    check_message("a: {b\nc: d}\n", "{b\nc", "x.yaml:1:4: error: bad key\n  a: {b\n     ^~\n");
}

static void line_ends_and_control_bytes_are_not_printed(void **state)
{
    (void)state;
    check_message("a: b\r\nc", "b", "x.yaml:1:4: error: bad key\n  a: b\n     ^\n");
    check_message("a: \x1b[0m", "a", "x.yaml:1:1: error: bad key\n  a: ?[0m\n  ^\n");
}

static void a_long_line_is_clipped_around_the_caret(void **state)
{
    (void)state;
    char text[5001];
    memset(text, '.', 5000);
    text[5000] = '\0';
    memcpy(text + 3000, "HERE", 4);
    Ctx *c = ctx_create();
    uint32_t base = diag_add_source(c->diag, "x.json", text, 5000);
    diag_error(c->diag, span_of(text, base, "HERE"), "bad");
    char expected[400];
    snprintf(expected, sizeof expected, "x.json:1:3001: error: bad\n  %.160s\n  %60s^~~~\n",
             text + 2940, "");
    assert_string_equal(diag_text(c->diag), expected);
    ctx_destroy(c);
}

static void the_end_of_a_source_is_a_place(void **state)
{
    (void)state;
    Ctx *c = ctx_create();
    uint32_t one = diag_add_source(c->diag, "one", "ab\n", 3);
    uint32_t empty = diag_add_source(c->diag, "empty", "", 0);
    uint32_t two = diag_add_source(c->diag, "two", "cd", 2);
    diag_error(c->diag, (Span){one + 3, one + 3}, "no end");
    diag_error(c->diag, (Span){empty, empty}, "nothing here");
    diag_error(c->diag, (Span){two + 2, two + 3}, "cut off");
    assert_string_equal(diag_text(c->diag), "one:2:1: error: no end\n  \n  ^\n"
                                            "empty:1:1: error: nothing here\n  \n  ^\n"
                                            "two:1:3: error: cut off\n  cd\n    ^\n");
    ctx_destroy(c);
}

static void nowhere_has_no_excerpt(void **state)
{
    (void)state;
    Ctx *c = ctx_create();
    diag_add_source(c->diag, "x", "text", 4);
    diag_error(c->diag, (Span){0}, "no model");
    diag_error(c->diag, (Span){900, 901}, "past all sources");
    assert_string_equal(diag_text(c->diag), "error: no model\nerror: past all sources\n");
    const char *path;
    int line, column;
    assert_false(diag_locate(c->diag, (Span){0}, &path, &line, &column));
    ctx_destroy(c);
}

static void locate_and_span_text(void **state)
{
    (void)state;
    const char *text = "one\ntw\xc3\xb6 words\n";
    Ctx *c = ctx_create();
    diag_add_source(c->diag, "first.ir", "x", 1);
    uint32_t base = diag_add_source(c->diag, "second.ir", text, strlen(text));
    Span at = span_of(text, base, "words");
    const char *path;
    int line, column;
    assert_true(diag_locate(c->diag, at, &path, &line, &column));
    assert_string_equal(path, "second.ir");
    assert_int_equal(line, 2);
    assert_int_equal(column, 5);
    size_t n;
    const char *words = diag_span_text(c->diag, at, &n);
    assert_int_equal(n, 5);
    assert_memory_equal(words, "words", 5);
    diag_span_text(c->diag, (Span){at.lo, at.hi + 100}, &n);
    assert_int_equal(n, 6);
    assert_string_equal(diag_span_text(c->diag, (Span){0}, &n), "");
    assert_int_equal(n, 0);
    ctx_destroy(c);
}

static void notes_and_warnings_follow_in_order(void **state)
{
    (void)state;
    const char *text = "a: 1\na: 2\n";
    Ctx *c = ctx_create();
    uint32_t base = diag_add_source(c->diag, "x", text, strlen(text));
    diag_warning(c->diag, (Span){base + 3, base + 4}, "odd");
    diag_error(c->diag, (Span){base + 5, base + 6}, "key twice");
    diag_note(c->diag, (Span){base, base + 1}, "first here");
    assert_string_equal(diag_text(c->diag), "x:1:4: warning: odd\n  a: 1\n     ^\n"
                                            "x:2:1: error: key twice\n  a: 2\n  ^\n"
                                            "x:1:1: note: first here\n  a: 1\n  ^\n");
    assert_int_equal(diag_error_count(c->diag), 1);
    ctx_destroy(c);
}

/* What diag_flush prints. */
static void check_flush(Diag *d, const char *expected)
{
    char text[4096] = {0};
    FILE *f = tmpfile();
    assert_non_null(f);
    diag_flush(d, f);
    rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
    fclose(f);
}

static void after_twenty_errors_the_rest_is_counted(void **state)
{
    (void)state;
    Ctx *c = ctx_create();
    char expected[2000] = "";
    for (int i = 1; i <= 25; i++) {
        diag_error(c->diag, (Span){0}, "number %d", i);
        diag_note(c->diag, (Span){0}, "of it");
        if (i <= 20) {
            size_t n = strlen(expected);
            snprintf(expected + n, sizeof expected - n, "error: number %d\nnote: of it\n", i);
        }
    }
    assert_int_equal(diag_error_count(c->diag), 25);
    assert_string_equal(diag_text(c->diag), expected);
    strcat(expected, "5 more errors not shown\n");
    check_flush(c->diag, expected);
    check_flush(c->diag, "");
    assert_int_equal(diag_error_count(c->diag), 25);
    diag_warning(c->diag, (Span){0}, "still said");
    diag_error(c->diag, (Span){0}, "hidden");
    check_flush(c->diag, "warning: still said\n1 more error not shown\n");
    ctx_destroy(c);
}

static void only_environment_errors_are_told_apart(void **state)
{
    (void)state;
    Ctx *c = ctx_create();
    assert_false(diag_is_env_error(c->diag));
    assert_false(diag_env_error(c->diag, "no %s here", "nvcc"));
    assert_true(diag_is_env_error(c->diag));
    assert_string_equal(diag_text(c->diag), "error: no nvcc here\n");
    diag_error(c->diag, (Span){0}, "bad spec too");
    assert_false(diag_is_env_error(c->diag));
    assert_int_equal(diag_error_count(c->diag), 2);
    ctx_destroy(c);
}

static void hit_a_bug(void)
{
    BUG("value %d has no type", 7);
}

static void bug_aborts(void **state)
{
    (void)state;
    unit_assert_aborts(hit_a_bug);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caret_and_tildes_underline_the_span),
        cmocka_unit_test(tabs_are_copied_below),
        cmocka_unit_test(a_utf8_character_takes_one_column),
        cmocka_unit_test(a_span_of_several_lines_ends_with_its_first),
        cmocka_unit_test(line_ends_and_control_bytes_are_not_printed),
        cmocka_unit_test(a_long_line_is_clipped_around_the_caret),
        cmocka_unit_test(the_end_of_a_source_is_a_place),
        cmocka_unit_test(nowhere_has_no_excerpt),
        cmocka_unit_test(locate_and_span_text),
        cmocka_unit_test(notes_and_warnings_follow_in_order),
        cmocka_unit_test(after_twenty_errors_the_rest_is_counted),
        cmocka_unit_test(only_environment_errors_are_told_apart),
        cmocka_unit_test(bug_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
