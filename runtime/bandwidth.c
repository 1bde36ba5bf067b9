/* bandwidth.c - how fast this machine's cores read memory, the limit of decode: all threads read a
 * buffer much larger than the caches, each its own part, several times; the best pass counts. */
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "memory.h"

enum { PASSES = 6 };

typedef uint64_t Line __attribute__((vector_size(64))); /* one cache line */

typedef struct Probe {
    Pool *pool;
    Line *data;
    size_t lines;
    uint64_t *sum; /* [threads]: the result is used, so that the reads stay */
    uint64_t best_ns;
} Probe;

/* One word of each line: the line comes whole, and no instruction set is needed to be faster than
 * the memory. */
static uint64_t read_lines(const Line *p, size_t n)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i + 4 <= n; i += 4) {
        a ^= p[i][0];
        b ^= p[i + 1][0];
        c ^= p[i + 2][0];
        d ^= p[i + 3][0];
    }
    return a ^ b ^ c ^ d;
}

static void probe_thread(void *arg, int thread)
{
    Probe *p = arg;
    SinterBarrier *barrier = pool_barrier(p->pool);
    size_t threads = (size_t)pool_threads(p->pool), t = (size_t)thread;
    size_t from = p->lines * t / threads, to = p->lines * (t + 1) / threads;
    for (size_t i = from; i < to; i++)
        p->data[i] = (Line){i};
    for (int pass = 0; pass < PASSES; pass++) {
        sinter_barrier(barrier, thread);
        uint64_t start = sinter_now_ns();
        p->sum[t * 8] ^= read_lines(p->data + from, to - from);
        sinter_barrier(barrier, thread);
        uint64_t ns = sinter_now_ns() - start;
        if (thread == 0 && (p->best_ns == 0 || ns < p->best_ns))
            p->best_ns = ns;
    }
}

/* 8 times the last cache, from 256 MB to 1 GB, and never more than an eighth of the memory. */
static size_t probe_bytes(void)
{
    long cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
    cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    size_t bytes = cache > 0 ? 8 * (size_t)cache : 0, low = (size_t)256 << 20,
           high = (size_t)1 << 30;
    bytes = bytes < low ? low : bytes > high ? high : bytes;
    uint64_t physical = memory_physical();
    if (physical && bytes > physical / 8)
        bytes = (size_t)(physical / 8);
    return bytes;
}

double bandwidth_probe(Pool *pool)
{
    size_t bytes = probe_bytes(), threads = (size_t)pool_threads(pool);
    Probe p = {.pool = pool, .lines = bytes / sizeof(Line)};
    p.data = memory_map(bytes);
    p.sum = calloc(threads * 8, sizeof *p.sum);
    if (p.data && p.sum)
        pool_run(pool, probe_thread, &p);
    memory_unmap(p.data, bytes);
    free(p.sum);
    return p.best_ns ? (double)(p.lines * sizeof(Line)) * 1e9 / (double)p.best_ns : 0;
}
