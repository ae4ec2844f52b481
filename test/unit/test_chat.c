/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations and their prompts: requests that are wrong, numbers as Python prints them, markup
 * that nobody can forge, results in any order, and the choice of a chat format. The prompts of all
 * families are compared in test/golden/test_chat.c. */
#include <stdio.h>
#include <string.h>

#include "chat_choice.h"
#include "render.h"
#include "json_text.h"
#include "tok_world.h"

static remora_error err = {.struct_size = sizeof err};

static remora_status add(rmr_conversation *c, const char *json)
{
    err.message[0] = 0;
    return rmr_conversation_add_json(c, json, strlen(json), &err);
}

static char *copy_of(const char *s, size_t n)
{
    char *p = malloc(n + 1);
    assert_non_null(p);
    if (n > 0) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

static const rmr_chat_format *named(const char *name)
{
    const rmr_chat_format *f = rmr_chat_format_named(name, strlen(name));
    assert_non_null(f);
    return f;
}

/* The prompt of a request, terminated, to be freed; NULL with the status in *st. */
static char *prompt_of(const char *chat_format, const char *json, int *begin, remora_status *st)
{
    rmr_mem mem = {0};
    rmr_conversation c;
    char *text = NULL;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    rmr_chat_writer w = {.mem = &mem, .err = &err};
    *st = add(&c, json);
    if (*st >= 0) *st = rmr_chat_render(&c, &c.wish, named(chat_format), NULL, &w, begin);
    if (*st >= 0) text = copy_of(w.text, w.n);
    rmr_chat_writer_free(&w);
    rmr_conversation_clear(&c);
    assert_int_equal(mem.bytes, 0);
    return text;
}

static void check_end(const char *chat_format, const char *json, const char *end, int begin)
{
    int have = -1;
    remora_status st;
    char *text = prompt_of(chat_format, json, &have, &st);
    if (st < 0) fail_msg("%s: %s", chat_format, err.message);
    const size_t n = strlen(end), all = strlen(text);
    if (all < n || strcmp(text + all - n, end) != 0)
        fail_msg("%s ends in ..%s", chat_format, text + (all > n + 20 ? all - n - 20 : 0));
    assert_int_equal(have, begin);
    free(text);
}

static void check_refused(const char *chat_format, const char *json, remora_status want,
                          const char *says)
{
    int begin;
    remora_status st;
    char *text = prompt_of(chat_format, json, &begin, &st);
    assert_null(text);
    assert_int_equal(st, want);
    if (strstr(err.message, says) == NULL) fail_msg("\"%s\" has no \"%s\"", err.message, says);
}

/* The text behind B, with the markers of V4 as letters. */
static char *in_letters(const char *chat_format, const char *json, int *begin)
{
    static const char *const markers[][2] = {{"<｜begin▁of▁sentence｜>", ""},
                                             {"<｜end▁of▁sentence｜>", "E"},
                                             {"<｜User｜>", "U|"},
                                             {"<｜Assistant｜>", "A|"},
                                             {"<｜latest_reminder｜>", "R|"}};
    remora_status st;
    char *text = prompt_of(chat_format, json, begin, &st);
    if (st < 0) fail_msg("%s: %s", chat_format, err.message);
    for (size_t i = 0; i < sizeof markers / sizeof markers[0]; i++)
        for (char *at; (at = strstr(text, markers[i][0])) != NULL;) {
            const size_t n = strlen(markers[i][1]), old = strlen(markers[i][0]);
            memcpy(at, markers[i][1], n);
            memmove(at + n, at + old, strlen(at + old) + 1);
        }
    return text;
}

#define SAYS(role, text) "{\"role\": \"" role "\", \"content\": \"" text "\"}"
#define REMINDS(text) SAYS("latest_reminder", text)
#define TASK(role, text, task)                                                                     \
    "{\"role\": \"" role "\", \"content\": \"" text "\", \"task\": \"" task "\"}"
#define NO_THINKING ", \"enable_thinking\": false}"

/* As deepseek-recipe 0.2.0 writes reminders, but that V4.1 loses the second of two in a row there;
 * and tasks as the encoder of the first V4 does, which writes A before a last reminder, where no
 * answer can follow. */
static void reminders_and_tasks(void **state)
{
    static const char *const formats[] = {"deepseek-v4", "deepseek-v4-0731", "deepseek-v4.1"};
    static const struct {
        const char *turns, *text;
    } rows[] = {
        {REMINDS("r") ", " SAYS("user", "u"), "R|rU|uA|</think>"},
        {SAYS("user", "u") ", " REMINDS("r"), "U|uR|rA|</think>"},
        {SAYS("user", "u") ", " REMINDS("r") ", " SAYS("user", "v"), "U|uR|rU|vA|</think>"},
        {SAYS("user", "u") ", " REMINDS("r") ", " REMINDS("q"), "U|uR|rR|qA|</think>"},
        {SAYS("user", "u") ", " REMINDS("r") ", " SAYS("assistant", "a") ", " SAYS("user", "v"),
         "U|uR|rA|</think>aEU|vA|</think>"},
        {SAYS("user", "u") ", " SAYS("assistant", "a") ", " REMINDS("r"),
         "U|uA|</think>aER|rA|</think>"},
        {SAYS("user", "u") ", " REMINDS(""), "U|uR|A|</think>"},
        {REMINDS("r"), "R|rA|</think>"},
        {TASK("user", "u", "action"), "U|uA|</think><｜action｜>"},
        {TASK("user", "u", "query"), "U|u<｜query｜>"},
        {SAYS("user", "u") ", " TASK("latest_reminder", "r", "domain"), "U|uR|r<｜domain｜>"},
        {TASK("user", "u", "authority"), "U|u<｜authority｜>"},
        {TASK("user", "u", "read_url"), "U|u<｜read_url｜>"},
        {SAYS("user", "u") ", " TASK("assistant", "a", "title"), "U|uA|</think>aE<｜title｜>"},
        {TASK("user", "u", "query") ", " SAYS("assistant", "a") ", " SAYS("user", "v"),
         "U|uA|</think>aEU|vA|</think>"},
    };
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            char json[1024];
            int begin = -1;
            snprintf(json, sizeof json, "{\"messages\": [%s]" NO_THINKING, rows[i].turns);
            char *text = in_letters(formats[f], json, &begin);
            if (strcmp(text, rows[i].text) != 0)
                fail_msg("%s: %s, wanted %s", formats[f], text, rows[i].text);
            assert_int_equal(begin, RMR_BEGIN_ANSWER);
            free(text);
        }
    check_end("deepseek-v4.1", "{\"messages\": [" TASK("user", "u", "action") "]}",
              "<think><｜action｜>", RMR_BEGIN_ANSWER);
    check_refused("deepseek-v3.2", "{\"messages\": [" REMINDS("r") "]}", REMORA_E_UNSUPPORTED,
                  "turn 0: chat format deepseek-v3.2 has no reminders");
    check_refused("qwen3", "{\"messages\": [" TASK("user", "u", "title") "]}", REMORA_E_UNSUPPORTED,
                  "chat format qwen3 has no tasks");
    check_refused("deepseek-v4", "{\"messages\": [" TASK("user", "u", "sing") "]}",
                  REMORA_E_UNSUPPORTED, "\"sing\"");
    check_refused("deepseek-v4",
                  "{\"messages\": [" TASK(
                      "user", "u",
                      "query") "], \"tools\": [{\"type\": "
                               "\"function\", \"function\": {\"name\": \"f\"}}], \"tool_choice\": "
                               "\"required\"" NO_THINKING,
                  REMORA_E_ARG, "no answer is asked for");
}

static void wrong_requests_are_refused(void **state)
{
    static const struct {
        const char *json, *says;
        remora_status st;
    } bad[] = {
        {"", "byte 0", REMORA_E_FORMAT},
        {"[]", "not an object", REMORA_E_FORMAT},
        {"{\"messages\": 1}", "messages is not a list", REMORA_E_FORMAT},
        {"{\"messages\": [1]}", "messages[0] is not an object", REMORA_E_FORMAT},
        {"{\"messages\": [{}]}", "messages[0] has no role", REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"user\", \"role\": \"user\"}]}", "twice", REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"user\", \"content\": 1}]}", "content is not a text",
         REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"robot\"}]}", "\"robot\"", REMORA_E_UNSUPPORTED},
        {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
         "\"image_url\"", REMORA_E_UNSUPPORTED},
        {"{\"messages\": [{\"role\": \"user\", \"tool_calls\": []}]}", "not the assistant's",
         REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{}]}]}", "function.name",
         REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"\\ud800\"}]}", "byte",
         REMORA_E_FORMAT},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", "UTF-8", REMORA_E_FORMAT},
        {"{\"tools\": [{\"type\": \"function\"}]}", "tool 0", REMORA_E_FORMAT},
        {"{\"tools\": [{\"function\": 5}]}", "tool 0", REMORA_E_FORMAT},
        {"{\"tools\": {}}", "tools is not a list", REMORA_E_FORMAT},
        {"{\"tool_choice\": \"any\"}", "tool_choice", REMORA_E_FORMAT},
        {"{\"tool_choice\": {\"type\": \"function\"}}", "name of a function", REMORA_E_FORMAT},
        {"{\"thinking\": {\"type\": 1}}", "thinking: type", REMORA_E_FORMAT},
        {"{\"reasoning_effort\": 101}", "1 to 100", REMORA_E_FORMAT},
        {"{\"reasoning_effort\": 0}", "1 to 100", REMORA_E_FORMAT},
        {"{\"reasoning_effort\": 1e1}", "1 to 100", REMORA_E_FORMAT},
        {"{\"response_format\": {\"type\": \"xml\"}}", "\"xml\"", REMORA_E_UNSUPPORTED},
        {"{\"response_format\": {\"type\": \"json_schema\"}}", "schema is missing",
         REMORA_E_FORMAT},
        {"{\"continue_final_message\": 1}", "true or false", REMORA_E_FORMAT},
        {"{} {}", "follows", REMORA_E_FORMAT},
        {"{\"a\": 01}", "byte", REMORA_E_FORMAT},
        {"{\"a\": [1,]}", "byte", REMORA_E_FORMAT},
    };
    rmr_mem mem = {0};
    rmr_conversation c;
    (void)state;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    assert_int_equal(add(&c, "{\"messages\": [{\"role\": \"user\", \"content\": \"kept\"}]}"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (add(&c, bad[i].json) != bad[i].st || strstr(err.message, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].json, err.message);
        assert_int_equal(c.n_turns, 1);
        assert_int_equal(c.bytes, 4);
    }
    rmr_conversation_clear(&c);
    assert_int_equal(mem.bytes, 0);
}

static void deep_and_large_requests_are_refused(void **state)
{
    static char text[1 << 20];
    rmr_mem mem = {0};
    rmr_conversation c;
    (void)state;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    for (int open = 0; open < 2; open++) {
        memset(text, open ? '{' : '[', sizeof text - 1);
        assert_int_equal(add(&c, text), REMORA_E_FORMAT);
    }
    size_t n = (size_t)snprintf(text, sizeof text, "{\"tools\": [");
    for (int i = 0; i <= RMR_CHAT_MAX_TOOLS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"function\": {\"name\": \"f\"}}",
                              i > 0 ? "," : "");
    snprintf(text + n, sizeof text - n, "]}");
    assert_int_equal(add(&c, text), REMORA_E_LIMIT);
    rmr_chat_turn *t;
    assert_int_equal(rmr_conversation_turn(&c, RMR_ROLE_USER, &t, &err), REMORA_OK);
    assert_int_equal(rmr_conversation_set_name(&c, &t->name, "name", text, 257, &err),
                     REMORA_E_LIMIT);
    assert_int_equal(rmr_conversation_set(&c, &t->text, "text", "a\xC3", 2, &err), REMORA_E_FORMAT);
    assert_non_null(strstr(err.message, "from its byte 1 on"));
    c.n_turns = RMR_CHAT_MAX_TURNS;
    assert_int_equal(rmr_conversation_turn(&c, RMR_ROLE_USER, &t, &err), REMORA_E_LIMIT);
    c.n_turns = 1;
    rmr_conversation_clear(&c);
    assert_int_equal(mem.bytes, 0);
}

static void json_is_printed_as_python_does(void **state)
{
    static const char *const pairs[][2] = {
        {"{\"b\":1 , \"a\" : [ 1,2 ] }", "{\"b\": 1, \"a\": [1, 2]}"},
        {"[1.50, 1e5, 1E-5, 1e16, 1e15, 123456789012345680.0, -0.0, -0, 0.1]",
         "[1.5, 100000.0, 1e-05, 1e+16, 1000000000000000.0, 1.2345678901234568e+17, -0.0, 0, 0.1]"},
        {"[0.0001, 12.25, 1.7976931348623157e308, 3.0, 100.125]",
         "[0.0001, 12.25, 1.7976931348623157e+308, 3.0, 100.125]"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\\u00e4\\/\\u0007\\n\\u007f\\ud83d\\udc0b\\\"\\\\\"", "\"ä/\\u0007\\n\x7f🐋\\\"\\\\\""},
        {"{}", "{}"},
        {"[]", "[]"},
        {"[true,false,null]", "[true, false, null]"},
    };
    rmr_mem mem = {0};
    rmr_json_span v;
    (void)state;
    rmr_mem_init(&mem);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        rmr_chat_writer w = {.mem = &mem, .err = &err};
        assert_int_equal(rmr_json_text_check("x", pairs[i][0], strlen(pairs[i][0]), &v, &err), 0);
        rmr_json_text_print(&w, v, 0);
        rmr_chat_put(&w, "", 1);
        assert_string_equal(w.text, pairs[i][1]);
        rmr_chat_writer_free(&w);
    }
}

static void prompts_say_where_the_output_begins(void **state)
{
    static const char tool[] =
        "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]";
    char json[512];
    (void)state;
#define ASK "\"messages\": [{\"role\": \"user\", \"content\": \"u\"}]"
    check_end("deepseek-v3.1", "{" ASK ", \"thinking\": {\"type\": \"enabled\"}}",
              "<｜User｜>u<｜Assistant｜><think>", RMR_BEGIN_REASONING);
    check_end("deepseek-v3.1", "{" ASK "}", "<｜Assistant｜></think>", RMR_BEGIN_ANSWER);
    check_end("deepseek-r1", "{" ASK "}", "<think>\n", RMR_BEGIN_REASONING);
    check_end("qwen3", "{" ASK "}", "assistant\n", RMR_BEGIN_ANSWER);
    check_end("smollm2", "{" ASK "}",
              "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
              "Face<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n",
              RMR_BEGIN_ANSWER);
    snprintf(json, sizeof json, "{" ASK ", %s, \"tool_choice\": \"required\"}", tool);
    check_end("deepseek-v3.1", json, "</think><｜tool▁calls▁begin｜>", RMR_BEGIN_CALLS);
    check_end("qwen2.5", json, "assistant\n", RMR_BEGIN_ANSWER);
    check_refused("qwen3", json, REMORA_E_ARG, "thinking is not off");
    check_refused("deepseek-r1", json, REMORA_E_UNSUPPORTED, "always thinks");
    check_refused("llama-3", json, REMORA_E_UNSUPPORTED, "no tools");
    snprintf(json, sizeof json,
             "{" ASK ", %s, \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": "
             "\"g\"}}}",
             tool);
    check_refused("deepseek-v3.1", json, REMORA_E_ARG, "no tool of the name");
    check_refused("deepseek-v3", "{" ASK ", \"enable_thinking\": true}", REMORA_E_UNSUPPORTED,
                  "no thinking");
    check_refused("qwq", "{" ASK ", \"enable_thinking\": false}", REMORA_E_UNSUPPORTED,
                  "cannot switch thinking off");
    check_refused("qwen2.5", "{\"messages\": []}", REMORA_E_ARG, "no turn");
    check_refused("deepseek-v3.1", "{" ASK ", \"continue_final_message\": true}", REMORA_E_ARG,
                  "continued");
#undef ASK
}

#define ASKED                                                                                      \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", "         \
    "\"tool_calls\": [{\"id\": \"a\", \"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}, "   \
    "{\"id\": \"b\", \"function\": {\"name\": \"g\", \"arguments\": \"not json\"}}]}"
#define RESULT(id, text)                                                                           \
    ", {\"role\": \"tool\", \"tool_call_id\": \"" id "\", \"content\": \"" text "\"}"

static void results_go_with_their_calls(void **state)
{
    (void)state;
    check_end("kimi-k2", ASKED RESULT("b", "B") RESULT("a", "A") "]}",
              "## Return of functions.g:1\nB<|im_end|><|im_system|>tool<|im_middle|>"
              "## Return of functions.f:0\nA<|im_end|><|im_assistant|>assistant<|im_middle|>",
              RMR_BEGIN_ANSWER);
    check_end("deepseek-v4", ASKED RESULT("b", "B") RESULT("a", "A") "]}",
              "<tool_result>A</tool_result>\n\n<tool_result>B</tool_result><｜Assistant｜></think>",
              RMR_BEGIN_ANSWER);
    check_refused("kimi-k2", ASKED RESULT("c", "C") "]}", REMORA_E_ARG, "of no call");
    check_refused("deepseek-v4.1", ASKED RESULT("c", "C") "]}", REMORA_E_ARG, "of no call");
    check_refused("deepseek-v4.1", ASKED RESULT("a", "A") RESULT("a", "A") "]}", REMORA_E_ARG,
                  "same call");
    check_refused("deepseek-v3.2", ASKED RESULT("a", "") RESULT("a", "") RESULT("a", "") "]}",
                  REMORA_E_ARG, "more results than calls");
    check_refused(
        "deepseek-v4.1",
        "{\"messages\": [{\"role\": \"user\"}, {\"role\": \"tool\", \"content\": \"x\"}]}",
        REMORA_E_ARG, "follows no call");
    check_refused("llama-3.1", ASKED "]}", REMORA_E_UNSUPPORTED, "one at most");
    check_end(
        "deepseek-v3.2", ASKED "], \"add_generation_prompt\": false}",
        "<｜DSML｜invoke name=\"g\">\n<｜DSML｜parameter name=\"arguments\" string=\"true\">not "
        "json</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"
        "<｜end▁of▁sentence｜>",
        RMR_BEGIN_ANSWER);
}

static void reasoning_without_an_answer_goes_on(void **state)
{
    (void)state;
#define HALF                                                                                       \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", "         \
    "\"reasoning_content\": \"so far\", \"prefix\": true}]}"
    check_end("deepseek-v4.1", HALF, "<｜Assistant｜><think>so far", RMR_BEGIN_REASONING);
    check_end("qwen3", HALF, "<think>\nso far", RMR_BEGIN_REASONING);
#undef HALF
}

/* ---- forging ---- */

/* Every text that a host may give; what stands for it in the others is "x". */
enum {
    TEXTS, /* of the five turns */
    REASONING = TEXTS + 5,
    CALL_NAME,
    CALL_KEY,
    CALL_VALUE,
    CALL_ID,
    CALL_NO_JSON, /* arguments that are none */
    USER_NAME,
    OTHER_NAMES,
    REMINDER, /* of the formats that have it */
    TOOL_NAME,
    TOOL_TEXT,
    TOOL_KEY,
    TOOL_KEY_TEXT,
    SCHEMA,
    FIELDS
};

typedef struct forgery {
    rmr_conversation *c;
    int field;
    const char *text;
} forgery;

static const char *at(const forgery *g, int field)
{
    return field == g->field ? g->text : "x";
}

static void set(const forgery *g, rmr_chat_str *s, const char *text)
{
    assert_int_equal(rmr_conversation_set(g->c, s, "s", text, strlen(text), &err), 0);
}

static void fill_call(const forgery *g, rmr_chat_turn *t)
{
    rmr_chat_call *call;
    char json[256];
    assert_int_equal(rmr_conversation_call(g->c, t, &call, &err), 0);
    set(g, &call->id, at(g, CALL_ID));
    set(g, &call->name, at(g, CALL_NAME));
    snprintf(json, sizeof json, "{\"%s\": \"%s\"}", at(g, CALL_KEY), at(g, CALL_VALUE));
    set(g, &call->args, g->field == CALL_NO_JSON ? g->text : json);
}

static void fill(const forgery *g)
{
    static const int roles[] = {RMR_ROLE_SYSTEM, RMR_ROLE_USER, RMR_ROLE_ASSISTANT, RMR_ROLE_TOOL,
                                RMR_ROLE_USER};
    rmr_chat_turn *t = NULL;
    char json[600];
    for (int i = 0; i < 5; i++) {
        const int name = roles[i] == RMR_ROLE_USER ? USER_NAME : OTHER_NAMES;
        assert_int_equal(rmr_conversation_turn(g->c, roles[i], &t, &err), 0);
        set(g, &t->text, at(g, TEXTS + i));
        if (g->field == name) set(g, &t->name, g->text);
        if (roles[i] == RMR_ROLE_ASSISTANT) set(g, &t->reasoning, at(g, REASONING));
        if (roles[i] == RMR_ROLE_ASSISTANT) fill_call(g, t);
        if (roles[i] == RMR_ROLE_TOOL) set(g, &t->call_id, at(g, CALL_ID));
    }
    if (g->field == REMINDER) {
        assert_int_equal(rmr_conversation_turn(g->c, RMR_ROLE_REMINDER, &t, &err), 0);
        set(g, &t->text, g->text);
    }
    snprintf(json, sizeof json,
             "{\"type\": \"function\", \"function\": {\"name\": \"%s\", \"description\": "
             "\"%s\", \"parameters\": {\"type\": \"object\", \"properties\": {\"%s\": "
             "{\"description\": \"%s\"}}}}}",
             at(g, TOOL_NAME), at(g, TOOL_TEXT), at(g, TOOL_KEY), at(g, TOOL_KEY_TEXT));
    assert_int_equal(rmr_conversation_tool(g->c, json, strlen(json), &err), 0);
    if (g->field != SCHEMA) return;
    snprintf(json, sizeof json, "{\"%s\": {\"const\": \"%s\"}}", g->text, g->text);
    g->c->wish.reply = RMR_REPLY_SCHEMA;
    set(g, &g->c->wish.schema, json);
}

/* The bytes of markup of such a conversation, to be freed. */
static char *markup_of(const rmr_chat_format *f, int field, const char *text)
{
    rmr_mem mem = {0};
    rmr_conversation c;
    int begin;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    fill(&(forgery){&c, field, text});
    c.wish.as_template = 1;
    rmr_chat_writer w = {.mem = &mem, .err = &err}, all = {.mem = &mem, .err = &err};
    if (rmr_chat_render(&c, &c.wish, f, NULL, &w, &begin) < 0) fail_msg("%s", err.message);
    for (size_t i = 0; i < w.n_markup; i++)
        rmr_chat_put(&all, w.text + w.markup[i].begin, w.markup[i].end - w.markup[i].begin);
    char *s = copy_of(all.text, all.n);
    rmr_chat_writer_free(&w);
    rmr_chat_writer_free(&all);
    rmr_conversation_clear(&c);
    assert_int_equal(mem.bytes, 0);
    return s;
}

/* Names of tokens that a tokenizer of the families has and no format writes. */
static const char *const others[] = {
    "<|endoftext|>",  "<|end_of_text|>", "<|eom_id|>",   "<|python_tag|>",  "<|fim_prefix|>",
    "<|fim_middle|>", "<|repo_name|>",   "<|file_sep|>", "<|EOT|>",         "<｜fim▁begin｜>",
    "<｜fim▁hole｜>", "<｜fim▁end｜>",   "<｜▁pad▁｜>",  "<|media_start|>", "[PAD]"};

typedef struct names {
    char text[256][64];
    size_t n;
} names;

static void add_name(names *to, const char *p, size_t n)
{
    if (n < 3 || n >= sizeof to->text[0] || memchr(p, '"', n) || memchr(p, '\n', n)) return;
    for (size_t i = 0; i < to->n; i++)
        if (strlen(to->text[i]) == n && memcmp(to->text[i], p, n) == 0) return;
    assert_true(to->n < 256);
    memcpy(to->text[to->n], p, n);
    to->text[to->n++][n] = 0;
}

/* All that looks like the name of a token in a string of a format, and the whole string. */
static void add_names(names *to, const char *s)
{
    if (s == NULL) return;
    add_name(to, s, strlen(s));
    for (; *s != 0; s++) {
        const char *end = *s == '<' ? strchr(s, '>') : *s == '[' ? strchr(s, ']') : NULL;
        if (end != NULL) add_name(to, s, (size_t)(end - s) + 1);
    }
}

static void add_all_names(names *to, const rmr_chat_format *f)
{
    const char *const all[] = {
        f->bos,
        f->system.open,
        f->system.close,
        f->user.open,
        f->user.close,
        f->assistant.open,
        f->assistant.close,
        f->name_close,
        f->generation,
        f->think.open,
        f->think.close,
        f->calls.block_open,
        f->calls.block_close,
        f->calls.misspelt,
        f->calls.call_open,
        f->calls.name_close,
        f->calls.call_close,
        f->calls.param_open,
        f->calls.param_kind,
        f->calls.param_close,
        f->results.block_open,
        f->results.block_close,
        f->results.open,
        f->results.close,
        f->reminder,
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) add_names(to, all[i]);
    for (size_t i = 0; i < RMR_CHAT_MAX_TOKENS; i++) add_names(to, f->needs[i]);
    for (size_t i = 0; i < RMR_CHAT_MAX_TOKENS; i++) add_names(to, f->stops[i]);
    for (int i = 0; i + 1 < RMR_TASKS && f->tasks != NULL; i++) add_names(to, f->tasks[i]);
}

/* Where the family looks for reasoning in the text of an answer, tags in it are not sent as text.
 */
static int is_looked_for(const rmr_chat_format *f, int field, const char *name)
{
    return f->think.close != NULL && strstr(name, f->think.close) != NULL && field == TEXTS + 2;
}

static void check_field(const rmr_chat_format *f, int field, const names *of)
{
    if (field == REMINDER && f->reminder == NULL) return;
    char *plain = markup_of(f, field, "y");
    for (size_t i = 0; i < of->n; i++) {
        if (is_looked_for(f, field, of->text[i])) continue;
        char *forged = markup_of(f, field, of->text[i]);
        if (strcmp(plain, forged) != 0)
            fail_msg("%s: %s in field %d makes markup", f->name, of->text[i], field);
        free(forged);
    }
    free(plain);
}

/* Each token of each family in each text of each family. */
static void markup_cannot_be_forged(void **state)
{
    static names all;
    size_t n;
    const rmr_chat_format *formats = rmr_chat_formats(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) add_all_names(&all, &formats[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) add_names(&all, others[i]);
    assert_true(all.n > 80);
    for (size_t i = 0; i < n; i++)
        for (int field = 0; field < FIELDS; field++) check_field(&formats[i], field, &all);
}

/* ---- memory ---- */

static int32_t render_all(void *arg, tmem *t)
{
    rmr_mem mem = fix_mem(t);
    rmr_conversation c;
    int begin;
    rmr_conversation_init(&c, &mem);
    rmr_chat_writer w = {.mem = &mem, .err = &err};
    remora_status st = add(&c, arg);
    if (st >= 0) st = rmr_chat_render(&c, &c.wish, named("deepseek-v4.1"), NULL, &w, &begin);
    rmr_chat_writer_free(&w);
    rmr_conversation_clear(&c);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    tmem t = {0};
    (void)state;
    static char request[] =
        "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": "
        "{\"maximum\": 1.5}}}], \"response_format\": {\"type\": \"json_schema\", "
        "\"json_schema\": {\"schema\": {}}}, \"messages\": [{\"role\": \"system\", \"content\": "
        "[{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"text\", \"text\": \"b\"}]}, "
        "{\"role\": \"user\", \"name\": \"n\", \"content\": \"u\"}, {\"role\": \"assistant\", "
        "\"reasoning_content\": \"r\", \"tool_calls\": [{\"id\": \"i\", \"function\": {\"name\": "
        "\"f\", \"arguments\": \"{\\\"k\\\": \\\"v\\\"}\"}}]}, {\"role\": \"tool\", "
        "\"tool_call_id\": \"i\", \"content\": \"x\"}]}";
    assert_true(tmem_sweep(&t, render_all, request) > 20);
    assert_int_equal(t.blocks, 0);
    assert_int_equal(t.damage, 0);
}

/* ---- tokens ---- */

#define TOKEN(id, text) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":true}"

/* "[T]" is a token between the ranges' borders and nowhere else; what is not one is merged across
 * them; the added word is a token everywhere. */
static void ranges_alone_have_markup(void **state)
{
    world w;
    remora_token ids[32];
    size_t n = 0;
    static const char text[] = "[T]a[T]b[T]";
    static const rmr_text_range ranges[] = {{0, 3}, {3, 4}, {5, 6}, {8, 11}};
    static const remora_token want[] = {258, 97, '[', 'T', ']', 'b', 258};
    (void)state;
    begin_fix(&w, &(fix){.vocab = ",\"ab\":257",
                         .added = TOKEN(258, "[T]") ",{\"id\":97,\"content\":\"a\"}"});
    assert_int_equal(rmr_tokenizer_encode_ranges(w.tok, text, 11, ranges, 4, ids, 32, &n, &w.err),
                     REMORA_OK);
    assert_int_equal(n, 7);
    assert_memory_equal(ids, want, sizeof want);
    assert_int_equal(rmr_tokenizer_encode_ranges(w.tok, text, 11, ranges, 4, ids, 6, &n, &w.err),
                     REMORA_E_BUFFER);
    assert_int_equal(n, 7);
    end(&w);
    begin_fix(&w, &(fix){.vocab = ",\"ab\":256", .merges = "\"a b\""});
    static const rmr_text_range first[] = {{0, 1}};
    assert_int_equal(rmr_tokenizer_encode_ranges(w.tok, "ab", 2, first, 1, ids, 32, &n, &w.err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 256);
    end(&w);
}

static void check_choice(const rmr_tokenizer *t, const char *family, const char *text,
                         const char *want)
{
    const rmr_chat_format *f = NULL;
    const remora_status st = rmr_chat_choose(t, family, text, &f, &err);
    if (want == NULL) {
        assert_int_equal(st, REMORA_E_UNSUPPORTED);
        return;
    }
    if (st < 0) fail_msg("%s: %s", want, err.message);
    assert_string_equal(f->name, want);
}

/* clang-format off */
#define DEEPSEEK_TOKENS \
    TOKEN(256, "<｜begin▁of▁sentence｜>") "," TOKEN(257, "<｜end▁of▁sentence｜>") "," \
    TOKEN(258, "<｜User｜>") "," TOKEN(259, "<｜Assistant｜>") "," TOKEN(260, "<think>") "," \
    TOKEN(261, "</think>") "," TOKEN(262, "｜DSML｜")
/* clang-format on */

static void chat_formats_are_chosen_by_tokens_and_template(void **state)
{
    world w;
    (void)state;
    begin_fix(&w, &(fix){.added = DEEPSEEK_TOKENS});
#define CALLS "<｜User｜> <｜Assistant｜> <｜tool▁calls▁begin｜> eos_token "
    check_choice(w.tok, "deepseek_v3", CALLS "is_first_sp", "deepseek-v3");
    check_choice(w.tok, "deepseek_v2", CALLS, "deepseek-v2.5");
    check_choice(w.tok, "deepseek_v3", CALLS "is_first_sp is_last_user", "deepseek-v3-0324");
    check_choice(w.tok, "deepseek_v3", CALLS "split('</think>') <think>", "deepseek-r1");
    check_choice(w.tok, "qwen2", CALLS "split('</think>')", "deepseek-r1");
    check_choice(w.tok, "qwen3", CALLS "is_last_user split('</think>')", "deepseek-r1-0528");
    check_choice(w.tok, "deepseek_v3", CALLS "is_last_user thinking </think> <think>",
                 "deepseek-v3.1");
    check_choice(w.tok, "deepseek_v32", CALLS "is_last_user thinking </think> <think>",
                 "deepseek-v3.2-exp");
    check_choice(w.tok, "deepseek_v2", "<｜User｜> <｜Assistant｜>", "deepseek-v2-0628");
    check_choice(w.tok, "deepseek_v2", "User: Assistant: eos_token", "deepseek-v2");
    check_choice(w.tok, "deepseek_v32", NULL, "deepseek-v3.2");
    check_choice(w.tok, "deepseek_v4", NULL, "deepseek-v4");
    check_choice(w.tok, "deepseek_v3", "<｜DSML｜function_calls>", "deepseek-v3.2");
    check_choice(w.tok, "deepseek_v3", NULL, NULL);
    assert_non_null(strstr(err.message, "\"deepseek_v3\" has no chat template"));
    check_choice(w.tok, "mistral", "[INST]", NULL);
    assert_non_null(strstr(err.message, "\"mistral\" has a chat template of 6 bytes"));
    assert_int_equal(rmr_chat_suits(named("kimi-k2"), w.tok, &err), REMORA_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "<|im_system|>"));
    assert_int_equal(rmr_chat_suits(named("deepseek-v3.1"), w.tok, &err), REMORA_OK);
    end(&w);
    begin_fix(&w, &(fix){.added = TOKEN(256, "<|im_start|>") "," TOKEN(257, "<|im_end|>")});
#define CHATML "<|im_start|> <|im_end|> "
    check_choice(w.tok, "llama", CHATML, "chatml");
    check_choice(w.tok, "llama", CHATML "'<|im_start|>system\\n' + system + '<|im_end|>", "chatml");
    check_choice(w.tok, "llama", CHATML "'<|im_start|>system\\nYou are a pirate<|im_end|>", NULL);
    check_choice(w.tok, "llama", CHATML "'<|im_start|>system\nYou are a pirate<|im_end|>", NULL);
    check_choice(w.tok, "llama",
                 CHATML
                 "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
                 "Hugging Face<|im_end|>",
                 "smollm2");
    check_choice(w.tok, "qwen2",
                 CHATML "You are Qwen, created by Alibaba Cloud. You are a helpful assistant. "
                        "<tool_call> tools",
                 "qwen2.5");
    check_choice(w.tok, "qwen2", CHATML "<tool_call> tools <think>", "qwq");
    check_choice(w.tok, "qwen3", CHATML "<tool_call> enable_thinking reasoning_content <think>",
                 "qwen3");
    check_choice(w.tok, "qwen2", CHATML "tools of another kind", NULL);
    check_choice(w.tok, "deepseek_v3", CALLS, NULL);
    end(&w);
#undef CALLS
#undef CHATML
}

static void a_described_format_is_like_a_built_in_one(void **state)
{
    static const rmr_chat_format own = {
        .name = "own", .user = {"[U]", "[/U]"}, .assistant = {"[A]", "[/A]"}, .system = {"(", ")"}};
    rmr_mem mem = {0};
    rmr_conversation c;
    int begin = -1;
    (void)state;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    assert_int_equal(add(&c, "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, "
                             "{\"role\": \"user\", \"content\": \"[A]\"}]}"),
                     REMORA_OK);
    rmr_chat_writer w = {.mem = &mem, .err = &err};
    assert_int_equal(rmr_chat_render(&c, &c.wish, &own, NULL, &w, &begin), REMORA_OK);
    assert_int_equal(w.n, 16);
    assert_memory_equal(w.text, "(s)[U][A][/U][A]", 16);
    rmr_chat_writer_free(&w);
    rmr_conversation_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reminders_and_tasks),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(deep_and_large_requests_are_refused),
        cmocka_unit_test(json_is_printed_as_python_does),
        cmocka_unit_test(prompts_say_where_the_output_begins),
        cmocka_unit_test(results_go_with_their_calls),
        cmocka_unit_test(reasoning_without_an_answer_goes_on),
        cmocka_unit_test(markup_cannot_be_forged),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(ranges_alone_have_markup),
        cmocka_unit_test(chat_formats_are_chosen_by_tokens_and_template),
        cmocka_unit_test(a_described_format_is_like_a_built_in_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
