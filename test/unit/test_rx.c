/* SPDX-License-Identifier: Apache-2.0 */
/* Regular languages against their definition: random ones, over all texts of two letters up to a
 * length; code points and their spellings, one by one; multiples by division. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "memo.h"
#include "rx_set.h"
#include "tmem.h"
#include "utf8.h"

enum { LONGEST = 5, TEXTS = (1 << (LONGEST + 1)) - 1 };

static rmr_mem over(tmem *t)
{
    rmr_mem m = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    return m;
}

static rmr_mem host(tmem *t)
{
    memset(t, 0, sizeof *t);
    return over(t);
}

/* Text number i: a 1 and then its letters, as bits, is i + 1. */
static size_t text_of(unsigned i, char *out)
{
    unsigned v = i + 1, n = 0;
    while (v >> (n + 1) != 0) n++;
    for (unsigned k = 0; k < n; k++) out[k] = v >> (n - 1 - k) & 1 ? 'b' : 'a';
    return n;
}

static unsigned joined(unsigned i, unsigned j)
{
    unsigned n = 0;
    while ((j + 1) >> (n + 1) != 0) n++;
    return ((i + 1) << n | ((j + 1) & ((1u << n) - 1))) - 1;
}

typedef struct language {
    rmr_rx rx;
    uint64_t has; /* bit i: text i */
} language;

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < TEXTS; i++)
        for (unsigned j = 0; j < TEXTS && (a >> i & 1); j++)
            if ((b >> j & 1) && joined(i, j) < TEXTS) r |= UINT64_C(1) << joined(i, j);
    return r;
}

static uint32_t seed = 1;
static unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static language random_language(rmr_rx_set *s, int depth)
{
    language a, b, r = {RMR_RX_EMPTY, 1};
    switch (depth == 0 ? random_below(3) : random_below(9)) {
    case 0: return r;
    case 1: return (language){rmr_rx_byte(s, 'a'), 2};
    case 2: return (language){rmr_rx_byte(s, 'b'), 4};
    case 3:
    case 4:
        a = random_language(s, depth - 1);
        b = random_language(s, depth - 1);
        return (language){rmr_rx_concat(s, a.rx, b.rx), product(a.has, b.has)};
    case 5:
        a = random_language(s, depth - 1);
        b = random_language(s, depth - 1);
        return (language){rmr_rx_or2(s, a.rx, b.rx), a.has | b.has};
    case 6:
        a = random_language(s, depth - 1);
        b = random_language(s, depth - 1);
        return (language){rmr_rx_and2(s, a.rx, b.rx), a.has & b.has};
    case 7:
        a = random_language(s, depth - 1);
        return (language){rmr_rx_not(s, a.rx), ~a.has & ((UINT64_C(1) << TEXTS) - 1)};
    default: break;
    }
    a = random_language(s, depth - 1);
    const unsigned min = random_below(4), extra = random_below(5);
    const uint32_t max = extra == 4 ? RMR_RX_MANY : min + extra;
    uint64_t power = 1, sum = 0;
    for (unsigned k = 0; k <= 10 && k <= max; k++, power = product(power, a.has))
        if (k >= min) sum |= power;
    return (language){rmr_rx_repeat(s, a.rx, min, max), sum};
}

static void random_languages_have_their_texts(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    for (int i = 0; i < 20000; i++) {
        const language l = random_language(s, 1 + i % 5);
        char text[LONGEST];
        uint64_t has = 0, fuel = 1000000;
        for (unsigned k = 0; k < TEXTS; k++) {
            const size_t n = text_of(k, text);
            if (rmr_rx_matches(s, l.rx, text, n)) has |= UINT64_C(1) << k;
            const rmr_rx near = rmr_rx_saturate(s, l.rx, LONGEST);
            assert_int_equal(rmr_rx_matches(s, near, text, n), has >> k & 1);
            const rmr_rx more = rmr_rx_without_few(s, l.rx);
            if (has >> k & 1) assert_true(rmr_rx_matches(s, more, text, n));
        }
        assert_true(has == l.has);
        if (has != 0) assert_true(rmr_rx_live(s, l.rx, &fuel));
        if (!rmr_rx_live(s, l.rx, &fuel)) assert_true(has == 0);
        assert_true(fuel > 0);
        assert_int_equal(rmr_rx_status(s, NULL), REMORA_OK);
    }
    rmr_rx_set_free(s);
    assert_int_equal(t.blocks, 0);
    assert_int_equal(t.damage, 0);
}

static void what_has_no_text_is_seen(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    uint64_t fuel = 100000;
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    const rmr_rx a = rmr_rx_byte(s, 'a'), b = rmr_rx_byte(s, 'b');
    const rmr_rx as = rmr_rx_repeat(s, a, 3, 7), bs = rmr_rx_repeat(s, b, 0, RMR_RX_MANY);
    assert_false(rmr_rx_live(s, rmr_rx_and2(s, as, bs), &fuel));
    assert_false(rmr_rx_live(s, rmr_rx_concat(s, a, rmr_rx_and2(s, as, bs)), &fuel));
    assert_false(rmr_rx_live(s, rmr_rx_and2(s, as, rmr_rx_repeat(s, a, 8, 9)), &fuel));
    assert_true(rmr_rx_live(s, rmr_rx_and2(s, as, rmr_rx_repeat(s, a, 7, 9)), &fuel));
    fuel = 50;
    assert_true(rmr_rx_live(s,
                            rmr_rx_and2(s, rmr_rx_repeat(s, a, 1000, 1000),
                                        rmr_rx_not(s, rmr_rx_repeat(s, a, 1000, 2000))),
                            &fuel));
    assert_int_equal(rmr_rx_status(s, NULL), REMORA_E_LIMIT);
    rmr_rx_set_free(s);
}

static void few_texts_that_are_left_out_are_taken_in(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    const rmr_rx a = rmr_rx_byte(s, 'a'), b = rmr_rx_byte(s, 'b');
    const rmr_rx all = rmr_rx_repeat(s, rmr_rx_or2(s, a, b), 0, RMR_RX_MANY);
    const rmr_rx few = rmr_rx_not(s, rmr_rx_or2(s, rmr_rx_literal(s, "ab", 2), b));
    const rmr_rx many = rmr_rx_not(s, rmr_rx_concat(s, rmr_rx_repeat(s, a, 1, RMR_RX_MANY), b));
    assert_int_equal(rmr_rx_without_few(s, all), all);
    assert_int_equal(rmr_rx_without_few(s, rmr_rx_and2(s, all, few)), all);
    assert_int_equal(rmr_rx_without_few(s, rmr_rx_concat(s, rmr_rx_and2(s, all, few), b)),
                     rmr_rx_concat(s, all, b));
    const rmr_rx both = rmr_rx_and2(s, rmr_rx_and2(s, all, few), many);
    assert_int_equal(rmr_rx_without_few(s, both), rmr_rx_and2(s, all, many));
    assert_int_equal(rmr_rx_status(s, NULL), REMORA_OK);
    rmr_rx_set_free(s);
    assert_int_equal(t.blocks, 0);
}

static void strings_are_a_trie(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    static const char *const words[] = {"do", "double", "", "if", "import", "do", "iffy", "a"};
    static const char *const others[] = {"d", "doubl", "doublee", "i", "imports", "b"};
    size_t n[8];
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    for (size_t i = 0; i < 8; i++) n[i] = strlen(words[i]);
    const rmr_rx a = rmr_rx_strings(s, words, n, 8);
    for (size_t i = 0; i < 8; i++) assert_true(rmr_rx_matches(s, a, words[i], n[i]));
    for (size_t i = 0; i < 6; i++) assert_false(rmr_rx_matches(s, a, others[i], strlen(others[i])));
    rmr_rx_set_free(s);
    assert_int_equal(t.blocks, 0);
}

/* How a code point may stand in the text, or not at all (0). */
static size_t spelled(uint32_t cp, rmr_spelling spelling, unsigned form, char *out)
{
    static const char codes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *esc = cp != 0 && cp < 128 ? strchr(codes, (int)cp) : NULL;
    const int must = cp < 0x20 || cp == '"' || cp == '\\';
    if (form == 0)
        return must && spelling != RMR_SPELL_UTF8 ? 0 : rmr_utf8_put(cp, (unsigned char *)out);
    if (spelling == RMR_SPELL_UTF8) return 0;
    if (form == 1) {
        if (esc == NULL) return 0;
        out[0] = '\\';
        out[1] = letters[esc - codes];
        return 2;
    }
    if (spelling == RMR_SPELL_JSON && (!must || esc != NULL)) return 0;
    if (cp < 0x10000) return (size_t)sprintf(out, form == 2 ? "\\u%04X" : "\\u%04x", cp);
    const uint32_t v = cp - 0x10000;
    return (size_t)sprintf(out, form == 2 ? "\\uD%03X\\uD%03X" : "\\ud%03x\\ud%03x",
                           0x800 + (v >> 10), 0xC00 + (v & 0x3FF));
}

static void code_points_are_spelled(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    static const rmr_cp_range r[] = {{0x0, 0x3},          {0x9, 0x2F},       {'\\', 'f'},
                                     {0x7F, 0x80},        {0x700, 0x900},    {0x850, 0x8FF},
                                     {0xD000, 0xE100},    {0xFFFE, 0x10001}, {0x1F40B, 0x1F40B},
                                     {0x10FF00, 0x10FFFF}};
    const size_t n = sizeof r / sizeof *r;
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    for (int spelling = 0; spelling < 3; spelling++) {
        const rmr_rx in = rmr_rx_chars(s, r, n, (rmr_spelling)spelling);
        const rmr_rx out = rmr_rx_chars_not(s, r, n, (rmr_spelling)spelling);
        for (uint32_t cp = 0; cp<0x110000; cp += cp> 0x2000 && cp < 0x10FE00 ? 7 : 1) {
            int has = 0;
            char text[16];
            if (cp >= 0xD800 && cp < 0xE000) continue;
            for (size_t i = 0; i < n; i++) has |= cp >= r[i].lo && cp <= r[i].hi;
            for (unsigned form = 0; form < 4; form++) {
                const size_t k = spelled(cp, (rmr_spelling)spelling, form, text);
                if (k == 0) continue;
                assert_int_equal(rmr_rx_matches(s, in, text, k), has);
                assert_int_equal(rmr_rx_matches(s, out, text, k), !has);
            }
        }
        assert_false(rmr_rx_matches(s, in, "\xED\xA0\x80", 3)); /* a surrogate */
        assert_false(rmr_rx_matches(s, out, "\xED\xA0\x80", 3));
        assert_false(rmr_rx_matches(s, out, "\xC1\x81", 2)); /* too long for its code point */
        if (spelling != RMR_SPELL_UTF8) assert_false(rmr_rx_matches(s, in, "\"", 1));
    }
    assert_int_equal(rmr_rx_status(s, NULL), REMORA_OK);
    rmr_rx_set_free(s);
    assert_int_equal(t.blocks, 0);
}

static void multiples_divide(void **state)
{
    (void)state;
    tmem t;
    rmr_mem m = host(&t);
    rmr_rx_set *s;
    static const struct {
        uint64_t d;
        uint32_t scale;
    } cases[] = {{1, 0}, {7, 0}, {25, 2}, {5, 1}, {3, 2}, {1000, 2}, {12345, 3}};
    assert_int_equal(rmr_rx_set_new(&m, 2000000, &s, NULL), REMORA_OK);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const rmr_rx a = rmr_rx_multiple(s, cases[c].d, cases[c].scale);
        for (unsigned v = 0; v < 30000; v++) { /* v / 1000, with three digits and with fewer */
            char text[32];
            unsigned p = 1000;
            for (uint32_t i = 0; i < cases[c].scale; i++) p /= 10;
            /* v / 1000 = k d / 10^scale */
            const int is = v % (cases[c].d * p) == 0;
            int n = sprintf(text, "%u.%03u", v / 1000, v % 1000);
            assert_int_equal(rmr_rx_matches(s, a, text, (size_t)n), is);
            while (text[n - 1] == '0') {
                n--;
                assert_int_equal(rmr_rx_matches(s, a, text, (size_t)n), text[n - 1] != '.' && is);
            }
            if (v % 1000 == 0) assert_int_equal(rmr_rx_matches(s, a, text, (size_t)n - 1), is);
        }
    }
    assert_int_equal(rmr_rx_multiple(s, 0, 0), RMR_RX_NONE);
    assert_int_equal(rmr_rx_status(s, NULL), REMORA_E_LIMIT);
    rmr_rx_set_free(s);
    assert_int_equal(t.blocks, 0);
}

static int32_t under_failing_memory(void *arg, tmem *t)
{
    (void)arg;
    rmr_mem m = over(t);
    rmr_rx_set *s;
    static const char *const words[] = {"alpha", "beta", "alphabet"};
    static const size_t n[] = {5, 4, 8};
    RMR_TRY(rmr_rx_set_new(&m, 2000000, &s, NULL));
    const rmr_cp_range r[] = {{'a', 'z'}, {0x400, 0x500}};
    const rmr_rx w = rmr_rx_strings(s, words, n, 3), c = rmr_rx_chars(s, r, 2, RMR_SPELL_JSON_ALL);
    const rmr_rx all = rmr_rx_and2(s, rmr_rx_repeat(s, c, 0, 9), rmr_rx_not(s, w));
    uint64_t fuel = 100000;
    rmr_rx_live(s, all, &fuel);
    const int gamma = rmr_rx_matches(s, all, "gamma", 5),
              alpha = rmr_rx_matches(s, all, "alpha", 5);
    const remora_status st = rmr_rx_status(s, NULL);
    rmr_rx_set_free(s);
    if (st >= 0) assert_true(gamma && !alpha);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tmem t;
    memset(&t, 0, sizeof t);
    t.is_cache = is_memo;
    assert_true(tmem_sweep(&t, under_failing_memory, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_languages_have_their_texts),
        cmocka_unit_test(what_has_no_text_is_seen),
        cmocka_unit_test(few_texts_that_are_left_out_are_taken_in),
        cmocka_unit_test(strings_are_a_trie),
        cmocka_unit_test(code_points_are_spelled),
        cmocka_unit_test(multiples_divide),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
