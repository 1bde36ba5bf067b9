/* progress.c - progress on a terminal, and JSON strings (commands.h). */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"

void progress_show(const char *what, double done, double total)
{
    static uint64_t last;
    uint64_t now = sinter_now_ns();
    if (!isatty(2) || now - last < 100000000u)
        return;
    last = now;
    fprintf(stderr, "\r%s %3.0f %%\033[K", what, total > 0 ? 100 * done / total : 100);
}

void progress_clear(void)
{
    if (isatty(2))
        fputs("\r\033[K", stderr);
}

void json_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}
