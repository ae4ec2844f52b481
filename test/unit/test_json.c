/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: typed fields of small documents, and the walk over members of large ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "json.h"

static remora_error err = {.struct_size = sizeof(remora_error)};

static void says(const char *part)
{
    if (strstr(err.message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static json_t *parsed(const char *text)
{
    json_t *root;
    if (rmr_json_parse("f", text, strlen(text), &root, &err) < 0) fail_msg("%s", err.message);
    return root;
}

static void documents_are_checked(void **state)
{
    const struct {
        const char *text, *part;
    } bad[] = {{"", "not a JSON object"},
               {"  ", "not a JSON object"},
               {"[]", "not a JSON object"},
               {"7", "not a JSON object"},
               {"{", "f: half-written: ends at byte 1"},
               {"{\"a\": [1, 2\n", "f: half-written: ends at byte 11"},
               {"{\"a\": {}, \"b", "f: half-written: ends at byte 12"},
               {"{} {}", "f: line 1"},
               {"{\"a\":1,\n\"a\":2}", "duplicate"},
               {"{\"a\":\"\xFF\"}", "f: line 1"},
               {"{\"a\":\"\\ud800\"}", "f: line 1"},
               {"{\"a\":Nan}", "f: line 1"},
               {"{\"a\":NaN1}", "f: line 1"},
               {"{\"a\":-NaN}", "f: line 1"},
               {"{\"a\":+Infinity}", "f: line 1"},
               {"{\"a\":01234567890123456789}", "f: line 1"},
               {"{\"a\":1e999.}", "f: line 1"},
               {"{\"a\":NaN NaN}", "f: line 1"},
               {"{NaN :1}", "f: line 1"},
               {"{\"a\":1e999", "f: half-written"},
               {"{\"a\":1,}", "f: line 1"}};
    json_t *root;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (rmr_json_parse("f", bad[i].text, strlen(bad[i].text), &root, &err) != REMORA_E_FORMAT)
            fail_msg("%s is no error", bad[i].text);
        assert_null(root);
        says(bad[i].part);
    }
}

/* Numbers that no json_t can hold fail the field that is read, not the document. */
static void numbers_out_of_reach(void **state)
{
    static const char *const odd[] = {"NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1000000000000000019884624838656",
                                      "1e400",
                                      "-1E+400",
                                      "17976931348623159e292"};
    static const char *const held[] = {"9223372036854775807", "-9223372036854775808", "1e308",
                                       "1e-400", "0.00000000000000000000000000000001"};
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        uint32_t u;
        double d;
        int b;
        const char *s;
        snprintf(text, sizeof text, "{\"a\":%s,\"list\":[0,%s, {\"b\":%s}],\"s\":\"%s\",\"n\":7}",
                 odd[i], odd[i], odd[i], odd[i]);
        json_t *o = parsed(text);
        assert_int_equal(rmr_json_u32("f", o, "n", 1, 7, 3, &u, &err), REMORA_OK);
        assert_int_equal(rmr_json_string("f", o, "s", &s, &err), REMORA_OK);
        assert_string_equal(s, odd[i]); /* in a string it is text */
        assert_int_equal(json_array_size(json_object_get(o, "list")), 3);
        assert_true(rmr_json_is_odd(json_array_get(json_object_get(o, "list"), 1)));
        assert_int_equal(rmr_json_u32("f", o, "a", 0, 9, 3, &u, &err), REMORA_E_FORMAT);
        says("f: a is NaN, infinite or outside 64 bits, not an integer");
        assert_int_equal(rmr_json_number("f", o, "a", 0, &d, &err), REMORA_E_FORMAT);
        says("f: a is NaN, infinite or outside 64 bits, not a number");
        assert_int_equal(rmr_json_bool("f", o, "a", 0, &b, &err), REMORA_E_FORMAT);
        assert_int_equal(rmr_json_string("f", o, "a", &s, &err), REMORA_E_FORMAT);
        says("f: a is NaN");
        json_decref(o);
    }
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        double d;
        snprintf(text, sizeof text, "{\"a\":%s}", held[i]);
        json_t *o = parsed(text);
        assert_int_equal(rmr_json_number("f", o, "a", -7, &d, &err), REMORA_OK);
        assert_true(d != -7);
        json_decref(o);
    }
}

/* jansson reads 1,024 bytes at a time: such numbers, and others, on every border of that. */
static void numbers_on_borders(void **state)
{
    enum { N = 4096 };
    char *text = malloc(N);
    (void)state;
    for (int pad = 990; pad < 1040; pad++) {
        uint32_t v;
        double d;
        const int n = snprintf(text, N, "{\"a\":%*s%s,\"b\":%s,\"c\":%*d,\"d\":1.5e-007}", pad, "",
                               pad % 2 ? "1000000000000000019884624838656" : "NaN", "-1e400",
                               (pad - 990) * 20, 77);
        json_t *o = NULL;
        assert_int_equal(rmr_json_parse("f", text, (size_t)n, &o, &err), REMORA_OK);
        assert_true(rmr_json_is_odd(json_object_get(o, "a")));
        assert_true(rmr_json_is_odd(json_object_get(o, "b")));
        assert_int_equal(rmr_json_u32("f", o, "c", 0, 99, 0, &v, &err), REMORA_OK);
        assert_int_equal(v, 77);
        assert_int_equal(rmr_json_number("f", o, "d", 0, &d, &err), REMORA_OK);
        assert_true(d == 1.5e-7);
        json_decref(o);
    }
    free(text);
}

/* jansson parses by recursion: what is deeper than 64 must never reach it. */
static void deep_documents_are_refused(void **state)
{
    enum { N = 1000000 };
    char *text = malloc(N + 1);
    json_t *root;
    (void)state;
    for (int depth = 63; depth <= 64; depth++) {
        const int n = sprintf(text, "{\"a\":");
        memset(text + n, '[', (size_t)depth);
        memset(text + n + depth, ']', (size_t)depth);
        strcpy(text + n + 2 * depth, "}");
        const remora_status st = rmr_json_parse("f", text, strlen(text), &root, &err);
        assert_int_equal(st, depth == 63 ? REMORA_OK : REMORA_E_FORMAT);
        json_decref(root);
    }
    says("deeper than 64");
    memset(text, '[', N);
    memcpy(text, "{\"[[\\\"[\":", 9);
    assert_int_equal(rmr_json_parse("f", text, N, &root, &err), REMORA_E_FORMAT);
    says("deeper than 64");
    free(text);
}

static void integers_have_a_range(void **state)
{
    json_t *o =
        parsed("{\"a\":7,\"n\":null,\"f\":7.0,\"s\":\"7\",\"m\":-1,\"b\":4294967296,\"t\":true}");
    uint32_t v = 0;
    (void)state;
    assert_int_equal(rmr_json_u32("f", o, "a", 1, 7, 3, &v, &err), REMORA_OK);
    assert_int_equal(v, 7);
    assert_int_equal(rmr_json_u32("f", o, "none", 1, 7, 3, &v, &err), REMORA_OK);
    assert_int_equal(v, 3);
    assert_int_equal(rmr_json_u32("f", o, "n", 1, 7, 4, &v, &err), REMORA_OK);
    assert_int_equal(v, 4);
    assert_int_equal(rmr_json_u32("f", o, "a", 1, 6, 3, &v, &err), REMORA_E_FORMAT);
    says("f: a is 7, not in 1..6");
    assert_int_equal(rmr_json_u32("f", o, "a", 8, 9, 3, &v, &err), REMORA_E_FORMAT);
    assert_int_equal(rmr_json_u32("f", o, "m", 0, UINT32_MAX, 3, &v, &err), REMORA_E_FORMAT);
    assert_int_equal(rmr_json_u32("f", o, "b", 0, UINT32_MAX, 3, &v, &err), REMORA_E_FORMAT);
    const char *const types[] = {"f", "s", "t"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rmr_json_u32("f", o, types[i], 0, 9, 3, &v, &err), REMORA_E_FORMAT);
        says(", not an integer");
    }
    json_decref(o);
}

static void numbers_booleans_and_strings_have_types(void **state)
{
    json_t *o = parsed("{\"i\":7,\"f\":0.5,\"s\":\"x\",\"t\":true,\"n\":null,\"z\":\"a\\u0000b\"}");
    double d = 0;
    int b = 0;
    const char *s = "";
    (void)state;
    assert_int_equal(rmr_json_number("f", o, "i", 1, &d, &err), REMORA_OK);
    assert_true(d == 7);
    assert_int_equal(rmr_json_number("f", o, "f", 1, &d, &err), REMORA_OK);
    assert_true(d == 0.5);
    assert_int_equal(rmr_json_number("f", o, "n", 2, &d, &err), REMORA_OK);
    assert_true(d == 2);
    assert_int_equal(rmr_json_number("f", o, "s", 1, &d, &err), REMORA_E_FORMAT);
    says("f: s is a string, not a number");
    assert_int_equal(rmr_json_bool("f", o, "t", 0, &b, &err), REMORA_OK);
    assert_int_equal(b, 1);
    assert_int_equal(rmr_json_bool("f", o, "none", 1, &b, &err), REMORA_OK);
    assert_int_equal(b, 1);
    assert_int_equal(rmr_json_bool("f", o, "i", 0, &b, &err), REMORA_E_FORMAT);
    says("f: i is an integer, not true or false");
    assert_int_equal(rmr_json_string("f", o, "s", &s, &err), REMORA_OK);
    assert_string_equal(s, "x");
    assert_int_equal(rmr_json_string("f", o, "n", &s, &err), REMORA_OK);
    assert_null(s);
    assert_int_equal(rmr_json_string("f", o, "i", &s, &err), REMORA_E_FORMAT);
    says("f: i is an integer, not a string");
    assert_int_equal(rmr_json_string("f", o, "z", &s, &err), REMORA_E_FORMAT);
    says("f: z has a NUL inside");
    json_decref(o);
}

static void a_walk_gives_every_member(void **state)
{
    const char *text = " { \"a\" : 1 ,\"b\\\"}\":\"}\\\\\",\"c\":{\"d\":[1,{}]},\"e\":[] } \n";
    const char *const want[][2] = {
        {"\"a\"", "1"}, {"\"b\\\"}\"", "\"}\\\\\""}, {"\"c\"", "{\"d\":[1,{}]}"}, {"\"e\"", "[]"}};
    rmr_json_walk w, inner;
    rmr_json_span key, value, c = {0};
    (void)state;
    rmr_json_walk_open(&w, "f", text, strlen(text), 3);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(rmr_json_walk_next(&w, &key, &value, &err), REMORA_OK);
        assert_int_equal(key.size, strlen(want[i][0]));
        assert_memory_equal(key.text, want[i][0], key.size);
        assert_int_equal(value.size, strlen(want[i][1]));
        assert_memory_equal(value.text, want[i][1], value.size);
        if (i == 2) c = value;
    }
    assert_int_equal(rmr_json_walk_next(&w, &key, &value, &err), REMORA_END);
    rmr_json_walk_into(&inner, &w, c);
    assert_int_equal(rmr_json_walk_next(&inner, &key, &value, &err), REMORA_OK);
    assert_int_equal(value.size, 6);
    assert_int_equal(rmr_json_walk_next(&inner, &key, &value, &err), REMORA_END);
    rmr_json_walk_open(&w, "f", text, strlen(text), 2); /* "c" nests 3 deep */
    assert_int_equal(rmr_json_walk_next(&w, &key, &value, &err), REMORA_OK);
    assert_int_equal(rmr_json_walk_next(&w, &key, &value, &err), REMORA_OK);
    assert_int_equal(rmr_json_walk_next(&w, &key, &value, &err), REMORA_E_FORMAT);
    says("f: byte 29: nested too deep");
}

/* However a text is cut, a walk ends with an error, and reads nothing behind it. */
static void a_cut_walk_is_an_error(void **state)
{
    const char *text = "{\"a\":\"\\\"b\",\"c\":{\"d\":[1]}, \"e\":12}";
    (void)state;
    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = malloc(n ? n : 1);
        rmr_json_walk w;
        rmr_json_span key, value;
        remora_status st;
        memcpy(copy, text, n);
        rmr_json_walk_open(&w, "f", copy, n, 3);
        while ((st = rmr_json_walk_next(&w, &key, &value, &err)) == REMORA_OK) {
        }
        assert_int_equal(st, REMORA_E_FORMAT);
        free(copy);
    }
}

static void strings_are_decoded(void **state)
{
    const struct {
        const char *text, *want; /* NULL: refused */
    } all[] = {{"\"\"", ""},
               {"\"abc\"", "abc"},
               {"\"\\u0061\\n\\\"\"", "a\n\""},
               {"\"\xC3\xA9\"", "\xC3\xA9"},
               {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
               {"\"\\u0000\"", NULL},
               {"\"\xFF\"", NULL},
               {"\"\xED\xA0\x80\"", NULL},
               {"\"\\x\"", NULL},
               {"\"", NULL},
               {"abc", NULL},
               {"7", NULL},
               {"", NULL},
               {"\"1234567890123456\"", NULL},
               {"\"\\u00312345678901234567\"", NULL}};
    char buf[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const rmr_json_span s = {all[i].text, strlen(all[i].text)};
        const remora_status st = rmr_json_unquote("f", s, buf, sizeof buf, &n, &err);
        if (all[i].want == NULL) {
            assert_int_equal(st, REMORA_E_FORMAT);
            continue;
        }
        assert_int_equal(st, REMORA_OK);
        assert_string_equal(buf, all[i].want);
        assert_int_equal(n, strlen(all[i].want));
    }
}

static void values_are_checked(void **state)
{
    const char *const good[] = {"1",    "\"a\"", "\"\xC3\xA9\"", "{\"a\":[1]}",
                                "null", "NaN",   "{\"a\":1e999}"};
    const char *const bad[] = {"", "tru", "\"\xFF\"", "{]", "{\"a\":1,\"a\":1}", "1 2", "\"a"};
    (void)state;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rmr_json_check("f", (rmr_json_span){good[i], strlen(good[i])}, &err), 0);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rmr_json_check("f", (rmr_json_span){bad[i], strlen(bad[i])}, &err),
                         REMORA_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_checked),
        cmocka_unit_test(numbers_out_of_reach),
        cmocka_unit_test(numbers_on_borders),
        cmocka_unit_test(deep_documents_are_refused),
        cmocka_unit_test(integers_have_a_range),
        cmocka_unit_test(numbers_booleans_and_strings_have_types),
        cmocka_unit_test(a_walk_gives_every_member),
        cmocka_unit_test(a_cut_walk_is_an_error),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(values_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
