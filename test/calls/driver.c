/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a random model with the markers of all chat formats, line by line, for calls.py.
 *
 *     F format          of the conversations that follow
 *     C request         a conversation of OpenAI's form, and what may answer it -> C, or E and why
 *     T text            a JSON string -> T and 1: an answer, 2: the beginning of one, 0: neither;
 * first in the tokenizer's tokens, then in bytes and markers G seed tokens     -> G and an answer's
 * parts as they are read back: calls, bytes of reasoning and of content, the rest, how it finished;
 * N: it did not end in so many tokens
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "chat_markers.h"

enum { LINE = 1 << 20, MOST = 1 << 14 };

static world w;
static char format[64];
static remora_chat *chat;
static remora_constraint *bounds;
static int32_t place;
static remora_error err = HOST_ERROR;

static void forget(void)
{
    remora_constraint_free(bounds);
    remora_chat_free(chat);
    bounds = NULL;
    chat = NULL;
}

static void begin_chat(const char *request)
{
    static remora_token prompt[MOST];
    const remora_chat_opts o = {.struct_size = sizeof o, .format = format};
    remora_prompt_info info = {.struct_size = sizeof info};
    size_t n;
    forget();
    remora_status st = remora_chat_create(w.m, &o, &chat, &err);
    if (st >= 0) st = remora_chat_add_json(chat, request, strlen(request), &err);
    if (st >= 0) st = remora_chat_prompt(chat, NULL, prompt, MOST, &n, &info, &err);
    if (st >= 0) st = remora_chat_constraint(chat, NULL, NULL, &bounds, &err);
    place = info.begin;
    if (st < 0)
        printf("E %s\n", err.message);
    else
        puts("C");
}

static remora_sampler *sampler(uint64_t seed)
{
    remora_sampler *p;
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 1.5};
    REQUIRE_OK(remora_sampler_create(w.m, seed, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &warm, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(p, bounds, &err), &err);
    return p;
}

/* ---- answers that are there ---- */

static int takes(const remora_token *t, size_t n)
{
    remora_sampler *p = sampler(1);
    remora_status st = REMORA_OK;
    for (size_t i = 0; i < n && st >= 0; i++) st = remora_sampler_accept(p, t[i], &err);
    int r = st >= 0 ? 2 : 0;
    if (r == 2 && remora_sampler_accept(p, TINY_EOS, &err) >= 0) r = 1;
    remora_sampler_free(p);
    return r;
}

static void try_text(const char *quoted)
{
    static remora_token t[LINE];
    json_t *v = json_loads(quoted, JSON_DECODE_ANY, NULL);
    const char *text = json_string_value(v);
    size_t n;
    REQUIRE(text != NULL && bounds != NULL);
    REQUIRE_OK(remora_tokenize(w.m, text, strlen(text), REMORA_TEXT_SPECIAL, t, LINE, &n, &err),
               &err);
    const int merged = takes(t, n);
    printf("T %d%d\n", merged, takes(t, chat_markers_bytes(text, t)));
    json_decref(v);
}

/* ---- answers of the model ---- */

static size_t generate(uint64_t seed, uint64_t most, remora_token *out, remora_status *st)
{
    const remora_token last[] = {TINY_BOS, (remora_token)(seed % 256)};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = most};
    remora_session *s = host_session(w.m, 2048, REMORA_KV_F32);
    remora_sampler *p = sampler(seed);
    remora_generation_info i = {.struct_size = sizeof i};
    size_t n = 0;
    REQUIRE_OK(remora_session_append(s, last, 2, REMORA_WANT_LAST, &err), &err);
    *st = remora_generate(s, p, &o, out, MOST, &n, &err);
    REQUIRE_OK(remora_session_get_generation(s, &i, NULL), NULL);
    if (i.reason == REMORA_REASON_MAX_TOKENS) *st = REMORA_MORE;
    remora_sampler_free(p);
    remora_session_free(s);
    return n;
}

/* What was read back: the calls, and text by its kind. */
typedef struct parts {
    json_t *calls, *name;
    char args[LINE], rest[LINE];
    size_t n_args, n_rest, n_reasoning, n_content;
} parts;

static void take(parts *r, const remora_chat_event *e)
{
    const size_t n = (size_t)e->text.len;
    REQUIRE(r->n_args + n < LINE && r->n_rest + n < LINE);
    switch (e->kind) {
    case REMORA_PART_REASONING: r->n_reasoning += n; break;
    case REMORA_PART_CONTENT: r->n_content += n; break;
    case REMORA_PART_CALL:
        r->name = json_stringn(e->text.ptr, n);
        r->n_args = 0;
        break;
    case REMORA_PART_ARGUMENTS:
        memcpy(r->args + r->n_args, e->text.ptr, n);
        r->n_args += n;
        break;
    case REMORA_PART_CALL_END:
        json_array_append_new(r->calls,
                              json_pack("[o, o]", r->name, json_stringn(r->args, r->n_args)));
        r->name = NULL;
        break;
    case REMORA_PART_REST:
        memcpy(r->rest + r->n_rest, e->text.ptr, n);
        r->n_rest += n;
        break;
    default: break;
    }
}

static int32_t read_back(const remora_token *t, size_t n, parts *r)
{
    const remora_chat_parse_opts o = {
        .struct_size = sizeof o, .flags = REMORA_CHAT_PARSE_CALLS, .begin = place, .chat = chat};
    remora_chat_event e = {.struct_size = sizeof e};
    remora_chat_parse *p;
    remora_status st = REMORA_MORE;
    REQUIRE_OK(remora_chat_parse_create(w.m, &o, &p, &err), &err);
    for (size_t at = 0, used; st == REMORA_MORE; at += used) {
        REQUIRE_OK(st = remora_chat_parse_next(p, t + at, n - at, &used, &e, &err), &err);
        if (st == REMORA_MORE) take(r, &e);
    }
    while ((st = remora_chat_parse_end(p, 0, &e, &err)) == REMORA_MORE) take(r, &e);
    REQUIRE_OK(st, &err);
    remora_chat_parse_free(p);
    return e.finish;
}

static void answer(uint64_t seed, uint64_t most)
{
    static remora_token out[MOST];
    static parts r;
    remora_status st;
    r = (parts){.calls = json_array()};
    const size_t n = generate(seed, most, out, &st);
    if (st != REMORA_END) {
        printf("N %s\n", st < 0 ? err.message : "");
    } else {
        const int32_t finish = read_back(out, n, &r);
        json_t *all = json_pack("{s:O, s:I, s:I, s:s#, s:i}", "calls", r.calls, "reasoning",
                                (json_int_t)r.n_reasoning, "content", (json_int_t)r.n_content,
                                "rest", r.rest, (int)r.n_rest, "finish", finish);
        char *text = json_dumps(all, JSON_COMPACT);
        printf("G %s\n", text);
        free(text);
        json_decref(all);
    }
    json_decref(r.calls);
}

int main(void)
{
    static char line[LINE];
    unsigned long long seed, most;
    chat_markers_begin(&w);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 'F') snprintf(format, sizeof format, "%.63s", line + 2);
        if (line[0] == 'C') begin_chat(line + 2);
        if (line[0] == 'T') try_text(line + 2);
        if (line[0] == 'G' && sscanf(line + 2, "%llu %llu", &seed, &most) == 2) answer(seed, most);
        fflush(stdout);
    }
    forget();
    world_end(&w);
    return 0;
}
