/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation: each question is a turn, its prompt is made anew and what the session has of it
 * is kept, and the answer is read back into text before it becomes a turn itself.
 *
 *     conversation MODEL [FORMAT]
 *
 * FORMAT is the name of a chat format, for models whose template is none of those known. The model
 * in the box is one: it is too small to answer, but says something.
 */
#include <remora/remora.h>

#include <stdio.h>
#include <string.h>

enum { ROOM = 4096, ANSWER = 4096 };

typedef struct talk {
    remora_model *model;
    remora_session *session;
    remora_sampler *sampler;
    remora_chat *chat;
    remora_token prompt[ROOM];
    char answer[ANSWER]; /* its text, without reasoning */
    size_t n_answer;
    remora_error err;
} talk;

static remora_status say(talk *t, int32_t role, const char *text, size_t n)
{
    remora_turn turn = {.struct_size = sizeof turn};
    turn.role = role;
    turn.text.ptr = text;
    turn.text.len = n;
    return remora_chat_add(t->chat, &turn, &t->err);
}

/* Content is printed and kept; a host with tools would look at calls here. */
static void take(talk *t, const remora_chat_event *e)
{
    if (e->kind != REMORA_PART_CONTENT) return;
    const size_t n =
        e->text.len < ANSWER - t->n_answer ? (size_t)e->text.len : ANSWER - t->n_answer;
    memcpy(t->answer + t->n_answer, e->text.ptr, n);
    t->n_answer += n;
    fwrite(e->text.ptr, 1, (size_t)e->text.len, stdout);
}

static remora_status read_answer(talk *t, remora_chat_parse *parse)
{
    const remora_gen_opts o = {.struct_size = sizeof o, .flags = 0, .max_tokens = 40};
    remora_chat_event e = {.struct_size = sizeof e};
    remora_token made[16];
    remora_status st, more = REMORA_OK;
    do {
        size_t n = 0, used = 0;
        st = remora_generate(t->session, t->sampler, &o, made, 16, &n, &t->err);
        if (st < 0) return st;
        for (size_t at = 0;; at += used) {
            more = remora_chat_parse_next(parse, made + at, n - at, &used, &e, &t->err);
            if (more != REMORA_MORE) break;
            take(t, &e);
        }
    } while (st == REMORA_MORE && more >= 0);
    while (more >= 0 && (more = remora_chat_parse_end(parse, 1, &e, &t->err)) == REMORA_MORE)
        take(t, &e);
    return more;
}

static remora_status ask(talk *t, const char *question)
{
    remora_prompt_info info = {.struct_size = sizeof info};
    remora_chat_parse_opts o = {.struct_size = sizeof o};
    remora_chat_parse *parse = NULL;
    size_t n = 0, kept = 0;
    remora_status st = say(t, REMORA_ROLE_USER, question, strlen(question));
    if (st >= 0) st = remora_chat_prompt(t->chat, NULL, t->prompt, ROOM, &n, &info, &t->err);
    if (st >= 0)
        st = remora_session_sync(t->session, t->prompt, n, REMORA_WANT_LAST, &kept, &t->err);
    if (st < 0) return st;
    printf("> %s (%zu tokens, %zu kept)\n", question, n, kept);
    o.chat = t->chat;
    o.begin = info.begin;
    st = remora_chat_parse_create(t->model, &o, &parse, &t->err);
    t->n_answer = 0;
    if (st >= 0) st = read_answer(t, parse);
    printf("\n");
    remora_chat_parse_free(parse);
    if (st >= 0) st = say(t, REMORA_ROLE_ASSISTANT, t->answer, t->n_answer);
    return st;
}

static remora_status converse(talk *t, const char *path, const char *format)
{
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_chat_opts o = {.struct_size = sizeof o};
    remora_status st;
    src.path = path;
    o.format = format;
    if ((st = remora_model_open(NULL, &src, NULL, &t->model, &t->err)) < 0) return st;
    if ((st = remora_session_create(t->model, NULL, &t->session, &t->err)) < 0) return st;
    if ((st = remora_sampler_create(t->model, 42, &t->sampler, &t->err)) < 0) return st;
    if ((st = remora_chat_create(t->model, &o, &t->chat, &t->err)) < 0) return st;
    if ((st = say(t, REMORA_ROLE_SYSTEM, "You are a remora.", 17)) < 0) return st;
    if ((st = ask(t, "Where do you live?")) < 0) return st;
    return ask(t, "And what do you eat there?");
}

int main(int argc, char **argv)
{
    static talk t;
    t.err.struct_size = sizeof t.err;
    if (argc < 2) {
        fprintf(stderr, "usage: conversation MODEL [FORMAT]\n");
        return 2;
    }
    const remora_status st = converse(&t, argv[1], argc > 2 ? argv[2] : NULL);
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), t.err.message);
    remora_chat_free(t.chat);
    remora_sampler_free(t.sampler);
    remora_session_free(t.session);
    remora_model_free(t.model);
    return st < 0;
}
