/* bench.h - what the files of `x bench` share: bench.c runs, bench_print.c and bench_phases.c show.
 */
#ifndef SINTER_BENCH_H
#define SINTER_BENCH_H

#include "commands.h"

typedef struct Bench {
    Sinter *s;
    const CliArgs *args;
    SinterSequence *q[SINTER_MAX_BATCH];
    int32_t *ids;         /* [context] */
    double before, after; /* bytes/s */
    double peak;          /* bytes/s that the device promises; 0: not known */
    Bandwidth *reads;     /* --probe-steps, else NULL */
} Bench;

/* The steps of one test, kernel by kernel: ns[i] of entry->first_step + i, then of drawing ids. */
typedef struct BenchProfile {
    const SinterEntry *entry; /* NULL: not measured */
    uint64_t *ns;             /* [model->n_steps + 1] */
    int steps;
    double pos;       /* positions in the caches, on average */
    GpuStamps stamps; /* of all steps together, where a step was one kernel */
} BenchProfile;

/* One test: `tokens` per run, seconds of each run, ascending. */
typedef struct Result {
    char name[32];
    int tokens; /* per sequence */
    int sequences;
    double *seconds; /* [repeats] */
    int n;
    double bytes;   /* read by all runs together; 0: not counted */
    double aside;   /* seconds of the run at hand that were not its own */
    double *shares; /* [repeats * tokens], ascending: bytes/s of a step over those of the reads
                       beside it */
    int n_shares;
    BenchProfile profile;
} Result;

/* bench.c: step i of decode, of all sequences. */
SinterStatus bench_step(Bench *b, int i);
/* bench_reads.c: tokens steps of decode, a read of as many bytes before and behind each. */
SinterStatus bench_decode_beside_reads(Bench *b, Result *r);

void bench_print(const Bench *b, const Result *r, int n);
/* bench_phases.c: a step's kernel as a table, as a list of JSON; nothing when it was none. */
void bench_print_phases(const BenchProfile *p);
void bench_print_json_phases(const BenchProfile *p);

#endif
