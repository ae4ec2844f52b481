/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations: handles around lib/chat's. */
#include <string.h>

#include "chat_choice.h"
#include "chat_handle.h"
#include "checks.h"
#include "json_text.h"
#include "render.h"

#define HANDLE "conversation" /* in messages */

_Static_assert((int)REMORA_ROLE_REMINDER == (int)RMR_ROLE_REMINDER &&
                   (int)REMORA_THINK_OFF == (int)RMR_THINK_OFF &&
                   (int)REMORA_CHOICE_NAMED == (int)RMR_CHOICE_NAMED,
               "the enums of lib/chat are those of the header");

remora_status remora_chat_format_name(uint32_t i, const char **name, remora_error *err)
{
    size_t n;
    const rmr_chat_format *all = rmr_chat_formats(&n);
    RMR_NEED(name != NULL, err, "name is NULL");
    if (i >= n) RMR_FAIL(err, REMORA_E_NOT_FOUND, "there are %zu chat formats", n);
    *name = all[i].name;
    return REMORA_OK;
}

static remora_status set_up(remora_chat *c, const remora_chat_opts *o, remora_error *err)
{
    if (o->flags != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_chat_opts.flags 0x%x are not known", o->flags);
    RMR_NEED(o->format == NULL || o->described == NULL, err, "format and described are both given");
    RMR_NEED(o->date.ptr != NULL || o->date.len == 0, err, "date is NULL and has a length");
    if (o->date.len >= sizeof c->date)
        RMR_FAIL(err, REMORA_E_LIMIT, "date has %llu bytes: at most %zu are supported",
                 (unsigned long long)o->date.len, sizeof c->date - 1);
    if (o->date.len > 0) memcpy(c->date, o->date.ptr, (size_t)o->date.len);
    if (o->date.len > 0 && memchr(c->date, 0, (size_t)o->date.len) != NULL)
        RMR_FAIL(err, REMORA_E_ARG, "date has a NUL");
    if (o->described == NULL) {
        RMR_TRY(rmr_api_chat_format(c->model, o->format, &c->format, err));
        return rmr_chat_suits(c->format, c->model->tok, err);
    }
    if (c->model->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the model has no tokenizer that this build can use");
    return rmr_api_chat_described(c, o->described, err);
}

remora_status remora_chat_create(remora_model *m, const remora_chat_opts *given, remora_chat **out,
                                 remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(m != NULL, err, "model is NULL");
    RMR_IN(remora_chat_opts, o, given, err);
    remora_chat *c = rmr_calloc(&m->session_mem, 1, sizeof *c);
    if (c == NULL) return rmr_error_nomem(err, "conversation", sizeof *c);
    c->model = m;
    rmr_model_ref(m);
    rmr_use_init(&c->use);
    rmr_conversation_init(&c->talk, &m->session_mem);
    const remora_status st = set_up(c, &o, err);
    if (st < 0)
        remora_chat_free(c);
    else
        *out = c;
    return st;
}

void remora_chat_free(remora_chat *c)
{
    if (c == NULL) return;
    remora_model *m = c->model;
    if (!rmr_use_is_lost(&c->use)) rmr_conversation_clear(&c->talk); /* else it is half changed */
    rmr_free(&m->session_mem, c->own_text, c->own_size);
    rmr_free(&m->session_mem, c, sizeof *c);
    rmr_model_unref(m);
}

/* ---- turns ---- */

static remora_status unused(const remora_turn *t, remora_error *err)
{
    if (t->role < REMORA_ROLE_SYSTEM || t->role > REMORA_ROLE_REMINDER)
        RMR_FAIL(err, REMORA_E_ARG, "remora_turn.role is %d; 1 to 5 are supported", t->role);
    RMR_NEED(t->calls != NULL || t->n_calls == 0, err, "calls is NULL");
    if (t->role != REMORA_ROLE_ASSISTANT && (t->reasoning.len > 0 || t->n_calls > 0))
        RMR_FAIL(err, REMORA_E_ARG, "only a turn of the assistant has reasoning and calls");
    if (t->role != REMORA_ROLE_TOOL && t->call_id.len > 0)
        RMR_FAIL(err, REMORA_E_ARG, "only the result of a call has a call_id");
    return REMORA_OK;
}

static remora_status set(rmr_conversation *c, rmr_chat_str *s, const char *what, remora_text t,
                         int is_name, remora_error *err)
{
    if (t.len == 0) return REMORA_OK;
    if (t.len > RMR_CHAT_MAX_BYTES)
        RMR_FAIL(err, REMORA_E_LIMIT, "%s has %llu bytes: at most %d are supported", what,
                 (unsigned long long)t.len, RMR_CHAT_MAX_BYTES);
    return is_name ? rmr_conversation_set_name(c, s, what, t.ptr, (size_t)t.len, err)
                   : rmr_conversation_set(c, s, what, t.ptr, (size_t)t.len, err);
}

static remora_status fill(rmr_conversation *c, const remora_turn *t, remora_error *err)
{
    rmr_chat_turn *turn;
    rmr_chat_call *call;
    RMR_TRY(rmr_conversation_turn(c, t->role, &turn, err));
    RMR_TRY(set(c, &turn->text, "text", t->text, 0, err));
    RMR_TRY(set(c, &turn->name, "name", t->name, 1, err));
    RMR_TRY(set(c, &turn->reasoning, "reasoning", t->reasoning, 0, err));
    RMR_TRY(set(c, &turn->call_id, "call_id", t->call_id, 1, err));
    for (uint64_t i = 0; i < t->n_calls; i++) {
        RMR_NEED(t->calls[i].name.len > 0, err, "a call has no name");
        RMR_TRY(rmr_conversation_call(c, turn, &call, err));
        RMR_TRY(set(c, &call->id, "id of a call", t->calls[i].id, 1, err));
        RMR_TRY(set(c, &call->name, "name of a call", t->calls[i].name, 1, err));
        RMR_TRY(set(c, &call->args, "arguments", t->calls[i].arguments, 0, err));
    }
    return REMORA_OK;
}

remora_status remora_chat_add(remora_chat *c, const remora_turn *given, remora_error *err)
{
    rmr_conversation fresh;
    RMR_NEED(c != NULL && given != NULL, err, "conversation or turn is NULL");
    RMR_IN(remora_turn, t, given, err);
    RMR_TRY(unused(&t, err));
    RMR_TRY(rmr_use_begin(&c->use, HANDLE, err));
    rmr_conversation_init(&fresh, c->talk.mem);
    remora_status st = fill(&fresh, &t, err);
    if (st >= 0) st = rmr_conversation_add(&c->talk, &fresh, err);
    if (st < 0) rmr_conversation_clear(&fresh);
    rmr_use_end(&c->use);
    return st;
}

remora_status remora_chat_add_tool(remora_chat *c, const char *json, size_t len, remora_error *err)
{
    RMR_NEED(c != NULL && json != NULL, err, "conversation or json is NULL");
    RMR_TRY(rmr_use_begin(&c->use, HANDLE, err));
    const remora_status st = rmr_conversation_tool(&c->talk, json, len, err);
    rmr_use_end(&c->use);
    return st;
}

remora_status remora_chat_add_json(remora_chat *c, const char *json, size_t len, remora_error *err)
{
    RMR_NEED(c != NULL && json != NULL, err, "conversation or json is NULL");
    RMR_TRY(rmr_use_begin(&c->use, HANDLE, err));
    const remora_status st = rmr_conversation_add_json(&c->talk, json, len, err);
    rmr_use_end(&c->use);
    return st;
}

remora_status remora_chat_trim(remora_chat *c, uint64_t keep, remora_error *err)
{
    remora_status st = REMORA_OK;
    RMR_NEED(c != NULL, err, "conversation is NULL");
    RMR_TRY(rmr_use_begin(&c->use, HANDLE, err));
    if (keep > c->talk.n_turns)
        st = rmr_error_set(err, REMORA_E_ARG, 0, "there are %zu turns, and %llu are to be kept",
                           c->talk.n_turns, (unsigned long long)keep);
    else
        rmr_conversation_trim(&c->talk, (size_t)keep);
    rmr_use_end(&c->use);
    return st;
}

/* ---- prompts ---- */

static remora_status check_prompt(const remora_prompt_opts *o, remora_error *err)
{
    const uint32_t flags =
        REMORA_PROMPT_CONTINUE | REMORA_PROMPT_NO_REQUEST | REMORA_PROMPT_AS_TEMPLATE;
    if (o->flags & ~flags)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_prompt_opts.flags 0x%x are not known; 0x%x are",
                 o->flags, flags);
    if (o->reserved != 0) RMR_FAIL(err, REMORA_E_STRUCT, "remora_prompt_opts.reserved is not 0");
    if (o->think < 0 || o->think > REMORA_THINK_OFF || o->choice < 0 ||
        o->choice > REMORA_CHOICE_NAMED || o->effort > 100)
        RMR_FAIL(err, REMORA_E_ARG,
                 "remora_prompt_opts has think %d, choice %d and effort %u; supported are 0 to 2, "
                 "0 to 3 and 0 to 100",
                 o->think, o->choice, o->effort);
    if ((o->choice == REMORA_CHOICE_NAMED) != (o->tool.len > 0))
        RMR_FAIL(err, REMORA_E_ARG,
                 "remora_prompt_opts.tool is for choice NAMED, and for it alone");
    RMR_NEED(o->tool.ptr != NULL || o->tool.len == 0, err, "tool is NULL");
    RMR_NEED(o->schema.ptr != NULL || o->schema.len == 0, err, "schema is NULL");
    return REMORA_OK;
}

remora_status rmr_api_chat_wish(const remora_chat *c, const remora_prompt_opts *o,
                                char name[RMR_CHAT_MAX_NAME + 1], rmr_chat_wish *w,
                                remora_error *err)
{
    rmr_json_span schema;
    *w = c->talk.wish;
    RMR_TRY(check_prompt(o, err));
    if (o->think != 0) w->think = (uint8_t)o->think;
    if (o->effort != 0) w->effort = o->effort;
    if (o->choice != 0) w->choice = (uint8_t)o->choice;
    if (o->flags & REMORA_PROMPT_CONTINUE) w->go_on = 1;
    if (o->flags & REMORA_PROMPT_NO_REQUEST) w->no_request = 1;
    w->as_template = (o->flags & REMORA_PROMPT_AS_TEMPLATE) != 0;
    if (o->tool.len > RMR_CHAT_MAX_NAME)
        RMR_FAIL(err, REMORA_E_LIMIT, "tool has %llu bytes: at most %d are supported",
                 (unsigned long long)o->tool.len, RMR_CHAT_MAX_NAME);
    if (o->tool.len > 0) {
        memcpy(name, o->tool.ptr, (size_t)o->tool.len);
        name[o->tool.len] = 0;
        w->tool = (rmr_chat_str){name, (size_t)o->tool.len};
    }
    if (o->schema.len > 0) {
        RMR_TRY(rmr_json_text_check("schema", o->schema.ptr, (size_t)o->schema.len, &schema, err));
        w->reply = RMR_REPLY_SCHEMA;
        w->schema = (rmr_chat_str){(char *)(uintptr_t)o->schema.ptr, (size_t)o->schema.len};
    }
    return REMORA_OK;
}

int32_t rmr_api_chat_place(const remora_chat *c, const rmr_chat_wish *w, int begin)
{
    const rmr_chat_think *k = &c->format->think;
    if (begin == RMR_BEGIN_CALLS) return REMORA_PLACE_CALLS;
    if (begin == RMR_BEGIN_REASONING) return REMORA_PLACE_REASONING;
    const int on = w->think == RMR_THINK_ON || (k->by_default && w->think != RMR_THINK_OFF);
    return k->by_model && on && !w->go_on ? REMORA_PLACE_START : REMORA_PLACE_CONTENT;
}

const char *rmr_api_chat_date(const remora_chat *c)
{
    return c->date[0] != 0 ? c->date : NULL;
}

static remora_status write_prompt(const remora_chat *c, const rmr_chat_wish *wish,
                                  rmr_chat_writer *w, remora_prompt_info *info, remora_token *out,
                                  size_t cap, size_t *n)
{
    int begin = RMR_BEGIN_ANSWER;
    RMR_TRY(rmr_chat_render(&c->talk, wish, c->format, rmr_api_chat_date(c), w, &begin));
    info->begin = rmr_api_chat_place(c, wish, begin);
    info->calls = c->talk.n_tools > 0 && wish->choice != RMR_CHOICE_NONE &&
                  c->format->calls.args != RMR_ARGS_NONE;
    info->text_bytes = w->n;
    RMR_TRY(rmr_chat_suits_turns(c->format, &c->talk, c->model->tok, w->err));
    return rmr_tokenizer_encode_ranges(c->model->tok, w->text, w->n, w->markup, w->n_markup, out,
                                       cap, n, w->err);
}

remora_status remora_chat_prompt(const remora_chat *c, const remora_prompt_opts *given,
                                 remora_token *out, size_t cap, size_t *n, remora_prompt_info *info,
                                 remora_error *err)
{
    char name[RMR_CHAT_MAX_NAME + 1];
    rmr_chat_wish wish;
    remora_prompt_info made = {0};
    RMR_NEED(c != NULL && n != NULL, err, "conversation or n is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_IN(remora_prompt_opts, o, given, err);
    RMR_TRY(rmr_use_look(&c->use, HANDLE, err));
    if (info != NULL) RMR_TRY(RMR_OUT(remora_prompt_info, info, made, err));
    RMR_TRY(rmr_api_chat_wish(c, &o, name, &wish, err));
    rmr_chat_writer w = {.mem = c->talk.mem, .err = err};
    const remora_status st = write_prompt(c, &wish, &w, &made, out, cap, n);
    rmr_chat_writer_free(&w);
    if (info != NULL && (st >= 0 || st == REMORA_E_BUFFER))
        RMR_TRY(RMR_OUT(remora_prompt_info, info, made, err));
    return st;
}

remora_status remora_chat_get_info(const remora_chat *c, remora_chat_info *out, remora_error *err)
{
    RMR_NEED(c != NULL && out != NULL, err, "conversation or out is NULL");
    RMR_TRY(rmr_use_look(&c->use, HANDLE, err));
    const rmr_chat_think *k = &c->format->think;
    remora_chat_info info = {.n_turns = (uint32_t)c->talk.n_turns,
                             .n_tools = (uint32_t)c->talk.n_tools,
                             .has_calls = c->format->calls.args != RMR_ARGS_NONE,
                             .thinks = k->open == NULL ? 0
                                       : k->always     ? 3
                                       : k->by_default ? 2
                                                       : 1};
    memcpy(info.format, c->format->name, strlen(c->format->name)); /* all are shorter */
    return RMR_OUT(remora_chat_info, out, info, err);
}
