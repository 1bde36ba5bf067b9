/* main.c - the produced binary: argv -> command -> exit code (0 done, 1 the input was wrong, 2 the
 * environment lacks something, 3 a defect). The only file of the runtime that prints errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

enum { PATH_SIZE = 4096 };

/* The program's own path with .weights behind it. */
static void default_weights(char out[PATH_SIZE], const char *argv0)
{
    const char *end = ".weights";
    ssize_t n = readlink("/proc/self/exe", out, PATH_SIZE - strlen(end) - 1);
    if (n > 0)
        snprintf(out + n, PATH_SIZE - (size_t)n, "%s", end);
    else
        snprintf(out, PATH_SIZE, "%s%s", argv0, end);
}

/* The name that the program is called by. */
static const char *program_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    return slash ? slash + 1 : argv0;
}

static void show_load(void *user, const char *what, double done, double total)
{
    (void)user;
    progress_show(what, done, total);
}

static SinterStatus open_model(Sinter **s, const CliArgs *a, const char *weights)
{
    SinterOptions o = {
        .threads = a->threads,
        .context = a->context,
        .max_sequences = a->batch,
        .random_seed = (int64_t)a->random_seed,
        .skip_checksums = a->skip_checksums,
        .progress = a->quiet ? NULL : show_load,
    };
    SinterStatus status = sinter_open(s, a->random ? NULL : weights, &o);
    if (!a->quiet)
        progress_clear();
    if (status && *s && !a->random && !a->weights && access(weights, F_OK) != 0)
        message_set(
            &(*s)->error, status,
            "there are no weights at %s: pack them with 'sinter pack SPEC --weights DIR -o FILE', "
            "name them with --weights FILE, or measure speed with --random SEED",
            weights);
    return status;
}

static SinterStatus run_command(Sinter *s, const CliArgs *a)
{
    if (a->command == CLI_BENCH)
        return bench_run(s, a);
    if (a->command == CLI_EVAL)
        return eval_run(s, a);
    if (a->command == CLI_TOKENIZE)
        return tokenize_run(s, a);
    return a->tokens || a->rows ? tokens_run(s, a) : generate_run(s, a);
}

static SinterStatus run_on_model(const CliArgs *a, const char *weights, Message *m)
{
    Sinter *s = NULL;
    SinterStatus status = open_model(&s, a, weights);
    if (!status)
        status = run_command(s, a);
    if (status)
        message_set(m, status, "%s", sinter_error(s));
    sinter_close(s);
    return status;
}

static SinterStatus run(const CliArgs *a, const char *argv0, Message *m)
{
    char path[PATH_SIZE];
    default_weights(path, argv0);
    const char *weights = a->weights ? a->weights : path;
    if (a->command == CLI_HELP)
        cli_help(program_name(argv0));
    else if (a->command == CLI_VERSION)
        printf("%s (%s), made by sinter\n", sinter_model.name, sinter_model.target);
    else if (a->command == CLI_INFO)
        return info_run(a, weights);
    else
        return run_on_model(a, weights, m);
    return SINTER_OK;
}

int main(int argc, char **argv)
{
    CliArgs a;
    Message m = {""};
    const char *argv0 = argc > 0 ? argv[0] : "sinter-model";
    SinterStatus status = cli_parse(&a, argc, argv, &m);
    if (!status)
        status = run(&a, argv0, &m);
    if (!status && (fflush(stdout) != 0 || ferror(stdout)))
        status = message_set(&m, SINTER_ENVIRONMENT,
                             "cannot write to standard output: is the disk full?");
    if (status)
        fprintf(stderr, "%s: error: %s\n", program_name(argv0), m.text);
    return (int)status;
}
