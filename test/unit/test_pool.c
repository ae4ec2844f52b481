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

#include "halt.h"
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
        rmr_pool_run_region(
            j->pool, &(rmr_region){n, j->most, range, j, n % 3 ? &next : NULL, 0, 0, NULL, NULL});
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
    f.job.nap_caller = f.job.nap_helper = 1000; /* the shortest that every system knows */
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

/* ---- stops between items ---- */

/* A region is run again with what is left of it until all is done. The word is set from the
 * beginning, and then each run does one item; or it is set in the k-th item by whoever does it, and
 * others end theirs. */
typedef struct halting {
    job *job;
    int32_t word;
    _Atomic int items;
    _Atomic int late; /* items that began when the word was set */
    int set_at;
} halting;

static void halting_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    halting *h = arg;
    if (__atomic_load_n(&h->word, __ATOMIC_RELAXED)) atomic_fetch_add(&h->late, 1);
    if (atomic_fetch_add(&h->items, 1) + 1 == h->set_at)
        __atomic_store_n(&h->word, 1, __ATOMIC_RELAXED);
    range(h->job, first, n, worker);
}

static int all_done(const job *j, uint32_t n)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (j->hits[i] != (i < n)) return 0;
    return 1;
}

static void run_with_halts(job *j, const rmr_region *r, int set_at)
{
    rmr_halt halt;
    halting h = {.job = j, .set_at = set_at};
    rmr_region own = *r;
    own.fn = halting_range;
    own.arg = &h;
    own.halt = &halt;
    memset(j->hits, 0, sizeof j->hits);
    for (int done = 0; !done;) {
        h.word = set_at == 0;
        atomic_store(&h.items, 0);
        atomic_store(&h.late, 0);
        rmr_halt_init(&halt, &h.word, 0, 0);
        done = rmr_pool_run_region(j->pool, &own);
        assert_int_equal(done, all_done(j, r->n));
        assert_true(atomic_load(&h.items) > 0 || r->n == 0);
        /* A worker begins one item late, if it looked just before; an item may be in two shares. */
        assert_true(atomic_load(&h.late) <= 2 * (int)j->width);
        if (!done) assert_int_equal(atomic_load(&halt.cause), RMR_HALT_CANCEL);
    }
    assert_int_equal(own.rest->n, 0);
    assert_int_equal(atomic_load(&j->shared), 0);
}

static void all_halts(fixture *f)
{
    uint64_t span[WIDTH];
    rmr_rest rest = {.span = span};
    for (uint32_t n = 0; n <= CHUNKS; n += 1 + n / 5)
        for (uint32_t most = 1; most < CHUNKS; most *= 4)
            for (int set_at = 0; set_at < 4; set_at++)
                for (int in_order = 0; in_order < 2; in_order++)
                    run_with_halts(
                        &f->job,
                        &(rmr_region){.n = n, .most = most, .in_order = in_order, .rest = &rest},
                        set_at);
}

static void halts(void **state)
{
    fixture f;
    (void)state;
    for (uint32_t threads = 1; threads <= WIDTH; threads++) {
        make(&f, threads, NULL, NULL);
        all_halts(&f);
        drop(&f);
        if (threads == 1) continue;
        make(&f, threads, run_odd, &f.job);
        all_halts(&f);
        drop(&f);
    }
}

/* A region that was stopped is ended by a run that nothing stops. */
static void rest_without_halt(void **state)
{
    const int32_t word = 1;
    uint64_t span[WIDTH];
    (void)state;
    for (uint32_t threads = 1; threads <= WIDTH; threads++) {
        fixture f;
        rmr_halt halt;
        rmr_rest rest = {.span = span};
        make(&f, threads, NULL, NULL);
        rmr_region r = {.n = CHUNKS, .most = 3, .fn = range, .arg = &f.job, .rest = &rest};
        rmr_halt_init(&halt, &word, 0, 0);
        r.halt = &halt;
        assert_false(rmr_pool_run_region(f.job.pool, &r));
        r.halt = NULL;
        assert_true(rest.n > 0 && rest.n < CHUNKS);
        assert_true(rmr_pool_run_region(f.job.pool, &r));
        assert_true(rest.n == 0 && all_done(&f.job, CHUNKS));
        drop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(ranges),
        cmocka_unit_test(shares),
        cmocka_unit_test(yields),
        cmocka_unit_test(helpers_sleep),
        cmocka_unit_test(caller_sleeps),
        cmocka_unit_test(many_callers),
        cmocka_unit_test(short_lives),
        cmocka_unit_test(by_host),
        cmocka_unit_test(halts),
        cmocka_unit_test(rest_without_halt),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
