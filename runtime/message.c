/* message.c - see message.h. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

SinterStatus message_set(Message *m, SinterStatus status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m->text, sizeof m->text, fmt, ap);
    va_end(ap);
    return status;
}
