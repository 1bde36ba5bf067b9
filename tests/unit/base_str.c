/* Interned strings and "did you mean". */
#include "unit.h"

#include <string.h>

#include "compiler/base/str.h"

static void equal_text_is_one_pointer(void **state)
{
    (void)state;
    Arena *a = arena_create();
    StrTable *t = str_table_create(a);
    char text[] = "gate";
    Str gate = str_intern(t, text);
    text[0] = 'G';
    assert_string_equal(gate, "gate");
    assert_ptr_equal(str_intern(t, "gate"), gate);
    assert_ptr_equal(str_intern_n(t, "gate_up", 4), gate);
    assert_ptr_equal(str_internf(t, "%ca%s", 'g', "te"), gate);
    assert_ptr_not_equal(str_intern(t, text), gate);
    assert_ptr_equal(str_intern(t, ""), str_intern_n(t, NULL, 0));
    arena_destroy(a);
}

static void zero_bytes_belong_to_the_text(void **state)
{
    (void)state;
    Arena *a = arena_create();
    StrTable *t = str_table_create(a);
    Str one = str_intern_n(t, "a\0b", 3), other = str_intern_n(t, "a\0c", 3);
    assert_ptr_not_equal(one, other);
    assert_ptr_not_equal(one, str_intern(t, "a"));
    assert_ptr_equal(str_intern_n(t, "a\0b", 3), one);
    arena_destroy(a);
}

static void pointers_survive_growth(void **state)
{
    (void)state;
    enum { N = 5000 };
    static Str seen[N];
    Arena *a = arena_create();
    StrTable *t = str_table_create(a);
    for (int i = 0; i < N; i++) {
        seen[i] = str_internf(t, "layers.%d.gate", i);
    }
    for (int i = 0; i < N; i++) {
        char expected[40];
        snprintf(expected, sizeof expected, "layers.%d.gate", i);
        assert_string_equal(seen[i], expected);
        assert_ptr_equal(str_intern(t, expected), seen[i]);
    }
    arena_destroy(a);
}

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int limit, distance;
    } cases[] = {
        {"", "", 9, 0},
        {"heads", "heads", 9, 0},
        {"heads", "", 9, 5},
        {"heads", "head", 9, 1},
        {"heads", "hheads", 9, 1},
        {"heads", "beads", 9, 1},
        {"heads", "haeds", 9, 1}, /* a swap of neighbours is one edit */
        {"kitten", "sitting", 9, 3},
        {"d_model", "model_d", 9, 4},
        {"vocab", "context", 4, 4},
        {"abcdef", "uvwxyz", 2, 2},
        {"same", "same", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(str_distance(cases[i].a, cases[i].b, cases[i].limit), cases[i].distance);
        assert_int_equal(str_distance(cases[i].b, cases[i].a, cases[i].limit), cases[i].distance);
    }
}

static void long_texts_are_only_compared(void **state)
{
    (void)state;
    char a[200], b[200];
    memset(a, 'x', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    assert_int_equal(str_distance(a, b, 7), 0);
    b[3] = 'y';
    assert_int_equal(str_distance(a, b, 7), 7);
}

static void nearest_name_is_suggested(void **state)
{
    (void)state;
    static const char *const keys[] = {"d_model", "d_ff", "heads", "kv_heads",
                                       "vocab",   "norm", "rope",  "context"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"d_modle", "d_model"}, {"head", "heads"},     {"kv_head", "kv_heads"},
        {"vocabulary", NULL},   {"contex", "context"}, {"rop", "rope"},
        {"normm", "norm"},      {"x", NULL},           {"", NULL},
        {"activation", NULL},   {"dff", "d_ff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = str_nearest(cases[i].name, keys, sizeof keys / sizeof *keys);
        if (cases[i].nearest == NULL) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found, cases[i].nearest);
        }
    }
    assert_null(str_nearest("heads", keys, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_text_is_one_pointer),
        cmocka_unit_test(zero_bytes_belong_to_the_text),
        cmocka_unit_test(pointers_survive_growth),
        cmocka_unit_test(distances),
        cmocka_unit_test(long_texts_are_only_compared),
        cmocka_unit_test(nearest_name_is_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
