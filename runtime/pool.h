/* pool.h - persistent threads that all run the same function (SPMD), and the barrier between them.
 *
 * A waiting thread spins for some microseconds (a step has hundreds of barriers, each a few
 * microseconds long), then sleeps in the kernel. Idle workers cost nothing. */
#ifndef SINTER_POOL_H
#define SINTER_POOL_H

#include "model.h"

typedef struct Pool Pool;
typedef void (*PoolFn)(void *arg, int thread);

enum { POOL_MAX_THREADS = 1024 };

/* threads >= 1; the caller of pool_run is thread 0. NULL with errno when threads or memory lack. */
Pool *pool_create(int threads);
void pool_destroy(Pool *p);
int pool_threads(const Pool *p);
/* fn(arg, 0) ... fn(arg, threads - 1) at the same time; returns when all have returned. */
void pool_run(Pool *p, PoolFn fn, void *arg);
/* For use inside fn by all threads of the pool: sinter_barrier(pool_barrier(p), thread). */
SinterBarrier *pool_barrier(Pool *p);
/* Cores this process may use: its affinity, and the CPU quota of its cgroup. */
int pool_default_threads(void);

#endif
