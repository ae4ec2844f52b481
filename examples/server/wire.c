/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that clients see: answers of OpenAI's API, whole or as events. */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int write_json(tool_buffer *to, json_t *v, const char *before, const char *after)
{
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    json_decref(v);
    const int ok = text != NULL && tool_buffer_add(to, before, strlen(before)) == 0 &&
                   tool_buffer_add(to, text, strlen(text)) == 0 &&
                   tool_buffer_add(to, after, strlen(after)) == 0;
    free(text);
    return ok ? 0 : -1;
}

static int event(sv_job *j, json_t *v)
{
    return write_json(&j->made, v, "data: ", "\n\n");
}

static json_t *head(const sv_job *j, int is_piece, json_t *choices)
{
    const char *object = j->r.kind == SV_COMPLETION ? "text_completion"
                         : is_piece                 ? "chat.completion.chunk"
                                                    : "chat.completion";
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", j->id, "object", object, "created",
                     (json_int_t)j->created, "model", j->m->name, "system_fingerprint",
                     j->m->fingerprint, "choices", choices);
}

static json_t *usage(const sv_job *j)
{
    const sv_answer *a = &j->answer;
    const json_int_t prompt = (json_int_t)j->n_prompt, made = (json_int_t)a->n_tokens;
    const json_int_t hit = (json_int_t)a->n_cached;
    return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}, s:I, s:I}", "prompt_tokens", prompt,
                     "completion_tokens", made, "total_tokens", prompt + made,
                     "prompt_tokens_details", "cached_tokens", hit, "completion_tokens_details",
                     "reasoning_tokens", (json_int_t)a->n_reasoning, "prompt_cache_hit_tokens", hit,
                     "prompt_cache_miss_tokens", prompt - hit);
}

/* finish may be NULL. */
static json_t *choice(const char *key, json_t *part, json_t *logprobs, const char *finish)
{
    return json_pack("[{s:i, s:o, s:o, s:s?}]", "index", 0, key, part, "logprobs", logprobs,
                     "finish_reason", finish);
}

static int piece(sv_job *j, json_t *part, json_t *logprobs, const char *finish)
{
    const char *key = j->r.kind == SV_CHAT ? "delta" : "text";
    json_t *v = head(j, 1, choice(key, part, logprobs, finish));
    if (j->r.include_usage) json_object_set_new(v, "usage", json_null());
    return event(j, v);
}

/* The first event of a conversation's answer says who speaks. */
static int begin(sv_job *j)
{
    if (j->answer.begun || j->r.kind != SV_CHAT) return 0;
    j->answer.begun = 1;
    return piece(j, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), json_null(), NULL);
}

int sv_wire_reasoning(sv_job *j, const char *text, size_t n)
{
    if (!j->r.stream) return tool_buffer_add(&j->answer.reasoning, text, n);
    if (begin(j) < 0) return -1;
    return piece(j, json_pack("{s:o}", "reasoning_content", json_stringn(text, n)), json_null(),
                 NULL);
}

int sv_wire_content(sv_job *j, const char *text, size_t n)
{
    if (!j->r.stream) return tool_buffer_add(&j->answer.content, text, n);
    if (begin(j) < 0) return -1;
    json_t *v = json_stringn(text, n);
    return piece(j, j->r.kind == SV_CHAT ? json_pack("{s:o}", "content", v) : v,
                 sv_chances_take(j, 0), NULL);
}

/* ---- calls ---- */

/* Families without ids get one of the form that DeepSeek's servers give. */
static int name_call(sv_called *c, remora_text id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    unsigned char b[24];
    if (id.len > 0) return tool_buffer_add(&c->id, id.ptr, (size_t)id.len);
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b || tool_buffer_add(&c->id, "call_", 5) < 0)
        return -1;
    for (size_t i = 0; i < sizeof b; i++)
        if (tool_buffer_add(&c->id, &letters[b[i] % (sizeof letters - 1)], 1) < 0) return -1;
    return 0;
}

int sv_wire_call(sv_job *j, remora_text name, remora_text id)
{
    sv_answer *a = &j->answer;
    sv_called *grown = realloc(a->called, (a->n_called + 1) * sizeof *grown);
    if (grown == NULL) return -1;
    a->called = grown;
    sv_called *c = &grown[a->n_called++];
    memset(c, 0, sizeof *c);
    if (name_call(c, id) < 0 || tool_buffer_add(&c->name, name.ptr, (size_t)name.len) < 0 ||
        tool_buffer_add(&c->arguments, "", 0) < 0)
        return -1;
    if (!j->r.stream) return 0;
    if (begin(j) < 0) return -1;
    return piece(j,
                 json_pack("{s:[{s:i, s:s, s:s, s:{s:s, s:s}}]}", "tool_calls", "index",
                           (int)a->n_called - 1, "id", c->id.s, "type", "function", "function",
                           "name", c->name.s, "arguments", ""),
                 json_null(), NULL);
}

int sv_wire_arguments(sv_job *j, remora_text text)
{
    sv_answer *a = &j->answer;
    if (a->n_called == 0) return 0;
    if (!j->r.stream)
        return tool_buffer_add(&a->called[a->n_called - 1].arguments, text.ptr, (size_t)text.len);
    return piece(j,
                 json_pack("{s:[{s:i, s:{s:o}}]}", "tool_calls", "index", (int)a->n_called - 1,
                           "function", "arguments", json_stringn(text.ptr, (size_t)text.len)),
                 json_null(), NULL);
}

/* ---- the end ---- */

static const char *finish_word(const sv_answer *a)
{
    return a->finish == SV_LENGTH ? "length" : a->n_called > 0 ? "tool_calls" : "stop";
}

static json_t *text_of(const tool_buffer *b)
{
    return json_stringn(b->s ? b->s : "", b->n);
}

static json_t *message(const sv_answer *a)
{
    const int only_calls = a->n_called > 0 && a->content.n == 0;
    json_t *v = json_pack("{s:s, s:o}", "role", "assistant", "content",
                          only_calls ? json_null() : text_of(&a->content));
    if (a->reasoning.n > 0) json_object_set_new(v, "reasoning_content", text_of(&a->reasoning));
    if (a->n_called == 0) return v;
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_called; i++)
        json_array_append_new(list, json_pack("{s:o, s:s, s:{s:o, s:o}}", "id",
                                              text_of(&a->called[i].id), "type", "function",
                                              "function", "name", text_of(&a->called[i].name),
                                              "arguments", text_of(&a->called[i].arguments)));
    json_object_set_new(v, "tool_calls", list);
    return v;
}

/* The tokens of a stop string are not part of the answer. */
static json_t *last_chances(sv_job *j)
{
    return sv_chances_take(j, !j->answer.stops.found);
}

static int end_events(sv_job *j)
{
    static const char done[] = "data: [DONE]\n\n";
    json_t *const left = j->answer.n_chance > 0 ? last_chances(j) : json_null();
    if (begin(j) < 0) return -1;
    if (piece(j, j->r.kind == SV_CHAT ? json_object() : json_string(""), left,
              finish_word(&j->answer)) < 0)
        return -1;
    if (j->r.include_usage) {
        json_t *v = head(j, 1, json_array());
        json_object_set_new(v, "usage", usage(j));
        if (event(j, v) < 0) return -1;
    }
    return tool_buffer_add(&j->made, done, sizeof done - 1);
}

int sv_wire_end(sv_job *j)
{
    const sv_answer *a = &j->answer;
    if (j->r.stream) return end_events(j);
    const int is_chat = j->r.kind == SV_CHAT;
    json_t *v =
        head(j, 0,
             choice(is_chat ? "message" : "text", is_chat ? message(a) : text_of(&a->content),
                    last_chances(j), finish_word(a)));
    json_object_set_new(v, "usage", usage(j));
    return write_json(&j->made, v, "", "");
}

/* ---- problems, models ---- */

static json_t *problem(const sv_problem *why)
{
    json_t *text =
        json_string(why->message); /* a reason that was cut may end in half a character */
    if (text == NULL) text = json_string("the request could not be read");
    return json_pack("{s:{s:o, s:s, s:s?, s:s?}}", "error", "message", text, "type",
                     why->http < 500 ? "invalid_request_error" : "server_error", "param",
                     why->param, "code", why->code);
}

char *sv_wire_error(const sv_problem *why)
{
    json_t *v = problem(why);
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    json_decref(v);
    return text;
}

int sv_wire_problem(sv_job *j, const sv_problem *why)
{
    if (j->r.stream) return event(j, problem(why));
    j->made.n = 0;
    return write_json(&j->made, problem(why), "", "");
}

json_t *sv_wire_model(const sv_model *m)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:I}", "id", m->name, "object", "model", "created",
                     (json_int_t)m->created, "owned_by", "remora", "max_model_len",
                     (json_int_t)m->capacity);
}
