/* SPDX-License-Identifier: Apache-2.0 */
/* Answers under the constraint of a conversation, in every chat format that has calls: what the
 * families write is allowed, however it is cut into tokens, what is broken is not. (What random
 * models write is in test/calls.) */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "chat_markers.h"

enum { ROOM = 1 << 12 };

/* ---- conversations ---- */

#define TOOLS                                                                                      \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"look\", \"parameters\": {"    \
    "\"type\": \"object\", \"properties\": {\"town\": {\"type\": \"string\", \"minLength\": 1, "   \
    "\"maxLength\": 4}, \"days\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 30}, "      \
    "\"unit\": {\"enum\": [\"c\", \"f\", 7]}, \"at\": {\"type\": \"array\", \"maxItems\": 2, "     \
    "\"items\": {\"type\": \"boolean\"}}}, \"required\": [\"town\"], "                             \
    "\"additionalProperties\": false}}}, {\"type\": \"function\", \"function\": {\"name\": "       \
    "\"now\"}}]"
#define QUESTION "\"messages\": [{\"role\": \"user\", \"content\": \"json?\"}]"

static remora_chat *chat_of(const world *w, const char *format, const char *request)
{
    remora_error err = HOST_ERROR;
    remora_chat *c;
    const remora_chat_opts o = {.struct_size = sizeof o, .format = format};
    REQUIRE_OK(remora_chat_create(w->m, &o, &c, &err), &err);
    REQUIRE_OK(remora_chat_add_json(c, request, strlen(request), &err), &err);
    return c;
}

static remora_constraint *bound(const remora_chat *c, const remora_prompt_opts *p, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    remora_constraint *k;
    const remora_answer_opts o = {.struct_size = sizeof o, .flags = flags};
    REQUIRE_OK(remora_chat_constraint(c, p, &o, &k, &err), &err);
    return k;
}

static remora_sampler *sampler(const world *w, remora_constraint *k, uint64_t seed)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 1.5};
    REQUIRE_OK(remora_sampler_create(w->m, seed, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &warm, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(p, k, &err), &err);
    return p;
}

/* ---- answers that are written ---- */

/* 1: allowed, and the answer may end; 2: allowed so far; 0: not. */
static int takes(const world *w, remora_constraint *k, const char *text, int bytes)
{
    remora_token t[ROOM];
    size_t n;
    remora_error err = HOST_ERROR;
    remora_sampler *p = sampler(w, k, 1);
    if (bytes)
        n = chat_markers_bytes(text, t);
    else
        REQUIRE_OK(
            remora_tokenize(w->m, text, strlen(text), REMORA_TEXT_SPECIAL, t, ROOM, &n, &err),
            &err);
    remora_status st = REMORA_OK;
    for (size_t i = 0; i < n && st >= 0; i++) st = remora_sampler_accept(p, t[i], &err);
    int r = st >= 0 ? 2 : 0;
    if (r == 2 && remora_sampler_accept(p, TINY_EOS, &err) >= 0) r = 1;
    remora_sampler_free(p);
    return r;
}

static void check(const world *w, remora_constraint *k, const char *text, int want)
{
    for (int bytes = 0; bytes < 2; bytes++)
        if (takes(w, k, text, bytes) != want)
            fail_msg("%s: %d, wanted %d", text, takes(w, k, text, bytes), want);
}

#define FENCED(name, args)                                                                         \
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>" name "\n```json\n" args "\n```<"                 \
    "｜tool▁call▁end｜>"
#define BLOCK(x) "<｜tool▁calls▁begin｜>" x "<｜tool▁calls▁end｜>"
#define PLAIN(name, args) "<｜tool▁call▁begin｜>" name "<｜tool▁sep｜>" args "<｜tool▁call▁end｜>"
#define KIMI(name, i, args)                                                                        \
    "<|tool_call_begin|>functions." name ":" i "<|tool_call_argument_begin|>" args                 \
    "<|tool_call_end|>"
#define KIMI_BLOCK(x) "<|tool_calls_section_begin|>" x "<|tool_calls_section_end|>"
#define QWEN(name, args)                                                                           \
    "<tool_call>\n{\"name\": \"" name "\", \"arguments\": " args "}\n</tool_call>"
#define PARAM(gap, k, s, v)                                                                        \
    "<｜DSML｜" gap "parameter name=\"" k "\" string=\"" s "\">" v "</｜DSML｜" gap "parameter>\n"
#define INVOKE(gap, name, x)                                                                       \
    "<｜DSML｜" gap "invoke name=\"" name "\">\n" x "</｜DSML｜" gap "invoke>\n"
#define DSML(gap, b, x) "\n\n<｜DSML｜" gap b ">\n" x "</｜DSML｜" gap b ">"
#define TAG(k, v) "<arg_key>" k "</arg_key><arg_value>" v "</arg_value>"
#define ARGS "{\"town\": \"Oslo\", \"days\": 3, \"unit\": 7}"

/* Right answers, and others that nearly are. */
typedef struct family {
    const char *formats[5];
    const char *right[3], *wrong[5];
} family;

static const family families[] = {
    {{"deepseek-v2.5", "deepseek-v3", "deepseek-v3-0324"},
     {BLOCK(FENCED("look", ARGS)),
      "Let me see." BLOCK(FENCED("look", ARGS) "\n" FENCED("now", "{}")),
      BLOCK(FENCED("look", "{\"unit\": \"f\", \"town\": \"\\n中\"}"))},
     {BLOCK(FENCED("nope", "{}")), BLOCK(FENCED("look", "{\"days\": 3}")), BLOCK(""),
      BLOCK(FENCED("now", "{}")) "more",
      BLOCK(FENCED("look", "{\"town\": \"Os\", \"days\": 31}"))}},
    {{"deepseek-v3.1", "deepseek-v3.2-exp"},
     {BLOCK(PLAIN("look", ARGS)), "Hm." BLOCK(PLAIN("now", "{}") PLAIN("look", ARGS)), "Hi."},
     {BLOCK(PLAIN("look", "{\"town\": 3}")), BLOCK(PLAIN("now", "{}") "\n" PLAIN("now", "{}")),
      "<｜tool▁sep｜>", BLOCK(PLAIN("looks", ARGS)), BLOCK(FENCED("look", ARGS))}},
    {{"deepseek-v3.2"},
     {DSML("", "function_calls",
           INVOKE("", "look", PARAM("", "town", "true", "a\"\\") PARAM("", "days", "false", "3"))),
      "Hm." DSML("", "function_calls",
                 INVOKE("", "now", "\n") INVOKE(
                     "", "look", PARAM("", "unit", "false", "7") PARAM("", "town", "true", "x"))),
      "a < b"},
     {DSML("", "function_calls", INVOKE("", "look", PARAM("", "days", "false", "3"))),
      DSML("", "function_calls", INVOKE("", "look", PARAM("", "town", "false", "3"))),
      DSML("", "function_calls", INVOKE("", "look", PARAM("", "town", "true", "Osloo"))),
      DSML("", "function_calls",
           INVOKE("", "look", PARAM("", "town", "true", "x") PARAM("", "town", "true", "x"))),
      DSML("", "tool_calls", INVOKE("", "now", ""))}},
    {{"deepseek-v4", "deepseek-v4-0731"},
     {DSML("", "tool_calls",
           INVOKE("", "look",
                  PARAM("", "town", "true", "中") PARAM("", "at", "false", "[true, false]"))),
      "Hm." DSML("", "tool_calls",
                 INVOKE("", "look", PARAM("", "unit", "true", "c") PARAM("", "town", "true", "x"))),
      "a < b"},
     {DSML("", "tool_calls", INVOKE("", "look", PARAM("", "town", "true", ""))),
      DSML("", "tool_calls",
           INVOKE("", "look", PARAM("", "town", "true", "x") PARAM("", "unit", "true", "7"))),
      DSML("", "tool_calls", INVOKE("", "now", PARAM("", "town", "true", "x"))), "x ｜DSML｜ y",
      DSML("", "function_calls", INVOKE("", "now", ""))}},
    {{"deepseek-v4.1"},
     {DSML(" ", "calls", INVOKE(" ", "look", PARAM(" ", "town", "true", "x"))),
      "Hm." DSML(" ", "calls", INVOKE(" ", "now", "") INVOKE(" ", "now", "")), ""},
     {DSML("", "calls", INVOKE("", "look", PARAM("", "town", "true", "x"))), DSML(" ", "calls", ""),
      DSML(" ", "calls", INVOKE(" ", "look", "")), "x ｜DSML｜ y", "</think>"}},
    {{"kimi-k2"},
     {KIMI_BLOCK(KIMI("look", "0", ARGS)),
      "Hm." KIMI_BLOCK(KIMI("look", "0", ARGS) KIMI("now", "1", "{}")), "Hi."},
     {KIMI_BLOCK(KIMI("look", "1", ARGS)),
      KIMI_BLOCK(KIMI("look", "0", ARGS) KIMI("now", "0", "{}")), KIMI_BLOCK(""),
      KIMI_BLOCK(KIMI("now", "0", "[]")), KIMI_BLOCK(KIMI("nope", "0", "{}"))}},
    {{"glm-4.7-flash"},
     {"<tool_call>look" TAG("town", "3") TAG("days", "3") "</tool_call>",
      "Hm.<tool_call>now</tool_call><tool_call>look" TAG("unit", "c")
          TAG("town", "true") "</tool_call>",
      "Hi."},
     {"<tool_call>look" TAG("days", "3") "</tool_call>",
      "<tool_call>look" TAG("town", "x") TAG("days", "three") "</tool_call>",
      "<tool_call>nope</tool_call>", "<tool_call>now", "<tool_call>now</tool_call>more"}},
    {{"qwen2.5", "qwen3"},
     {QWEN("look", ARGS), "Hm.\n" QWEN("look", ARGS) "\n" QWEN("now", "{}"), "Hi."},
     {QWEN("look", "{}"), QWEN("nope", "{}"), QWEN("now", "{\"x\": 1}"),
      "<tool_call>hm</tool_call>", QWEN("now", "{}") "more"}},
    {{"llama-3.1"},
     {"{\"name\": \"look\", \"parameters\": " ARGS "}",
      "Hm. {\"name\": \"now\", \"parameters\": {}}", "a {\"name\": \"x\"} b"},
     {"{\"name\": \"look\", \"parameters\": {}}", "{\"name\":\"nope\",\"parameters\":{}}",
      "{\"name\": \"now\", \"parameters\": {}}more",
      "{\"name\": \"now\", \"parameters\": {\"a\": 1}}",
      "{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}"}},
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

static const char *thinking_off(const world *w, const char *format)
{
    remora_error err = HOST_ERROR;
    const remora_chat_opts o = {.struct_size = sizeof o, .format = format};
    remora_chat_info info = {.struct_size = sizeof info};
    remora_chat *c;
    REQUIRE_OK(remora_chat_create(w->m, &o, &c, &err), &err);
    REQUIRE_OK(remora_chat_get_info(c, &info, &err), &err);
    remora_chat_free(c);
    return info.thinks == 1 || info.thinks == 2 ? "{" QUESTION ", " TOOLS
                                                  ", \"enable_thinking\": false}"
                                                : "{" QUESTION ", " TOOLS "}";
}

static void what_families_write_is_allowed(void **state)
{
    (void)state;
    world w;
    chat_markers_begin(&w);
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (size_t i = 0; i < 5 && families[f].formats[i] != NULL; i++) {
            const char *format = families[f].formats[i];
            remora_chat *c = chat_of(&w, format, thinking_off(&w, format));
            remora_constraint *k = bound(c, NULL, 0);
            remora_chat_free(c); /* the constraint has all it needs */
            for (size_t j = 0; j < 3; j++) check(&w, k, families[f].right[j], 1);
            for (size_t j = 0; j < 5; j++) {
                const int got = takes(&w, k, families[f].wrong[j], 0);
                if (got == 1) fail_msg("%s takes %s", format, families[f].wrong[j]);
            }
            remora_constraint_free(k);
        }
    world_end(&w);
}

static void reasoning_comes_first(void **state)
{
    (void)state;
    static const struct {
        const char *format, *right, *wrong;
    } rows[] = {
        {"deepseek-r1", "I think.\n</think>\n" BLOCK(FENCED("now", "{}")),
         BLOCK(FENCED("now", "{}"))},
        {"deepseek-r1-0528", "<think>\nHm.</think>Yes", "<think>Yes"},
        {"deepseek-v4", "Hm.</think>" DSML("", "tool_calls", INVOKE("", "now", "\n")), "Hm."},
        {"kimi-k2-thinking", "<think>Hm.</think>" KIMI_BLOCK(KIMI("now", "0", "{}")), "</think>"},
        {"glm-4.7-flash", "Hm.</think><tool_call>now</tool_call>", "<tool_call>now</tool_call>"},
        {"qwq", "Hm.</think>\n\n" QWEN("now", "{}"), QWEN("now", "{}")},
        {"qwen3", "<think>\nHm.\n</think>\n\n" QWEN("now", "{}"), "<think>" QWEN("now", "{}")},
    };
    world w;
    chat_markers_begin(&w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        remora_chat *c = chat_of(&w, rows[i].format, "{" QUESTION ", " TOOLS "}");
        const remora_prompt_opts on = {.struct_size = sizeof on, .think = REMORA_THINK_ON};
        remora_constraint *k = bound(c, &on, 0);
        check(&w, k, rows[i].right, 1);
        if (takes(&w, k, rows[i].wrong, 0) == 1) fail_msg("%s", rows[i].wrong);
        remora_constraint_free(k);
        remora_chat_free(c);
    }
    world_end(&w);
}

static void wishes_bound_it(void **state)
{
    (void)state;
    world w;
    chat_markers_begin(&w);
    remora_chat *c = chat_of(&w, "deepseek-v3.1", "{" QUESTION ", " TOOLS "}");
    const remora_prompt_opts none = {.struct_size = sizeof none, .choice = REMORA_CHOICE_NONE};
    const remora_prompt_opts need = {.struct_size = sizeof need, .choice = REMORA_CHOICE_REQUIRED};
    const remora_prompt_opts now = {
        .struct_size = sizeof now, .choice = REMORA_CHOICE_NAMED, .tool = host_text("now")};
    const remora_prompt_opts json = {.struct_size = sizeof json,
                                     .schema = host_text("{\"type\": \"integer\"}")};
    remora_constraint *k = bound(c, NULL, REMORA_ANSWER_ONE_CALL);
    check(&w, k, BLOCK(PLAIN("now", "{}")), 1);
    check(&w, k, BLOCK(PLAIN("now", "{}") PLAIN("now", "{}")), 0);
    remora_constraint_free(k);
    k = bound(c, &none, 0);
    check(&w, k, "Hi.", 1);
    check(&w, k, BLOCK(PLAIN("now", "{}")), 0);
    remora_constraint_free(k);
    k = bound(c, &need, 0); /* the prompt opens the block */
    check(&w, k, PLAIN("look", ARGS) "<｜tool▁calls▁end｜>", 1);
    check(&w, k, "Hi.", 0);
    remora_constraint_free(k);
    k = bound(c, &now, 0);
    check(&w, k, PLAIN("now", "{}") "<｜tool▁calls▁end｜>", 1);
    check(&w, k, PLAIN("look", ARGS) "<｜tool▁calls▁end｜>", 0);
    remora_constraint_free(k);
    k = bound(c, &json, 0);
    check(&w, k, "12", 1);
    check(&w, k, "Hi.", 0);
    check(&w, k, BLOCK(PLAIN("now", "{}")), 1);
    remora_constraint_free(k);
    remora_chat_free(c);
    world_end(&w);
}

/* ---- refusals ---- */

static void refused(const world *w, const char *format, const char *request, remora_status want,
                    const char *says)
{
    remora_error err = HOST_ERROR;
    remora_constraint *k = NULL;
    remora_chat *c = chat_of(w, format, request);
    assert_int_equal(remora_chat_constraint(c, NULL, NULL, &k, &err), want);
    assert_null(k);
    if (strstr(err.message, says) == NULL) fail_msg("%s", err.message);
    remora_chat_free(c);
}

/* The model has no tokens of reminders and tasks, and who does not use them does not need them. */
static void needs_its_token(const world *w, const char *request, const char *says)
{
    remora_error err = HOST_ERROR;
    remora_token t[ROOM];
    size_t n;
    remora_chat *c = chat_of(w, "deepseek-v4", request);
    assert_int_equal(remora_chat_prompt(c, NULL, t, ROOM, &n, NULL, &err), REMORA_E_UNSUPPORTED);
    if (strstr(err.message, says) == NULL) fail_msg("%s", err.message);
    remora_chat_free(c);
}

#define ONE_TOOL(name, schema)                                                                     \
    "{" QUESTION ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"" name         \
    "\", \"parameters\": " schema "}}]}"

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    world w;
    chat_markers_begin(&w);
    refused(&w, "deepseek-v3", ONE_TOOL("a b", "{}"), REMORA_E_UNSUPPORTED, "tool a b");
    refused(&w, "deepseek-v3", ONE_TOOL("a", "{\"properties\": {\"x\": {\"uniqueItems\": true}}}"),
            REMORA_E_UNSUPPORTED, "uniqueItems of arrays");
    refused(&w, "deepseek-v3.2", ONE_TOOL("a", "{\"required\": [\"x\\\"y\"]}"),
            REMORA_E_UNSUPPORTED,
            "the tool a cannot be called: schema: the chat format cannot spell an argument named "
            "\"x\"y\"");
    refused(&w, "qwen3", "{" QUESTION ", \"add_generation_prompt\": false}", REMORA_E_ARG,
            "without asking for an answer");
    needs_its_token(&w,
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": "
                    "\"latest_reminder\", \"content\": \"r\"}]}",
                    "turn 1 needs the token <｜latest_reminder｜>");
    needs_its_token(&w, "{\"messages\": [{\"role\": \"user\", \"task\": \"query\"}]}",
                    "turn 0 needs the token <｜query｜>");
    world_end(&w);
}

/* ---- memory ---- */

/* The one cache of constraints: derivatives that were made, 256 entries of 12 bytes at first, and
 * then four times as many. Without it they are made once more. */
static int is_cache(size_t size)
{
    size_t n = 256 * 12;
    while (n < size) n *= 4;
    return n == size;
}

/* A failing allocation is E_NOMEM, but for the cache's; it leaves nothing, and a constraint that
 * did without the cache is the same. */
static void memory_ends(void **state)
{
    (void)state;
    static const char *const formats[] = {"deepseek-v3", "deepseek-v4.1", "glm-4.7-flash"};
    static const size_t of[] = {0, 4, 6}; /* their families */
    world w;
    chat_markers_begin(&w);
    w.mem.is_cache = is_cache;
    for (size_t f = 0; f < 3; f++) {
        remora_chat *c = chat_of(&w, formats[f], thinking_off(&w, formats[f]));
        remora_constraint_free(bound(c, NULL, 0)); /* makes the model's vocabulary, which stays */
        for (long k = 1;; k++) {
            remora_constraint *bounds = NULL;
            const long blocks = atomic_load(&w.mem.blocks);
            tmem_arm(&w.mem, k);
            const remora_status st = remora_chat_constraint(c, NULL, NULL, &bounds, NULL);
            const int hit = atomic_load(&w.mem.calls) >= k;
            assert_true(st == REMORA_OK || st == REMORA_E_NOMEM);
            assert_true(tmem_answer_is_right(&w.mem, k, st < 0));
            tmem_arm(&w.mem, 0);
            if (hit && st == REMORA_OK) {
                check(&w, bounds, families[of[f]].right[1], 1);
                check(&w, bounds, families[of[f]].wrong[0], 0);
            }
            remora_constraint_free(bounds);
            assert_int_equal(atomic_load(&w.mem.blocks), blocks);
            if (!hit) break;
        }
        remora_chat_free(c);
    }
    world_end(&w);
}

static void told(const world *w, const char *what)
{
    if (strstr(w->warned, what) == NULL) fail_msg("%s: %s", what, w->warned);
}

/* Lax answers: what schemas of tools and of the text ask for in vain is told with the tool's name.
 */
static void what_is_left_out_is_told(void **state)
{
    (void)state;
#define SET "\"type\": \"array\", \"uniqueItems\": true"
    static const char request[] =
        "{" QUESTION
        ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {" SET
        "}}}, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"look\", "
        "\"parameters\": "
        "{\"type\": \"object\", \"properties\": {\"towns\": {" SET "}}}}}]}";
    static const char *const formats[] = {"deepseek-v3.1", "deepseek-v4"}; /* JSON, and members */
    world w;
    chat_markers_begin(&w);
    for (size_t i = 0; i < 2; i++) {
        refused(&w, formats[i], request, REMORA_E_UNSUPPORTED, "the tool look cannot be called");
        remora_chat *c = chat_of(&w, formats[i], request);
        w.warnings = 0;
        w.warned[0] = 0;
        remora_constraint_free(bound(c, NULL, REMORA_ANSWER_LAX));
        assert_int_equal(w.warnings, 2);
        told(&w, ": the tool look: /properties/towns/uniqueItems: uniqueItems");
        told(&w, "left out: /uniqueItems: uniqueItems of arrays or objects\n");
        remora_chat_free(c);
    }
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_families_write_is_allowed),
        cmocka_unit_test(reasoning_comes_first),
        cmocka_unit_test(wishes_bound_it),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(what_is_left_out_is_told),
        cmocka_unit_test(memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
