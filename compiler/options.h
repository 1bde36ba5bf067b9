/* options.h - argv -> Options, from the tables in options.def. */
#ifndef SINTER_COMPILER_OPTIONS_H
#define SINTER_COMPILER_OPTIONS_H

#include "compiler/base/ctx.h"
#include "compiler/base/vec.h"

typedef enum Command {
    COMMAND_NONE,
    COMMAND_HELP,
    COMMAND_VERSION,
#define COMMAND(id, name, operands, doc) COMMAND_##id,
#define OPTION(commands, name, short_name, kind, field, argument, doc)
#include "compiler/options.def"
#undef COMMAND
#undef OPTION
    COMMAND_COUNT
} Command;

typedef struct TextList {
    size_t n, cap;
    const char **data;
} TextList;

#define OPTION_C_FLAG bool
#define OPTION_C_TEXT const char *
#define OPTION_C_INT int64_t
#define OPTION_C_LIST TextList

typedef struct Options {
    Command command;
    Command help_for;     /* COMMAND_HELP: of which command */
    const char *operand;  /* the spec, folder or IR file; NULL when none was given */
    const char *operand2; /* cache: of which model */
    TextList rest;        /* after `--` */
    bool has_random;
#define COMMAND(id, name, operands, doc)
#define OPTION(commands, name, short_name, kind, field, argument, doc) OPTION_C_##kind field;
#include "compiler/options.def"
#undef COMMAND
#undef OPTION
} Options;

/* False after a diagnostic (unknown option: the nearest one; missing or malformed argument). */
bool options_parse(Ctx *ctx, int argc, char **argv, Options *o);
/* Help of one command, or of all when COMMAND_NONE. */
void options_help(Buf *b, Command command);
const char *command_name(Command c);

#endif
