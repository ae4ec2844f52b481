/* SPDX-License-Identifier: Apache-2.0 */
/* The stored answer of a pack: given by a model, written and read back, and how far another one may
 * be from it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"
#include "selftest.h"
#include "tiny.h"

#define SUM "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const rmr_selftest answer = {.numerics = RMR_NUMERICS,
                                    .top = {7, 3, 2000, 0, 11},
                                    .logit = {9.5f, 9.25f, -1.0f, -1.25f, -2.0f},
                                    .other = -3.0f,
                                    .deviation = 4.0f,
                                    .sha256 = SUM};

static void written_and_read(void **state)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_selftest few = answer, back; /* of a vocabulary of four */
    few.top[RMR_SELFTEST_TOP - 1] = REMORA_TOKEN_NONE;
    few.logit[RMR_SELFTEST_TOP - 1] = 0.0f;
    json_t *entry = rmr_selftest_json(&few);
    (void)state;
    assert_non_null(entry);
    assert_int_equal(rmr_selftest_parse(entry, &back, &err), REMORA_OK);
    assert_int_equal(back.numerics, RMR_NUMERICS);
    assert_memory_equal(back.top, few.top, sizeof back.top);
    assert_memory_equal(back.logit, few.logit, sizeof back.logit);
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

/* A token that the pack does not name may come as near to those it does as they may move. */
static remora_status with_other(uint32_t numerics, float other)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_selftest stored = answer, now = answer;
    int exact;
    stored.numerics = numerics;
    now.other = other;
    now.sha256[0] = '0';
    const remora_status st = rmr_selftest_compare(&stored, &now, &exact, &err);
    if (st < 0) assert_non_null(strstr(err.message, "does not name"));
    return st;
}

static void still_the_largest(void **state)
{
    const uint32_t older = RMR_NUMERICS - 1;
    (void)state;
    assert_int_equal(with_other(RMR_NUMERICS, -2.0f + 0.9e-3f), REMORA_OK);
    assert_int_equal(with_other(RMR_NUMERICS, -2.0f + 1.1e-3f), REMORA_E_MISMATCH);
    assert_int_equal(with_other(older, -2.0f + 1.9f), REMORA_OK);
    assert_int_equal(with_other(older, -2.0f + 2.1f), REMORA_E_MISMATCH);
}

static rmr_selftest run(remora_model *m, const rmr_selftest *stored)
{
    rmr_selftest out;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(rmr_selftest_run(m, stored, NULL, &out, &err), &err);
    return out;
}

/* An answer that names another token in place of the fifth is found out by that one. */
static void of_a_model(void **state)
{
    tiny t;
    int exact;
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m = host_open(rt, &t.source);
    const rmr_selftest right = run(m, NULL), again = run(m, &right);
    for (int i = 1; i < RMR_SELFTEST_TOP; i++) assert_true(right.logit[i - 1] >= right.logit[i]);
    assert_true(right.other <= right.logit[RMR_SELFTEST_TOP - 1] && again.other == right.other);
    assert_int_equal(rmr_selftest_compare(&right, &again, &exact, NULL), REMORA_OK);
    assert_int_equal(exact, 1);
    rmr_selftest wrong = right;
    wrong.sha256[0] ^= 1;
    assert_int_equal(rmr_selftest_compare(&wrong, &again, &exact, NULL), REMORA_OK);
    assert_int_equal(exact, 0);
    wrong.top[RMR_SELFTEST_TOP - 1] = right.top[0] == 0 ? 1 : 0;
    const rmr_selftest now = run(m, &wrong);
    assert_true(now.other == right.logit[RMR_SELFTEST_TOP - 1]);
    wrong.logit[RMR_SELFTEST_TOP - 1] = now.logit[RMR_SELFTEST_TOP - 1];
    assert_int_equal(rmr_selftest_compare(&wrong, &now, &exact, NULL), REMORA_E_MISMATCH);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* Weights that are finite, and logits that are not. */
static void not_finite(void **state)
{
    const tiny_opts o = {.dtype = "F32", .no_tokenizer = 1};
    const float huge = 3e38f;
    remora_error err = HOST_ERROR;
    rmr_selftest out;
    tiny t;
    (void)state;
    tiny_make(&t, &o);
    const remora_blob *w = tiny_blob(&t, "model.safetensors"); /* ends in the head's last row */
    unsigned char *end = (unsigned char *)(uintptr_t)w->data + w->size;
    for (int i = 1; i <= 40; i++) memcpy(end - 4 * i, &huge, 4);
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m = host_open(rt, &t.source);
    assert_int_equal(rmr_selftest_run(m, NULL, NULL, &out, &err), REMORA_E_FORMAT);
    assert_non_null(strstr(err.message, "the logit of token 271 is "));
    remora_model_free(m);
    char dir[HOST_DIR], path[64];
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/m.remora", dir);
    assert_int_equal(remora_convert(rt, &t.source, path, NULL, &err), REMORA_E_FORMAT);
    assert_non_null(strstr(err.message, "the logit of token 271 is "));
    assert_int_equal(host_dir_count(dir), 0);
    /* a pack whose answer another build has stored */
    const remora_convert_opts none = {.struct_size = sizeof none,
                                      .flags = REMORA_CONVERT_NO_SELF_TEST};
    REQUIRE_OK(remora_convert(rt, &t.source, path, &none, &err), &err);
    assert_int_equal(host_dir_count(dir), 1);
    remove(path);
    remove(dir);
    remora_runtime_free(rt);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_model),       cmocka_unit_test(not_finite),
        cmocka_unit_test(written_and_read), cmocka_unit_test(what_is_none),
        cmocka_unit_test(how_far),          cmocka_unit_test(still_the_largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
