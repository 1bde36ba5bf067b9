/* options.c - the option parser: two tables made from options.def and one loop over argv. */
#include "compiler/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum OptionKind { KIND_FLAG, KIND_TEXT, KIND_INT, KIND_LIST } OptionKind;

typedef struct OptionRow {
    uint32_t commands;
    const char *name, *short_name;
    OptionKind kind;
    size_t field;
    const char *argument, *doc;
} OptionRow;

typedef struct CommandRow {
    Command id;
    const char *name, *operands, *doc;
} CommandRow;

#define C(id) (1u << COMMAND_##id)

static const OptionRow option_rows[] = {
#define COMMAND(id, name, operands, doc)
#define OPTION(commands, name, short_name, kind, field, argument, doc)                             \
    {commands, name, short_name, KIND_##kind, offsetof(Options, field), argument, doc},
#include "compiler/options.def"
#undef COMMAND
#undef OPTION
};

static const CommandRow command_rows[] = {
#define COMMAND(id, name, operands, doc) {COMMAND_##id, name, operands, doc},
#define OPTION(commands, name, short_name, kind, field, argument, doc)
#include "compiler/options.def"
#undef COMMAND
#undef OPTION
};

enum {
    N_OPTIONS = sizeof option_rows / sizeof *option_rows,
    N_COMMANDS = sizeof command_rows / sizeof *command_rows,
};

static const Span nowhere = {0, 0};

const char *command_name(Command c)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (command_rows[i].id == c) {
            return command_rows[i].name;
        }
    }
    return "";
}

static bool option_matches(const OptionRow *row, const char *arg, size_t n)
{
    if (strncmp(arg, "--", 2) == 0) {
        return strlen(row->name) == n - 2 && strncmp(row->name, arg + 2, n - 2) == 0;
    }
    return row->short_name && n == 2 && arg[1] == row->short_name[0];
}

static const OptionRow *option_find(Command c, const char *arg, size_t n)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if ((option_rows[i].commands & (1u << c)) && option_matches(&option_rows[i], arg, n)) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static bool unknown_option(Ctx *ctx, Command c, const char *arg)
{
    const char *names[N_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (option_rows[i].commands & (1u << c)) {
            names[n++] = option_rows[i].name;
        }
    }
    const char *bare = arg + strspn(arg, "-");
    const char *near = str_nearest(bare, names, n);
    if (near) {
        return diag_error(ctx->diag, nowhere, "'sinter %s' has no option '%s'; did you mean --%s?",
                          command_name(c), arg, near);
    }
    return diag_error(ctx->diag, nowhere, "'sinter %s' has no option '%s'; see 'sinter %s --help'",
                      command_name(c), arg, command_name(c));
}

static void list_add(Ctx *ctx, TextList *list, const char *text)
{
    vec_push(ctx->arena, list, text);
}

/* Counts are at least 1; a seed is any number from 0. */
static bool int_store(Ctx *ctx, const OptionRow *row, const char *value, int64_t *field)
{
    bool seed = strcmp(row->name, "random") == 0;
    long long lo = seed ? 0 : 1, hi = seed ? INT64_MAX : 1 << 30;
    char *end = NULL;
    errno = 0;
    long long x = strtoll(value, &end, 10);
    if (errno || end == value || *end || x < lo || x > hi) {
        return diag_error(ctx->diag, nowhere,
                          "--%s takes a whole number from %lld to %lld, not '%s'", row->name, lo,
                          hi, value);
    }
    *field = x;
    return true;
}

static bool option_store(Ctx *ctx, Options *o, const OptionRow *row, const char *value)
{
    void *field = (char *)o + row->field;
    switch (row->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return true;
    case KIND_TEXT:
        *(const char **)field = value;
        return true;
    case KIND_LIST:
        list_add(ctx, field, value);
        return true;
    case KIND_INT:
        o->has_random = o->has_random || strcmp(row->name, "random") == 0;
        return int_store(ctx, row, value, field);
    }
    return false;
}

/* One option at argv[*i], its argument in `--name=value` or in the next word. */
static bool option_parse(Ctx *ctx, int argc, char **argv, int *i, Options *o)
{
    const char *arg = argv[*i];
    const char *eq = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
    const OptionRow *row = option_find(o->command, arg, n);
    if (!row) {
        return unknown_option(ctx, o->command, arg);
    }
    const char *value = eq ? eq + 1 : NULL;
    if (row->kind == KIND_FLAG) {
        if (value) {
            return diag_error(ctx->diag, nowhere, "--%s takes no argument", row->name);
        }
    } else if (!value) {
        if (*i + 1 >= argc) {
            return diag_error(ctx->diag, nowhere, "--%s needs an argument: --%s %s", row->name,
                              row->name, row->argument);
        }
        value = argv[++*i];
    }
    return option_store(ctx, o, row, value);
}

static bool command_parse(Ctx *ctx, const char *word, Options *o)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = command_rows[i].name;
        if (strcmp(word, names[i]) == 0) {
            o->command = command_rows[i].id;
            return true;
        }
    }
    const char *near = str_nearest(word, names, N_COMMANDS);
    return near ? diag_error(ctx->diag, nowhere, "there is no command '%s'; did you mean '%s'?",
                             word, near)
                : diag_error(ctx->diag, nowhere, "there is no command '%s'; see 'sinter --help'",
                             word);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 || strcmp(arg, "help") == 0;
}

static bool operand_parse(Ctx *ctx, const char *arg, Options *o)
{
    if (o->operand && !o->operand2 && o->command == COMMAND_CACHE) {
        o->operand2 = arg;
        return true;
    }
    if (o->operand) {
        return diag_error(ctx->diag, nowhere, "one file at a time: found '%s' after '%s'", arg,
                          o->operand);
    }
    o->operand = arg;
    return true;
}

static bool operand_missing(Ctx *ctx, const Options *o)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const char *operands = command_rows[i].operands;
        if (command_rows[i].id == o->command && *operands && *operands != '[' && !o->operand) {
            return !diag_error(ctx->diag, nowhere, "'sinter %s' needs an operand: sinter %s %s",
                               command_rows[i].name, command_rows[i].name, operands);
        }
    }
    return false;
}

bool options_parse(Ctx *ctx, int argc, char **argv, Options *o)
{
    *o = (Options){0};
    if (argc < 2 || is_help(argv[1])) {
        o->command = COMMAND_HELP;
        return true;
    }
    if (strcmp(argv[1], "--version") == 0) {
        o->command = COMMAND_VERSION;
        return true;
    }
    if (!command_parse(ctx, argv[1], o)) {
        return false;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            for (i++; i < argc; i++) {
                list_add(ctx, &o->rest, argv[i]);
            }
        } else if (is_help(argv[i])) {
            o->help_for = o->command;
            o->command = COMMAND_HELP;
            return true;
        } else if (argv[i][0] == '-' && argv[i][1] ? !option_parse(ctx, argc, argv, &i, o)
                                                   : !operand_parse(ctx, argv[i], o)) {
            return false;
        }
    }
    return !operand_missing(ctx, o);
}

static void help_option(Buf *b, const OptionRow *row)
{
    size_t start = b->len;
    buf_printf(b, "  %s%s%s--%s%s%s", row->short_name ? "-" : "",
               row->short_name ? row->short_name : "", row->short_name ? ", " : "    ", row->name,
               row->argument ? " " : "", row->argument ? row->argument : "");
    size_t width = b->len - start;
    buf_printf(b, "%*s%s\n", width < 30 ? (int)(30 - width) : 2, "", row->doc);
}

static void help_command(Buf *b, const CommandRow *c)
{
    buf_printf(b, "sinter %s %s\n  %s\n\n", c->name, c->operands, c->doc);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (option_rows[i].commands & (1u << c->id)) {
            help_option(b, &option_rows[i]);
        }
    }
}

void options_help(Buf *b, Command command)
{
    if (command == COMMAND_NONE) {
        buf_puts(b, "sinter: compiles a transformer model spec to readable C and one binary\n\n");
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const CommandRow *c = &command_rows[i];
        if (command == COMMAND_NONE) {
            buf_printf(b, "  sinter %-8s %-14s %s\n", c->name, c->operands, c->doc);
        } else if (c->id == command) {
            help_command(b, c);
        }
    }
    if (command == COMMAND_NONE) {
        buf_puts(b, "\n'sinter COMMAND --help' lists a command's options.\n"
                    "exit codes: 0 done, 1 the input was wrong, 2 the environment lacks something, "
                    "3 a defect of sinter\n");
    }
}
