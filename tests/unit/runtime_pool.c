/* runtime_pool.c - the pool runs every thread once a job, and nobody passes a barrier early. */
#include "tests/unit/unit.h"

#include <stdatomic.h>

#include "runtime/pool.h"

enum { ROUNDS = 2000, JOBS = 500, MAX_THREADS = 4 };

typedef struct Stress {
    Pool *pool;
    int threads;
    int slot[MAX_THREADS][16]; /* written by its thread, read by the others behind the barrier */
    _Atomic int wrong;
} Stress;

static void stress_thread(void *arg, int thread)
{
    Stress *s = arg;
    for (int round = 1; round <= ROUNDS; round++) {
        s->slot[thread][0] = round;
        sinter_barrier(pool_barrier(s->pool), thread);
        for (int t = 0; t < s->threads; t++)
            if (s->slot[t][0] != round)
                atomic_fetch_add(&s->wrong, 1);
        sinter_barrier(pool_barrier(s->pool), thread);
    }
}

static void test_barrier(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        Stress s = {.pool = pool_create(threads), .threads = threads};
        assert_non_null(s.pool);
        pool_run(s.pool, stress_thread, &s);
        assert_int_equal(atomic_load(&s.wrong), 0);
        pool_destroy(s.pool);
    }
}

static void count_thread(void *arg, int thread)
{
    int *count = arg;
    count[thread * 16]++;
}

static void test_jobs(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        Pool *p = pool_create(threads);
        int count[MAX_THREADS * 16] = {0};
        assert_int_equal(pool_threads(p), threads);
        for (int job = 0; job < JOBS; job++)
            pool_run(p, count_thread, count);
        for (int t = 0; t < MAX_THREADS; t++)
            assert_int_equal(count[t * 16], t < threads ? JOBS : 0);
        pool_destroy(p);
    }
}

/* Workers that fell asleep wake up for the next job. */
static void test_sleeping_workers(void **state)
{
    (void)state;
    Pool *p = pool_create(3);
    int count[MAX_THREADS * 16] = {0};
    for (int job = 0; job < 3; job++) {
        usleep(5000);
        pool_run(p, count_thread, count);
    }
    for (int t = 0; t < 3; t++)
        assert_int_equal(count[t * 16], 3);
    pool_destroy(p);
}

static void test_limits(void **state)
{
    (void)state;
    assert_null(pool_create(0));
    assert_null(pool_create(POOL_MAX_THREADS + 1));
    int cores = pool_default_threads();
    assert_true(cores >= 1 && cores <= sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_sleeping_workers),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
