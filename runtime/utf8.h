/* utf8.h - well-formed UTF-8 as Unicode 15 table 3-7 defines it (no surrogates, nothing overlong).
 */
#ifndef SINTER_UTF8_H
#define SINTER_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed character at s (n >= 1 bytes are there); 0 when there is none. */
size_t utf8_length(const char *s, size_t n);
/* 1 when s [n] begins a well-formed character that is not complete yet. */
int utf8_incomplete(const char *s, size_t n);

#endif
