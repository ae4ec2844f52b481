/* SPDX-License-Identifier: Apache-2.0 */
/* Answers read back and holes filled through the public header: events do not depend on how the
 * tokens come, special tokens alone are markers, an answer can be taken back, and what is spelled
 * first is what was asked for. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "gate.h"
#include "small_stack.h"
#include "world.h"

/* The tokens that the tests' tokenizer has beside tiny's. */
enum { FIRST = TINY_TEXT_VOCAB, VOCAB = 320, ROOM = 1 << 14 };
static const char *const added[] = {
    "<think>",
    "</think>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<｜end▁of▁sentence｜>",
    "[gMASK]",
    "<sop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
};
enum { N_ADDED = sizeof added / sizeof added[0] };

enum { N_PLAIN = 2 }; /* as DeepSeek has them: those of reasoning are not special */

static void begin(world *w)
{
    world_begin(w,
                &(world_opts){
                    .model.vocab = VOCAB, .added = added, .n_added = N_ADDED, .n_plain = N_PLAIN});
}

static size_t tokens_of(const world *w, const char *text, remora_token *t)
{
    remora_error err = HOST_ERROR;
    size_t n;
    REQUIRE_OK(remora_tokenize(w->m, text, strlen(text), REMORA_TEXT_SPECIAL, t, ROOM, &n, &err),
               &err);
    return n;
}

static remora_chat_parse *reader(const world *w, const char *format, int32_t begin_at)
{
    const remora_chat_parse_opts o = {.struct_size = sizeof o,
                                      .flags = REMORA_CHAT_PARSE_CALLS,
                                      .format = format,
                                      .begin = begin_at};
    remora_error err = HOST_ERROR;
    remora_chat_parse *p = NULL;
    REQUIRE_OK(remora_chat_parse_create(w->m, &o, &p, &err), &err);
    return p;
}

/* Events as text: "R:" and so on before each part; pieces of one part are joined. */
typedef struct story {
    char text[ROOM];
    int32_t last;
} story;

static void tell(story *s, const remora_chat_event *e)
{
    static const char *const names[] = {"", "R:", "C:", "CALL:", "A:", ";", "REST:", "END:"};
    assert_true(e->kind >= REMORA_PART_REASONING && e->kind <= REMORA_PART_END);
    if (e->kind != s->last) strcat(s->text, names[e->kind]);
    const size_t n = strlen(s->text);
    assert_true(n + e->text.len + e->id.len + 32 < ROOM);
    if (e->kind == REMORA_PART_END)
        sprintf(s->text + n, "%u calls, finish %d", e->call, e->finish);
    else
        memcpy(s->text + n, e->text.ptr, e->text.len);
    s->last = e->kind == REMORA_PART_CALL ? 0 : e->kind;
}

static void take(remora_chat_parse *p, const remora_token *t, size_t n, story *s)
{
    remora_chat_event e = {.struct_size = sizeof e};
    remora_error err = HOST_ERROR;
    remora_status st;
    size_t at = 0, used = 0;
    do {
        st = remora_chat_parse_next(p, t + at, n - at, &used, &e, &err);
        REQUIRE(st >= 0 && used <= n - at);
        at += used;
        if (st == REMORA_MORE) tell(s, &e);
    } while (st == REMORA_MORE);
    assert_int_equal(at, n);
}

static remora_status finish(remora_chat_parse *p, int cut, story *s)
{
    remora_chat_event e = {.struct_size = sizeof e};
    remora_status st;
    do {
        st = remora_chat_parse_end(p, cut, &e, NULL);
        if (st >= 0) tell(s, &e);
    } while (st == REMORA_MORE);
    return st;
}

#define CALL(name, args) "<｜tool▁call▁begin｜>" name "<｜tool▁sep｜>" args "<｜tool▁call▁end｜>"
#define ANSWER                                                                                     \
    "\nI see: 水 🐋.\n</think>\n\nLooking.<｜tool▁calls▁begin｜>" CALL("f", "{\"a\": 1}")           \
        CALL("g", "{}") "<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
#define STORY "R:I see: 水 🐋.C:Looking.CALL:fA:{\"a\": 1};CALL:gA:{};END:2 calls, finish 2"

static void events_do_not_depend_on_the_pieces(void **state)
{
    static remora_token t[ROOM];
    static story s;
    world w;
    (void)state;
    begin(&w);
    const size_t n = tokens_of(&w, ANSWER, t);
    for (size_t piece = 1; piece <= n; piece++) {
        remora_chat_parse *p = reader(&w, "deepseek-v3.1", REMORA_PLACE_REASONING);
        remora_chat_parse_info info = {.struct_size = sizeof info};
        memset(&s, 0, sizeof s);
        for (size_t at = 0; at < n; at += piece)
            take(p, t + at, n - at < piece ? n - at : piece, &s);
        assert_int_equal(finish(p, 0, &s), REMORA_END);
        assert_string_equal(s.text, STORY);
        REQUIRE_OK(remora_chat_parse_get_info(p, &info, NULL), NULL);
        assert_int_equal(info.place, REMORA_PLACE_ENDED);
        assert_int_equal(info.bytes, strlen(ANSWER));
        assert_int_equal(info.bytes, info.reasoning + info.content + info.calls + info.rest +
                                         info.markup + info.held);
        remora_chat_parse_free(p);
    }
    world_end(&w);
}

static void text_is_read_like_tokens(void **state)
{
    static story s;
    world w;
    remora_error err = HOST_ERROR;
    (void)state;
    begin(&w);
    for (size_t piece = 1; piece <= strlen(ANSWER); piece += 3) {
        remora_chat_parse *p = reader(&w, "deepseek-v3.1", REMORA_PLACE_REASONING);
        memset(&s, 0, sizeof s);
        for (size_t at = 0, used; at < strlen(ANSWER);) {
            const size_t left = strlen(ANSWER) - at, n = left < piece ? left : piece;
            remora_chat_event e = {.struct_size = sizeof e};
            const remora_status st = remora_chat_parse_text(p, &ANSWER[at], n, &used, &e, &err);
            REQUIRE(st >= 0);
            at += used;
            if (st == REMORA_MORE) tell(&s, &e);
        }
        assert_int_equal(finish(p, 0, &s), REMORA_END);
        assert_string_equal(s.text, STORY);
        remora_chat_parse_free(p);
    }
    world_end(&w);
}

/* Markers that are spelled by tokens of text are text; control tokens that are no markers are
 * nothing. */
static void spelled_markers_are_text(void **state)
{
    static const char *const text = "a</think>b<｜tool▁calls▁begin｜>";
    static remora_token t[ROOM];
    static story s;
    world w;
    remora_error err = HOST_ERROR;
    size_t n;
    (void)state;
    begin(&w);
    REQUIRE_OK(remora_tokenize(w.m, text, strlen(text), 0, t, ROOM, &n, &err), &err);
    remora_chat_parse *p = reader(&w, "deepseek-v3.1", REMORA_PLACE_REASONING);
    memset(&s, 0, sizeof s);
    take(p, t, n, &s);
    const remora_token rest[] = {TINY_CONTROL, FIRST + 1, TINY_CONTROL, 'x', TINY_EOS, 'y'};
    take(p, rest, 6, &s);
    assert_int_equal(finish(p, 1, &s), REMORA_END);
    assert_string_equal(s.text, "R:a</think>b<｜tool▁calls▁begin｜>C:xREST:yEND:0 calls, finish 3");
    remora_chat_parse_free(p);
    world_end(&w);
}

/* From every place on, a clone ends as the original does, and what it took is taken back. */
static void an_answer_is_taken_back(void **state)
{
    static remora_token t[ROOM];
    static story s, other;
    world w;
    (void)state;
    begin(&w);
    const size_t n = tokens_of(&w, ANSWER, t);
    remora_chat_parse *p = reader(&w, "deepseek-v3.1", REMORA_PLACE_REASONING), *copy = NULL;
    memset(&s, 0, sizeof s);
    REQUIRE_OK(remora_chat_parse_clone(p, &copy, NULL), NULL);
    for (size_t at = 0; at < n; at++) {
        other = s;
        take(p, t + (at + 7) % n, 1, &other); /* something else */
        take(p, t + (at + 11) % n, 1, &other);
        REQUIRE_OK(remora_chat_parse_copy(p, copy, NULL), NULL);
        take(p, t + at, 1, &s);
        REQUIRE_OK(remora_chat_parse_copy(copy, p, NULL), NULL);
    }
    assert_int_equal(finish(copy, 0, &s), REMORA_END);
    assert_string_equal(s.text, STORY);
    remora_chat_parse *kimi = reader(&w, "kimi-k2", 0);
    assert_int_equal(remora_chat_parse_copy(kimi, p, NULL), REMORA_E_MISMATCH);
    remora_chat_parse_free(p);
    remora_chat_parse_free(copy);
    remora_chat_parse_free(kimi);
    world_end(&w);
}

static void broken_answers_end_in_a_status(void **state)
{
    static remora_token t[ROOM];
    static story s;
    world w;
    remora_error err = HOST_ERROR;
    remora_chat_event e = {.struct_size = sizeof e};
    (void)state;
    begin(&w);
    const size_t n =
        tokens_of(&w, "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a", t);
    remora_chat_parse *p = reader(&w, "deepseek-v3.1", 0);
    memset(&s, 0, sizeof s);
    take(p, t, n, &s);
    assert_int_equal(finish(p, 0, &s), REMORA_E_FORMAT);
    assert_string_equal(s.text, "C:Hm.CALL:fA:{\"a");
    assert_int_equal(remora_chat_parse_end(p, 0, &e, &err), REMORA_E_FORMAT);
    assert_non_null(strstr(err.message, "call 0"));
    size_t used;
    assert_int_equal(remora_chat_parse_next(p, t, n, &used, &e, &err), REMORA_E_ARG);
    remora_chat_parse_free(p);
    p = reader(&w, "deepseek-v3.1", 0);
    memset(&s, 0, sizeof s);
    take(p, t, n, &s);
    assert_int_equal(finish(p, 1, &s), REMORA_END);
    assert_string_equal(s.text, "C:Hm.CALL:fA:{\"aEND:1 calls, finish 3");
    remora_chat_parse_free(p);
    world_end(&w);
}

/* Long text is given out on the way, and the handle does not grow. */
static void long_answers_take_no_memory(void **state)
{
    static remora_token t[ROOM];
    world w;
    remora_chat_event e = {.struct_size = sizeof e};
    size_t used, n = 0, at = 0;
    remora_status st;
    (void)state;
    begin(&w);
    remora_chat_parse *p = reader(&w, "deepseek-v3.1", 0);
    const long before = atomic_load(&w.mem.calls);
    for (size_t i = 0; i < ROOM; i++) t[i] = 'a' + (remora_token)(i % 26);
    do {
        st = remora_chat_parse_next(p, t + at, ROOM - at, &used, &e, NULL);
        REQUIRE(st >= 0);
        at += used;
        if (st == REMORA_MORE) {
            for (uint64_t i = 0; i < e.text.len; i++, n++)
                assert_int_equal(e.text.ptr[i], 'a' + (int)(n % 26));
            REQUIRE(e.text.len <= 8192);
        }
    } while (st == REMORA_MORE);
    assert_int_equal(n, ROOM);
    assert_int_equal(atomic_load(&w.mem.calls), before);
    remora_chat_parse_free(p);
    world_end(&w);
}

#define GLM_TOOL                                                                                   \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{"         \
    "\"s\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},\"e\":{\"enum\":[\"1\",\"2\"]}}}}}"
#define GLM_ARGUMENT(key, value) "<arg_key>" key "</arg_key><arg_value>" value "</arg_value>"
#define GLM_CALL                                                                                   \
    "<tool_call>f" GLM_ARGUMENT("s", "3") GLM_ARGUMENT("n", "x") GLM_ARGUMENT("e", "1")            \
        GLM_ARGUMENT("u", "4") GLM_ARGUMENT("v", "{4") "</tool_call>"

static void read_text(remora_chat_parse *p, const char *text, story *s)
{
    size_t left = strlen(text), used;
    remora_chat_event e = {.struct_size = sizeof e};
    remora_status st;
    do {
        st = remora_chat_parse_text(p, text, left, &used, &e, NULL);
        REQUIRE(st >= 0);
        text += used;
        left -= used;
        if (st == REMORA_MORE) tell(s, &e);
    } while (st == REMORA_MORE);
}

static remora_chat *chat_with_tools(const world *w)
{
    const remora_chat_opts o = {.struct_size = sizeof o, .format = "glm-4.7-flash"};
    remora_error err = HOST_ERROR;
    remora_chat *c = NULL;
    REQUIRE_OK(remora_chat_create(w->m, &o, &c, &err), &err);
    REQUIRE_OK(remora_chat_add_tool(c, GLM_TOOL, strlen(GLM_TOOL), &err), &err);
    return c;
}

/* Where a call does not say what is a string, the conversation's tools do. */
static void tools_say_what_is_a_string(void **state)
{
    static story s;
    world w;
    remora_error err = HOST_ERROR;
    remora_chat_parse *p = NULL, *copy = NULL;
    remora_chat_parse_opts o = {
        .struct_size = sizeof o, .flags = REMORA_CHAT_PARSE_CALLS, .begin = REMORA_PLACE_CONTENT};
    (void)state;
    begin(&w);
    remora_chat *chat = chat_with_tools(&w);
    o.chat = chat;
    REQUIRE_OK(remora_chat_parse_create(w.m, &o, &p, &err), &err);
    remora_chat_free(chat);
    REQUIRE_OK(remora_chat_parse_clone(p, &copy, &err), &err);
    REQUIRE_OK(remora_chat_parse_copy(p, copy, &err), &err);
    remora_chat_parse_free(p);
    memset(&s, 0, sizeof s);
    read_text(copy, GLM_CALL, &s);
    assert_int_equal(finish(copy, 0, &s), REMORA_END);
    assert_string_equal(s.text, "CALL:fA:{\"s\": \"3\", \"n\": x, \"e\": \"1\", \"u\": 4, \"v\": "
                                "\"{4\"};END:1 calls, finish 2");
    o.chat = NULL;
    o.format = "glm-4.7-flash";
    REQUIRE_OK(remora_chat_parse_create(w.m, &o, &p, &err), &err);
    assert_int_equal(remora_chat_parse_copy(p, copy, &err), REMORA_E_MISMATCH);
    memset(&s, 0, sizeof s);
    read_text(p, GLM_CALL, &s);
    assert_non_null(strstr(s.text, "{\"s\": 3, \"n\": \"x\", \"e\": 1, "));
    remora_chat_parse_free(p);
    remora_chat_parse_free(copy);
    world_end(&w);
}

static void what_is_wrong_is_refused(void **state)
{
    world w;
    remora_chat_parse *p = NULL;
    remora_chat_event e = {.struct_size = sizeof e}, small = {.struct_size = 4};
    remora_chat_parse_opts o = {.struct_size = sizeof o};
    const remora_token bad[] = {'a', VOCAB};
    size_t used = 99;
    (void)state;
    begin(&w);
    assert_int_equal(remora_chat_parse_create(w.m, &o, &p, NULL), REMORA_E_UNSUPPORTED);
    o.format = "gpt";
    assert_int_equal(remora_chat_parse_create(w.m, &o, &p, NULL), REMORA_E_NOT_FOUND);
    o.format = "deepseek-v3.1";
    o.begin = REMORA_PLACE_CALLS;
    assert_int_equal(remora_chat_parse_create(w.m, &o, &p, NULL), REMORA_E_ARG);
    o.begin = REMORA_PLACE_ENDED;
    assert_int_equal(remora_chat_parse_create(w.m, &o, &p, NULL), REMORA_E_ARG);
    o.begin = 0;
    o.flags = 2;
    assert_int_equal(remora_chat_parse_create(w.m, &o, &p, NULL), REMORA_E_STRUCT);
    p = reader(&w, "deepseek-v3.1", 0);
    assert_int_equal(remora_chat_parse_next(p, bad, 2, &used, &small, NULL), REMORA_E_STRUCT);
    assert_int_equal(remora_chat_parse_next(p, bad, 2, &used, &e, NULL), REMORA_MORE);
    assert_int_equal(used, 1);
    assert_int_equal(remora_chat_parse_next(p, bad + 1, 1, &used, &e, NULL), REMORA_E_ARG);
    assert_int_equal(remora_chat_parse_end(p, 2, &e, NULL), REMORA_E_ARG);
    remora_chat_parse_free(p);
    world_end(&w);
}

/* ---- fill in the middle ---- */

static size_t fim(const world *w, const char *prefix, const char *suffix, const remora_fim_opts *o,
                  remora_token *t, remora_fim_info *info)
{
    remora_error err = HOST_ERROR;
    size_t n = 0, need = 0;
    info->struct_size = sizeof *info;
    const remora_status st = remora_fim(w->m, prefix, strlen(prefix), suffix, strlen(suffix), o,
                                        NULL, 0, &need, info, &err);
    assert_int_equal(st, REMORA_E_BUFFER);
    REQUIRE_OK(remora_fim(w->m, prefix, strlen(prefix), suffix, strlen(suffix), o, t, ROOM, &n,
                          info, &err),
               &err);
    assert_int_equal(n, need);
    return n;
}

static void text_of(const world *w, const remora_token *t, size_t n, char *out)
{
    size_t at = 0, len;
    for (size_t i = 0; i < n; i++, at += len)
        REQUIRE_OK(remora_token_bytes(w->m, t[i], out + at, ROOM - at - 1, &len, NULL), NULL);
    out[at] = 0;
}

static void a_repository_is_written_and_cut(void **state)
{
    static remora_token t[ROOM];
    static char text[ROOM];
    world w;
    const remora_file files[] = {{host_text("a.c"), host_text("int a; <|fim_prefix|>\n")},
                                 {host_text("b.c"), host_text("int b;\n")}};
    remora_fim_opts o = {.struct_size = sizeof o,
                         .repo = host_text("demo"),
                         .path = host_text("c.c"),
                         .files = files,
                         .n_files = 2};
    remora_fim_info info = {0};
    remora_text stop;
    (void)state;
    begin(&w);
    size_t n = fim(&w, "x <|fim_suffix|>", "y", &o, t, &info);
    text_of(&w, t, n, text);
    const char *whole = strstr(text, "<|repo_name|>");
    assert_string_equal(whole, "<|repo_name|>demo\n<|file_sep|>a.c\nint a; <|fim_prefix|>\n"
                               "<|file_sep|>b.c\nint b;\n<|file_sep|>c.c\n<|fim_prefix|>x "
                               "<|fim_suffix|><|fim_suffix|>y<|fim_middle|>");
    size_t markers = 0;
    for (size_t i = 0; i < n; i++) markers += t[i] >= FIRST;
    assert_int_equal(markers, 7); /* none of them from the texts */
    assert_int_equal(info.n_files, 2);
    assert_int_equal(info.is_cut, 0);
    o.max_tokens = n - 1;
    const size_t fewer = fim(&w, "x <|fim_suffix|>", "y", &o, t, &info);
    assert_true(fewer <= n - 1 && info.is_cut && info.n_files == 1);
    o.max_tokens = 4;
    assert_int_equal(remora_fim(w.m, "", 0, "", 0, &o, t, ROOM, &n, NULL, NULL), REMORA_E_ARG);
    o.prefix_share = 80;
    assert_int_equal(remora_fim(w.m, "", 0, "", 0, &o, t, ROOM, &n, NULL, NULL), REMORA_E_ARG);
    REQUIRE_OK(remora_fim_stop(w.m, 0, &stop, NULL), NULL);
    assert_string_equal(stop.ptr, "<|fim_prefix|>");
    assert_int_equal(remora_fim_stop(w.m, 99, &stop, NULL), REMORA_E_NOT_FOUND);
    world_end(&w);
}

/* The prefix that is being typed is cut at the same place for a while, at the beginning of a line,
 * and no part gets more than its share while the others need theirs. */
static void a_long_text_is_cut(void **state)
{
    static remora_token t[ROOM];
    static char text[ROOM], prefix[8192], suffix[4096];
    world w;
    const remora_fim_opts o = {.struct_size = sizeof o, .max_tokens = 200};
    remora_fim_info info = {0};
    size_t cuts = 0, before = 0;
    (void)state;
    begin(&w);
    for (int i = 0; i < 300; i++) sprintf(prefix + strlen(prefix), "int v%d;\n", i);
    for (int i = 0; i < 300; i++) sprintf(suffix + strlen(suffix), "w%d();\n", i);
    for (int key = 0; key < 100; key++) {
        const size_t n = fim(&w, prefix, suffix, &o, t, &info);
        text_of(&w, t, n, text);
        const char *from = strstr(text, "<|fim_prefix|>") + strlen("<|fim_prefix|>");
        const char *hole = strstr(text, "<|fim_suffix|>");
        assert_true(n <= 200 && info.is_cut == 1);
        assert_true(info.prefix_tokens >= 100 && info.suffix_tokens >= 45);
        assert_memory_equal(from, "int v", 5);
        const size_t len = (size_t)(hole - from);
        assert_memory_equal(from, prefix + strlen(prefix) - len, len);
        cuts += strlen(prefix) - len != before;
        before = strlen(prefix) - len;
        strcat(prefix, "x");
    }
    assert_true(cuts <= 9);
    /* what one does not need the other one gets */
    fim(&w, "a", suffix, &o, t, &info);
    assert_true(info.prefix_tokens == 1 && info.suffix_tokens > 170);
    fim(&w, prefix, "a", &o, t, &info);
    assert_true(info.suffix_tokens == 1 && info.prefix_tokens > 140);
    world_end(&w);
}

/* Tokens are bytes here, so a character of two is cut where it has an odd number of them. */
static void no_character_is_cut(void **state)
{
    static remora_token t[ROOM];
    char text[801] = "";
    world w;
    (void)state;
    begin(&w);
    for (int i = 0; i < 400; i++) strcat(text, "\xC3\xA9");
    for (uint64_t most = 190; most < 200; most++) {
        const remora_fim_opts o = {.struct_size = sizeof o, .max_tokens = most};
        remora_fim_info info = {0};
        fim(&w, text, text, &o, t, &info);
        assert_true(info.prefix_tokens > 90 && info.prefix_tokens % 2 == 0);
        assert_true(info.suffix_tokens > 40 && info.suffix_tokens % 2 == 0);
    }
    world_end(&w);
}

static void draw(const world *w, remora_sampler *p, uint64_t *seed, remora_token *out)
{
    static float logits[VOCAB];
    for (size_t i = 0; i < VOCAB; i++) logits[i] = (float)(host_random(seed) % 1000) / 100;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_sampler_pick_from(p, logits, host_vocab(w->m), out, &err), &err);
    REQUIRE_OK(remora_sampler_accept(p, *out, &err), &err);
}

/* What is drawn spells the text, whatever the tokens, and then everything is free again. */
static void text_is_spelled_first(void **state)
{
    static const char *const want = "abcabab abc";
    static char text[ROOM];
    world w;
    uint64_t seed = 5;
    (void)state;
    begin(&w);
    for (int turn = 0; turn < 200; turn++) {
        remora_sampler *p = NULL, *copy = NULL;
        remora_error err = HOST_ERROR;
        remora_token t[64];
        size_t n = 0;
        REQUIRE_OK(remora_sampler_create(w.m, (uint64_t)turn, &p, &err), &err);
        REQUIRE_OK(remora_sampler_spell(p, want, strlen(want), &err), &err);
        for (text[0] = 0; strlen(text) < strlen(want); n++) {
            REQUIRE_OK(remora_sampler_clone(p, &copy, &err), &err);
            remora_sampler_free(p);
            p = copy;
            draw(&w, p, &seed, &t[n]);
            assert_true(t[n] < FIRST && t[n] != TINY_BOS && t[n] != TINY_EOS);
            text_of(&w, t, n + 1, text);
        }
        assert_memory_equal(text, want, strlen(want));
        size_t other = 0;
        for (int i = 0; i < 20; i++) {
            draw(&w, p, &seed, &t[n]);
            other += strchr("abc ", t[n]) == NULL;
        }
        assert_true(other > 0);
        REQUIRE_OK(remora_sampler_spell(p, "q", 1, &err), &err);
        if (turn % 2) remora_sampler_reset(p, 1);
        if (turn % 2 == 0) REQUIRE_OK(remora_sampler_accept(p, 'z', &err), &err);
        for (other = 0, n = 0; n < 20; n++) {
            draw(&w, p, &seed, &t[n]);
            other += t[n] != 'q';
        }
        assert_true(other > 10);
        assert_int_equal(remora_sampler_spell(p, text, REMORA_HEAL_MAX + 1, &err), REMORA_E_ARG);
        remora_sampler_free(p);
    }
    world_end(&w);
}

/* Tokens that spell all of what is left go before those that spell a part: "th" is one, and the
 * beginning of "the". */
static void whole_words_are_spelled_first(void **state)
{
    world w;
    uint64_t seed = 9;
    char text[16];
    size_t longer = 0;
    (void)state;
    begin(&w);
    for (int turn = 0; turn < 200; turn++) {
        remora_sampler *p = NULL;
        remora_token t;
        REQUIRE_OK(remora_sampler_create(w.m, (uint64_t)turn, &p, NULL), NULL);
        REQUIRE_OK(remora_sampler_spell(p, "th", 2, NULL), NULL);
        draw(&w, p, &seed, &t);
        text_of(&w, &t, 1, text);
        assert_memory_equal(text, "th", 2);
        longer += strlen(text) > 2;
        remora_sampler_free(p);
    }
    assert_in_range(longer, 20, 180);
    world_end(&w);
}

/* ---- memory ---- */

typedef struct tested {
    world w;
    remora_chat *chat;
} tested;

static int32_t everything(void *arg, tmem *mem)
{
    static remora_token t[64];
    const tested *x = arg;
    const remora_chat_parse_opts o = {.struct_size = sizeof o, .chat = x->chat};
    const remora_file file = {host_text("a"), host_text("b")};
    const remora_fim_opts f = {.struct_size = sizeof f,
                               .flags = REMORA_FIM_HEAL,
                               .repo = host_text("r"),
                               .files = &file,
                               .n_files = 1};
    remora_chat_parse *p = NULL, *copy = NULL;
    remora_sampler *s = NULL, *twin = NULL;
    size_t n;
    (void)mem;
    remora_status st = remora_chat_parse_create(x->w.m, &o, &p, NULL);
    if (st >= 0) st = remora_chat_parse_clone(p, &copy, NULL);
    if (st >= 0) st = remora_fim(x->w.m, "abc", 3, "def", 3, &f, t, 64, &n, NULL, NULL);
    if (st >= 0) st = remora_sampler_create(x->w.m, 1, &s, NULL);
    if (st >= 0) st = remora_sampler_spell(s, "ab", 2, NULL);
    if (st >= 0) st = remora_sampler_clone(s, &twin, NULL);
    remora_sampler_free(s);
    remora_sampler_free(twin);
    remora_chat_parse_free(p);
    remora_chat_parse_free(copy);
    return st;
}

static void memory_runs_out(void **state)
{
    tested x;
    (void)state;
    begin(&x.w);
    x.chat = chat_with_tools(&x.w);
    for (long k = 1;; k++) {
        const long blocks = atomic_load(&x.w.mem.blocks);
        tmem_arm(&x.w.mem, k);
        const int32_t st = everything(&x, &x.w.mem);
        const int hit = atomic_load(&x.w.mem.calls) >= k;
        tmem_arm(&x.w.mem, 0);
        assert_int_equal(atomic_load(&x.w.mem.blocks), blocks);
        assert_int_equal(st, hit ? REMORA_E_NOMEM : REMORA_OK);
        if (!hit) break;
    }
    remora_chat_free(x.chat);
    world_end(&x.w);
}

/* ---- on little stack ---- */

static void *all_calls(void *arg)
{
    static const char answer[] = "text<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}"
                                 "<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    static remora_token t[ROOM];
    static remora_fim_info info;
    const world *w = arg;
    remora_error err = HOST_ERROR;
    remora_chat_event e = {.struct_size = sizeof e};
    remora_chat_parse_info i = {.struct_size = sizeof i};
    remora_chat_parse *clone;
    remora_sampler *s;
    remora_text stop;
    remora_status st;
    size_t n = tokens_of(w, answer, t), used, at = 0;
    remora_chat_parse *p = reader(w, "deepseek-v3.1", REMORA_PLACE_CONTENT);
    do {
        REQUIRE((st = remora_chat_parse_next(p, t + at, n - at, &used, &e, &err)) >= 0);
        at += used;
    } while (st == REMORA_MORE);
    REQUIRE_OK(remora_chat_parse_clone(p, &clone, &err), &err);
    REQUIRE(remora_chat_parse_text(p, answer, 4, &used, &e, &err) >= 0);
    REQUIRE_OK(remora_chat_parse_copy(p, clone, &err), &err);
    REQUIRE_OK(remora_chat_parse_get_info(p, &i, &err), &err);
    while ((st = remora_chat_parse_end(p, 0, &e, &err)) == REMORA_MORE) {
    }
    REQUIRE(st == REMORA_END);
    remora_chat_parse_free(p);
    remora_chat_parse_free(clone);
    info.struct_size = sizeof info;
    REQUIRE_OK(remora_fim(w->m, "abc d", 5, "efg", 3, NULL, t, ROOM, &n, &info, &err), &err);
    (void)remora_fim_stop(w->m, 0, &stop, NULL);
    REQUIRE_OK(remora_sampler_create(w->m, 1, &s, &err), &err);
    REQUIRE_OK(remora_sampler_spell(s, "ab", 2, &err), &err);
    uint64_t seed = 1;
    for (int k = 0; k < 3; k++) draw(w, s, &seed, &t[k]);
    remora_sampler_free(s);
    return NULL;
}

/* P27, of the calls of this file. */
static void on_a_small_stack(void **state)
{
    world w;
    (void)state;
    begin(&w);
    printf("%zu kB of stack\n", small_stack_run(all_calls, &w));
    world_end(&w);
}

/* ---- fork() ---- */

typedef struct at_work {
    remora_chat_parse *p;
    _Atomic int stop;
} at_work;

static void *read_on(void *arg)
{
    static const char text[] = "some text that goes on, and on, and does not end";
    at_work *w = arg;
    remora_chat_event e = {.struct_size = sizeof e};
    size_t used;
    while (!atomic_load(&w->stop))
        REQUIRE(remora_chat_parse_text(w->p, text, sizeof text - 1, &used, &e, NULL) >= 0);
    return NULL;
}

static void every_call_is_busy(remora_chat_parse *p, remora_chat_parse *other)
{
    remora_chat_event e = {.struct_size = sizeof e};
    remora_chat_parse_info i = {.struct_size = sizeof i};
    remora_chat_parse *clone;
    size_t used;
    REQUIRE(remora_chat_parse_next(p, NULL, 0, &used, &e, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_chat_parse_end(p, 1, &e, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_chat_parse_clone(p, &clone, NULL) == REMORA_E_BUSY && clone == NULL);
    REQUIRE(remora_chat_parse_copy(p, other, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_chat_parse_copy(other, p, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_chat_parse_get_info(p, &i, NULL) == REMORA_E_BUSY);
}

/* A child in which a reader was at work has it busy for ever (P25), and may free it. */
static void a_forked_child(void **state)
{
    world w;
    pthread_t thread;
    _Atomic int *busy =
        mmap(NULL, sizeof *busy, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_ptr_not_equal(busy, MAP_FAILED);
    begin(&w);
    remora_chat_parse *other = reader(&w, "deepseek-v3.1", REMORA_PLACE_CONTENT);
    at_work a = {.p = reader(&w, "deepseek-v3.1", REMORA_PLACE_CONTENT)};
    REQUIRE(pthread_create(&thread, NULL, read_on, &a) == 0);
    for (int i = 0; i < 200 && atomic_load(busy) < 3; i++) {
        remora_chat_event e = {.struct_size = sizeof e};
        size_t used;
        if (!gate_in_child()) continue;
        if (remora_chat_parse_text(a.p, "x", 1, &used, &e, NULL) == REMORA_E_BUSY) {
            every_call_is_busy(a.p, other);
            atomic_fetch_add(busy, 1);
        }
        remora_chat_parse_free(a.p);
        REQUIRE(remora_chat_parse_text(other, "x", 1, &used, &e, NULL) >= 0);
        _exit(0);
    }
    atomic_store(&a.stop, 1);
    REQUIRE(pthread_join(thread, NULL) == 0);
    assert_true(atomic_load(busy) > 0);
    remora_chat_parse_free(a.p);
    remora_chat_parse_free(other);
    world_end(&w);
    munmap((void *)(uintptr_t)busy, sizeof *busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_small_stack),
        cmocka_unit_test(a_forked_child),
        cmocka_unit_test(events_do_not_depend_on_the_pieces),
        cmocka_unit_test(text_is_read_like_tokens),
        cmocka_unit_test(spelled_markers_are_text),
        cmocka_unit_test(an_answer_is_taken_back),
        cmocka_unit_test(broken_answers_end_in_a_status),
        cmocka_unit_test(long_answers_take_no_memory),
        cmocka_unit_test(tools_say_what_is_a_string),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_repository_is_written_and_cut),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(text_is_spelled_first),
        cmocka_unit_test(whole_words_are_spelled_first),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
