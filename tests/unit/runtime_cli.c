/* runtime_cli.c - the command line of the produced binary, and files that appear only when whole.
 */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/stat.h>

#include "runtime/cli.h"
#include "runtime/output.h"
#include "tests/runtime/toy_model.c"

enum { MAX_WORDS = 16 };

/* Parses words separated by blanks. */
static SinterStatus parse(const char *line, CliArgs *a, Message *m)
{
    static char copy[512];
    char *argv[MAX_WORDS + 1] = {copy};
    int argc = 0;
    snprintf(copy, sizeof copy, "toy %s", line);
    for (char *word = strtok(copy, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
        argv[argc++] = word;
    m->text[0] = 0;
    return cli_parse(a, argc, argv, m);
}

static void test_good_lines(void **state)
{
    (void)state;
    CliArgs a;
    Message m;
    assert_int_equal(
        parse("-p hello -n 20 --temp 0.5 --top-k=40 --seed 18446744073709551615", &a, &m), 0);
    assert_int_equal(a.command, CLI_RUN);
    assert_string_equal(a.prompt, "hello");
    assert_int_equal(a.n, 20);
    assert_int_equal(a.top_k, 40);
    assert_true(a.temperature > 0.49f && a.temperature < 0.51f && a.seed == UINT64_MAX);
    assert_int_equal(parse("bench -p 64 -n 8 -r 2 --json --random 3 --batch 8", &a, &m), 0);
    assert_int_equal(a.command, CLI_BENCH);
    assert_true(a.bench_prompt == 64 && a.bench_n == 8 && a.repeats == 2 && a.json && a.batch == 8);
    assert_true(a.random && a.random_seed == 3);
    assert_int_equal(parse("eval text.txt --window 100", &a, &m), 0);
    assert_true(a.command == CLI_EVAL && a.window == 100 && strcmp(a.eval_file, "text.txt") == 0);
    assert_int_equal(parse("--tokens in --logits out --decode --batch 3", &a, &m), 0);
    assert_true(a.decode && a.batch == 3);
    assert_int_equal(parse("--help", &a, &m), 0);
    assert_int_equal(a.command, CLI_HELP);
    assert_int_equal(parse("bench --version", &a, &m), 0);
    assert_int_equal(a.command, CLI_VERSION);
}

static void test_bad_lines(void **state)
{
    static const char *const cases[][2] = {
        {"", "nothing to do: give -p TEXT"},
        {"-p", "-p needs a value: -p TEXT"},
        {"-p x --tmep 1", "did you mean '--temp'?"},
        {"-p x --zzzzzz", "unknown option '--zzzzzz' (--help"},
        {"bnech", "did you mean 'bench'?"},
        {"-p x -n 1.5", "-n: '1.5' is not a whole number"},
        {"-p x -n -2", "-n: -2 is out of range: 0 or more"},
        {"-p x --top-p 1.5", "--top-p: 1.5 is out of range: 0 to 1"},
        {"-p x --temp nan", "is not a number"},
        {"-p x --seed -1", "--seed: '-1' is not a whole number"},
        {"-p x -f y", "-p and -f both"},
        {"-p x y", "'y' is one word too many"},
        {"-p x --batch 2", "go with --tokens"},
        {"-p x --batch 9", "out of range: 1 to 8"},
        {"--tokens x --logits y --stagger 3", "--stagger goes with --batch of 2 and more"},
        {"--tokens x --generate 1 --batch 2 --stagger 3", "--stagger goes with --batch"},
        {"--tokens x", "--tokens needs --logits FILE or --generate N"},
        {"--tokens x -p y --generate 1", "takes the place of"},
        {"--random x -p y", "--random: 'x' is not"},
        {"--random 1 --weights w -p y", "exclude each other"},
        {"eval", "eval needs the file"},
        {"eval a b", "eval takes one file; 'b' is a second"},
        {"tokenize", "nothing to tokenize"},
        {"--rows x", "--rows FILE goes with --logits FILE"},
        {"bench --json=1", "--json takes no value"},
        {"bench --logits x", "unknown option '--logits'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CliArgs a;
        Message m;
        assert_int_equal(parse(cases[i][0], &a, &m), SINTER_BAD_INPUT);
        if (!strstr(m.text, cases[i][1]))
            fail_msg("'%s': '%s' does not say '%s'", cases[i][0], m.text, cases[i][1]);
    }
}

static int exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static void test_output(void **state)
{
    (void)state;
    char path[64], part[96];
    Output o;
    Message m;
    snprintf(path, sizeof path, "/tmp/sinter-output-%ld", (long)getpid());
    assert_int_equal(output_open(&o, path, &m), SINTER_OK);
    snprintf(part, sizeof part, "%s", o.temporary);
    output_write(&o, "abc", 3);
    assert_false(exists(path));
    output_abort(&o);
    assert_false(exists(path) || exists(part));
    assert_int_equal(output_open(&o, path, &m), SINTER_OK);
    output_write(&o, "abc", 3);
    assert_int_equal(output_commit(&o, &m), SINTER_OK);
    char *data;
    size_t n;
    assert_int_equal(input_read(path, &data, &n, &m), SINTER_OK);
    assert_int_equal(n, 3);
    assert_string_equal(data, "abc");
    free(data);
    unlink(path);
    assert_false(exists(part));
}

static void test_output_refused(void **state)
{
    (void)state;
    Output o;
    Message m;
    char *data;
    size_t n;
    assert_int_equal(output_open(&o, "/dev/null/x", &m), SINTER_BAD_INPUT);
    assert_non_null(strstr(m.text, "cannot write /dev/null/x"));
    assert_int_equal(input_read("/dev/null/x", &data, &n, &m), SINTER_BAD_INPUT);
    if (!exists("/dev/full"))
        return;
    assert_int_equal(output_open(&o, "/dev/full", &m), SINTER_OK);
    output_write(&o, "abc", 3);
    assert_int_equal(output_commit(&o, &m), SINTER_ENVIRONMENT);
    assert_non_null(strstr(m.text, "No space left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_output_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
