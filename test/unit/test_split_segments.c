/* SPDX-License-Identifier: Apache-2.0 */
/* Segments cut into pieces: each once, in order, as subtrees, never more pieces than there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_segments.h"

/* The pieces of a unit are segments [seg, end), one after the other. */
static void is_whole(const rmr_split *c, uint32_t unit, uint32_t seg, uint32_t end, uint32_t all)
{
    for (uint32_t i = 0; i < c->pieces; i++) {
        const rmr_piece p = c->piece[unit * c->pieces + i];
        if (p.size == 0) continue;
        assert_int_equal(p.seg, seg);
        assert_true(p.size <= RMR_STRETCH && (p.size & (p.size - 1)) == 0 && p.seg % p.size == 0);
        assert_true(p.end == p.seg + p.size || (p.end < p.seg + p.size && p.end == all));
        seg = p.end;
    }
    assert_int_equal(seg, end);
}

static void cut_all(const uint32_t *segs, uint32_t units, uint32_t width)
{
    uint32_t seg = 0, most = 0;
    for (uint32_t u = 0; u < units; u++)
        if (segs[u] > most) most = segs[u];
    while (seg < most) {
        rmr_split c;
        const uint32_t n = rmr_split_units(&c, segs, units, seg, width);
        assert_true(n > 0 && (n == most - seg || n % RMR_STRETCH == 0));
        assert_int_equal(c.units, units);
        assert_true(units * c.pieces <= RMR_SPLIT_PIECES && c.pieces % c.shares == 0);
        for (uint32_t u = 0; u < units; u++)
            is_whole(&c, u, segs[u] < seg ? segs[u] : seg, segs[u] < seg + n ? segs[u] : seg + n,
                     segs[u]);
        seg += n;
    }
}

static void every_segment_once(void **state)
{
    static const uint32_t units[] = {1, 2, 3, 5, 16, 31, RMR_SPLIT_UNITS};
    static const uint32_t width[] = {1, 2, 3, 4, 7, 8, 16, 63, 64, 65, 1024};
    (void)state;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (size_t w = 0; w < sizeof width / sizeof *width; w++)
            for (uint32_t n = 1; n < 1000; n += n < 70 ? 1 : 129) {
                uint32_t segs[RMR_SPLIT_UNITS];
                for (uint32_t i = 0; i < units[u]; i++) segs[i] = n;
                cut_all(segs, units[u], width[w]);
                for (uint32_t i = 0; i < units[u]; i++) segs[i] = 1 + i * 7919 % n;
                cut_all(segs, units[u], width[w]);
            }
}

static void are_sizes(const rmr_split *c, const uint32_t *size, uint32_t n)
{
    assert_int_equal(c->units * c->pieces, n);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(c->piece[i].size, size[i]);
}

/* Large ones first, and as much for every thread. */
static void shares(void **state)
{
    static const uint32_t one[] = {17}, two[] = {16, 16}, three[] = {4, 4, 4};
    rmr_split c;
    (void)state;
    assert_int_equal(rmr_split_units(&c, one, 1, 0, 2), 17);
    are_sizes(&c, (const uint32_t[]){4, 2, 1, 1, 0, 4, 2, 1, 1, 1}, 10);
    assert_int_equal(rmr_split_units(&c, two, 2, 0, 2), 16);
    are_sizes(&c, (const uint32_t[]){8, 4, 2, 1, 1, 8, 4, 2, 1, 1}, 10);
    assert_int_equal(rmr_split_units(&c, three, 3, 0, 2), 4);
    are_sizes(&c, (const uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 12);
    assert_int_equal(rmr_split_units(&c, one, 1, 16, 2), 1);
    are_sizes(&c, (const uint32_t[]){0, 1}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_segment_once),
                                       cmocka_unit_test(shares)};
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
