/* utf8.c - see utf8.h. */
#include "utf8.h"

typedef struct Lead {
    unsigned char from, to;  /* first byte */
    unsigned char low, high; /* range of the second byte */
    unsigned char length;
} Lead;

static const Lead leads[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const Lead *lead_of(unsigned char c)
{
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if (c >= leads[i].from && c <= leads[i].to)
            return &leads[i];
    return NULL;
}

/* How many bytes of s fit the character that its first byte begins. */
static size_t fitting(const Lead *lead, const char *s, size_t n)
{
    size_t i = 1;
    for (; i < n && i < lead->length; i++) {
        unsigned char c = (unsigned char)s[i], low = i == 1 ? lead->low : 0x80;
        unsigned char high = i == 1 ? lead->high : 0xbf;
        if (c < low || c > high)
            break;
    }
    return i;
}

size_t utf8_length(const char *s, size_t n)
{
    if ((unsigned char)s[0] < 0x80)
        return 1;
    const Lead *lead = lead_of((unsigned char)s[0]);
    return lead && fitting(lead, s, n) == lead->length ? lead->length : 0;
}

int utf8_incomplete(const char *s, size_t n)
{
    const Lead *lead = n ? lead_of((unsigned char)s[0]) : NULL;
    return lead && n < lead->length && fitting(lead, s, n) == n;
}
