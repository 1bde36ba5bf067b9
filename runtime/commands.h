/* commands.h - the commands of the produced binary. Each works on an open model, prints its result
 * on standard output, and leaves the reason of a failure in sinter_error(). */
#ifndef SINTER_COMMANDS_H
#define SINTER_COMMANDS_H

#include "cli.h"
#include "engine.h"

SinterStatus generate_run(Sinter *s, const CliArgs *a); /* generate.c: -p, -f */
SinterStatus tokenize_run(Sinter *s, const CliArgs *a); /* generate.c */
SinterStatus tokens_run(Sinter *s, const CliArgs *a);   /* tokens.c: --tokens */
SinterStatus bench_run(Sinter *s, const CliArgs *a);    /* bench.c */
SinterStatus eval_run(Sinter *s, const CliArgs *a);     /* eval.c */
/* info.c; needs no open model: what is wrong with the weights is part of what it prints. */
SinterStatus info_run(const CliArgs *a, const char *weights_path);

/* bandwidth.c: bytes/s that all threads of the pool read from memory, the best of some passes over
 * a buffer much larger than the caches; 0 when memory lacks. */
double bandwidth_probe(Pool *pool);
/* The same in single passes, each from where the one before ended. NULL: memory lacks. */
typedef struct Bandwidth Bandwidth;
Bandwidth *bandwidth_open(Pool *pool);
void bandwidth_close(Bandwidth *b);
double bandwidth_pass(Bandwidth *b, double bytes);

/* progress.c: a line on standard error, rewritten in place; only when that is a terminal. */
void progress_show(const char *what, double done, double total);
void progress_clear(void);
/* Bytes as a JSON string, quotes included. */
void json_string(const char *s);

/* eval.c: the text's ids fed in windows; the sum of -log2 p(id) in *bits, over *ids ids. */
SinterStatus eval_measure(Sinter *s, const CliArgs *a, const char *text, size_t bytes, double *bits,
                          size_t *ids);
/* eval.c: -log2 of the probability that softmax(logits) gives to id. */
double eval_bits(const float *logits, int vocab, int32_t id);

#endif
