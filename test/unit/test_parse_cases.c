/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded outputs of the folder of chat data (parse-FAMILY.jsonl), however they are cut. */
#include <jansson.h>
#include <stdio.h>

#include "parse_rig.h"

static const char *folder;

static const char *const formats[][2] = {
    {"deepseek-v3", "deepseek-r1"},
    {"deepseek-v3.1", "deepseek-v3.1"},
    {"deepseek-v3.2", "deepseek-v3.2"},
    {"deepseek-v4", "deepseek-v4"},
    {"deepseek-v4.1", "deepseek-v4.1"},
    {"glm-4.7-flash", "glm-4.7-flash"},
    {"kimi-k2", "kimi-k2-thinking"},
    {"llama3.1", "llama-3.1"},
    {"qwen3", "qwen3"},
};

static int is_set(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_true(v) || (json_is_integer(v) && json_integer_value(v) != 0) ||
           json_array_size(v) > 0;
}

/* The output up to a stop string, as a generation delivers it. */
static size_t until_stop(const json_t *o, const char *text)
{
    const char *stop = json_string_value(json_array_get(json_object_get(o, "stop"), 0));
    const char *at = stop == NULL ? NULL : strstr(text, stop);
    return at == NULL ? strlen(text) : (size_t)(at - text);
}

/* Line `i` of the calls: its name, and its arguments as text. */
static int read_call(char *calls, size_t i, char **name, char **arguments)
{
    char *at = calls;
    for (; i > 0; i--) {
        if ((at = strchr(at, '\n')) == NULL) return 0;
        at++;
    }
    if (*at == 0) return 0;
    *name = at;
    at = strchr(at, ' ');
    *at++ = 0;
    *arguments = strchr(at, ' ') + 1;
    if ((at = strstr(*arguments, "\n")) != NULL || (at = strstr(*arguments, " !")) != NULL) *at = 0;
    return 1;
}

/* Calls as expected: a list of [name, arguments], arguments a text or a value. */
static void check_calls(const json_t *want, const char *got)
{
    static char calls[RIG_ROOM];
    char *name, *arguments;
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *call = json_array_get(want, i), *a = json_array_get(call, 1);
        memcpy(calls, got, strlen(got) + 1);
        assert_true(read_call(calls, i, &name, &arguments));
        assert_string_equal(name, json_string_value(json_array_get(call, 0)));
        if (json_is_string(a)) {
            assert_string_equal(arguments, json_string_value(a));
            continue;
        }
        json_t *value = json_loads(arguments, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(value, a));
        json_decref(value);
    }
    memcpy(calls, got, strlen(got) + 1);
    assert_false(read_call(calls, json_array_size(want), &name, &arguments));
}

/* DeepSeek's own parser loses the text behind a lone token of its markup. */
static int other_is_right(const char *name)
{
    return strcmp(name, "near_miss_marker") == 0;
}

static void check_recipe(const json_t *c, const char *name, const parsed *r)
{
    const json_t *message = json_object_get(c, "message"), *calls, *call;
    const char *reasoning = json_string_value(json_object_get(message, "reasoning_content"));
    const char *why = json_string_value(json_object_get(c, "finish_reason"));
    json_t *want = json_array();
    size_t i;
    calls = json_object_get(message, "tool_calls");
    json_array_foreach(calls, i, call)
    {
        const json_t *f = json_object_get(call, "function");
        json_array_append_new(
            want, json_pack("[OO]", json_object_get(f, "name"), json_object_get(f, "arguments")));
    }
    assert_string_equal(r->reasoning, reasoning == NULL ? "" : reasoning);
    assert_string_equal(r->content, other_is_right(name)
                                        ? "a <｜DSML｜ no block < and <｜D"
                                        : json_string_value(json_object_get(message, "content")));
    check_calls(want, r->calls);
    assert_int_equal(r->broken, 0);
    if (strcmp(why, "length") != 0)
        assert_int_equal(strcmp(why, "tool_calls") == 0, r->n_calls > 0);
    json_decref(want);
}

static void check_others(const json_t *e, const parsed *r)
{
    const json_t *reasoning = json_object_get(e, "reasoning"), *content, *calls;
    content = json_object_get(e, "content");
    calls = json_object_get(e, "calls");
    if (json_is_string(reasoning)) assert_string_equal(r->reasoning, json_string_value(reasoning));
    if (json_is_string(content)) assert_string_equal(r->content, json_string_value(content));
    if (json_is_array(calls)) check_calls(calls, r->calls);
}

static void check_case(const char *format, const json_t *c)
{
    static parsed r;
    static rmr_markers m;
    const json_t *o = json_object_get(c, "options"), *e = json_object_get(c, "expected");
    const char *text = json_string_value(json_object_get(c, "text"));
    const char *name = json_string_value(json_object_get(c, "name"));
    const int thinks = is_set(o, "think") || is_set(o, "starts_in_reasoning");
    const int begin = thinks                  ? RMR_PARSE_REASONING
                      : is_set(o, "required") ? RMR_PARSE_CALLS
                                              : RMR_PARSE_CONTENT;
    print_message("%s: %s\n", format, name);
    rig_markers(&m, format, is_set(o, "tools") || is_set(o, "tools_declared"));
    rig_every_cut(&m, begin, text, until_stop(o, text),
                  is_set(o, "length") || is_set(o, "truncated"), &r);
    if (e == NULL)
        check_recipe(c, name, &r);
    else
        check_others(e, &r);
}

static void recorded_outputs(void **state)
{
    static char line[1 << 20];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/parse-%s.jsonl", folder, formats[i][0]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        while (fgets(line, sizeof line, f) != NULL) {
            json_t *c = json_loads(line, 0, NULL);
            assert_non_null(c);
            check_case(formats[i][1], c);
            json_decref(c);
            n++;
        }
        fclose(f);
    }
    assert_true(n >= 134);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded_outputs)};
    if (argc != 2) return 2;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
