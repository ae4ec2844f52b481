/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel regions: every chunk once, worker numbers that two threads never hold at once, and what
 * chunks wrote is there for the caller, whatever sleeps, yields or comes late. The numbers that
 * chunks write are plain ones: the thread sanitizer checks the order (./run-tests --tsan). */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "pool.h"

enum { WIDTH = 4, CHUNKS = 100, CALLERS = 20, ROUNDS = 200 };

static void nap(long us)
{
    const struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

typedef struct job {
    rmr_pool *pool;
    uint32_t hits[CHUNKS];
    _Atomic int holds[WIDTH]; /* worker numbers in use */
    _Atomic int shared;       /* a number was held twice at once, or is too large */
    uint32_t width, regions;
    uint32_t nest; /* chunks of a region inside each chunk */
    uint32_t most; /* > 0: chunks come in ranges of so many at most */
    _Atomic uint32_t ranges, longest;
    uint32_t begins[WIDTH]; /* of a worker's first range, + 1 */
    int caller_first;       /* helpers begin their ranges when the caller has begun one */
    _Atomic int caller_began;
    int yields;
    void(REMORA_CALL *part)(void *, uint32_t); /* a part that the host runs within each chunk */
    void *part_arg;
    long nap_helper, nap_caller; /* microseconds in each chunk */
} job;

static void nested_chunk(void *arg, uint32_t i, uint32_t worker)
{
    (void)worker;
    ((uint32_t *)arg)[i]++;
}

static void work(job *j, uint32_t first, uint32_t n, uint32_t worker)
{
    if (worker >= j->width || atomic_exchange(&j->holds[worker], 1) != 0) {
        atomic_store(&j->shared, 1);
        return;
    }
    for (uint32_t i = first; i < first + n; i++) j->hits[i]++;
    if (j->yields) sched_yield();
    if (j->part != NULL) j->part(j->part_arg, 0);
    if (worker > 0 && j->nap_helper > 0) nap(j->nap_helper);
    if (worker == 0 && j->nap_caller > 0) nap(j->nap_caller);
    if (j->nest > 0) {
        uint32_t hits[CHUNKS] = {0};
        rmr_pool_run(j->pool, j->nest, nested_chunk, hits);
        for (uint32_t k = 0; k < CHUNKS; k++)
            if (hits[k] != (k < j->nest)) j->hits[first] += 1000;
    }
    atomic_store(&j->holds[worker], 0);
}

static void chunk(void *arg, uint32_t i, uint32_t worker)
{
    work(arg, i, 1, worker);
}

static void range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    job *j = arg;
    uint32_t longest = atomic_load(&j->longest);
    while (n > longest && !atomic_compare_exchange_weak(&j->longest, &longest, n)) {
    }
    atomic_fetch_add(&j->ranges, 1);
    if (worker < WIDTH && j->begins[worker] == 0) j->begins[worker] = first + 1;
    if (worker == 0) atomic_store(&j->caller_began, 1);
    while (j->caller_first && !atomic_load(&j->caller_began)) sched_yield();
    work(j, first, n, worker);
}

/* One region; whether everything in it was as it must be. What is said to come next is nowhere. */
static int region(job *j, uint32_t n)
{
    const rmr_next_region next = {(const void *)(uintptr_t)(n % 2 * 4096), (size_t)1 << 40, n, 3};
    memset(j->hits, 0, sizeof j->hits);
    memset(j->begins, 0, sizeof j->begins);
    atomic_store(&j->caller_began, 0);
    if (j->most > 0)
        rmr_pool_run_ranges(j->pool, n, j->most, range, j, n % 3 ? &next : NULL);
    else
        rmr_pool_run(j->pool, n, chunk, j);
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (j->hits[i] != (i < n)) return 0;
    return atomic_load(&j->shared) == 0;
}

typedef struct fixture {
    rmr_mem mem;
    job job;
} fixture;

static void make(fixture *f, uint32_t threads, rmr_host_run_fn run, void *user)
{
    memset(f, 0, sizeof *f);
    rmr_mem_init(&f->mem);
    assert_int_equal(rmr_pool_create(&f->mem, threads, run, user, &f->job.pool, NULL), REMORA_OK);
    assert_int_equal(rmr_pool_width(f->job.pool), threads);
    f->job.width = threads;
}

static void drop(fixture *f)
{
    rmr_pool_free(f->job.pool);
    assert_true(atomic_load(&f->mem.bytes) == 0);
}

static void sizes(void **state)
{
    fixture f;
    (void)state;
    for (uint32_t threads = 1; threads <= WIDTH; threads++) {
        make(&f, threads, NULL, NULL);
        for (uint32_t n = 0; n <= CHUNKS; n++) assert_true(region(&f.job, n));
        drop(&f);
    }
}

/* The first range is half a share, or as long as asked for at most, and the last ones are single
 * chunks; one thread alone takes everything at once. The caller's first range is whole where nobody
 * takes from its share before. */
static void ranges(void **state)
{
    fixture f;
    (void)state;
    for (uint32_t threads = 1; threads <= WIDTH; threads++) {
        make(&f, threads, NULL, NULL);
        f.job.caller_first = 1;
        for (f.job.most = 1; f.job.most < 2 * CHUNKS; f.job.most *= 3)
            for (uint32_t n = 0; n <= CHUNKS; n++) {
                atomic_store(&f.job.longest, 0);
                atomic_store(&f.job.ranges, 0);
                assert_true(region(&f.job, n));
                const uint32_t half = n / (2 * threads), longest = atomic_load(&f.job.longest);
                if (threads == 1) assert_int_equal(longest, n);
                if (threads == 1 || n < 2) continue;
                assert_int_equal(longest, half < 1 ? 1 : half < f.job.most ? half : f.job.most);
                assert_true(atomic_load(&f.job.ranges) >= (n < 2 * threads ? n : 2 * threads));
            }
        drop(&f);
    }
}

/* Each of two threads begins with its own half, as a rule. */
static void shares(void **state)
{
    fixture f;
    uint32_t own = 0;
    (void)state;
    make(&f, 2, NULL, NULL);
    f.job.most = CHUNKS;
    f.job.nap_caller = f.job.nap_helper = 100;
    for (uint32_t i = 0; i < ROUNDS && own < 3; i++) {
        assert_true(region(&f.job, CHUNKS));
        own += f.job.begins[0] == 1 && f.job.begins[1] == CHUNKS / 2 + 1;
    }
    assert_true(own == 3);
    drop(&f);
}

/* Cores are given up inside every chunk, so that threads come and go in every order. */
static void yields(void **state)
{
    fixture f;
    (void)state;
    make(&f, WIDTH, NULL, NULL);
    f.job.yields = 1;
    for (uint32_t i = 0; i < 20 * ROUNDS; i++) {
        f.job.most = i % 5;
        assert_true(region(&f.job, 1 + i % 9));
    }
    drop(&f);
}

/* Pauses around the time that helpers spin, so that regions meet them spinning, about to sleep and
 * asleep; a region of two chunks needs one of them only. */
static void helpers_sleep(void **state)
{
    fixture f;
    (void)state;
    make(&f, WIDTH, NULL, NULL);
    f.job.nap_caller = 20; /* helpers have the time to wake up and take part */
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        assert_true(region(&f.job, i % 2 ? 2 : CHUNKS / 4));
        nap((long)(i % 20) * 10);
    }
    drop(&f);
}

/* Helpers that hold the last chunk for long: the caller sleeps and is woken. */
static void caller_sleeps(void **state)
{
    fixture f;
    (void)state;
    make(&f, WIDTH, NULL, NULL);
    f.job.nap_caller = 50;
    f.job.nap_helper = 300;
    for (uint32_t i = 0; i < ROUNDS; i++) assert_true(region(&f.job, 2 + i % 7));
    drop(&f);
}

typedef struct caller {
    pthread_t thread;
    job job;
    int ok;
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    c->ok = 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        c->job.yields = i % 3 == 0;
        c->job.nest = i % 5 == 0 ? 3 : 0;
        c->job.most = i % 4;
        c->ok &= region(&c->job, 1 + i % 13);
    }
    return NULL;
}

/* More host threads than the pool has room for regions: the others work alone. */
static void many_callers(void **state)
{
    static caller c[CALLERS];
    fixture f;
    (void)state;
    make(&f, WIDTH, NULL, NULL);
    memset(c, 0, sizeof c);
    for (int i = 0; i < CALLERS; i++) {
        c[i].job.pool = f.job.pool;
        c[i].job.width = WIDTH;
        assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(c[i].thread, NULL), 0);
        assert_true(c[i].ok);
    }
    drop(&f);
}

/* Helpers are on their way in, out, to sleep or at work elsewhere when the pool goes. */
static void short_lives(void **state)
{
    fixture f;
    (void)state;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        make(&f, WIDTH, NULL, NULL);
        if (i % 3 > 0) assert_true(region(&f.job, 5));
        if (i % 3 > 1) nap((long)(i % 10) * 10);
        drop(&f);
    }
}

/* A host's job system that runs no part at all, each within a chunk of the other and so too often,
 * or all of them backwards. */
static void REMORA_CALL run_odd(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                void *arg)
{
    job *j = user;
    const uint32_t how = j->regions++ % 3;
    j->part = how == 1 ? fn : NULL;
    j->part_arg = arg;
    if (how > 0)
        for (uint32_t i = n; i-- > 0;) fn(arg, i);
    j->part = NULL;
}

static void by_host(void **state)
{
    fixture f;
    (void)state;
    for (uint32_t threads = 2; threads <= WIDTH; threads++) {
        make(&f, threads, run_odd, &f.job);
        for (uint32_t n = 0; n <= CHUNKS; n++) {
            f.job.most = n % 7;
            assert_true(region(&f.job, n));
        }
        assert_int_equal(f.job.regions, CHUNKS - 1); /* of 0 and 1 chunks there is none */
        drop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),         cmocka_unit_test(ranges),
        cmocka_unit_test(shares),        cmocka_unit_test(yields),
        cmocka_unit_test(helpers_sleep), cmocka_unit_test(caller_sleeps),
        cmocka_unit_test(many_callers),  cmocka_unit_test(short_lives),
        cmocka_unit_test(by_host),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
