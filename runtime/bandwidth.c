/* bandwidth.c - how fast this machine's cores read memory, the limit of decode: all threads read a
 * buffer much larger than the caches, each its own part. */
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "memory.h"

enum { PASSES = 6, LEAST_BYTES = 64 << 20, AHEAD = 16 };

typedef uint64_t Line __attribute__((vector_size(64))); /* one cache line */

struct Bandwidth {
    Pool *pool;
    Line *data;
    size_t lines;     /* of the whole buffer */
    size_t at, count; /* what the next pass reads */
    uint64_t *sum;    /* [threads]: the result is used, so that the reads stay */
    uint64_t ns;      /* of the last pass */
};

/* One word of each line: the line comes whole, and no instruction set is needed to be faster than
 * the memory. Two streams, asked for ahead, were the fastest of ten ways to read: 4 to 8 % faster
 * than one stream (docs/decode-notes.md). */
static uint64_t read_lines(const Line *p, size_t n)
{
    const Line *q = p + n / 2;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i + 2 <= n / 2; i += 2) {
        __builtin_prefetch(p + i + AHEAD);
        __builtin_prefetch(q + i + AHEAD);
        a ^= p[i][0];
        b ^= q[i][0];
        __builtin_prefetch(p + i + AHEAD + 1);
        __builtin_prefetch(q + i + AHEAD + 1);
        c ^= p[i + 1][0];
        d ^= q[i + 1][0];
    }
    return a ^ b ^ c ^ d;
}

/* The first of n lines that are thread t's. */
static size_t share(const Bandwidth *b, size_t n, size_t t)
{
    return n * t / (size_t)pool_threads(b->pool);
}

static void write_thread(void *arg, int thread)
{
    Bandwidth *b = arg;
    size_t t = (size_t)thread;
    for (size_t i = share(b, b->lines, t); i < share(b, b->lines, t + 1); i++)
        b->data[i] = (Line){i};
}

static void read_thread(void *arg, int thread)
{
    Bandwidth *b = arg;
    SinterBarrier *barrier = pool_barrier(b->pool);
    size_t t = (size_t)thread, from = share(b, b->count, t), to = share(b, b->count, t + 1);
    sinter_barrier(barrier, thread);
    uint64_t start = sinter_now_ns();
    b->sum[t * 8] ^= read_lines(b->data + b->at + from, to - from);
    sinter_barrier(barrier, thread);
    if (thread == 0)
        b->ns = sinter_now_ns() - start;
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

Bandwidth *bandwidth_open(Pool *pool)
{
    Bandwidth *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->pool = pool;
    b->lines = probe_bytes() / sizeof(Line);
    b->data = memory_map(b->lines * sizeof(Line));
    b->sum = calloc((size_t)pool_threads(pool) * 8, sizeof *b->sum);
    if (!b->data || !b->sum) {
        bandwidth_close(b);
        return NULL;
    }
    pool_run(pool, write_thread, b);
    return b;
}

void bandwidth_close(Bandwidth *b)
{
    if (!b)
        return;
    memory_unmap(b->data, b->lines * sizeof(Line));
    free(b->sum);
    free(b);
}

double bandwidth_pass(Bandwidth *b, double bytes)
{
    size_t count = (size_t)(bytes < LEAST_BYTES ? LEAST_BYTES : bytes) / sizeof(Line);
    b->count = count < b->lines ? count : b->lines;
    b->at = b->at + 2 * b->count <= b->lines ? b->at + b->count : 0;
    pool_run(b->pool, read_thread, b);
    return b->ns ? (double)(b->count * sizeof(Line)) * 1e9 / (double)b->ns : 0;
}

double bandwidth_probe(Pool *pool)
{
    double best = 0;
    Bandwidth *b = bandwidth_open(pool);
    for (int pass = 0; b && pass < PASSES; pass++) {
        double now = bandwidth_pass(b, (double)(b->lines * sizeof(Line)));
        best = now > best ? now : best;
    }
    bandwidth_close(b);
    return best;
}
