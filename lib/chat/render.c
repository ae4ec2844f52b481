/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of a prompt: systems, users, and who speaks next. Answers are in render_answer.c, tools
 * and results in render_tools.c. */
#include "render.h"

#include <stdio.h>
#include <string.h>

#include "renderer.h"

static const char *texts(const char *s)
{
    return s != NULL ? s : "";
}

static void put_text(rmr_renderer *r, const rmr_chat_turn *t)
{
    rmr_chat_put_trimmed(r->w, t->text.p, t->text.n, r->f->trim);
}

void rmr_chat_open(rmr_renderer *r, const char *open, const rmr_chat_turn *t, const char *role)
{
    rmr_chat_mark(r->w, open);
    if (r->f->name_close == NULL) return;
    if (t != NULL && t->name.n > 0)
        rmr_chat_put(r->w, t->name.p, t->name.n);
    else
        rmr_chat_mark(r->w, role);
    rmr_chat_mark(r->w, r->f->name_close);
}

/* ---- system ---- */

static uint32_t effort_of(const rmr_renderer *r)
{
    return r->wish->effort > 0 ? r->wish->effort : 75;
}

/* The effort as a paragraph in front of everything. */
static void put_effort(rmr_renderer *r)
{
    const rmr_chat_efforts *e = &r->f->efforts;
    const uint32_t n = effort_of(r);
    if (!r->think || e->style != RMR_EFFORT_TEXTS) return;
    rmr_chat_mark(r->w, n < 75 ? e->low : n < 100 ? e->high : e->max);
}

/* ... and as a number in the first system turn. */
static void put_effort_number(rmr_renderer *r)
{
    char n[16];
    if (!r->think || r->f->efforts.style != RMR_EFFORT_NUMBER) return;
    snprintf(n, sizeof n, "%u", effort_of(r));
    rmr_chat_mark(r->w, r->f->efforts.open);
    rmr_chat_mark(r->w, n);
    rmr_chat_mark(r->w, r->f->efforts.close);
}

static void put_reply(rmr_renderer *r)
{
    if (r->wish->reply == RMR_REPLY_JSON) {
        rmr_chat_mark(r->w, r->f->json_object);
    } else if (r->wish->reply == RMR_REPLY_SCHEMA && r->f->json_schema != NULL) {
        rmr_json_span v;
        rmr_chat_mark(r->w, r->f->json_schema);
        if (rmr_json_text_check("schema", r->wish->schema.p, r->wish->schema.n, &v, NULL) >= 0)
            rmr_json_text_print(r->w, v, 0);
    }
}

/* The texts of all system turns in front, as the format takes them. */
static void put_gathered(rmr_renderer *r)
{
    const rmr_chat_turn *last = NULL;
    for (size_t i = 0; i < r->c->n_turns; i++) {
        const rmr_chat_turn *t = &r->c->turns[i];
        if (t->role != RMR_ROLE_SYSTEM) continue;
        if (r->f->system_rule == RMR_SYSTEM_JOINED) {
            if (last != NULL) rmr_chat_mark(r->w, "\n\n");
            put_text(r, t);
        }
        last = t;
    }
    if (last != NULL && r->f->system_rule == RMR_SYSTEM_LAST) put_text(r, last);
}

static void put_lead(rmr_renderer *r)
{
    const rmr_chat_format *f = r->f;
    if (f->system_lead == NULL) return;
    if (r->tools) rmr_chat_mark(r->w, f->system_lead_tools);
    rmr_chat_mark(r->w, f->system_lead);
    if (r->date != NULL)
        rmr_chat_put(r->w, r->date, strlen(r->date));
    else
        rmr_chat_mark(r->w, f->system_lead_date);
    rmr_chat_mark(r->w, f->system_lead_end);
}

/* The first system turn, which may be the format's own. `t`: the host's, or NULL. */
static void put_first_system(rmr_renderer *r, const rmr_chat_turn *t)
{
    const rmr_chat_format *f = r->f;
    const int there = t != NULL || f->system_rule != RMR_SYSTEM_IN_PLACE;
    const int tools = r->tools && f->tools.place == RMR_TOOLS_SYSTEM;
    const int reply = (r->wish->reply == RMR_REPLY_JSON && f->json_object != NULL) ||
                      (r->wish->reply == RMR_REPLY_SCHEMA && f->json_schema != NULL);
    const int number = r->think && f->efforts.style == RMR_EFFORT_NUMBER;
    const int others = tools || reply || number || f->system_lead != NULL;
    if (!there && !others && f->system_default == NULL) return;
    if (f->system_if_any && !others && (t == NULL || t->text.n == 0)) return;
    rmr_chat_open(r, f->system.open, t, "system");
    put_lead(r);
    put_effort_number(r);
    if (f->system_rule != RMR_SYSTEM_IN_PLACE)
        put_gathered(r);
    else if (t != NULL)
        put_text(r, t);
    else
        rmr_chat_mark(r->w, f->system_default);
    if (tools) rmr_chat_put_tools(r, !there && f->system_default == NULL);
    put_reply(r);
    rmr_chat_mark(r->w, f->system.close);
}

static void put_system(rmr_renderer *r, const rmr_chat_turn *t)
{
    if (r->f->system_if_any && t->text.n == 0) return;
    rmr_chat_open(r, r->f->system.open, t, "system");
    put_text(r, t);
    rmr_chat_mark(r->w, r->f->system.close);
}

/* ---- users ---- */

/* 1 when the turn at i is part of a user's turn. */
static int is_users(const rmr_renderer *r, size_t i)
{
    if (i >= r->c->n_turns) return 0;
    const int role = r->c->turns[i].role;
    return role == RMR_ROLE_USER || (role == RMR_ROLE_TOOL && r->f->results.in_user);
}

/* The assistant's marker behind a user's turn, and the tag that its answer will have. */
static void ask_with_user(rmr_renderer *r, size_t i)
{
    rmr_chat_open(r, r->f->assistant.open, NULL, "assistant");
    rmr_chat_tag(r, i);
}

/* In a family whose user's turn ends with the assistant's marker, whether it does so before turn i:
 * not where a reminder comes between, nor where a task is asked for instead. */
static int asks_before(const rmr_renderer *r, size_t i)
{
    if (r->f->open != RMR_OPEN_WITH_USER) return 0;
    if (i == r->c->n_turns) return r->task == RMR_TASK_NONE || r->task == RMR_TASK_ACTION;
    return r->c->turns[i].role != RMR_ROLE_REMINDER;
}

/* The user's turn that begins at i; returns the turn behind it. */
static size_t put_users(rmr_renderer *r, size_t i)
{
    const size_t first = i;
    size_t end = i + 1;
    while (r->f->merge_users && is_users(r, end)) end++;
    if (r->f->results.in_user) rmr_chat_order_results(r, first, end);
    for (; i < end && r->w->status >= 0; i++) {
        const rmr_chat_turn *t = &r->c->turns[i];
        if (i == first)
            rmr_chat_open(r, r->f->user.open, t->role == RMR_ROLE_USER ? t : NULL, "user");
        else
            rmr_chat_mark(r->w, "\n\n");
        if (t->role == RMR_ROLE_TOOL) {
            rmr_chat_put_next_result(r, first, end);
            continue;
        }
        if (r->tools && r->f->tools.place == RMR_TOOLS_FIRST_USER && !r->user_seen)
            rmr_chat_put_tools(r, 0);
        r->user_seen = 1;
        put_text(r, t);
    }
    rmr_chat_mark(r->w, r->f->user.close);
    if (asks_before(r, end)) ask_with_user(r, end - 1);
    r->before = RMR_BEFORE_USER;
    return end;
}

/* A reminder stands where it is, and the answer follows it as it does a user's turn. */
static void put_reminder(rmr_renderer *r, size_t i)
{
    rmr_chat_mark(r->w, r->f->reminder);
    put_text(r, &r->c->turns[i]);
    if (!is_users(r, i + 1) && asks_before(r, i + 1)) ask_with_user(r, i);
    r->before = RMR_BEFORE_USER;
}

/* ---- the end ---- */

static int asks(const rmr_renderer *r)
{
    if (r->f->open == RMR_OPEN_WITH_USER && r->before == RMR_BEFORE_USER) return 0; /* it has */
    switch (r->f->ask) {
    case RMR_ASK_ALWAYS: return 1;
    case RMR_ASK_UNLESS_RESULTS: return r->before != RMR_BEFORE_RESULTS;
    case RMR_ASK_IF_ASKED: return r->before == RMR_BEFORE_USER;
    default: return 0;
    }
}

static void ask(rmr_renderer *r)
{
    if (!asks(r)) return;
    if (r->f->generation != NULL)
        rmr_chat_mark(r->w, r->f->generation);
    else
        rmr_chat_open(r, r->f->assistant.open, NULL, "assistant");
    const char *tag = r->think ? r->f->think.on : r->f->think.off;
    rmr_chat_mark(r->w, tag);
    r->opened = r->think && texts(tag)[0] != 0 ? RMR_OPENED_REASONING : RMR_OPENED_ANSWER;
}

/* A task stands in place of the request for an answer, that of an action behind it. */
static void ask_for_task(rmr_renderer *r)
{
    if (r->task == RMR_TASK_ACTION) ask(r);
    rmr_chat_mark(r->w, r->f->tasks[r->task - RMR_TASK_ACTION]);
    r->opened = RMR_OPENED_ANSWER;
}

static void require_call(rmr_renderer *r)
{
    if (r->wish->choice < RMR_CHOICE_REQUIRED) return;
    rmr_chat_mark(r->w, r->f->calls.block_open);
    r->begins_with_calls = texts(r->f->calls.block_open)[0] != 0;
}

static void put_turns(rmr_renderer *r)
{
    const rmr_conversation *c = r->c;
    size_t i = 0;
    if (r->f->system_rule == RMR_SYSTEM_IN_PLACE && c->n_turns > 0 &&
        c->turns[0].role == RMR_ROLE_SYSTEM)
        i = 1;
    put_first_system(r, i > 0 ? &c->turns[0] : NULL);
    while (i < c->n_turns && r->w->status >= 0) {
        if (is_users(r, i)) {
            i = put_users(r, i);
        } else if (c->turns[i].role == RMR_ROLE_TOOL) {
            i = rmr_chat_put_results(r, i);
        } else if (c->turns[i].role == RMR_ROLE_ASSISTANT) {
            rmr_chat_put_answer(r, i++);
        } else if (c->turns[i].role == RMR_ROLE_REMINDER) {
            put_reminder(r, i++);
        } else {
            if (r->f->system_rule == RMR_SYSTEM_IN_PLACE) put_system(r, &c->turns[i]);
            i++;
        }
    }
}

static void put_prompt(rmr_renderer *r)
{
    rmr_chat_mark(r->w, r->f->bos);
    put_effort(r);
    if (r->tools && r->f->tools.place == RMR_TOOLS_TURN) rmr_chat_put_tools(r, 0);
    put_turns(r);
    if (r->w->status < 0 || r->wish->go_on) return;
    if (r->wish->no_request) return;
    if (r->task != RMR_TASK_NONE)
        ask_for_task(r);
    else
        ask(r);
    require_call(r);
}

remora_status rmr_chat_render(const rmr_conversation *c, const rmr_chat_wish *wish,
                              const rmr_chat_format *f, const char *date, rmr_chat_writer *w,
                              int *begin)
{
    rmr_renderer r = {.c = c, .wish = wish, .f = f, .date = date, .w = w};
    const remora_status st = rmr_chat_check(&r);
    if (st < 0) {
        w->status = st;
        return st;
    }
    put_prompt(&r);
    *begin = r.begins_with_calls                ? RMR_BEGIN_CALLS
             : r.opened == RMR_OPENED_REASONING ? RMR_BEGIN_REASONING
                                                : RMR_BEGIN_ANSWER;
    return w->status;
}
