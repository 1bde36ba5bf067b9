/* pool.c - threads, barrier, and how a thread waits (pool.h). */
#include "pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

enum {
    SPINS_PER_CLOCK = 16, /* pauses between two looks at the clock */
    /* Longer than waking a sleeper takes (15 to 30 us): one who sleeps is late at the next barrier,
     * and must find the others still spinning there, or each sleep brings about another. */
    BARRIER_SPIN_NS = 50000,
    IDLE_SPIN_NS = 100000, /* sampling a token between two steps takes less */
};

/* A number that only grows; threads wait until it is no longer what they saw. */
typedef struct Word {
    _Alignas(64) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
    uint32_t spin_ns; /* how long to spin before sleeping */
} Word;

struct SinterBarrier {
    Word generation;
    _Alignas(64) _Atomic uint32_t arrived;
    uint32_t threads;
};

typedef struct Worker {
    Pool *pool;
    pthread_t id;
    int thread;
} Worker;

struct Pool {
    SinterBarrier barrier; /* for the functions that run */
    SinterBarrier end;     /* all have returned */
    Word job;              /* counts jobs */
    PoolFn fn;
    void *arg;
    int threads, started;
    int stop;
    Worker *worker;
};

uint64_t sinter_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int word_changed(Word *w, uint32_t seen)
{
    return atomic_load_explicit(&w->value, memory_order_acquire) != seen;
}

/* Sleeps unless the word has changed; may return early. */
static void word_sleep(Word *w, uint32_t seen)
{
#ifdef __linux__
    syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    struct timespec nap = {0, 50000};
    if (!word_changed(w, seen))
        nanosleep(&nap, NULL);
#endif
}

static void word_wake(Word *w)
{
#ifdef __linux__
    syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)w;
#endif
}

static void word_init(Word *w, uint32_t spin_ns)
{
    atomic_init(&w->value, 0);
    atomic_init(&w->sleepers, 0);
    w->spin_ns = spin_ns;
}

static int word_spin(Word *w, uint32_t seen)
{
    if (w->spin_ns == 0)
        return word_changed(w, seen);
    uint64_t start = sinter_now_ns();
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (word_changed(w, seen))
                return 1;
            cpu_pause();
        }
    } while (sinter_now_ns() - start < w->spin_ns);
    return 0;
}

/* No sched_yield: it would hand over the core for a whole time slice, while a sleeper is served
 * soon after it is woken. */
static void word_wait(Word *w, uint32_t seen)
{
    if (word_spin(w, seen))
        return;
    atomic_fetch_add(&w->sleepers, 1);
    while (!word_changed(w, seen))
        word_sleep(w, seen);
    atomic_fetch_sub(&w->sleepers, 1);
}

static void word_advance(Word *w)
{
    atomic_fetch_add(&w->value, 1);
    if (atomic_load(&w->sleepers) > 0)
        word_wake(w);
}

/* ---- barrier --------------------------------------------------------------------------------- */

static void barrier_init(SinterBarrier *b, int threads, uint32_t spin_ns)
{
    word_init(&b->generation, spin_ns);
    atomic_init(&b->arrived, 0);
    b->threads = (uint32_t)threads;
}

void sinter_barrier(SinterBarrier *b, int thread)
{
    (void)thread;
    if (b->threads == 1)
        return;
    uint32_t seen = atomic_load_explicit(&b->generation.value, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 < b->threads) {
        word_wait(&b->generation, seen);
        return;
    }
    atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
    word_advance(&b->generation);
}

/* ---- pool ------------------------------------------------------------------------------------ */

static void *worker_main(void *arg)
{
    const Worker *w = arg;
    Pool *p = w->pool;
    for (uint32_t seen = 0;; seen++) {
        word_wait(&p->job, seen);
        if (p->stop)
            return NULL;
        p->fn(p->arg, w->thread);
        sinter_barrier(&p->end, w->thread);
    }
}

static int start_workers(Pool *p)
{
    for (int i = 1; i < p->threads; i++) {
        Worker *w = &p->worker[i];
        *w = (Worker){.pool = p, .thread = i};
        int error = pthread_create(&w->id, NULL, worker_main, w);
        if (error)
            return error;
        p->started = i;
    }
    return 0;
}

static void *aligned_zeroed(size_t size)
{
    char *p = aligned_alloc(64, (size + 63) / 64 * 64);
    for (size_t i = 0; p && i < size; i++)
        p[i] = 0;
    return p;
}

Pool *pool_create(int threads)
{
    if (threads < 1 || threads > POOL_MAX_THREADS) {
        errno = EINVAL;
        return NULL;
    }
    Pool *p = aligned_zeroed(sizeof *p);
    if (!p)
        return NULL;
    /* spinning helps only when every thread has a core of its own */
    int own_cores = threads <= pool_default_threads();
    p->threads = threads;
    word_init(&p->job, own_cores ? IDLE_SPIN_NS : 0);
    barrier_init(&p->barrier, threads, own_cores ? BARRIER_SPIN_NS : 0);
    barrier_init(&p->end, threads, own_cores ? BARRIER_SPIN_NS : 0);
    p->worker = calloc((size_t)threads, sizeof *p->worker);
    int error = p->worker ? start_workers(p) : ENOMEM;
    if (error) {
        pool_destroy(p);
        errno = error;
        return NULL;
    }
    return p;
}

void pool_destroy(Pool *p)
{
    if (!p)
        return;
    p->stop = 1;
    word_advance(&p->job);
    for (int i = 1; i <= p->started; i++)
        pthread_join(p->worker[i].id, NULL);
    free(p->worker);
    free(p);
}

int pool_threads(const Pool *p)
{
    return p->threads;
}

SinterBarrier *pool_barrier(Pool *p)
{
    return &p->barrier;
}

void pool_run(Pool *p, PoolFn fn, void *arg)
{
    p->fn = fn;
    p->arg = arg;
    if (p->threads > 1)
        word_advance(&p->job);
    fn(arg, 0);
    sinter_barrier(&p->end, 0);
}

/* ---- how many threads ------------------------------------------------------------------------ */

static int affinity_cores(void)
{
#ifdef __linux__
    for (int cpus = 1024; cpus <= 65536; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int n = set && sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < INT_MAX ? (int)n : 1;
}

/* The first whole numbers of a file: how many there are, at most two. */
static int read_numbers(const char *path, long long out[2])
{
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    int n = fscanf(f, "%lld %lld", &out[0], &out[1]);
    fclose(f);
    return n < 0 ? 0 : n;
}

/* Cores that the cgroup's CPU quota allows, rounded up; 0: no quota. */
static int quota_cores(void)
{
    long long v2[2] = {0, 0}, q[2] = {0, 0}, p[2] = {0, 0};
    if (read_numbers("/sys/fs/cgroup/cpu.max", v2) != 2 &&
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", q) == 1 &&
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", p) == 1) {
        v2[0] = q[0];
        v2[1] = p[0];
    }
    long long quota = v2[0], period = v2[1];
    if (quota <= 0 || period <= 0 || quota / period >= POOL_MAX_THREADS)
        return 0;
    return (int)((quota + period - 1) / period);
}

int pool_default_threads(void)
{
    int cores = affinity_cores(), quota = quota_cores();
    if (quota > 0 && quota < cores)
        cores = quota;
    return cores < POOL_MAX_THREADS ? cores : POOL_MAX_THREADS;
}
