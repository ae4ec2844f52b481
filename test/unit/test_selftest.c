/* The stored answer of a pack: written and read back, and how far another one may be from it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "selftest.h"

#define SUM "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const rmr_selftest answer = {.numerics = RMR_NUMERICS,
                                    .top = {7, 3, 2000, 0, REMORA_TOKEN_NONE},
                                    .logit = {9.5f, 9.25f, -1.0f, -8.0f, 0.0f},
                                    .deviation = 4.0f,
                                    .sha256 = SUM};

static void written_and_read(void **state)
{
    remora_error err = {.struct_size = sizeof err};
    json_t *entry = rmr_selftest_json(&answer);
    rmr_selftest back;
    (void)state;
    assert_non_null(entry);
    assert_int_equal(rmr_selftest_parse(entry, &back, &err), REMORA_OK);
    assert_int_equal(back.numerics, RMR_NUMERICS);
    assert_memory_equal(back.top, answer.top, sizeof back.top);
    assert_memory_equal(back.logit, answer.logit, sizeof back.logit);
    assert_string_equal(back.sha256, SUM);
    assert_int_equal(json_object_del(entry, "numerics"), 0);
    assert_int_equal(rmr_selftest_parse(entry, &back, &err), REMORA_OK);
    assert_int_equal(back.numerics, 1);
    json_decref(entry);
}

static void what_is_none(void **state)
{
    static const char *const entries[] = {"null",
                                          "5",
                                          "{}",
                                          "{\"top\": [1, 2, 3, 4, 5]}",
                                          "{\"logits_sha256\": \"" SUM "\", \"top\": [1, 2, 3, 4]}",
                                          "{\"logits_sha256\": \"" SUM
                                          "0\", \"top\": [1, 2, 3, 4, 5]}"};
    remora_error err = {.struct_size = sizeof err};
    rmr_selftest t;
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        json_t *entry = json_loads(entries[i], JSON_DECODE_ANY, NULL);
        assert_non_null(entry);
        assert_int_equal(rmr_selftest_parse(entry, &t, &err), REMORA_E_FORMAT);
        json_decref(entry);
    }
}

static remora_status compare(uint32_t numerics, float apart, const char *sum, int *exact)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_selftest stored = answer, now = answer;
    stored.numerics = numerics;
    memcpy(now.sha256, sum, sizeof now.sha256);
    now.logit[2] += apart;
    const remora_status st = rmr_selftest_compare(&stored, &now, exact, &err);
    if (st < 0) assert_non_null(strstr(err.message, "token 2000"));
    return st;
}

static void how_far(void **state)
{
    static const char other[65] = "0";
    const uint32_t older = RMR_NUMERICS - 1;
    int exact;
    (void)state;
    assert_int_equal(compare(RMR_NUMERICS, NAN, SUM, &exact), REMORA_OK);
    assert_int_equal(exact, 1);
    assert_int_equal(compare(RMR_NUMERICS, 0.9e-3f, other, &exact), REMORA_OK);
    assert_int_equal(exact, 0);
    assert_int_equal(compare(RMR_NUMERICS, 1.1e-3f, other, &exact), REMORA_E_MISMATCH);
    assert_int_equal(compare(RMR_NUMERICS, NAN, other, &exact), REMORA_E_MISMATCH);
    assert_int_equal(compare(older, -1.9f, other, &exact), REMORA_OK);
    assert_int_equal(exact, 0);
    assert_int_equal(compare(older, -2.1f, other, &exact), REMORA_E_MISMATCH);
    assert_int_equal(compare(older, NAN, other, &exact), REMORA_E_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(written_and_read),
                                       cmocka_unit_test(what_is_none), cmocka_unit_test(how_far)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
