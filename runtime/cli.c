/* cli.c - the table of options, parsing, help (cli.h). */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "pool.h"

typedef enum Kind { FLAG, TEXT, INT, FLOAT, SEED } Kind;

typedef struct Option {
    int commands; /* CLI_RUN | ... */
    const char *name, *alias;
    const char *value; /* word for the value in the help */
    Kind kind;
    size_t field; /* of CliArgs */
    double min, max;
    const char *doc;
} Option;

typedef struct Command {
    CliCommand id;
    const char *name, *synopsis, *doc;
} Command;

enum {
    ANY = CLI_RUN | CLI_BENCH | CLI_EVAL | CLI_INFO | CLI_TOKENIZE,
    MODEL = CLI_RUN | CLI_BENCH | CLI_EVAL
};

static const Command commands[] = {
    {CLI_RUN, "", "-p TEXT [options]", "continue a text"},
    {CLI_BENCH, "bench", "[options]", "measure prefill and decode against the memory's bandwidth"},
    {CLI_EVAL, "eval", "FILE [options]", "bits per byte of a text"},
    {CLI_INFO, "info", "[--json]", "what was compiled in, and the weights beside it"},
    {CLI_TOKENIZE, "tokenize", "-p TEXT | -f FILE", "ids of a text"},
};

#define AT(field) offsetof(CliArgs, field)
#define INT_LARGE 2147483647.0

static const Option options[] = {
    {CLI_RUN | CLI_TOKENIZE, "-p", "--prompt", "TEXT", TEXT, AT(prompt), 0, 0,
     "text to continue; \"\" starts from nothing"},
    {CLI_RUN | CLI_TOKENIZE, "-f", "--file", "FILE", TEXT, AT(prompt_file), 0, 0,
     "the same from a file (- is standard input)"},
    {CLI_RUN, "-n", "--count", "N", INT, AT(n), 0, INT_LARGE,
     "tokens to generate at most; else until the text or the context ends"},
    {CLI_RUN, "--temp", "--temperature", "X", FLOAT, AT(temperature), 0, 100,
     "0 takes the likeliest token; 1 samples the model's distribution"},
    {CLI_RUN, "--top-k", NULL, "N", INT, AT(top_k), 0, INT_LARGE,
     "sample from the N likeliest only; 0 is off"},
    {CLI_RUN, "--top-p", NULL, "X", FLOAT, AT(top_p), 0, 1,
     "sample from the fewest tokens that together have probability X"},
    {CLI_RUN, "--seed", NULL, "N", SEED, AT(seed), 0, 0,
     "of the sampler; the same seed tells the same story"},
    {CLI_RUN, "--tokens", NULL, "FILE", TEXT, AT(tokens), 0, 0,
     "ids instead of text: raw little-endian int32"},
    {CLI_RUN, "--rows", NULL, "FILE", TEXT, AT(rows), 0, 0,
     "activations for a model without an embedding: raw float32 [n, d_model]; results go to "
     "--logits"},
    {CLI_RUN, "--logits", NULL, "FILE", TEXT, AT(logits), 0, 0,
     "with --tokens or --rows: every logit, raw float32 [batch, tokens, vocab]"},
    {CLI_RUN, "--generate", NULL, "N", INT, AT(generate), 0, INT_LARGE,
     "with --tokens: print N generated ids"},
    {CLI_RUN, "--decode", NULL, NULL, FLAG, AT(decode), 0, 0,
     "with --tokens or --rows: feed one by one instead of in chunks"},
    {CLI_RUN | CLI_BENCH, "--batch", "-b", "N", INT, AT(batch), 1, SINTER_MAX_BATCH,
     "sequences in each decode step (run: copies of the same)"},
    {CLI_RUN, "--stagger", NULL, "N", INT, AT(stagger), 0, INT_LARGE,
     "with --batch: each sequence starts N steps after the one before, so that steps have 1 to "
     "--batch sequences at different positions"},
    {CLI_BENCH, "-p", "--prompt", "N", INT, AT(bench_prompt), 0, INT_LARGE,
     "tokens of the prefill test (512); 0 skips it"},
    {CLI_BENCH, "-n", "--count", "N", INT, AT(bench_n), 0, INT_LARGE,
     "tokens of the decode test (128); 0 skips it"},
    {CLI_BENCH, "-d", "--depth", "N", INT, AT(bench_depth), 0, INT_LARGE,
     "tokens already in the context before each test"},
    {CLI_BENCH, "--peak", NULL, "GB/S", FLOAT, AT(peak), 0, 1e9,
     "the memory's bandwidth, for shares of it; else what a GPU's clock and bus promise"},
    {CLI_BENCH, "-r", "--repeat", "N", INT, AT(repeats), 1, 1000, "runs of each test"},
    {CLI_BENCH, "--profile", NULL, NULL, FLAG, AT(profile), 0, 0,
     "time, bytes and FLOPs of each kernel"},
    {CLI_BENCH, "--probe-steps", NULL, NULL, FLAG, AT(probe_steps), 0, 0,
     "CPU: reads of memory between the steps of decode too; what a step reaches of the ones right "
     "before and behind it"},
    {CLI_EVAL, "--window", NULL, "N", INT, AT(window), 1, INT_LARGE,
     "ids of each window; else context - 1"},
    {CLI_BENCH | CLI_EVAL | CLI_INFO, "--json", NULL, NULL, FLAG, AT(json), 0, 0,
     "machine-readable"},
    {CLI_RUN | CLI_TOKENIZE, "--no-bos", NULL, NULL, FLAG, AT(no_bos), 0, 0,
     "do not put the beginning-of-text token first"},
    {MODEL, "--threads", "-t", "N", INT, AT(threads), 1, POOL_MAX_THREADS,
     "else one per core this process may use"},
    {MODEL, "--context", NULL, "N", INT, AT(context), 1, INT_LARGE,
     "positions; else what was compiled in"},
    {ANY, "--weights", "-w", "FILE", TEXT, AT(weights), 0, 0,
     "else the program's own path with .weights"},
    {MODEL, "--random", NULL, "SEED", TEXT, AT(random), 0, 0,
     "random weights made in memory: speed without a checkpoint"},
    {ANY, "--skip-checksums", NULL, NULL, FLAG, AT(skip_checksums), 0, 0,
     "trust the bytes of the weights: starts faster"},
    {MODEL, "--quiet", "-q", NULL, FLAG, AT(quiet), 0, 0,
     "no progress and no figures on standard error"},
    {ANY, "--help", "-h", NULL, FLAG, 0, 0, 0, "this page"},
    {ANY, "--version", NULL, NULL, FLAG, 0, 0, 0, "name of the model and target"},
};

enum {
    N_OPTIONS = sizeof options / sizeof *options,
    N_COMMANDS = sizeof commands / sizeof *commands
};

/* ---- nearest name ---------------------------------------------------------------------------- */

static int min2(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and substitutions from a to b; names longer than the table are far. */
static int distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    int row[MAX + 1], nb = (int)strlen(b);
    if (nb > MAX)
        return MAX;
    for (int k = 0; k <= nb; k++)
        row[k] = k;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int k = 1; k <= nb; k++) {
            int d = min2(min2(row[k], row[k - 1]) + 1, diagonal + (a[i - 1] != b[k - 1]));
            diagonal = row[k];
            row[k] = d;
        }
    }
    return row[nb];
}

static void offer(const char *given, const char *name, const char **best, int *best_distance)
{
    int d = name && name[0] ? distance(given, name) : 99;
    if (d < *best_distance) {
        *best = name;
        *best_distance = d;
    }
}

static const char *nearest(const char *given, int command, int want_command)
{
    const char *best = NULL;
    int limit = (int)strlen(given) / 2, near = min2(limit, 3) + 1;
    for (int i = 0; want_command && i < N_COMMANDS; i++)
        offer(given, commands[i].name, &best, &near);
    for (int i = 0; !want_command && i < N_OPTIONS; i++) {
        if (!(options[i].commands & command))
            continue;
        offer(given, options[i].name, &best, &near);
        offer(given, options[i].alias, &best, &near);
    }
    return best;
}

/* ---- values ---------------------------------------------------------------------------------- */

static SinterStatus parse_number(double *out, const Option *o, const char *text, Message *m)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || (o->kind == INT && x != floor(x)))
        return message_set(m, SINTER_BAD_INPUT, "%s: '%s' is not a %s", o->name, text,
                           o->kind == INT ? "whole number" : "number");
    if (x >= o->min && x <= o->max) {
        *out = x;
        return SINTER_OK;
    }
    if (o->max >= INT_LARGE)
        return message_set(m, SINTER_BAD_INPUT, "%s: %s is out of range: %g or more", o->name, text,
                           o->min);
    return message_set(m, SINTER_BAD_INPUT, "%s: %s is out of range: %g to %g", o->name, text,
                       o->min, o->max);
}

static SinterStatus parse_seed(uint64_t *out, const char *name, const char *text, Message *m)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-')
        return message_set(m, SINTER_BAD_INPUT, "%s: '%s' is not a whole number from 0 to 2^64 - 1",
                           name, text);
    return SINTER_OK;
}

static SinterStatus parse_value(CliArgs *a, const Option *o, const char *text, Message *m)
{
    char *field = (char *)a + o->field;
    double x = 0;
    SinterStatus status = SINTER_OK;
    switch (o->kind) {
    case FLAG:
        *(int *)(void *)field = 1;
        break;
    case TEXT:
        *(const char **)(void *)field = text;
        break;
    case SEED:
        status = parse_seed((uint64_t *)(void *)field, o->name, text, m);
        break;
    case INT:
        status = parse_number(&x, o, text, m);
        if (!status)
            *(int *)(void *)field = (int)x;
        break;
    case FLOAT:
        status = parse_number(&x, o, text, m);
        if (!status)
            *(float *)(void *)field = (float)x;
        break;
    }
    return status;
}

/* ---- the line -------------------------------------------------------------------------------- */

static const Option *find_option(const char *name, size_t n, int command)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        const Option *o = &options[i];
        if (!(o->commands & command))
            continue;
        if ((strncmp(o->name, name, n) == 0 && !o->name[n]) ||
            (o->alias && strncmp(o->alias, name, n) == 0 && !o->alias[n]))
            return o;
    }
    return NULL;
}

static SinterStatus unknown(const char *what, const char *given, const char *suggestion, Message *m)
{
    if (suggestion)
        return message_set(m, SINTER_BAD_INPUT,
                           "unknown %s '%s'; did you mean '%s'? (--help lists all)", what, given,
                           suggestion);
    return message_set(m, SINTER_BAD_INPUT, "unknown %s '%s' (--help lists all)", what, given);
}

/* argv[*i] and, when it takes a value apart, argv[*i + 1]. */
static SinterStatus parse_option(CliArgs *a, int argc, char **argv, int *i, Message *m)
{
    const char *arg = argv[*i], *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
    const Option *o = find_option(arg, n, (int)a->command);
    if (!o)
        return unknown("option", arg, nearest(arg, (int)a->command, 0), m);
    if (strcmp(o->name, "--help") == 0 || strcmp(o->name, "--version") == 0) {
        a->command = o->name[2] == 'h' ? CLI_HELP : CLI_VERSION;
        return SINTER_OK;
    }
    if (o->kind == FLAG && equals)
        return message_set(m, SINTER_BAD_INPUT, "%s takes no value", o->name);
    if (o->kind == FLAG)
        return parse_value(a, o, NULL, m);
    if (equals)
        return parse_value(a, o, equals + 1, m);
    if (*i + 1 == argc)
        return message_set(m, SINTER_BAD_INPUT, "%s needs a value: %s %s", arg, arg, o->value);
    return parse_value(a, o, argv[++*i], m);
}

static SinterStatus parse_word(CliArgs *a, const char *word, Message *m)
{
    if (a->command != CLI_EVAL)
        return message_set(m, SINTER_BAD_INPUT,
                           "'%s' is one word too many; a text to continue is given by -p", word);
    if (a->eval_file)
        return message_set(m, SINTER_BAD_INPUT, "eval takes one file; '%s' is a second", word);
    a->eval_file = word;
    return SINTER_OK;
}

static SinterStatus parse_command(CliArgs *a, const char *word, Message *m)
{
    for (int i = 1; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, word) == 0) {
            a->command = commands[i].id;
            return SINTER_OK;
        }
    }
    if (strcmp(word, "help") == 0) {
        a->command = CLI_HELP;
        return SINTER_OK;
    }
    return unknown("command", word, nearest(word, 0, 1), m);
}

static SinterStatus check_run(const CliArgs *a, Message *m)
{
    if (a->prompt && a->prompt_file)
        return message_set(m, SINTER_BAD_INPUT, "-p and -f both give the text: use one");
    if (a->command == CLI_TOKENIZE && !a->prompt && !a->prompt_file)
        return message_set(m, SINTER_BAD_INPUT, "nothing to tokenize: give -p TEXT or -f FILE");
    if (a->command == CLI_EVAL && !a->eval_file)
        return message_set(m, SINTER_BAD_INPUT,
                           "eval needs the file whose text is to be predicted");
    if (a->command != CLI_RUN)
        return SINTER_OK;
    if (a->rows && (a->tokens || a->prompt || a->prompt_file || !a->logits || a->generate >= 0 ||
                    a->batch > 1))
        return message_set(m, SINTER_BAD_INPUT,
                           "--rows FILE goes with --logits FILE and nothing else of the kind");
    if (a->rows)
        return SINTER_OK;
    if (!a->prompt && !a->prompt_file && !a->tokens)
        return message_set(m, SINTER_BAD_INPUT,
                           "nothing to do: give -p TEXT, -f FILE or --tokens FILE "
                           "(--help lists all)");
    if (a->tokens && (a->prompt || a->prompt_file))
        return message_set(m, SINTER_BAD_INPUT, "--tokens takes the place of -p and -f: use one");
    if (a->tokens && !a->logits && a->generate < 0)
        return message_set(m, SINTER_BAD_INPUT, "--tokens needs --logits FILE or --generate N");
    if (!a->tokens && (a->logits || a->generate >= 0 || a->decode || a->batch > 1))
        return message_set(m, SINTER_BAD_INPUT,
                           "--logits, --generate, --decode and --batch go with "
                           "--tokens FILE");
    if (a->stagger && (a->batch == 1 || !a->logits))
        return message_set(m, SINTER_BAD_INPUT,
                           "--stagger goes with --batch of 2 and more, and --logits FILE");
    return SINTER_OK;
}

SinterStatus cli_parse(CliArgs *a, int argc, char **argv, Message *m)
{
    *a = (CliArgs){.command = CLI_RUN,
                   .n = -1,
                   .generate = -1,
                   .batch = 1,
                   .top_p = 1,
                   .bench_prompt = -1,
                   .bench_n = -1,
                   .repeats = 5};
    SinterStatus status = SINTER_OK;
    int i = 1;
    if (argc > 1 && argv[1][0] != '-')
        status = parse_command(a, argv[i++], m);
    for (; !status && i < argc && a->command < CLI_HELP; i++) {
        if (argv[i][0] == '-' && argv[i][1])
            status = parse_option(a, argc, argv, &i, m);
        else
            status = parse_word(a, argv[i], m);
    }
    if (!status && a->random)
        status = parse_seed(&a->random_seed, "--random", a->random, m);
    if (!status && a->random && a->weights)
        status = message_set(m, SINTER_BAD_INPUT, "--random and --weights exclude each other");
    return status ? status : check_run(a, m);
}

/* ---- help ------------------------------------------------------------------------------------ */

static void help_option(const Option *o)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s%s", o->name, o->alias ? ", " : "",
             o->alias ? o->alias : "", o->value ? " " : "", o->value ? o->value : "");
    printf("    %-24s %s\n", left, o->doc);
}

static int count_bits(int x)
{
    int n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

void cli_help(const char *program)
{
    printf("%s: %s\n%s, for %s\n\n", program, sinter_model.name, sinter_model.spec_summary,
           sinter_model.target);
    for (int c = 0; c < N_COMMANDS; c++) {
        const Command *k = &commands[c];
        printf("  %s %s%s%s\n      %s\n", program, k->name, *k->name ? " " : "", k->synopsis,
               k->doc);
        for (int i = 0; i < N_OPTIONS; i++)
            if (options[i].commands & (int)k->id && count_bits(options[i].commands) < 3)
                help_option(&options[i]);
    }
    printf("  everywhere, where it has a meaning:\n");
    for (int i = 0; i < N_OPTIONS; i++)
        if (count_bits(options[i].commands) >= 3)
            help_option(&options[i]);
    printf("\nexit codes: 0 done, 1 the input was wrong, 2 the environment lacks something, 3 a "
           "defect\n");
}
