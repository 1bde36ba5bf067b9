/* output.c - see output.h. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

SinterStatus output_open(Output *o, const char *path, Message *m)
{
    *o = (Output){.path = path};
    if (is_special(path)) {
        o->f = fopen(path, "wb");
    } else {
        size_t size = strlen(path) + 32;
        o->temporary = malloc(size);
        if (o->temporary) {
            snprintf(o->temporary, size, "%s.%ld.part", path, (long)getpid());
            o->f = fopen(o->temporary, "wbx");
        }
    }
    if (o->f)
        return SINTER_OK;
    int error = errno;
    free(o->temporary);
    return message_set(m, SINTER_BAD_INPUT, "cannot write %s: %s", path, strerror(error));
}

void output_write(Output *o, const void *data, size_t n)
{
    fwrite(data, 1, n, o->f);
}

SinterStatus output_commit(Output *o, Message *m)
{
    int failed = fflush(o->f) != 0 || ferror(o->f);
    if (!failed && o->temporary)
        failed = fsync(fileno(o->f)) != 0;
    int error = failed ? errno : 0;
    if (fclose(o->f) != 0 && !failed) {
        failed = 1;
        error = errno;
    }
    if (!failed && o->temporary && rename(o->temporary, o->path) != 0) {
        failed = 1;
        error = errno;
    }
    if (failed && o->temporary)
        unlink(o->temporary);
    free(o->temporary);
    if (!failed)
        return SINTER_OK;
    return message_set(m, SINTER_ENVIRONMENT, "cannot write %s: %s", o->path, strerror(error));
}

void output_abort(Output *o)
{
    fclose(o->f);
    if (o->temporary)
        unlink(o->temporary);
    free(o->temporary);
}

/* ---- input ----------------------------------------------------------------------------------- */

/* Everything of f, NUL-terminated; NULL with errno. */
static char *read_stream(FILE *f, size_t *n)
{
    char *data = NULL;
    size_t cap = 0, got;
    *n = 0;
    do {
        if (*n + 1 >= cap) {
            cap = cap ? cap * 2 : 65536;
            char *more = realloc(data, cap);
            if (!more) {
                free(data);
                return NULL;
            }
            data = more;
        }
        got = fread(data + *n, 1, cap - *n - 1, f);
        *n += got;
    } while (got > 0);
    data[*n] = 0;
    if (!ferror(f))
        return data;
    free(data);
    return NULL;
}

SinterStatus input_read(const char *path, char **data, size_t *n, Message *m)
{
    int standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    *data = f ? read_stream(f, n) : NULL;
    int error = errno;
    if (f && !standard)
        fclose(f);
    if (*data)
        return SINTER_OK;
    return message_set(m, SINTER_BAD_INPUT, "cannot read %s: %s", path, strerror(error));
}
