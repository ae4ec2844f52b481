/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations with a released model through the public header, as test/real/run.sh runs it:
 *
 *     talk GOLDENS FILE FORMAT ALIKE
 *
 * The model's chat format is FORMAT. The prompt of a question has the ids of the reference, and the
 * greedy answer, read back, begins with the first ALIKE characters of the reference's. A call of a
 * tool that a grammar holds the model to is read with its name and arguments, where the family has
 * calls; else it says that it has none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goldens.h"
#include "host.h"

enum { ROOM = 1024 };

static const char WEATHER[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the weather in Paris?\"}], "
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", "
    "\"description\": \"Current weather of a city\", \"parameters\": {\"type\": \"object\", "
    "\"properties\": {\"city\": {\"type\": \"string\"}}, \"required\": [\"city\"]}}}]}";

typedef struct answer {
    char content[4096], name[64], arguments[1024];
    size_t n_calls;
} answer;

static goldens G;
static remora_model *model;
static remora_error err = HOST_ERROR;
static int bad;

static void check(int good, const char *what, const char *have)
{
    printf("| %s | %s |%s\n", what, have, good ? "" : " FAILED");
    bad += !good;
}

static void join(char *to, size_t cap, remora_text piece)
{
    const size_t n = strlen(to);
    REQUIRE(n + piece.len < cap);
    memcpy(to + n, piece.ptr, (size_t)piece.len);
    to[n + piece.len] = 0;
}

static void take(answer *a, const remora_chat_event *e)
{
    if (e->kind == REMORA_PART_CONTENT) join(a->content, sizeof a->content, e->text);
    if (e->kind == REMORA_PART_CALL) join(a->name, sizeof a->name, e->text);
    if (e->kind == REMORA_PART_ARGUMENTS) join(a->arguments, sizeof a->arguments, e->text);
    a->n_calls += e->kind == REMORA_PART_CALL_END;
}

static remora_sampler *greedy_sampler(void)
{
    const remora_stage cold = {.struct_size = sizeof cold, .kind = REMORA_STAGE_TEMPERATURE};
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(model, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &cold, &err), &err);
    return p;
}

/* The answer to the conversation, of at most `most` tokens. */
static void reply(const remora_chat *chat, remora_sampler *p, uint64_t most, answer *a)
{
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = most};
    remora_prompt_info info = {.struct_size = sizeof info};
    remora_chat_parse_opts how = {.struct_size = sizeof how, .chat = chat};
    remora_chat_event e = {.struct_size = sizeof e};
    remora_chat_parse *parse;
    remora_token t[ROOM];
    size_t n, used = 0;
    remora_status st;
    remora_session *s = host_session(model, ROOM, REMORA_KV_F32);
    memset(a, 0, sizeof *a);
    REQUIRE_OK(remora_chat_prompt(chat, NULL, t, ROOM, &n, &info, &err), &err);
    how.begin = info.begin;
    how.flags = info.calls ? REMORA_CHAT_PARSE_CALLS : 0;
    REQUIRE_OK(remora_chat_parse_create(model, &how, &parse, &err), &err);
    REQUIRE_OK(remora_session_append(s, t, n, REMORA_WANT_LAST, &err), &err);
    do {
        st = remora_generate(s, p, &o, t, 1, &n, &err);
        REQUIRE_OK(st, &err);
        for (size_t at = 0;
             remora_chat_parse_next(parse, t + at, n - at, &used, &e, &err) == REMORA_MORE;
             at += used)
            take(a, &e);
    } while (st == REMORA_MORE);
    while (remora_chat_parse_end(parse, 1, &e, &err) == REMORA_MORE) take(a, &e);
    remora_chat_parse_free(parse);
    remora_session_free(s);
}

static remora_chat *chat_of(const char *format)
{
    const remora_chat_opts o = {.struct_size = sizeof o, .format = format};
    remora_chat *c;
    REQUIRE_OK(remora_chat_create(model, &o, &c, &err), &err);
    return c;
}

/* The reference's prompt has no system turn, so it is that of plain ChatML. */
static void like_the_reference(size_t alike)
{
    const json_t *text = json_object_get(json_object_get(G.json, "texts"), "chat");
    const char *greedy = json_string_value(json_object_get(text, "greedy_text"));
    const remora_turn ask = {.struct_size = sizeof ask,
                             .role = REMORA_ROLE_USER,
                             .text = host_text("Write a C function that reverses a string in "
                                               "place.")};
    remora_chat *c = chat_of("chatml");
    remora_sampler *p = greedy_sampler();
    remora_token t[ROOM];
    char said[80];
    size_t n, want, same = 0;
    answer a;
    REQUIRE_OK(remora_chat_add(c, &ask, &err), &err);
    REQUIRE_OK(remora_chat_prompt(c, NULL, t, ROOM, &n, NULL, &err), &err);
    const int32_t *ids = goldens_i32(&G, "ids_chat", &want);
    REQUIRE(ids != NULL && greedy != NULL && strlen(greedy) >= alike);
    check(n == want && memcmp(t, ids, n * sizeof *ids) == 0, "prompt", "ids of the reference");
    reply(c, p, 48, &a);
    while (a.content[same] != 0 && a.content[same] == greedy[same]) same++;
    snprintf(said, sizeof said, "%zu of %zu characters as the reference's", same, strlen(greedy));
    check(same >= alike, "answer", said);
    remora_sampler_free(p);
    remora_chat_free(c);
}

static remora_token token_of(const char *name)
{
    remora_token t = REMORA_TOKEN_NONE;
    size_t n = 0;
    REQUIRE_OK(remora_tokenize(model, name, strlen(name), REMORA_TEXT_SPECIAL, &t, 1, &n, &err),
               &err);
    REQUIRE(n == 1);
    return t;
}

/* The markers are tokens, which a grammar names by their number. The model fills in the city. */
static void call_a_tool(remora_chat *c)
{
    char grammar[512];
    answer a;
    remora_constraint *rule;
    remora_sampler *p = greedy_sampler();
    snprintf(
        grammar, sizeof grammar,
        "root ::= <[%d]> \"\\n{\\\"name\\\": \\\"\" [a-z_]+ \"\\\", \\\"arguments\\\": {\\\"\" "
        "[a-z]+ \"\\\": \\\"\" [A-Za-z ]+ \"\\\"}}\\n\" <[%d]>",
        token_of("<tool_call>"), token_of("</tool_call>"));
    const remora_constraint_opts o = {
        .struct_size = sizeof o, .kind = REMORA_CONSTRAINT_GBNF, .source = host_text(grammar)};
    REQUIRE_OK(remora_constraint_create(model, &o, &rule, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(p, rule, &err), &err);
    reply(c, p, 64, &a);
    check(a.n_calls == 1 && a.content[0] == 0 && strcmp(a.name, "get_weather") == 0, "call",
          a.name);
    check(strcmp(a.arguments, "{\"city\": \"Paris\"}") == 0, "arguments", a.arguments);
    remora_sampler_free(p);
    remora_constraint_free(rule);
}

static void tools(void)
{
    remora_chat *c = chat_of(NULL);
    remora_chat_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_chat_add_json(c, WEATHER, strlen(WEATHER), &err), &err);
    REQUIRE_OK(remora_chat_get_info(c, &i, &err), &err);
    if (i.has_calls)
        call_a_tool(c);
    else
        check(remora_chat_prompt(c, NULL, NULL, 0, &(size_t){0}, NULL, &err) ==
                  REMORA_E_UNSUPPORTED,
              "tools", err.message);
    remora_chat_free(c);
}

int main(int argc, char **argv)
{
    remora_chat_info i = {.struct_size = sizeof i};
    if (argc != 5 || goldens_open(&G, argv[1]) != 0) return 2;
    const remora_source src = host_path_source(argv[2]);
    remora_runtime *rt = host_runtime(NULL, 0, NULL);
    model = host_open(rt, &src);
    remora_chat *c = chat_of(NULL);
    REQUIRE_OK(remora_chat_get_info(c, &i, &err), &err);
    remora_chat_free(c);
    printf("| conversation | |\n|---|---|\n");
    check(strcmp(i.format, argv[3]) == 0, "chat format", i.format);
    like_the_reference((size_t)atoi(argv[4]));
    tools();
    remora_model_free(model);
    remora_runtime_free(rt);
    goldens_close(&G);
    return bad != 0;
}
