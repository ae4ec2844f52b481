/* SPDX-License-Identifier: Apache-2.0 */
/* What a chat format writes of an answer is read back as that answer: for every format, with and
 * without calls and reasoning. */
#include <jansson.h>

#include "conversation.h"
#include "parse_rig.h"
#include "render.h"

#define TOOL(name, properties)                                                                     \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"description\":\"d\","            \
    "\"parameters\":{\"type\":\"object\",\"properties\":{" properties "}}}}"
#define TOOLS                                                                                      \
    "\"tools\":[" TOOL("get_weather", "\"town\":{\"type\":\"string\"}") "," TOOL("now", "") "],"
#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}"
#define NEXT ",{\"role\":\"user\",\"content\":\"Next\"}"
#define CALL(id, name, args)                                                                       \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":\"" args "\"}}"
/* clang-format off */
#define ARGS \
    "{\\\"town\\\": \\\"Ber\\\\\\\"gen\\\\\\\\ \\\\n中🐋 <b>&\\\", " \
    "\\\"opts\\\": {\\\"a\\\": [1, 2.5, null]}, \\\"ok\\\": true, \\\"x\\\": -1.5}"
/* clang-format on */

/* An answer as a message, and what reading gives. calls: lines "name arguments". */
static const struct answer {
    const char *message, *reasoning, *content, *calls;
    int n_calls;
} answers[] = {
    {"\"content\":\"Sure.\"", "", "Sure.", "", 0},
    {"\"content\":\"Two\\n\\nlines, 水.\"", "", "Two\n\nlines, 水.", "", 0},
    {"\"content\":\"\",\"tool_calls\":[" CALL("functions.now:0", "now", "{}") "]", "", "",
     "now {}\n", 1},
    {"\"content\":\"Let me look.\",\"tool_calls\":[" CALL("functions.get_weather:0", "get_weather",
                                                          ARGS) "]",
     "", "Let me look.",
     "get_weather {\"town\": \"Ber\\\"gen\\\\ \\n中🐋 <b>&\", \"opts\": {\"a\": [1, 2.5, null]}, "
     "\"ok\": true, \"x\": -1.5}\n",
     1},
    {"\"content\":\"Two.\",\"tool_calls\":[" CALL("functions.now:0", "now", "{}") "," CALL(
         "functions.get_weather:1", "get_weather", "{\\\"town\\\": \\\"Oslo\\\"}") "]",
     "", "Two.", "now {}\nget_weather {\"town\": \"Oslo\"}\n", 2},
    {"\"content\":\"So.\",\"reasoning_content\":\"I think\\nso.\"", "I think\nso.", "So.", "", 0},
    {"\"content\":\"\",\"reasoning_content\":\"Look.\",\"tool_calls\":[" CALL("functions.now:0",
                                                                              "now", "{}") "]",
     "Look.", "", "now {}\n", 1},
};
enum { N_ANSWERS = sizeof answers / sizeof answers[0] };

static remora_error err = {.struct_size = sizeof err};

/* The prompt of a request, in w; a status where the chat format does not take it. */
static remora_status prompt(const rmr_chat_format *f, const char *json, rmr_mem *mem,
                            rmr_chat_writer *w, int *begin)
{
    rmr_conversation c;
    *w = (rmr_chat_writer){.mem = mem, .err = &err};
    rmr_conversation_init(&c, mem);
    remora_status st = rmr_conversation_add_json(&c, json, strlen(json), &err);
    if (st >= 0) st = rmr_chat_render(&c, &c.wish, f, NULL, w, begin);
    rmr_conversation_clear(&c);
    return st;
}

static int state_of(const rmr_chat_format *f, int begin)
{
    if (begin == RMR_BEGIN_CALLS) return RMR_PARSE_CALLS;
    if (begin == RMR_BEGIN_REASONING) return RMR_PARSE_REASONING;
    return f->think.by_model ? RMR_PARSE_START : RMR_PARSE_CONTENT;
}

/* The calls of a run as "name arguments" lines, arguments printed anew. */
static void flat(const char *calls, char *out)
{
    out[0] = 0;
    while (*calls != 0) {
        const char *space = strchr(calls, ' '), *args = strchr(space + 1, ' ') + 1;
        const char *line = strchr(args, '\n');
        assert_non_null(line);
        json_t *v = json_loadb(args, (size_t)(line - args), 0, NULL);
        assert_non_null(v);
        char *text = json_dumps(v, 0);
        sprintf(out + strlen(out), "%.*s %s\n", (int)(space - calls), calls, text);
        free(text);
        json_decref(v);
        calls = line + 1;
    }
}

static int has(const char *s, size_t n, const char *what)
{
    const size_t len = strlen(what);
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(s + i, what, len) == 0) return 1;
    return 0;
}

/* Read back what the longer prompt has behind the shorter one. 0: it does not begin with it, or the
 * reasoning was not sent. */
static int check(const rmr_chat_format *f, const struct answer *a, const rmr_chat_writer *asked,
                 const rmr_chat_writer *answered, int begin)
{
    static parsed r;
    static char calls[RIG_ROOM];
    rmr_markers m;
    if (answered->n < asked->n || memcmp(asked->text, answered->text, asked->n) != 0) return 0;
    const char *tail = answered->text + asked->n;
    if (!has(tail, answered->n - asked->n, a->reasoning)) return 0;
    assert_int_equal(rmr_markers_make(&m, f, NULL, 1, NULL), REMORA_OK);
    rig_every_cut(&m, state_of(f, begin), answered->text + asked->n, answered->n - asked->n, 0, &r);
    flat(r.calls, calls);
    if (strcmp(r.content, a->content) != 0 || strcmp(calls, a->calls) != 0)
        print_message("%s: %s\n%.*s\n", f->name, a->message, (int)(answered->n - asked->n),
                      answered->text + asked->n);
    assert_string_equal(r.reasoning, a->reasoning);
    assert_string_equal(r.content, a->content);
    assert_string_equal(calls, a->calls);
    assert_int_equal(r.broken, 0);
    return 1;
}

/* One answer, as the last turn or followed by another. */
static int round_trip(const rmr_chat_format *f, const struct answer *a, int thinking, int followed)
{
    char ask[4096], full[4096];
    rmr_mem mem = {0};
    rmr_chat_writer asked, answered;
    int begin = 0, other = 0, read = 0;
    const char *think = thinking ? "\"chat_template_kwargs\":{\"thinking\":true}"
                                 : "\"chat_template_kwargs\":{\"thinking\":false}";
    rmr_mem_init(&mem);
    snprintf(ask, sizeof ask, "{%s" ASK "],%s}", f->calls.args ? TOOLS : "", think);
    snprintf(full, sizeof full, "{%s" ASK ",{\"role\":\"assistant\",%s}%s],%s%s}",
             f->calls.args ? TOOLS : "", a->message, followed ? NEXT : "", think,
             followed ? "" : ",\"add_generation_prompt\":false");
    const remora_status first = prompt(f, ask, &mem, &asked, &begin);
    const remora_status second = prompt(f, full, &mem, &answered, &other);
    if (first >= 0 && second >= 0) read = check(f, a, &asked, &answered, begin);
    rmr_chat_writer_free(&asked);
    rmr_chat_writer_free(&answered);
    assert_int_equal(mem.bytes, 0);
    return read;
}

/* Every format is read back at least without thinking, with calls where it has them, and with
 * reasoning where it writes it. */
static void what_is_written_is_read(void **state)
{
    size_t n, all = 0;
    const rmr_chat_format *formats = rmr_chat_formats(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const rmr_chat_format *f = &formats[i];
        int texts = 0, calls = 0, reasonings = 0;
        for (size_t k = 0; k < N_ANSWERS; k++) {
            const struct answer *a = &answers[k];
            const int thought = a->reasoning[0] != 0;
            if (thought && f->think.past_open == NULL) continue; /* it is not sent */
            if (a->n_calls > (f->calls.args == RMR_ARGS_NONE ? 0 : f->calls.one ? 1 : 9)) continue;
            if (f->calls.no_text && a->n_calls > 0 && a->content[0] != 0) continue;
            for (int followed = 0; followed < 2; followed++) {
                const int read = round_trip(f, a, thought || f->think.always, followed);
                texts += read && a->n_calls == 0 && !thought;
                calls += read && a->n_calls > 0;
                reasonings += read && thought;
                all += (size_t)read;
            }
        }
        print_message("%s: %d texts, %d with calls, %d with reasoning\n", f->name, texts, calls,
                      reasonings);
        const int opened = f->think.always && !f->think.by_model; /* and never sent again */
        assert_true(texts > 0 || opened);
        assert_true(calls > 0 || f->calls.args == RMR_ARGS_NONE || opened);
        assert_true(reasonings > 0 || f->think.past_open == NULL);
    }
    assert_true(all > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_written_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
