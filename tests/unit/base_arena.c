/* Arena, vec and checked_mul. */
#include "unit.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/vec.h"

static void objects_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    Arena *a = arena_create();
    unsigned char *object[300];
    for (size_t i = 0; i < 300; i++) {
        object[i] = arena_alloc(a, i);
        assert_int_equal((uintptr_t)object[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(object[i][k], 0);
        }
        memset(object[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(object[i][k], i & 0xff);
        }
    }
    arena_destroy(a);
}

static void empty_objects_have_addresses_of_their_own(void **state)
{
    (void)state;
    Arena *a = arena_create();
    void *p = arena_alloc(a, 0), *q = arena_alloc(a, 0);
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    arena_destroy(a);
    arena_destroy(NULL);
}

static void an_object_may_be_larger_than_a_block(void **state)
{
    (void)state;
    Arena *a = arena_create();
    char *small = arena_strdup(a, "before");
    char *large = arena_alloc(a, 1 << 20);
    memset(large, 'x', 1 << 20);
    char *after = arena_strdup(a, "after");
    assert_string_equal(small, "before");
    assert_string_equal(after, "after");
    arena_destroy(a);
}

static void used_counts_and_reset_starts_again(void **state)
{
    (void)state;
    Arena *a = arena_create();
    assert_int_equal(arena_used(a), 0);
    arena_alloc(a, 100);
    arena_alloc(a, 23);
    assert_int_equal(arena_used(a), 123);
    for (int round = 0; round < 3; round++) {
        arena_reset(a);
        assert_int_equal(arena_used(a), 0);
        unsigned char *p = arena_alloc(a, 1000);
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 0xff, 1000);
    }
    arena_destroy(a);
}

static void strings_are_copied(void **state)
{
    (void)state;
    Arena *a = arena_create();
    char text[] = "gate_up";
    char *copy = arena_strdup(a, text), *part = arena_strndup(a, text, 4);
    text[0] = 'X';
    assert_string_equal(copy, "gate_up");
    assert_string_equal(part, "gate");
    assert_string_equal(arena_strndup(a, NULL, 0), "");
    assert_string_equal(arena_printf(a, "%s.%d", "layers", 31), "layers.31");
    assert_int_equal(strlen(arena_printf(a, "%5000d", 1)), 5000);
    arena_destroy(a);
}

static void ask_for_too_many(void)
{
    Arena *a = arena_create();
    arena_alloc_array(a, SIZE_MAX / 2, 3);
}

static void ask_for_all_memory(void)
{
    Arena *a = arena_create();
    arena_alloc(a, SIZE_MAX - 3);
}

static void sizes_that_overflow_abort(void **state)
{
    (void)state;
    unit_assert_aborts(ask_for_too_many);
#ifndef __SANITIZE_ADDRESS__ /* its allocator stops the process by itself */
    unit_assert_aborts(ask_for_all_memory);
#else
    (void)ask_for_all_memory;
#endif
}

static void vec_keeps_elements_while_it_grows(void **state)
{
    (void)state;
    Arena *a = arena_create();
    VEC(int) squares = {0};
    for (int i = 0; i < 1000; i++) {
        vec_push(a, &squares, i * i);
        assert_true(squares.n <= squares.cap);
    }
    assert_int_equal(squares.n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(squares.data[i], i * i);
    }
    arena_destroy(a);
}

static void check_mul(int64_t a, int64_t b, bool fits, int64_t product)
{
    int64_t out = 0;
    assert_int_equal(checked_mul_i64(a, b, &out), fits);
    if (fits) {
        assert_true(out == product);
    }
}

static void checked_mul_sees_overflow(void **state)
{
    (void)state;
    check_mul(0, INT64_MAX, true, 0);
    check_mul(4096, 14336, true, 58720256);
    check_mul(INT64_MAX, 1, true, INT64_MAX);
    check_mul(INT64_MAX, 2, false, 0);
    check_mul(INT64_C(1) << 31, INT64_C(1) << 31, true, INT64_C(1) << 62);
    check_mul(INT64_C(1) << 32, INT64_C(1) << 31, false, 0);
    check_mul(INT64_MIN, -1, false, 0);
    check_mul(-(INT64_C(1) << 32), INT64_C(1) << 31, true, INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_aligned_zeroed_and_apart),
        cmocka_unit_test(empty_objects_have_addresses_of_their_own),
        cmocka_unit_test(an_object_may_be_larger_than_a_block),
        cmocka_unit_test(used_counts_and_reset_starts_again),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(sizes_that_overflow_abort),
        cmocka_unit_test(vec_keeps_elements_while_it_grows),
        cmocka_unit_test(checked_mul_sees_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
