/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: what is read as what, what is refused and where it says so, and that everything written is
 * read back equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tmem.h"
#include "yamltree.h"

enum { NODES = 10000 };

static remora_error err = {.struct_size = sizeof(remora_error)};

static json_t *parsed(const char *text)
{
    json_t *v;
    if (rmr_yaml_parse("f", text, strlen(text), NODES, &v, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return v;
}

static void refused(const char *text, size_t n, const char *part)
{
    json_t *v;
    err.message[0] = 0;
    const remora_status st = rmr_yaml_parse("f", text, n, NODES, &v, &err);
    if (st != REMORA_E_FORMAT || strstr(err.message, part) == NULL)
        fail_msg("%.60s: status %d, \"%s\" does not say \"%s\"", text, st, err.message, part);
    assert_null(v);
}

static void core_schema(void **state)
{
    const struct {
        const char *text, *json;
    } same[] = {
        {"a: 1", "{\"a\":1}"},
        {"[~, null, Null, NULL, '']", "[null,null,null,null,\"\"]"},
        {"a:", "{\"a\":null}"},
        {"[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]"},
        {"[yes, no, on, off, y, n, tRue]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRue\"]"},
        {"[0, -0, +7, -12, 0x1F, 0xff, 0o17]", "[0,0,7,-12,31,255,15]"},
        {"[9223372036854775807, -9223372036854775808]",
         "[9223372036854775807,-9223372036854775808]"},
        {"[1.5, .5, 5., -1e3, 1E-2, +2.5e+1, 0.0, 00.5e0x]",
         "[1.5,0.5,5.0,-1000.0,0.01,25.0,0.0,\"00.5e0x\"]"},
        {"[1:30, 1_000, 2001-01-01, 0x, 0xg, 0o8, -0x1, 1e, e1, ., +, '12', \"1.5\"]",
         "[\"1:30\",\"1_000\",\"2001-01-01\",\"0x\",\"0xg\",\"0o8\",\"-0x1\",\"1e\",\"e1\",\".\","
         "\"+\",\"12\",\"1.5\"]"},
        {"%YAML 1.1\n---\na: |\n  x\n  y\nb: >\n  x\n  y\n...\n",
         "{\"a\":\"x\\ny\\n\",\"b\":\"x y\\n\"}"},
        {"1: a\ntrue: b\n'': c", "{\"1\":\"a\",\"true\":\"b\",\"\":\"c\"}"},
        {"- a\n- - b\n  - {c: [d]}\n", "[\"a\",[\"b\",{\"c\":[\"d\"]}]]"},
        {"\"\\x41\\u00e9\\0\"", "\"A\xC3\xA9\\u0000\""},
        {"# only a comment\nx", "\"x\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        json_t *got = parsed(same[i].text);
        json_t *want = json_loads(same[i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(want);
        if (!json_equal(got, want)) fail_msg("%s is not %s", same[i].text, same[i].json);
        json_decref(got);
        json_decref(want);
    }
}

static void refusals_say_where(void **state)
{
    const struct {
        const char *text, *part;
    } bad[] = {
        {"", "empty document"},
        {"# nothing", "empty document"},
        {"a: 1\n---\nb: 2", "f:2:1: something after the end"},
        {"a: 1\na: 2", "f:2:1: key a occurs twice"},
        {"a: &x 1\nb: 2", "f:1:4: anchors"},
        {"a: [*x]", "f:1:5: aliases"},
        {"a: !!str 1", "f:1:4: tags"},
        {"a: !x {}", "f:1:4: tags"},
        {"- &x [1]", "f:1:3: anchors"},
        {"&k a: 1", "f:1:1: anchors"},
        {"<<: {a: 1}", "f:1:1: merge keys"},
        {"[a]: 1", "f:1:1: a key that is no text"},
        {"\"a\\0b\": 1", "f:1:1: a key with a NUL"},
        {"x: 007", "f:1:4: a number with a leading zero"},
        {"x: 01.5", "f:1:4: a number with a leading zero"},
        {"x: .inf", "f:1:4: a number not finite"},
        {"x: -.INF", "f:1:4: a number not finite"},
        {"x: .nan", "f:1:4: a number not finite"},
        {"x: 1e999", "f:1:4: a number out of range"},
        {"x: 9223372036854775808", "f:1:4: an integer above 64 bits"},
        {"x: -9223372036854775809", "f:1:4: an integer above 64 bits"},
        {"x: 0x10000000000000000", "f:1:4: an integer above 64 bits"},
        {"a: [1", "f:2:1: did not find"},
        {"a: 'x", "unexpected end of stream"},
        {"a:\n\t- b", "f:2:1"},
        {"a: \"\\q\"", "f:1:"},
        {"%YAML 3.0\n--- a", "f:1:"},
        {"a: \xFF", "byte 3"},
        {"a: \x01", "byte 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].text, strlen(bad[i].text), bad[i].part);
    char digits[300] = "x: ";
    memset(digits + 3, '1', 250);
    strcpy(digits + 253, ".5");
    refused(digits, strlen(digits), "f:1:4: a number too long");
    refused("a\0b", 3, "byte 1");
}

/* Documents that grow, nest or refer without end: a status soon. */
static void bombs(void **state)
{
    enum { N = 1 << 20 };
    static const char *const units[] = {
        "[", "{", "- ", "? ", "{a: ", "[a, ", "&a ", "%", "a: "};
    char *text = malloc(N + 8);
    (void)state;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        const size_t len = strlen(units[u]);
        for (size_t i = 0; i + len <= N; i += len) memcpy(text + i, units[u], len);
        refused(text, N / len * len, "f:");
    }
    static const char laughs[] = "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]";
    refused(laughs, sizeof laughs - 1, "anchors");
    text[0] = '[';
    for (size_t i = 1; i < N; i += 2) memcpy(text + i, "x,", 2);
    refused(text, N, "too many values");
    memset(text, 'x', N); /* one long text is fine */
    json_t *v;
    assert_int_equal(rmr_yaml_parse("f", text, N, 1, &v, &err), REMORA_OK);
    assert_int_equal(json_string_length(v), N);
    json_decref(v);
    free(text);
}

static void round_trip(json_t *v)
{
    tmem t = {0};
    rmr_mem mem = {.user = &t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    char *text;
    size_t n;
    json_t *back;
    rmr_mem_init(&mem);
    assert_int_equal(rmr_yaml_write(&mem, v, &text, &n, &err), REMORA_OK);
    assert_int_equal(strlen(text), n);
    assert_string_equal(text + n - 4, "...\n");
    if (rmr_yaml_parse("f", text, n, NODES, &back, &err) < 0) fail_msg("%s\n%s", err.message, text);
    if (!json_equal(v, back)) fail_msg("not what it was:\n%s", text);
    json_decref(back);
    rmr_free(&mem, text, n + 1);
    assert_int_equal(t.blocks, 0);
}

static void written_is_read_back(void **state)
{
    static const char *const docs[] = {
        "{}",
        "[]",
        "{\"a\":{},\"b\":[],\"c\":[[],{}]}",
        "{\"t\":[{\"name\":\"model.layers.0.x\",\"n\":[1,2],\"sha256\":\"12e34\"},{\"name\":\"no\"}"
        "]}",
        "[\"yes\",\"No\",\"~\",\"null\",\"1\",\"-1\",\"0x1\",\"1:30\",\"1_0\",\".5\",\"=\",\"<<\","
        "\"a b\",\"a: b\",\"a #b\",\"#\",\"&a\",\"*a\",\"!a\",\"%a\",\"@a\",\"`a\",\"-\",\"- "
        "a\",\"?\",\"?a\",\"{\","
        "\"[\",\",\",\"|\",\">\",\"'\",\"\\\"\",\"\\\\\",\"\\n\",\" a\",\"a "
        "\",\"\\u0000\",\"\\u0085\",\"\\u2028\","
        "\"\\ufeff\",\"\\ud83d\\ude00\",\"\\uffff\",\"\\u007f\",\"---\",\"...\",\"y\",\"off\","
        "\"Infinity\",\"\"]",
        "[1.5,1e20,1e-7,-2.5e-300,0.1,1e15,1e17,123456789.125,-0.5,1.0,3]",
        "[9223372036854775807,-9223372036854775808,true,false,null]",
        "{\"a key with spaces\":1,\"1\":2,\"true\":3,\"\":4,\"~\":5,\"<<\":6,\"\\ud83d\\ude00\":7}",
        "{\"x\":[[1,2],[\"a\",[\"b\",{\"c\":{\"d\":[{\"e\":{\"f\":1}}]}}]]]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof docs / sizeof *docs; i++) {
        json_t *v = json_loads(docs[i], JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        round_trip(v);
        json_decref(v);
    }
    json_t *deep = json_array(); /* 81 levels are written, 82 not */
    for (int i = 0; i < RMR_YAML_DEPTH; i++) deep = json_pack("[o]", deep);
    round_trip(deep);
    deep = json_pack("[o]", deep);
    rmr_mem mem = {0};
    char *text;
    size_t n;
    rmr_mem_init(&mem);
    assert_int_equal(rmr_yaml_write(&mem, deep, &text, &n, &err), REMORA_E_UNSUPPORTED);
    json_decref(deep);
}

static void random_texts_come_back(void **state)
{
    uint64_t seed = 3;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        static const char *const bits[] = {"a",
                                           "0",
                                           "1",
                                           ".",
                                           "-",
                                           ":",
                                           " ",
                                           "#",
                                           "\n",
                                           "\t",
                                           "\r",
                                           "\"",
                                           "'",
                                           ",",
                                           "[",
                                           "{",
                                           "~",
                                           "x",
                                           "e",
                                           "\xC3\xA9",
                                           "\xE2\x80\xA8",
                                           "\xF0\x9F\x98\x80",
                                           "\x1B",
                                           "&",
                                           "%"};
        char s[64] = "";
        for (int k = 0; k < 8; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(s, bits[(seed >> 33) % (sizeof bits / sizeof *bits)]);
        }
        json_t *v = json_pack("{s:s,s:[s,{s:s}]}", s, s, "k", s, "k", s);
        assert_non_null(v);
        round_trip(v);
        json_decref(v);
    }
}

/* One line for each entry of a table, no matter how long: what `head` and grep want. */
static void tables_are_lines(void **state)
{
    rmr_mem mem = {0};
    char *text;
    size_t n;
    (void)state;
    rmr_mem_init(&mem);
    json_t *v =
        json_loads("{\"b\":1,\"a\":[{\"name\":\"model.layers.10.mlp\",\"rows\":10,"
                   "\"long\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                   "xxxxxxxxxxxxxxxx\",\"dims\":[1,2]},{\"name\":\"true\"}],\"e\":1e20}",
                   0, NULL);
    assert_int_equal(rmr_yaml_write(&mem, v, &text, &n, &err), REMORA_OK);
    assert_string_equal(text,
                        "b: 1\na:\n- {name: model.layers.10.mlp, rows: 10, long: "
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                        "xxxxxxxxxxxxxxxx, dims: [1, 2]}\n- {name: \"true\"}\ne: 1.0e+20\n...\n");
    rmr_free(&mem, text, n + 1);
    json_decref(v);
}

static int32_t sweep_write(void *arg, tmem *t)
{
    rmr_mem mem = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    char *text;
    size_t n;
    rmr_mem_init(&mem);
    const remora_status st = rmr_yaml_write(&mem, arg, &text, &n, &err);
    if (st < 0) assert_int_equal(st, REMORA_E_NOMEM);
    if (text != NULL) rmr_free(&mem, text, n + 1);
    return st;
}

static void every_allocation_fails_once(void **state)
{
    tmem t = {0};
    (void)state;
    json_t *v = json_array();
    for (int i = 0; i < 5000; i++) json_array_append_new(v, json_string("model.layers"));
    assert_true(tmem_sweep(&t, sweep_write, v) > 2);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_schema),
        cmocka_unit_test(refusals_say_where),
        cmocka_unit_test(bombs),
        cmocka_unit_test(written_is_read_back),
        cmocka_unit_test(random_texts_come_back),
        cmocka_unit_test(tables_are_lines),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
