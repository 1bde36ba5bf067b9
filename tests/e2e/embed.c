/* embed.c - a program that has a compiled model inside: continues ids greedily through the public
 * interface alone.
 *
 *   embed WEIGHTS COUNT ID...      prints COUNT ids */
#include <stdio.h>
#include <stdlib.h>

#include "tinytales.h"

enum { MAX_PROMPT = 64 };

static int fail(const Sinter *s)
{
    fprintf(stderr, "%s\n", sinter_error(s));
    return 1;
}

static int print_ids(SinterSequence *q, int count)
{
    SinterSampling greedy = {0.0F, 0, 1.0F, 0};
    for (int i = 0; i < count; i++) {
        int32_t id = sinter_sample(q, &greedy);
        printf("%s%d", i ? " " : "", (int)id);
        if (id < 0 || sinter_feed(q, &id, 1) != SINTER_OK) {
            return 0;
        }
    }
    putchar('\n');
    return 1;
}

int main(int argc, char **argv)
{
    SinterOptions options = {1, 0, 1, 0, 0};
    Sinter *s = NULL;
    if (argc < 4 || sinter_open(&s, argv[1], &options) != SINTER_OK) {
        return fail(s);
    }
    int32_t ids[MAX_PROMPT];
    size_t n = 0;
    for (int i = 3; i < argc && n < MAX_PROMPT; i++) {
        ids[n++] = (int32_t)atoi(argv[i]);
    }
    SinterSequence *q = sinter_sequence(s);
    if (!q || sinter_feed(q, ids, n) != SINTER_OK || !print_ids(q, atoi(argv[2]))) {
        return fail(s);
    }
    sinter_close(s);
    return 0;
}
