/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of bytes that a language does not tell apart: no two bytes of a part have different
 * derivatives, whatever the language; and there are no more parts than its first sets make. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rx_set.h"
#include "tmem.h"

static tmem meter;
static rmr_mem mem = {
    .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
static rmr_rx_set *set;
static uint32_t seed = 1;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static rmr_rx one_of(const char *bytes)
{
    rmr_byte_set b = {{0}};
    for (; *bytes != 0; bytes++)
        b.bits[(unsigned char)*bytes / 64] |= UINT64_C(1) << (unsigned char)*bytes % 64;
    return rmr_rx_bytes(set, &b);
}

static rmr_rx text(const char *s)
{
    return rmr_rx_literal(set, s, strlen(s));
}

/* Derivatives may make sets of bytes, and so classes: they are made before parts are asked for. */
static void derive_all(rmr_rx a, rmr_rx to[256])
{
    for (unsigned b = 0; b < 256; b++) to[b] = rmr_rx_derive(set, a, (unsigned char)b);
}

/* Parts are numbered, none is empty, each has its size. */
static void assert_whole(const rx_parts *p)
{
    uint16_t size[256] = {0};
    assert_true(p->n >= 1 && p->n <= set->n_classes);
    for (unsigned c = 0; c < set->n_classes; c++) {
        assert_true(p->part[c] < p->n);
        size[p->part[c]]++;
    }
    for (unsigned i = 0; i < p->n; i++) {
        assert_true(size[i] > 0);
        if (p->left > 0) assert_int_equal(p->size[i], size[i]);
    }
}

static void assert_sound(const rx_parts *p, const rmr_rx to[256])
{
    rmr_rx of[256];
    memset(of, 0xFF, sizeof of);
    for (unsigned b = 0; b < 256; b++) {
        rmr_rx *is = &of[p->part[set->class_of[b]]];
        if (*is == UINT32_MAX) *is = to[b];
        assert_int_equal(*is, to[b]);
    }
}

static rmr_rx random_language(unsigned depth)
{
    static const char letters[] = "abcdef012.";
    char some[sizeof letters] = "";
    if (depth == 0 && random_below(8) == 0)
        return rmr_rx_multiple(set, 1 + random_below(30), random_below(2));
    if (depth == 0) {
        for (unsigned i = 0, n = 0; i < sizeof letters - 1; i++)
            if (random_below(3) == 0) some[n++] = letters[i];
        return one_of(some);
    }
    const rmr_rx a = random_language(random_below(depth));
    if (random_below(4) == 0) return rmr_rx_repeat(set, a, random_below(3), 2 + random_below(3));
    if (random_below(8) == 0) return rmr_rx_not(set, a);
    const rmr_rx b = random_language(random_below(depth));
    const unsigned kind = random_below(4);
    return kind == 0   ? rmr_rx_and2(set, a, b)
           : kind == 1 ? rmr_rx_or2(set, a, b)
                       : rmr_rx_concat(set, a, b);
}

static void parts_have_one_derivative(void **state)
{
    (void)state;
    enum { SETS = 40, EACH = 100 };
    for (unsigned i = 0; i < SETS; i++) {
        assert_int_equal(rmr_rx_set_new(&mem, 2000000, &set, NULL), REMORA_OK);
        for (unsigned k = 0; k < EACH; k++) {
            rmr_rx of_a[256], of_b[256];
            rx_parts p;
            const rmr_rx a = random_language(1 + k % 6), b = random_language(1 + k % 6);
            derive_all(a, of_a);
            derive_all(b, of_b);
            rmr_rx_parts_begin(set, &p);
            rmr_rx_parts_split(set, &p, a);
            assert_whole(&p);
            assert_sound(&p, of_a);
            rmr_rx_parts_split(set, &p, b); /* what was split stays so */
            assert_whole(&p);
            assert_sound(&p, of_a);
            assert_sound(&p, of_b);
        }
        assert_int_equal(rmr_rx_status(set, NULL), REMORA_OK);
        rmr_rx_set_free(set);
    }
}

/* Languages by how many parts they have: what else the set has sets for makes none. */
static void parts_are_few(void **state)
{
    (void)state;
    assert_int_equal(rmr_rx_set_new(&mem, 2000000, &set, NULL), REMORA_OK);
    rmr_rx many = RMR_RX_NONE, optional = text("x");
    for (unsigned i = 0; i < 40; i++) { /* more sets than are remembered as done, twice each */
        const char from[] = {(char)('A' + i), 0}, to[] = {(char)('A' + i), (char)('0' + i % 7), 0};
        many = rmr_rx_or2(set, many, rmr_rx_concat(set, one_of(to), text(from)));
        many = rmr_rx_or2(set, many, rmr_rx_concat(set, one_of(to), text("!")));
    }
    for (unsigned i = 0; i < 9; i++) {
        const char c[] = {(char)('a' + i), 0};
        optional =
            rmr_rx_concat(set, rmr_rx_repeat(set, text(c), 0, i % 2 ? 1 : RMR_RX_MANY), optional);
    }
    const rmr_rx ab = one_of("ab"), bc = one_of("bc"), digits = one_of("0123456789");
    const struct {
        rmr_rx a;
        unsigned n;
    } rows[] = {
        {RMR_RX_NONE, 1},
        {RMR_RX_EMPTY, 1},
        {RMR_RX_ANY, 1},
        {ab, 2},
        {rmr_rx_concat(set, ab, bc), 2},
        {rmr_rx_concat(set, rmr_rx_repeat(set, ab, 0, 1), bc), 4}, /* a, b, c and the others */
        {rmr_rx_concat(set, rmr_rx_repeat(set, digits, 1, 3), bc), 2},
        {rmr_rx_not(set, rmr_rx_concat(set, ab, bc)), 2},
        {rmr_rx_or2(set, rmr_rx_concat(set, ab, text("x")), rmr_rx_concat(set, bc, text("y"))), 4},
        {rmr_rx_and2(set, rmr_rx_concat(set, ab, RMR_RX_ANY), rmr_rx_not(set, text("c"))), 3},
        {rmr_rx_multiple(set, 7, 0), 12}, /* each digit, the point, the others */
        {rmr_rx_multiple(set, 7, 1), 12},
        {optional, 11},
        {many, 48},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rx_parts p;
        rmr_rx to[256];
        derive_all(rows[i].a, to);
        rmr_rx_parts_begin(set, &p);
        rmr_rx_parts_split(set, &p, rows[i].a);
        assert_whole(&p);
        assert_sound(&p, to);
        if (p.n != rows[i].n) fail_msg("row %zu: %u parts", i, p.n);
        rmr_rx_parts_split(set, &p, rows[i].a);
        assert_int_equal(p.n, rows[i].n);
    }
    rmr_rx_set_free(set);
}

/* What takes too many nodes has each class as a part, and stays so. */
static void large_languages_have_parts_of_one_class(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    rmr_rx kids[MANY + 1], to[256];
    rx_parts p;
    char word[16];
    assert_int_equal(rmr_rx_set_new(&mem, 2000000, &set, NULL), REMORA_OK);
    kids[0] = text("#"); /* the first one is looked at last */
    for (unsigned i = 0; i < MANY; i++) {
        (void)sprintf(word, "%u", i);
        kids[i + 1] = rmr_rx_concat(set, rmr_rx_repeat(set, one_of("ab"), 0, 1), text(word));
    }
    const rmr_rx small = text("z"), large = rmr_rx_or(set, kids, MANY + 1);
    derive_all(large, to);
    rmr_rx_parts_begin(set, &p);
    rmr_rx_parts_split(set, &p, small);
    assert_int_equal(p.n, 2);
    rmr_rx_parts_split(set, &p, large);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(p.left, 0);
        assert_int_equal(p.n, set->n_classes);
        assert_whole(&p);
        assert_sound(&p, to);
        rmr_rx_parts_split(set, &p, small);
    }
    rmr_rx_set_free(set);
}

static int tear_down(void **state)
{
    (void)state;
    return meter.blocks != 0 || meter.damage != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(parts_have_one_derivative, tear_down),
        cmocka_unit_test_teardown(parts_are_few, tear_down),
        cmocka_unit_test_teardown(large_languages_have_parts_of_one_class, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
