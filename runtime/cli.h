/* cli.h - the command line of the produced binary: one table drives parsing and help. */
#ifndef SINTER_CLI_H
#define SINTER_CLI_H

#include "message.h"

typedef enum CliCommand {
    CLI_RUN = 1,
    CLI_BENCH = 2,
    CLI_EVAL = 4,
    CLI_INFO = 8,
    CLI_TOKENIZE = 16,
    CLI_HELP = 32,
    CLI_VERSION = 64
} CliCommand;

typedef struct CliArgs {
    CliCommand command;
    const char *prompt, *prompt_file; /* run, tokenize */
    const char *eval_file;
    const char *tokens, *logits; /* raw i32 in, raw f32 out */
    const char *rows;            /* raw f32 activations in, for a model without an embedding */
    const char *weights;         /* NULL: the binary's path + ".weights" */
    const char *random;          /* seed as given; NULL: weights from a file */
    uint64_t random_seed, seed;
    int n;        /* tokens to generate, -1: until the text ends */
    int generate; /* ids to print, -1: none */
    int threads, context, batch, window;
    int stagger; /* steps by which a sequence of the batch starts after the one before */
    int top_k;
    float temperature, top_p;
    float peak; /* GB/s; 0: not given */
    int bench_prompt, bench_n, bench_depth, repeats;
    int decode, json, profile, probe_steps, quiet, no_bos, skip_checksums;
} CliArgs;

/* Fills *a from argv with defaults for the rest; SINTER_BAD_INPUT names the option and the remedy.
 */
SinterStatus cli_parse(CliArgs *a, int argc, char **argv, Message *m);
void cli_help(const char *program);

#endif
