/* bench_reads.c - decode with reads of memory between its steps. Memory may be fast in one second
 * and slow in the next, so what a step reaches is a share of the reads of its own moment. */
#include "bench.h"

static double seconds_since(uint64_t start)
{
    return (double)(sinter_now_ns() - start) / 1e9;
}

SinterStatus bench_decode_beside_reads(Bench *b, Result *r)
{
    double *read = &b->s->bytes_read, bytes = (double)b->s->weights.bytes;
    uint64_t start = sinter_now_ns();
    double before = bandwidth_pass(b->reads, bytes);
    r->aside += seconds_since(start);
    for (int i = 0; i < r->tokens; i++) {
        double sofar = *read;
        start = sinter_now_ns();
        SinterStatus status = bench_step(b, i);
        if (status)
            return status;
        double seconds = seconds_since(start);
        bytes = *read - sofar;
        start = sinter_now_ns();
        double after = bandwidth_pass(b->reads, bytes);
        r->aside += seconds_since(start);
        if (before + after > 0)
            r->shares[r->n_shares++] = bytes / seconds / ((before + after) / 2);
        before = after;
    }
    return SINTER_OK;
}
