/* SPDX-License-Identifier: Apache-2.0 */
/* What a conversation may ask of a chat format. */
#include <string.h>

#include "renderer.h"
#include "utf8.h"

/* Bytes at p that are white space to Python's strip(); 0 when there is none. */
static size_t white(const unsigned char *p, size_t n)
{
    uint32_t c;
    const size_t len = rmr_utf8_step(p, n, &c);
    const int is = (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
                   c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
                   c == 0x202F || c == 0x205F || c == 0x3000;
    return is ? len : 0;
}

void rmr_chat_put_trimmed(rmr_chat_writer *w, const char *s, size_t n, int trim)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len;
    while (trim && n > 0 && (len = white(p, n)) > 0) p += len, n -= len;
    while (trim && n > 0) {
        size_t at = n - 1;
        while (at > 0 && (p[at] & 0xC0) == 0x80) at--;
        if (white(p + at, n - at) == 0) break;
        n = at;
    }
    rmr_chat_put(w, (const char *)p, n);
}

#define FAIL(r, status, ...) return rmr_error_set((r)->w->err, (status), 0, __VA_ARGS__)

static remora_status check_think(rmr_renderer *r)
{
    const rmr_chat_think *k = &r->f->think;
    const int on = r->wish->think == RMR_THINK_ON, off = r->wish->think == RMR_THINK_OFF;
    if (on && k->open == NULL)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s has no thinking to switch on", r->f->name);
    if (off && k->always)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s cannot switch thinking off", r->f->name);
    r->think = k->open != NULL && (on || (k->by_default && !off));
    return REMORA_OK;
}

static int has_tool(const rmr_renderer *r, const rmr_chat_str *name)
{
    for (size_t i = 0; i < r->c->n_tools; i++) {
        const rmr_json_span tool = {r->c->tools[i].p, r->c->tools[i].n};
        rmr_json_span v;
        if (rmr_json_text_get(tool, "function", &v) && rmr_json_text_get(v, "name", &v) &&
            rmr_json_text_is(v, name->p))
            return 1;
    }
    return 0;
}

static remora_status check_choice(rmr_renderer *r)
{
    const rmr_chat_wish *o = r->wish;
    if (o->choice < RMR_CHOICE_REQUIRED) return REMORA_OK;
    if (r->f->calls.args == RMR_ARGS_NONE)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s has no calls of tools", r->f->name);
    if (r->c->n_tools == 0) FAIL(r, REMORA_E_ARG, "a call is required, and there are no tools");
    if (o->choice == RMR_CHOICE_NAMED && !has_tool(r, &o->tool))
        FAIL(r, REMORA_E_ARG, "there is no tool of the name that is required");
    if (r->think && r->f->think.always)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s always thinks, so no call can be required",
             r->f->name);
    if (r->think) FAIL(r, REMORA_E_ARG, "a call is required, and thinking is not off");
    if (o->go_on || o->no_request || r->task != RMR_TASK_NONE)
        FAIL(r, REMORA_E_ARG, "a call is required, and no answer is asked for");
    return REMORA_OK;
}

static remora_status check_tools(rmr_renderer *r)
{
    const rmr_chat_format *f = r->f;
    const rmr_chat_wish *o = r->wish;
    const int any = r->c->n_tools > 0 || (r->c->tools_given && o->as_template && f->tools.if_empty);
    r->tools = any && o->choice != RMR_CHOICE_NONE;
    if (r->tools && f->tools.place == RMR_TOOLS_NOWHERE && !o->as_template)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s has no tools", f->name);
    if (f->tools.place == RMR_TOOLS_NOWHERE || (f->tools.borrowed && o->as_template)) r->tools = 0;
    return check_choice(r);
}

static remora_status check_turns(rmr_renderer *r)
{
    const rmr_chat_calls *k = &r->f->calls;
    for (size_t i = 0; i < r->c->n_turns; i++) {
        const rmr_chat_turn *t = &r->c->turns[i];
        if ((t->n_calls > 0 || t->role == RMR_ROLE_TOOL) && k->args == RMR_ARGS_NONE &&
            !r->wish->as_template)
            FAIL(r, REMORA_E_UNSUPPORTED, "turn %zu: chat format %s has no calls of tools", i,
                 r->f->name);
        if (k->one && t->n_calls > 1)
            FAIL(r, REMORA_E_UNSUPPORTED, "turn %zu has %zu calls: chat format %s has one at most",
                 i, t->n_calls, r->f->name);
        if (t->role == RMR_ROLE_REMINDER && r->f->reminder == NULL)
            FAIL(r, REMORA_E_UNSUPPORTED, "turn %zu: chat format %s has no reminders", i,
                 r->f->name);
    }
    return REMORA_OK;
}

static remora_status check_end(rmr_renderer *r)
{
    const rmr_chat_wish *o = r->wish;
    const rmr_chat_turn *last = r->c->n_turns > 0 ? &r->c->turns[r->c->n_turns - 1] : NULL;
    const int answered = last != NULL && last->role == RMR_ROLE_ASSISTANT;
    if (last == NULL) FAIL(r, REMORA_E_ARG, "the conversation has no turn");
    if (o->go_on && !answered)
        FAIL(r, REMORA_E_ARG, "the last turn is no answer that could be continued");
    if (o->go_on && last->n_calls > 0)
        FAIL(r, REMORA_E_ARG, "the answer that is to be continued has calls");
    if (o->go_on && r->f->takes == RMR_TAKES_ANSWERED)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s cannot continue an answer", r->f->name);
    if (o->no_request && !o->go_on &&
        (r->f->takes == RMR_TAKES_REQUESTS || (r->f->takes == RMR_TAKES_ANSWERED && !answered)))
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s always asks for an answer", r->f->name);
    return REMORA_OK;
}

static int says_json(const rmr_conversation *c)
{
    for (size_t i = 0; i < c->n_turns; i++) {
        const rmr_chat_str *s = &c->turns[i].text;
        for (size_t k = 0; k + 4 <= s->n; k++)
            if ((s->p[k] | 0x20) == 'j' && (s->p[k + 1] | 0x20) == 's' &&
                (s->p[k + 2] | 0x20) == 'o' && (s->p[k + 3] | 0x20) == 'n')
                return 1;
    }
    return 0;
}

static remora_status check_task(rmr_renderer *r)
{
    const size_t n = r->c->n_turns;
    if (n == 0 || r->wish->go_on || r->wish->no_request) return REMORA_OK;
    r->task = r->c->turns[n - 1].task;
    if (r->task != RMR_TASK_NONE && r->f->tasks == NULL)
        FAIL(r, REMORA_E_UNSUPPORTED, "chat format %s has no tasks", r->f->name);
    return REMORA_OK;
}

static void find_places(rmr_renderer *r)
{
    const int past = r->f->think.past;
    const ptrdiff_t n = (ptrdiff_t)r->c->n_turns;
    r->last_question = past == RMR_PAST_QWEN3 ? n - 1 : -1;
    r->last_plain = -1;
    for (ptrdiff_t i = n - 1, found = 0; i >= 0 && !found; i--) {
        const int role = r->c->turns[i].role;
        found = role == RMR_ROLE_USER || (role == RMR_ROLE_TOOL && past == RMR_PAST_DSML4);
        if (found) r->last_question = i;
    }
    /* Asking for another answer makes one that stands at the end a past one. */
    if (past == RMR_PAST_DSML4 && r->f->ask == RMR_ASK_ALWAYS && !r->wish->go_on)
        r->last_question = n;
    for (ptrdiff_t i = n - 1; i >= 0 && r->last_plain < 0; i--)
        if (r->c->turns[i].role == RMR_ROLE_ASSISTANT && r->c->turns[i].n_calls == 0)
            r->last_plain = i;
}

remora_status rmr_chat_check(rmr_renderer *r)
{
    RMR_TRY(check_think(r));
    RMR_TRY(check_task(r));
    RMR_TRY(check_tools(r));
    RMR_TRY(check_turns(r));
    RMR_TRY(check_end(r));
    if (r->wish->reply == RMR_REPLY_JSON && r->f->json_object != NULL && !says_json(r->c))
        FAIL(r, REMORA_E_ARG,
             "JSON is asked for, and no turn has the word: chat format %s needs it", r->f->name);
    find_places(r);
    return REMORA_OK;
}
