/* SPDX-License-Identifier: Apache-2.0 */
/* What the answer to a conversation's prompt may be. */
#include <string.h>

#include "answer_grammar.h"
#include "chat_handle.h"
#include "checks.h"
#include "constraint_handle.h"
#include "parse.h"
#include "render.h"

static remora_status check(const remora_answer_opts *o, remora_error *err)
{
    const uint32_t flags = REMORA_ANSWER_ONE_CALL | REMORA_ANSWER_LAX;
    if (o->flags & ~flags)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_answer_opts.flags 0x%x are not known; 0x%x are",
                 o->flags, flags);
    return REMORA_OK;
}

/* Where the prompt ends: it is written for that, and for what it refuses. */
static remora_status find_place(const remora_chat *c, const rmr_chat_wish *wish, int *place,
                                remora_error *err)
{
    rmr_chat_writer w = {.mem = c->talk.mem, .err = err};
    int begin = RMR_BEGIN_ANSWER;
    const remora_status st =
        rmr_chat_render(&c->talk, wish, c->format, rmr_api_chat_date(c), &w, &begin);
    rmr_chat_writer_free(&w);
    RMR_TRY(st);
    switch (rmr_api_chat_place(c, wish, begin)) {
    case REMORA_PLACE_CALLS: *place = RMR_PARSE_CALLS; break;
    case REMORA_PLACE_REASONING: *place = RMR_PARSE_REASONING; break;
    case REMORA_PLACE_START: *place = RMR_PARSE_START; break;
    default: *place = RMR_PARSE_CONTENT;
    }
    return REMORA_OK;
}

static remora_status make(rmr_grammar *g, void *user, remora_error *err)
{
    return rmr_answer_grammar(g, user, err);
}

remora_status remora_chat_constraint(const remora_chat *c, const remora_prompt_opts *prompt,
                                     const remora_answer_opts *given, remora_constraint **out,
                                     remora_error *err)
{
    char name[RMR_CHAT_MAX_NAME + 1];
    rmr_chat_wish wish;
    rmr_tool_types types;
    int place = 0;
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(c != NULL, err, "conversation is NULL");
    RMR_IN(remora_prompt_opts, p, prompt, err);
    RMR_IN(remora_answer_opts, o, given, err);
    RMR_TRY(check(&o, err));
    RMR_TRY(rmr_use_look(&c->use, "conversation", err));
    RMR_TRY(rmr_api_chat_wish(c, &p, name, &wish, err));
    if (wish.no_request && !wish.go_on)
        RMR_FAIL(err, REMORA_E_ARG,
                 "the prompt is to end without asking for an answer that could be bounded");
    RMR_TRY(find_place(c, &wish, &place, err));
    RMR_TRY(rmr_tool_types_make(&types, &c->model->session_mem, &c->talk, err));
    rmr_answer_rules rules = {.talk = &c->talk,
                              .wish = &wish,
                              .format = c->format,
                              .tok = c->model->tok,
                              .types = &types,
                              .place = place,
                              .one = (o.flags & REMORA_ANSWER_ONE_CALL) != 0,
                              .lax = (o.flags & REMORA_ANSWER_LAX) != 0,
                              .left_out = rmr_api_left_out,
                              .user = c->model};
    const rmr_limits lim = {.bytes = o.memory, .step = o.steps};
    const remora_status st = rmr_api_constraint(c->model, &lim, make, &rules, out, err);
    rmr_tool_types_free(&types, &c->model->session_mem);
    return st;
}
