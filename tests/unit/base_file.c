/* Files: whole reads, writes by rename, folders, path functions, the data folder. */
#include "place.h"

#include <string.h>
#include <sys/stat.h>

#include "compiler/base/ctx.h"
#include "compiler/base/file.h"
#include "compiler/base/paths.h"

static void check_content(const Place *p, const char *path, const char *data, size_t n)
{
    size_t got;
    char *text = file_read(p->ctx->arena, p->ctx->diag, path, &got);
    assert_non_null(text);
    assert_int_equal(got, n);
    assert_memory_equal(text, data, n);
    assert_int_equal(text[n], 0);
}

static void what_is_written_is_read(void **state)
{
    const Place *p = *state;
    static char data[100000];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)(i * 7 % 256);
    }
    static const size_t sizes[] = {0, 1, 16384, 16385, sizeof data};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_true(file_write(p->ctx->diag, place_path(p, "f"), data, sizes[i]));
        check_content(p, place_path(p, "f"), data, sizes[i]);
    }
    assert_int_equal(place_entries(p->dir), 1); /* no temporary file is left */
}

static void a_file_without_a_size_is_read_whole(void **state)
{
    const Place *p = *state;
    size_t n;
    char *text = file_read(p->ctx->arena, p->ctx->diag, "/proc/self/status", &n);
    assert_non_null(text);
    assert_true(n > 100);
    assert_int_equal(strlen(text), n);
}

static void an_equal_file_is_left_alone(void **state)
{
    const Place *p = *state;
    struct stat before, after;
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "one", 3));
    assert_int_equal(stat(place_path(p, "f"), &before), 0);
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "one", 3));
    assert_int_equal(stat(place_path(p, "f"), &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "two", 3));
    check_content(p, place_path(p, "f"), "two", 3);
}

/* Rename, not truncation: who has the old file open goes on reading the old text. */
static void readers_of_the_old_file_keep_it(void **state)
{
    const Place *p = *state;
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "old text", 8));
    FILE *reader = fopen(place_path(p, "f"), "r");
    assert_non_null(reader);
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "new", 3));
    char text[16] = {0};
    assert_int_equal(fread(text, 1, sizeof text, reader), 8);
    assert_string_equal(text, "old text");
    fclose(reader);
}

static void mode_is_kept(void **state)
{
    const Place *p = *state;
    struct stat st;
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "a", 1));
    assert_int_equal(chmod(place_path(p, "f"), 0750), 0);
    assert_true(file_write(p->ctx->diag, place_path(p, "f"), "b", 1));
    assert_int_equal(stat(place_path(p, "f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
}

static void a_device_is_written_not_replaced(void **state)
{
    const Place *p = *state;
    struct stat st;
    assert_true(file_write(p->ctx->diag, "/dev/null", "x", 1));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void failures_are_diagnosed_and_leave_nothing(void **state)
{
    const Place *p = *state;
    Diag *d = p->ctx->diag;
    size_t n;
    assert_null(file_read(p->ctx->arena, d, place_path(p, "none"), &n));
    assert_false(diag_is_env_error(d));
    assert_non_null(strstr(diag_text(d), "/none': No such file or directory\n"));
    assert_null(file_read(p->ctx->arena, d, p->dir, &n));
    assert_non_null(strstr(diag_text(d), "Is a directory\n"));
    assert_false(file_write(d, place_path(p, "none/f"), "x", 1));
    assert_non_null(strstr(diag_text(d), "error: cannot write '"));
    assert_true(file_make_dirs(d, place_path(p, "dir")));
    assert_false(file_write(d, place_path(p, "dir"), "x", 1));
    assert_int_equal(diag_error_count(d), 4);
    assert_int_equal(place_entries(p->dir), 1);
    assert_int_equal(place_entries(place_path(p, "dir")), 0);
}

static void folders_are_made_with_their_parents(void **state)
{
    const Place *p = *state;
    Diag *d = p->ctx->diag;
    assert_true(file_make_dirs(d, place_path(p, "a/b/c")));
    assert_true(file_make_dirs(d, place_path(p, "a/b/c/")));
    assert_true(file_is_dir(place_path(p, "a/b/c")));
    assert_true(file_exists(place_path(p, "a/b")));
    assert_false(file_exists(place_path(p, "a/x")));
    assert_true(file_write(d, place_path(p, "a/f"), "x", 1));
    assert_false(file_is_dir(place_path(p, "a/f")));
    assert_false(file_make_dirs(d, place_path(p, "a/f/g")));
    assert_true(diag_is_env_error(d));
}

static void path_functions(void **state)
{
    const Place *p = *state;
    Arena *a = p->ctx->arena;
    assert_string_equal(path_join(a, "a", "b"), "a/b");
    assert_string_equal(path_join(a, "a/", "b"), "a/b");
    assert_string_equal(path_join(a, "", "b"), "b");
    assert_string_equal(path_join(a, "a", "/b"), "/b");
    assert_string_equal(path_stem(a, "a/b/x.yaml"), "x");
    assert_string_equal(path_stem(a, "x"), "x");
    assert_string_equal(path_stem(a, "a.d/x"), "x");
    assert_string_equal(path_stem(a, "llama-3.2-1b.yaml"), "llama-3.2-1b");
    assert_string_equal(path_stem(a, ".hidden"), ".hidden");
    assert_string_equal(path_dir(a, "a/b/x.yaml"), "a/b");
    assert_string_equal(path_dir(a, "x.yaml"), ".");
    assert_string_equal(path_dir(a, "/x.yaml"), "/");
}

static void data_folder_is_found_by_prefix_or_variable(void **state)
{
    const Place *p = *state;
    Arena *a = p->ctx->arena;
    unsetenv("SINTER_DATA");
    const char *found = paths_data_dir(a);
    assert_non_null(found);
    assert_true(file_exists(path_join(a, found, "ir/rules")));
    assert_int_equal(setenv("SINTER_DATA", p->dir, 1), 0);
    assert_string_equal(paths_data_dir(a), p->dir);
    assert_int_equal(setenv("SINTER_DATA", place_path(p, "none"), 1), 0);
    assert_null(paths_data_dir(a));
    unsetenv("SINTER_DATA");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_enter, place_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(a_file_without_a_size_is_read_whole),
        TEST(an_equal_file_is_left_alone),
        TEST(readers_of_the_old_file_keep_it),
        TEST(mode_is_kept),
        TEST(a_device_is_written_not_replaced),
        TEST(failures_are_diagnosed_and_leave_nothing),
        TEST(folders_are_made_with_their_parents),
        TEST(path_functions),
        TEST(data_folder_is_found_by_prefix_or_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
