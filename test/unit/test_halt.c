/* SPDX-License-Identifier: Apache-2.0 */
/* When a call stops: the cancel word, and the time that an item will likely take. The clock is this
 * program's. */
#include "own_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "halt.h"

/* An item of n chunks that takes so long, unless it may not begin. */
static int item(rmr_halt *h, rmr_pace *p, uint32_t n, uint64_t us)
{
    if (!rmr_halt_allows(h, p, n)) return 0;
    now_us += us;
    rmr_halt_item_done(h, p, n);
    return 1;
}

/* The first item of a call is begun whatever happens; then no item that would end too late if it
 * took as long, chunk for chunk, as the worker's last one. */
static void pace(void **state)
{
    rmr_halt h;
    rmr_pace p = {0, 0};
    (void)state;
    now_us = 1000;
    rmr_halt_init(&h, NULL, 500, now_us);
    assert_true(item(&h, &p, 10, 100));
    assert_true(item(&h, &p, 10, 100)); /* 300 are left, and a chunk takes 10 */
    assert_false(rmr_halt_allows(&h, &p, 31));
    assert_int_equal(atomic_load(&h.cause), RMR_HALT_TIME);
    assert_true(item(&h, &p, 30, 299));
    assert_true(rmr_halt_allows(&h, &p, 0)); /* 1 is left */
    assert_false(rmr_halt_allows(&h, &p, 1));
    now_us++;
    assert_false(rmr_halt_allows(&h, &(rmr_pace){0, 0}, 1));
    assert_int_equal(rmr_halt_longest(&h), 299);
}

static void first_item(void **state)
{
    const int32_t word = 1;
    rmr_halt h;
    rmr_pace p = {0, 1000000}, q = {0, 0};
    (void)state;
    now_us = 7;
    rmr_halt_init(&h, &word, 1, now_us);
    assert_true(rmr_halt_allows(&h, &q, 0)); /* so far the call has done nothing */
    now_us = 100;
    assert_true(item(&h, &p, 50, 10));
    assert_false(rmr_halt_allows(&h, &p, 1));
    assert_false(rmr_halt_allows(&h, &q, 0));
    assert_int_equal(atomic_load(&h.cause), RMR_HALT_CANCEL);
    rmr_halt_init(&h, &word, 0, now_us); /* work that does not look has been done */
    rmr_halt_begun(&h);
    assert_false(rmr_halt_allows(&h, &(rmr_pace){0, 0}, 1));
}

/* A worker whose last item was slow has its own pace; that of another does not matter. And the word
 * comes before the time. */
static void workers(void **state)
{
    int32_t word = 0;
    rmr_halt h;
    rmr_pace slow = {0, 0}, fast = {0, 0};
    (void)state;
    now_us = 1;
    rmr_halt_init(&h, &word, 1000, now_us);
    assert_true(item(&h, &slow, 1, 501));
    assert_true(item(&h, &fast, 1, 20));
    assert_false(item(&h, &slow, 1, 1));
    assert_true(item(&h, &fast, 1, 20));
    word = 1;
    assert_false(item(&h, &fast, 1, 1));
    assert_int_equal(atomic_load(&h.cause), RMR_HALT_CANCEL);
    assert_false(item(&h, &slow, 1, 1));
    assert_int_equal(atomic_load(&h.cause), RMR_HALT_CANCEL);
}

/* The longest stretch: between two items as well as in one, and behind the last. */
static void longest(void **state)
{
    const int32_t word = 0;
    for (int where = 0; where < 4; where++) {
        rmr_halt h;
        rmr_pace p = {0, 0};
        (void)state;
        now_us = 50;
        rmr_halt_init(&h, &word, 0, now_us);
        now_us += where == 0 ? 90 : 1;
        assert_true(item(&h, &p, 2, where == 1 ? 90 : 2));
        now_us += where == 2 ? 90 : 3;
        p = (rmr_pace){0, 0}; /* another region */
        assert_true(item(&h, &p, 2, 4));
        now_us += where == 3 ? 90 : 5;
        assert_int_equal(rmr_halt_longest(&h), 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pace), cmocka_unit_test(first_item),
                                       cmocka_unit_test(workers), cmocka_unit_test(longest)};
    return cmocka_run_group_tests_name("halt", tests, NULL, NULL);
}
