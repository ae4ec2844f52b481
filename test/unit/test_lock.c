/* SPDX-License-Identifier: Apache-2.0 */
/* The lock: one thread at a time, whoever waits is woken, and a lock that another process has is
 * free, with word of it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "lock.h"
#include "process.h"

enum { THREADS = 6, ROUNDS = 20000 };

typedef struct counter {
    rmr_lock lock;
    long n; /* a plain number, under the lock */
    atomic_long told;
} counter;

static void *count(void *arg)
{
    counter *c = arg;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&c->told, rmr_lock_take(&c->lock));
        c->n++;
        if (i % 1000 == 0) nanosleep(&(struct timespec){0, 100000}, NULL); /* others must wait */
        rmr_lock_give(&c->lock);
    }
    return NULL;
}

static void count_together(counter *c)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, count, c), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_int_equal(c->n, THREADS * ROUNDS);
    assert_int_equal(atomic_load(&c->lock.word), 0);
}

static void one_at_a_time(void **state)
{
    counter c = {.n = 0};
    (void)state;
    rmr_lock_init(&c.lock);
    count_together(&c);
    assert_int_equal(atomic_load(&c.told), 0);
}

/* What the memory of a child has: the number of a process that is not this one, with or without the
 * bit that says that others wait. One of many threads is told. */
static void left_by_another_process(void **state)
{
    counter c = {.n = 0};
    (void)state;
    for (uint32_t waited = 0; waited < 2; waited++) {
        c.n = 0;
        atomic_store(&c.told, 0);
        atomic_store(&c.lock.word, (rmr_process() + 1) | (waited ? RMR_PROCESS_LIMIT : 0));
        count_together(&c);
        assert_int_equal(atomic_load(&c.told), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(left_by_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
