/* SPDX-License-Identifier: Apache-2.0 */
#include "run_cases.h"

#include <stdlib.h>
#include <string.h>

/* The parts of an answer, joined. */
typedef struct parts {
    char reasoning[MOST], content[MOST], arguments[MOST];
    size_t n_reasoning, n_content, n_arguments;
    json_t *calls;
    int32_t finish;
} parts;

static void join(char *to, size_t *n, remora_text piece)
{
    if (*n + piece.len > MOST) abort();
    memcpy(to + *n, piece.ptr, piece.len);
    *n += piece.len;
}

static void take(parts *p, const remora_chat_event *e)
{
    json_t *call;
    switch (e->kind) {
    case REMORA_PART_REASONING: join(p->reasoning, &p->n_reasoning, e->text); break;
    case REMORA_PART_CONTENT: join(p->content, &p->n_content, e->text); break;
    case REMORA_PART_CALL:
        call = json_object();
        put_text(call, "name", e->text.ptr, e->text.len);
        json_array_append_new(p->calls, call);
        p->n_arguments = 0;
        break;
    case REMORA_PART_ARGUMENTS:
        join(p->arguments, &p->n_arguments, e->text);
        call = json_array_get(p->calls, e->call);
        put_text(call, "arguments", p->arguments, p->n_arguments);
        break;
    case REMORA_PART_END: p->finish = e->finish; break;
    default: break;
    }
}

static void put_parts(world *w, json_t *want, parts *p)
{
    json_t *out = json_object();
    put_text(out, "reasoning", p->reasoning, p->n_reasoning);
    put_text(out, "content", p->content, p->n_content);
    json_object_set_new(out, "calls", p->calls);
    json_object_set_new(out, "finish", json_string(name_of(w, "remora_chat_finishes", p->finish)));
    json_object_set_new(want, "parts", out);
}

static remora_status end_parse(world *w, remora_chat_parse *c, int32_t cut, parts *p)
{
    remora_status st;
    do {
        remora_chat_event e = {.struct_size = sizeof e};
        st = remora_chat_parse_end(c, cut, &e, &w->err);
        if (st >= 0) take(p, &e);
    } while (st == REMORA_MORE);
    return st;
}

static void read_answer(world *w, maker *k, const remora_chat *chat, int32_t begin, int calls,
                        int32_t cut, json_t *want)
{
    remora_chat_parse_opts o = {.struct_size = sizeof o};
    remora_chat_parse *c = NULL;
    parts *p = calloc(1, sizeof *p);
    size_t at = 0, used = 0;
    o.chat = chat;
    o.begin = begin;
    o.flags = calls ? REMORA_CHAT_PARSE_CALLS : 0;
    p->calls = json_array();
    remora_status st = remora_chat_parse_create(w->model, &o, &c, &w->err);
    for (st = st < 0 ? st : REMORA_MORE; st == REMORA_MORE; at += used) {
        remora_chat_event e = {.struct_size = sizeof e};
        st = remora_chat_parse_next(c, k->made + at, k->n_made - at, &used, &e, &w->err);
        if (st == REMORA_MORE) take(p, &e);
    }
    if (st >= 0) st = end_parse(w, c, cut, p);
    if (st < 0) put_status(w, want, st);
    put_parts(w, want, p);
    remora_chat_parse_free(c);
    free(p);
}

static remora_status ask(world *w, maker *k, const json_t *in, remora_chat *chat, json_t *want)
{
    remora_prompt_info info = {.struct_size = sizeof info};
    remora_token t[MOST];
    size_t n = 0;
    char *request = json_dumps(json_object_get(in, "request"), JSON_COMPACT);
    remora_status st = remora_chat_add_json(chat, request, strlen(request), &w->err);
    free(request);
    if (st >= 0) st = remora_chat_prompt(chat, NULL, t, MOST, &n, &info, &w->err);
    if (st < 0) return st;
    put_tokens(want, "prompt", t, n);
    if ((st = make_session(w, k, in, t, n)) < 0) return st;
    if ((st = make_sampler(w, k, in, 0)) < 0) return st;
    do {
        st = remora_generate(k->session, k->sampler, &k->opts, k->made + k->n_made,
                             MOST - k->n_made, &n, &w->err);
        k->n_made += n;
    } while (st == REMORA_MORE);
    put_result(w, k, want, st);
    remora_generation_info made = {.struct_size = sizeof made};
    if (st >= 0) st = remora_session_get_generation(k->session, &made, &w->err);
    const int32_t cut = made.reason != REMORA_REASON_END_OF_TURN;
    read_answer(w, k, chat, info.begin, (int)info.calls, cut, want);
    return st;
}

void do_chat(world *w, const json_t *in, json_t *want)
{
    remora_chat_opts o = {.struct_size = sizeof o};
    maker *k = calloc(1, sizeof *k);
    remora_chat *chat = NULL;
    o.format = string_of(in, "format");
    remora_status st = remora_chat_create(w->model, &o, &chat, &w->err);
    if (st >= 0) st = ask(w, k, in, chat, want);
    if (st < 0) put_status(w, want, st);
    remora_chat_free(chat);
    free_maker(k);
}

void do_parse(world *w, const json_t *in, json_t *want)
{
    remora_chat_parse_opts o = {.struct_size = sizeof o};
    remora_chat_parse *c = NULL;
    const remora_text text = text_of(in, "text");
    parts *p = calloc(1, sizeof *p);
    size_t at = 0, used = 0;
    o.format = string_of(in, "format");
    o.flags = (uint32_t)flags_of(w, in, "flags");
    p->calls = json_array();
    remora_status st = remora_chat_parse_create(w->model, &o, &c, &w->err);
    for (st = st < 0 ? st : REMORA_MORE; st == REMORA_MORE; at += used) {
        remora_chat_event e = {.struct_size = sizeof e};
        st = remora_chat_parse_text(c, text.ptr + at, text.len - at, &used, &e, &w->err);
        if (st == REMORA_MORE) take(p, &e);
    }
    if (st >= 0) st = end_parse(w, c, 0, p);
    put_status(w, want, st);
    put_parts(w, want, p);
    remora_chat_parse_free(c);
    free(p);
}

static remora_status fill(world *w, maker *k, const json_t *in, json_t *want)
{
    const remora_text prefix = text_of(in, "prefix"), suffix = text_of(in, "suffix");
    remora_fim_opts o = {.struct_size = sizeof o};
    remora_fim_info info = {.struct_size = sizeof info};
    remora_token t[MOST];
    size_t n = 0;
    o.flags = (uint32_t)flags_of(w, in, "flags");
    o.max_tokens = (uint64_t)json_integer_value(json_object_get(in, "max_prompt"));
    remora_status st = remora_fim(w->model, prefix.ptr, prefix.len, suffix.ptr, suffix.len, &o, t,
                                  MOST, &n, &info, &w->err);
    if (st < 0) return st;
    put_tokens(want, "prompt", t, n);
    put_text(want, "heal", info.heal, info.n_heal);
    if ((st = make_session(w, k, in, t, n)) < 0) return st;
    if ((st = make_sampler(w, k, in, 0)) < 0) return st;
    if ((st = remora_sampler_spell(k->sampler, info.heal, info.n_heal, &w->err)) < 0) return st;
    for (uint32_t i = 0; remora_fim_stop(w->model, i, &k->stop[i], NULL) >= 0; i++)
        k->opts.n_stop = i + 1;
    k->opts.flags = 0; /* those of the case are of remora_fim() */
    return generate_all(w, k, want);
}

void do_fim(world *w, const json_t *in, json_t *want)
{
    maker *k = calloc(1, sizeof *k);
    const remora_status st = fill(w, k, in, want);
    if (st < 0) put_status(w, want, st);
    free_maker(k);
}
