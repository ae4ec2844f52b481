/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings against a model that keeps both readings of the text and looks at their ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stop.h"
#include "stop_model.h"
#include "tmem.h"

enum { STRINGS = 5, LENGTH = 9, BYTES = 400 };

static uint64_t seed = 1;

static uint32_t dice(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* One text until a stop string comes. */
static int one_text(const remora_gen_opts *o, rmr_stops *st)
{
    stop_model t = {0};
    int is_name = 0;
    for (size_t i = 0; i < BYTES; i++) {
        const char c = (char)('a' + dice(3));
        rmr_stop_hit hit = {99, 99}, want = {99, 99};
        if (dice(4) == 0) is_name = !is_name;
        stop_model_add(&t, c, is_name);
        const int got = rmr_stops_read(st, c, is_name, &hit);
        assert_int_equal(got, stop_model_complete(&t, o, is_name, &want.string, &want.n_text));
        assert_int_equal(hit.string, want.string);
        assert_int_equal(hit.n_text, want.n_text);
        if (got) return 1;
        assert_int_equal(rmr_stops_held(st), stop_model_held(&t, o));
    }
    return 0;
}

static void random_strings(void **state)
{
    tmem t = {0};
    rmr_mem mem = {
        .user = &t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    char text[STRINGS][LENGTH];
    remora_text stop[STRINGS];
    int hits = 0, none = 0;
    (void)state;
    for (int round = 0; round < 4000; round++) {
        remora_gen_opts o = {.stop = stop, .n_stop = 1 + dice(STRINGS)};
        rmr_stops st;
        for (uint64_t i = 0; i < o.n_stop; i++) {
            const size_t n = 1 + dice(LENGTH);
            for (size_t k = 0; k < n; k++) text[i][k] = (char)('a' + dice(3));
            stop[i] = (remora_text){text[i], n};
        }
        assert_int_equal(rmr_stops_check(&o, NULL), REMORA_OK);
        assert_int_equal(rmr_stops_make(&st, &mem, &o, NULL), REMORA_OK);
        if (one_text(&o, &st))
            hits++;
        else
            none++;
        rmr_stops_free(&st, &mem);
        assert_int_equal(atomic_load(&t.blocks), 0);
    }
    assert_int_equal(atomic_load(&t.damage), 0);
    assert_true(hits > 1000 && none > 10);
}

static void no_strings(void **state)
{
    const remora_gen_opts o = {0};
    rmr_stop_hit hit;
    rmr_stops st;
    (void)state;
    assert_int_equal(rmr_stops_make(&st, NULL, &o, NULL), REMORA_OK);
    assert_int_equal(rmr_stops_read(&st, 'a', 0, &hit), 0);
    assert_int_equal(rmr_stops_held(&st), 0);
    rmr_stops_free(&st, NULL);
}

static void same(void **state)
{
    tmem t = {0};
    rmr_mem mem = {
        .user = &t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    const remora_text a[] = {{"ab", 2}, {"c", 1}}, b[] = {{"a", 1}, {"bc", 2}};
    const remora_text c[] = {{"ab", 2}, {"d", 1}}, d[] = {{"ab", 2}, {NULL, 1}};
    const remora_gen_opts o = {.stop = a, .n_stop = 2}, none = {0};
    const remora_gen_opts others[] = {{.stop = a, .n_stop = 1},    {.stop = b, .n_stop = 2},
                                      {.stop = c, .n_stop = 2},    {.stop = d, .n_stop = 2},
                                      {.stop = NULL, .n_stop = 2}, none};
    rmr_stops st;
    (void)state;
    assert_int_equal(rmr_stops_make(&st, &mem, &o, NULL), REMORA_OK);
    assert_int_equal(rmr_stops_same(&st, &o), 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(rmr_stops_same(&st, &others[i]), 0);
    rmr_stops_free(&st, &mem);
    assert_int_equal(rmr_stops_same(&st, &none), 1);
}

static void not_utf8(void **state)
{
    static const char *const bad[] = {"\xff", "ab\xc3", "\x80", "a\xed\xa0\x80"};
    static const char *const places[] = {"byte 0", "byte 2", "byte 0", "byte 1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const remora_text stop[] = {{"\xc3\xa9", 2}, {bad[i], strlen(bad[i])}};
        const remora_gen_opts o = {.stop = stop, .n_stop = 2};
        remora_error err = {.struct_size = sizeof err};
        assert_int_equal(rmr_stops_check(&o, &err), REMORA_E_ARG);
        assert_non_null(strstr(err.message, "stop[1]"));
        assert_non_null(strstr(err.message, places[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_strings),
        cmocka_unit_test(no_strings),
        cmocka_unit_test(same),
        cmocka_unit_test(not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
