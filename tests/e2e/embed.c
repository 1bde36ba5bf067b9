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

static int print_id(void *user, const int32_t *id)
{
    int *left = user;
    printf(" %d", (int)*id);
    return --*left == 0;
}

/* The first half is fed id by id, the rest feeds itself. */
static int print_ids(SinterSequence *q, int count)
{
    SinterSampling greedy = {0.0F, 0, 1.0F, 0};
    int32_t id = sinter_sample(q, &greedy);
    int left = count - 1;
    printf("%d", (int)id);
    for (; id >= 0 && left > count / 2; left--) {
        if (sinter_feed(q, &id, 1) != SINTER_OK) {
            return 0;
        }
        id = sinter_sample(q, &greedy);
        printf(" %d", (int)id);
    }
    if (id < 0 || sinter_continue(&q, 1, &id, &greedy, left, print_id, &left) != SINTER_OK) {
        return 0;
    }
    putchar('\n');
    return 1;
}

int main(int argc, char **argv)
{
    SinterOptions options = {.threads = 1, .max_sequences = 1};
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
