/* output.h - a result file that appears under its name only when it is whole. */
#ifndef SINTER_OUTPUT_H
#define SINTER_OUTPUT_H

#include <stdio.h>

#include "message.h"

typedef struct Output {
    FILE *f;
    const char *path;
    char *temporary; /* NULL: path is a pipe or device, written directly */
} Output;

SinterStatus output_open(Output *o, const char *path, Message *m);
void output_write(Output *o, const void *data, size_t n); /* errors are kept until the commit */
/* Flushes and renames; on failure (disk full) the temporary file is gone. Ends the Output. */
SinterStatus output_commit(Output *o, Message *m);
void output_abort(Output *o);

/* A whole file ("-": standard input), NUL-terminated, for free(); SINTER_BAD_INPUT when it cannot
 * be read. */
SinterStatus input_read(const char *path, char **data, size_t *n, Message *m);

#endif
