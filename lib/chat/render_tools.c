/* SPDX-License-Identifier: Apache-2.0 */
/* Tools, calls and results. */
#include <stdio.h>
#include <string.h>

#include "renderer.h"

/* ---- tools ---- */

/* A text without its quotes; other values as they are printed. */
static void put_value(rmr_renderer *r, rmr_json_span v)
{
    if (rmr_json_text_kind(v) != '"') {
        rmr_json_text_print(r->w, v, 0);
        return;
    }
    char *text = rmr_alloc(r->w->mem, v.size);
    if (text == NULL) {
        if (r->w->status >= 0) r->w->status = rmr_error_nomem(r->w->err, "a text", v.size);
        return;
    }
    rmr_chat_put(r->w, text, rmr_json_text_decode(v, text));
    rmr_free(r->w->mem, text, v.size);
}

static void put_headed(rmr_renderer *r, rmr_json_span function)
{
    rmr_json_span v;
    if (rmr_json_text_get(function, "name", &v)) put_value(r, v);
    rmr_chat_mark(r->w, r->f->tools.head_description);
    if (rmr_json_text_get(function, "description", &v)) put_value(r, v);
    rmr_chat_mark(r->w, r->f->tools.head_parameters);
    if (rmr_json_text_get(function, "parameters", &v))
        rmr_json_text_print(r->w, v, 0);
    else
        rmr_chat_put(r->w, "{}", 2);
}

void rmr_chat_put_tools(rmr_renderer *r, int alone)
{
    const rmr_chat_tools *t = &r->f->tools;
    rmr_chat_mark(r->w, alone && t->alone != NULL ? t->alone : t->open);
    for (size_t i = 0; i < r->c->n_tools && r->w->status >= 0; i++) {
        rmr_json_span tool = {r->c->tools[i].p, r->c->tools[i].n}, function = tool;
        rmr_json_text_get(tool, "function", &function);
        if (i > 0) rmr_chat_mark(r->w, t->between);
        rmr_chat_mark(r->w, t->each_open);
        switch (t->as) {
        case RMR_TOOL_OBJECT: rmr_json_text_print(r->w, tool, 0); break;
        case RMR_TOOL_FUNCTION: rmr_json_text_print(r->w, function, 0); break;
        case RMR_TOOL_INDENTED: rmr_json_text_print(r->w, tool, 4); break;
        default: put_headed(r, function); break;
        }
        rmr_chat_mark(r->w, t->each_close);
    }
    rmr_chat_mark(r->w, t->close);
}

/* ---- calls ---- */

static void put_param(rmr_renderer *r, rmr_json_span key, rmr_json_span v)
{
    const rmr_chat_calls *k = &r->f->calls;
    const int text = rmr_json_text_kind(v) == '"';
    rmr_chat_mark(r->w, k->param_open);
    put_value(r, key);
    rmr_chat_mark(r->w, k->param_kind);
    if (k->args == RMR_ARGS_PARAMS) {
        rmr_chat_mark(r->w, text ? "true" : "false");
        rmr_chat_mark(r->w, k->param_value);
    }
    put_value(r, v);
    rmr_chat_mark(r->w, k->param_close);
}

/* What is no object of JSON is one parameter of this name, as it is. */
static void put_raw_param(rmr_renderer *r, const rmr_chat_call *call)
{
    const rmr_chat_calls *k = &r->f->calls;
    rmr_chat_mark(r->w, k->param_open);
    rmr_chat_mark(r->w, "arguments");
    rmr_chat_mark(r->w, k->param_kind);
    if (k->args == RMR_ARGS_PARAMS) {
        rmr_chat_mark(r->w, "true");
        rmr_chat_mark(r->w, k->param_value);
    }
    rmr_chat_put(r->w, call->args.p, call->args.n);
    rmr_chat_mark(r->w, k->param_close);
    rmr_chat_mark(r->w, k->params_end);
}

static void put_params(rmr_renderer *r, rmr_json_span args)
{
    const rmr_chat_calls *k = &r->f->calls;
    rmr_json_items it = rmr_json_text_open(args);
    rmr_json_span key, v;
    size_t n = 0;
    for (; rmr_json_text_member(&it, &key, &v); n++) {
        if (n > 0) rmr_chat_mark(r->w, k->param_between);
        put_param(r, key, v);
    }
    rmr_chat_mark(r->w, n > 0 ? k->params_end : k->no_params);
}

static void put_arguments(rmr_renderer *r, const rmr_chat_call *call)
{
    const uint8_t how = r->f->calls.args;
    const int params = how == RMR_ARGS_PARAMS || how == RMR_ARGS_TAGS;
    const char *text = call->args.n > 0 ? call->args.p : "{}";
    const size_t n = call->args.n > 0 ? call->args.n : 2;
    rmr_json_span v;
    if (how == RMR_ARGS_TEXT)
        rmr_chat_put(r->w, text, n);
    else if (rmr_json_text_check("arguments", text, n, &v, NULL) < 0 ||
             (params && rmr_json_text_kind(v) != '{')) {
        if (params)
            put_raw_param(r, call);
        else
            rmr_chat_put(r->w, text, n);
    } else if (params)
        put_params(r, v);
    else
        rmr_json_text_print(r->w, v, 0);
}

static void put_number(rmr_renderer *r, size_t i)
{
    char number[24];
    snprintf(number, sizeof number, ":%zu", i);
    rmr_chat_mark(r->w, number);
}

void rmr_chat_put_calls(rmr_renderer *r, const rmr_chat_turn *t, int after_text)
{
    const rmr_chat_calls *k = &r->f->calls;
    if (t->n_calls == 0 || k->args == RMR_ARGS_NONE) return;
    if (after_text) rmr_chat_mark(r->w, k->after_text);
    rmr_chat_mark(r->w, k->block_open);
    for (size_t i = 0; i < t->n_calls && r->w->status >= 0; i++) {
        const rmr_chat_call *call = &t->calls[i];
        if (i > 0) rmr_chat_mark(r->w, k->between);
        rmr_chat_mark(r->w, k->call_open);
        rmr_chat_put(r->w, call->name.p, call->name.n);
        if (k->numbered) put_number(r, r->n_calls);
        r->n_calls++;
        rmr_chat_mark(r->w, k->name_close);
        put_arguments(r, call);
        rmr_chat_mark(r->w, k->call_close);
    }
    rmr_chat_mark(r->w, k->block_close);
}

/* ---- results ---- */

static int same(const rmr_chat_str *a, const rmr_chat_str *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static void fail(rmr_renderer *r, size_t i, const char *what)
{
    if (r->w->status >= 0)
        r->w->status =
            rmr_error_set(r->w->err, REMORA_E_ARG, 0, "turn %zu cannot be sent: %s", i, what);
}

/* The last answer before turn i; -1 when there is none. */
static ptrdiff_t answer_before(const rmr_renderer *r, size_t i)
{
    while (i > 0)
        if (r->c->turns[--i].role == RMR_ROLE_ASSISTANT) return (ptrdiff_t)i;
    return -1;
}

/* The place among the calls of answer `a` of the call that result i is of; without an id it is that
 * of the result among the results. The number of calls when there is none. */
static size_t call_of(const rmr_renderer *r, size_t a, size_t i)
{
    const rmr_chat_turn *answer = &r->c->turns[a], *result = &r->c->turns[i];
    const int in_order = r->wish->as_template && r->f->results.by_id; /* Kimi's has a queue */
    size_t k = 0;
    if (result->call_id.n > 0 && !in_order) {
        while (k < answer->n_calls && !same(&answer->calls[k].id, &result->call_id)) k++;
        return k;
    }
    for (size_t j = a + 1; j < i; j++) k += r->c->turns[j].role == RMR_ROLE_TOOL;
    return k < answer->n_calls ? k : answer->n_calls;
}

/* The id that the family gives the call of result i: functions.NAME:i. */
static void put_id(rmr_renderer *r, size_t i)
{
    for (ptrdiff_t a = answer_before(r, i); a >= 0; a = answer_before(r, (size_t)a)) {
        const rmr_chat_turn *answer = &r->c->turns[a];
        const size_t k = call_of(r, (size_t)a, i);
        if (k == answer->n_calls) continue;
        size_t number = k;
        for (ptrdiff_t j = 0; j < a; j++) number += r->c->turns[j].n_calls;
        rmr_chat_mark(r->w, "functions.");
        rmr_chat_put(r->w, answer->calls[k].name.p, answer->calls[k].name.n);
        put_number(r, number);
        rmr_chat_mark(r->w, "\n");
        return;
    }
    fail(r, i, "this result is of no call");
}

static void put_result(rmr_renderer *r, size_t i)
{
    const rmr_chat_results *k = &r->f->results;
    const rmr_chat_turn *t = &r->c->turns[i];
    rmr_chat_mark(r->w, k->open);
    if (k->by_id) put_id(r, i);
    if (k->quoted)
        rmr_json_text_quote(r->w, t->text.p, t->text.n);
    else
        rmr_chat_put_trimmed(r->w, t->text.p, t->text.n, r->f->trim);
    rmr_chat_mark(r->w, k->close);
}

size_t rmr_chat_put_results(rmr_renderer *r, size_t i)
{
    const rmr_chat_results *k = &r->f->results;
    const size_t first = i;
    const ptrdiff_t a = answer_before(r, i);
    size_t end = i;
    while (end < r->c->n_turns && r->c->turns[end].role == RMR_ROLE_TOOL) end++;
    if (k->open == NULL) return end; /* the family has none: see rmr_chat_check */
    if (k->strict && (a < 0 || end - first > r->c->turns[a].n_calls))
        fail(r, first, "there are more results than calls");
    rmr_chat_mark(r->w, k->block_open);
    for (; i < end && r->w->status >= 0; i++) {
        if (i > first) rmr_chat_mark(r->w, k->between);
        put_result(r, i);
    }
    rmr_chat_mark(r->w, k->block_close);
    if (k->tagged) rmr_chat_tag(r, first);
    r->before = RMR_BEFORE_RESULTS;
    return end;
}

void rmr_chat_order_results(rmr_renderer *r, size_t first, size_t end)
{
    const ptrdiff_t a = answer_before(r, first);
    r->asked = a < 0 ? 0 : (size_t)a;
    r->next_call = 0;
    for (size_t i = first; i < end; i++) {
        if (r->c->turns[i].role != RMR_ROLE_TOOL) continue;
        if (a < 0 || r->c->turns[a].n_calls == 0)
            fail(r, i, "this result follows no call");
        else if (call_of(r, (size_t)a, i) == r->c->turns[a].n_calls)
            fail(r, i, "this result is of no call of the answer before it");
    }
}

void rmr_chat_put_next_result(rmr_renderer *r, size_t first, size_t end)
{
    const size_t n = r->c->turns[r->asked].n_calls;
    for (; r->next_call < n; r->next_call++)
        for (size_t i = first; i < end; i++)
            if (r->c->turns[i].role == RMR_ROLE_TOOL && call_of(r, r->asked, i) == r->next_call) {
                put_result(r, i);
                r->next_call++;
                return;
            }
    fail(r, first, "two results are of the same call");
}
