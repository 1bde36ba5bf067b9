/* message.h - the text of an error, carried from where it happens to whoever prints it.
 *
 * Functions that can fail return a SinterStatus and fill a Message: lower case, what was found,
 * what is allowed, and the remedy. */
#ifndef SINTER_MESSAGE_H
#define SINTER_MESSAGE_H

#include "sinter.h"

typedef struct Message {
    char text[1024];
} Message;

/* Writes the text and returns `status`, so that `return message_set(...)` reads well. */
SinterStatus message_set(Message *m, SinterStatus status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
