/* SPDX-License-Identifier: Apache-2.0 */
/* The output of each family read back: reasoning, text and calls, the same however it is cut. */
#include "parse_rig.h"

/* Where a case begins is a letter: s(tart), r(easoning), c(ontent), k (calls). */
typedef struct output {
    const char *format;
    char begin;
    int tools, cut;
    const char *text;
    const char *reasoning, *content, *calls, *rest;
    int broken;
} output;

#define CALLS3 "<｜tool▁calls▁begin｜>"
#define CALL3 "<｜tool▁call▁begin｜>"
#define SEP3 "<｜tool▁sep｜>"
#define END3 "<｜tool▁call▁end｜>"
#define ENDS3 "<｜tool▁calls▁end｜>"
#define DSML "｜DSML｜"
#define EOS "<｜end▁of▁sentence｜>"

static const output outputs[] = {
    /* Reasoning and text. */
    {"deepseek-r1", 'r', 0, 0, "I think.</think>Hello.", "I think.", "Hello.", "", "", 0},
    {"deepseek-r1", 'r', 0, 0, "\nI\n\nthink.\n</think>\n\nHello.\n", "I\n\nthink.", "Hello.\n", "",
     "", 0},
    {"deepseek-r1", 'r', 0, 1, "still\n", "still\n", "", "", "", 0},
    {"deepseek-r1", 'r', 0, 0, "<think>a<think>b</think>c</think>d" EOS, "a<think>b", "cd", "", "",
     0},
    {"deepseek-v4", 'r', 0, 0, "<think>a</think>b", "<think>a", "b", "", "", 0},
    {"deepseek-v4", 'c', 0, 0, "\n\nx <think> y </think> z", "", "x <think> y  z", "", "", 0},
    {"qwen3", 's', 0, 0, " \n<think>\na\n</think>\n\nb<|im_end|>", "a", "b", "", "", 0},
    {"qwen3", 's', 0, 0, " \n b", "", " \n b", "", "", 0},
    {"qwen3", 's', 0, 0, "\n ", "", "\n ", "", "", 0},
    {"deepseek-r1-0528", 's', 0, 0, "<think>a</think>b", "a", "b", "", "", 0},
    {"llama-3", 'c', 0, 0, "a</think>{\"name\": \"f\", \"parameters\": {}}<|eot_id|>after", "",
     "a</think>{\"name\": \"f\", \"parameters\": {}}", "", "after", 0},
    /* Calls whose arguments are JSON text. */
    {"deepseek-v3", 'c', 1, 0,
     "Ok.\n" CALLS3 CALL3 "function" SEP3 "f\n```json\n{\"a\": 1}\n```" END3 "\n" CALL3
     "function" SEP3 "g\n```json\n{}\n```" END3 ENDS3 EOS,
     "", "Ok.\n", "f () {\"a\": 1}\ng () {}\n", "", 0},
    {"deepseek-v3", 'c', 1, 0,
     CALLS3 CALL3 "function" SEP3 "f\n```json\n{\"a\": \"```\"}" END3 "\nx", "", "",
     "f () {\"a\": \"```\"}\n", "x", 1},
    {"deepseek-v3", 'c', 1, 0, "a < b <｜tool is none <", "", "a < b <｜tool is none <", "", "", 0},
    {"deepseek-v3", 'c', 0, 0, CALLS3 CALL3, "", CALLS3 CALL3, "", "", 0},
    {"deepseek-v3", 'c', 1, 1, "Ok.<｜tool", "", "Ok.", "", "", 0},
    {"deepseek-v3", 'c', 1, 0, "Ok.<｜tool", "", "Ok.<｜tool", "", "", 0},
    {"deepseek-v3.1", 'r', 1, 0,
     "t\n" CALLS3 CALL3 "f" SEP3 "{}" END3 CALL3 "g" SEP3 END3 ENDS3 "\nx", "t", "",
     "f () {}\ng () {}\n", "x", 0},
    {"deepseek-v3.1", 'c', 1, 0, CALLS3 CALL3 "f" SEP3 "{\"a\": 1}" ENDS3 "x", "", "",
     "f () {\"a\": 1}\n", "x", 0},
    {"deepseek-v3.1", 'c', 1, 0, CALLS3 CALL3 "f" SEP3 "{\"a\"" EOS, "", "", "f () {\"a\" !", "",
     1},
    {"deepseek-v3.1", 'c', 1, 1, CALLS3 CALL3 "f" SEP3 "{\"a\"", "", "", "f () {\"a\" !", "", 0},
    {"deepseek-v3.1", 'k', 1, 0, CALL3 "f" SEP3 "{}" END3 ENDS3, "", "", "f () {}\n", "", 0},
    {"deepseek-v3.1", 'c', 1, 0, CALLS3 "what" CALL3, "", "", "", "what" CALL3, 1},
    /* Ids. */
    {"kimi-k2-thinking", 's', 1, 0,
     "<think>t</think>A<|tool_calls_section_begin|><|tool_call_begin|>functions.get_it:12"
     "<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_calls_section_end|><|im_end|>",
     "t", "A", "get_it (functions.get_it:12) {\"a\": 1}\n", "", 0},
    {"kimi-k2", 'c', 1, 0,
     "<|tool_call_section_begin|><|tool_call_begin|>functionsexec5<|tool_call_argument_begin|>{}"
     "<|tool_call_end|><|tool_call_begin|>functions.a.b2:0<|tool_call_argument_begin|>{}"
     "<|tool_call_end|>",
     "", "", "exec (functionsexec5) {}\na.b2 (functions.a.b2:0) {}\n", "", 0},
    /* Calls that are JSON themselves. */
    {"qwen3", 'c', 1, 0,
     "Hm.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\n</tool_call>\", \"b\": "
     "{}}}\n"
     "</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":[1]}</tool_call><|im_end|>",
     "", "Hm.", "f () {\"a\": \"}\\n</tool_call>\", \"b\": {}}\ng () [1]\n", "", 0},
    {"qwen2.5", 'c', 1, 0, "a\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
     "", "a\n", "f () {}\n", "", 0},
    {"qwen3", 'c', 1, 0, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}\n</tool_call>x",
     "", "", "f () {\"a\": 1}\n", "x", 0},
    {"qwen3", 'c', 1, 0,
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": 3}\n</tool_call>", "", "",
     "f () {\"a\": 1}\n", "", 0},
    {"qwen3", 'c', 1, 0, "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "", "", "f () {}\n", "",
     0},
    {"qwen3", 'c', 1, 0, "<tool_call>\n{\"name\": \"f\", \"arguments\": 12}\n</tool_call>", "", "",
     "f () 12\n", "", 0},
    {"qwen3", 'c', 1, 0, "a <tool is none <tool_call>x", "", "a <tool is none <tool_call>x", "", "",
     0},
    {"llama-3.1", 'c', 1, 0,
     "See.{\"name\": \"f\", \"parameters\": {\"a\": {\"b\": \"}\"}}}<|eom_id|>", "", "See.",
     "f () {\"a\": {\"b\": \"}\"}}\n", "", 0},
    {"llama-3.1", 'c', 1, 0,
     "{\"name\":\"f\",\"parameters\":{}}; {\"name\": \"g\", \"parameters\": {}} x", "", "",
     "f () {}\ng () {}\n", "x", 0},
    {"llama-3.1", 'c', 1, 0, "{{\"name\": \"Bob\", \"age\": 3}", "",
     "{{\"name\": \"Bob\", \"age\": 3}", "", "", 0},
    {"llama-3.1", 'c', 1, 1, "Ok.{\"name", "", "Ok.", "", "", 0},
    /* Arguments one by one. */
    {"deepseek-v4.1", 'c', 1, 0,
     "Ok.\n\n<" DSML " calls>\n<" DSML " invoke name=\"f\">\n<" DSML
     " parameter name=\"t\" string=\"true\">a \"b\" \\ < </x> <" DSML " y\n</" DSML
     " parameter>\n<" DSML " parameter name=\"n\" string=\"false\">three</" DSML
     " parameter>\n</" DSML " invoke>\n<" DSML " invoke name=\"g\">\n\n</" DSML " invoke>\n</" DSML
     " calls>\nafter",
     "", "Ok.", "f () {\"t\": \"a \\\"b\\\" \\\\ < </x> <" DSML " y\\n\", \"n\": three}\ng () {}\n",
     "after", 0},
    {"deepseek-v4.1", 'c', 1, 0, "a <" DSML " no block < and <｜D", "",
     "a <" DSML " no block < and <｜D", "", "", 0},
    {"deepseek-v4", 'r', 1, 1,
     "N.\n\n<" DSML "tool_calls>\n<" DSML "invoke name=\"f\">\n<" DSML "parameter name=\"da", "N.",
     "", "f () {\"da !", "", 0},
    {"deepseek-v3.2", 'k', 1, 0, "<" DSML "invoke name=\"f\">\n</" DSML "invoke>\n", "", "",
     "f () {}\n", "", 0},
    {"glm-4.7-flash", 'r', 1, 0,
     "t</think>c<tool_call>f\n<arg_key>s</arg_key><arg_value>Oslo \"x\"</arg_value><arg_key>n"
     "</arg_key>\n<arg_value>-1.5</arg_value><arg_key>o</arg_key><arg_value>{\"a\": [1, null]}"
     "</arg_value><arg_key>q</arg_key><arg_value>\"q\"</arg_value><arg_key>h</arg_key><arg_value>1-"
     "</arg_value></tool_call><tool_call>now</tool_call><|observation|>",
     "t", "c",
     "f () {\"s\": \"Oslo \\\"x\\\"\", \"n\": -1.5, \"o\": {\"a\": [1, null]}, \"q\": "
     "\"\\\"q\\\"\", "
     "\"h\": \"1-\"}\nnow () {}\n",
     "", 0},
    {"glm-4.7-flash", 'c', 1, 0, "<tool_call>f<arg_key>a</arg_key><arg_value></arg_value>x", "", "",
     "f () {\"a\": \"\" !", "x", 1},
};

static int state_of(char c)
{
    return c == 's'   ? RMR_PARSE_START
           : c == 'r' ? RMR_PARSE_REASONING
           : c == 'c' ? RMR_PARSE_CONTENT
                      : RMR_PARSE_CALLS;
}

static void outputs_of_all_families(void **state)
{
    static parsed r;
    static rmr_markers m;
    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const output *o = &outputs[i];
        rig_markers(&m, o->format, o->tools);
        rig_every_cut(&m, state_of(o->begin), o->text, strlen(o->text), o->cut, &r);
        if (strcmp(r.content, o->content) != 0) print_message("case %zu, %s\n", i, o->text);
        assert_string_equal(r.reasoning, o->reasoning);
        assert_string_equal(r.content, o->content);
        assert_string_equal(r.calls, o->calls);
        assert_string_equal(r.rest, o->rest);
        assert_int_equal(r.broken, o->broken);
    }
}

/* Every beginning of every case is output that was cut, or broken: no byte is lost, reasoning is
 * the beginning of what it would have been, and single bytes give the same. */
static void outputs_cut_anywhere(void **state)
{
    static parsed r, other, whole;
    static rmr_markers m;
    static size_t ends[RIG_ROOM];
    (void)state;
    for (size_t i = 0; i < RIG_ROOM; i++) ends[i] = i;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const output *o = &outputs[i];
        const int begin = state_of(o->begin);
        rig_markers(&m, o->format, o->tools);
        rig_run(&m, begin, o->text, strlen(o->text), NULL, 0, 0, &whole);
        for (size_t len = 0; len <= strlen(o->text); len++) {
            for (int cut = 0; cut < 2; cut++) {
                rig_run(&m, begin, o->text, len, NULL, 0, cut, &r);
                rig_run(&m, begin, o->text, len, ends, len, cut, &other);
                rig_same(&r, &other);
            }
            const size_t n = strlen(whole.reasoning), k = strlen(r.reasoning);
            assert_memory_equal(r.reasoning, whole.reasoning, k < n ? k : n);
        }
    }
}

/* Long runs of what is held back stay within the state's room. */
static void long_runs(void **state)
{
    static parsed r;
    static rmr_markers m;
    static char text[20000];
    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const output *o = &outputs[i];
        static const char *const runs[] = {"\n", " ",      "<", "{", "<｜", "{\"name\": \"",
                                           "\"", "<think>"};
        const size_t n = strlen(o->text);
        rig_markers(&m, o->format, o->tools);
        for (size_t k = 0; k < sizeof runs / sizeof runs[0]; k++) {
            size_t at = n / 2, len = strlen(runs[k]);
            memcpy(text, o->text, at);
            while (at + len < 3000) memcpy(text + at, runs[k], len), at += len;
            memcpy(text + at, o->text + n / 2, n - n / 2);
            rig_run(&m, state_of(o->begin), text, at + n - n / 2, NULL, 0, 0, &r);
        }
    }
}

/* In the output of a model that has a marker as a token, its spelling by other tokens is text. */
static void spelled_markers_are_text(void **state)
{
    static parsed r;
    static rmr_markers m;
    static rmr_chat_parse p;
    const rmr_chat_out out = {rig_put, &r};
    const char *text = CALLS3 "<think></think>";
    (void)state;
    rig_markers(&m, "deepseek-r1", 1);
    for (int id = 0; id < RMR_M_COUNT; id++) m.all[id].special = ~(uint64_t)0;
    rmr_chat_parse_begin(&p, &m, RMR_PARSE_REASONING);
    rmr_chat_parse_push(&p, text, strlen(text), RMR_BYTE_TEXT, &out);
    assert_int_equal(rmr_chat_parse_where(&p), RMR_PARSE_REASONING);
    rmr_chat_parse_push(&p, "</think>", 8, RMR_BYTE_SPECIAL, &out);
    assert_int_equal(rmr_chat_parse_where(&p), RMR_PARSE_CONTENT);
    rmr_chat_parse_push(&p, text, strlen(text), RMR_BYTE_TEXT, &out);
    rmr_chat_parse_push(&p, CALLS3, strlen(CALLS3), RMR_BYTE_SPECIAL, &out);
    assert_int_equal(rmr_chat_parse_where(&p), RMR_PARSE_CALLS);
    rmr_chat_parse_finish(&p, 0, &out);
    assert_string_equal(r.reasoning, text);
    assert_string_equal(r.content, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_of_all_families),
        cmocka_unit_test(outputs_cut_anywhere),
        cmocka_unit_test(long_runs),
        cmocka_unit_test(spelled_markers_are_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
