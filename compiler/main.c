/* main.c - argv to Options, the command, the exit code. The only file of the compiler that exits or
 * writes to stderr.
 *
 * 0 done; 1 the input was wrong; 2 the environment lacks something; 3 a defect of sinter. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "compiler/driver.h"

enum { EXIT_DONE = 0, EXIT_INPUT = 1, EXIT_ENVIRONMENT = 2, EXIT_DEFECT = 3 };

/* BUG() aborts: the process ends with 3 instead of a signal. */
static void on_abort(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_DEFECT);
}

static bool print_help(Ctx *ctx, Command command)
{
    Buf b = buf_create(ctx->arena);
    options_help(&b, command);
    fputs(b.data, stdout);
    return true;
}

static bool dispatch(Ctx *ctx, int argc, char **argv)
{
    Options o;
    if (!options_parse(ctx, argc, argv, &o)) {
        return false;
    }
    if (o.command == COMMAND_HELP) {
        return print_help(ctx, o.help_for);
    }
    if (o.command == COMMAND_VERSION) {
        printf("sinter %s\n", SINTER_VERSION);
        return true;
    }
    return driver_run(ctx, &o);
}

int main(int argc, char **argv)
{
    signal(SIGABRT, on_abort);
    Ctx *ctx = ctx_create();
    bool ok = dispatch(ctx, argc, argv);
    diag_flush(ctx->diag, stderr);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written) {
        perror("sinter: cannot write the output");
    }
    int code = !written                       ? EXIT_ENVIRONMENT
               : ok                           ? EXIT_DONE
               : diag_is_env_error(ctx->diag) ? EXIT_ENVIRONMENT
                                              : EXIT_INPUT;
    ctx_destroy(ctx);
    return code;
}
