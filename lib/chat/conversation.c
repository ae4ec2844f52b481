/* SPDX-License-Identifier: Apache-2.0 */
#include "conversation.h"

#include <string.h>

#include "json_text.h"
#include "utf8.h"

void rmr_conversation_init(rmr_conversation *c, rmr_mem *mem)
{
    *c = (rmr_conversation){.mem = mem};
}

static void drop(rmr_conversation *c, rmr_chat_str *s)
{
    if (s->p == NULL) return;
    c->bytes -= s->n;
    rmr_free(c->mem, s->p, s->n + 1);
    *s = (rmr_chat_str){NULL, 0};
}

static void drop_turn(rmr_conversation *c, rmr_chat_turn *t)
{
    drop(c, &t->text);
    drop(c, &t->name);
    drop(c, &t->reasoning);
    drop(c, &t->call_id);
    for (size_t i = 0; i < t->n_calls; i++) {
        drop(c, &t->calls[i].id);
        drop(c, &t->calls[i].name);
        drop(c, &t->calls[i].args);
    }
    rmr_free(c->mem, t->calls, t->cap_calls * sizeof *t->calls);
}

static void drop_tools(rmr_conversation *c)
{
    for (size_t i = 0; i < c->n_tools; i++) drop(c, &c->tools[i]);
    rmr_free(c->mem, c->tools, c->cap_tools * sizeof *c->tools);
    c->tools = NULL;
    c->n_tools = c->cap_tools = 0;
}

void rmr_conversation_clear(rmr_conversation *c)
{
    for (size_t i = 0; i < c->n_turns; i++) drop_turn(c, &c->turns[i]);
    rmr_free(c->mem, c->turns, c->cap_turns * sizeof *c->turns);
    drop_tools(c);
    drop(c, &c->wish.tool);
    drop(c, &c->wish.schema);
    RMR_ASSERT(c->bytes == 0);
    rmr_conversation_init(c, c->mem);
}

remora_status rmr_conversation_set(rmr_conversation *c, rmr_chat_str *s, const char *what,
                                   const char *text, size_t n, remora_error *err)
{
    if (text == NULL && n > 0) RMR_FAIL(err, REMORA_E_ARG, "%s is NULL and has %zu bytes", what, n);
    if (n > RMR_CHAT_MAX_BYTES - c->bytes)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "%s has %zu bytes: the texts of a conversation have %d together at most", what, n,
                 RMR_CHAT_MAX_BYTES);
    const size_t good = n > 0 ? rmr_utf8_until(text, n) : 0;
    if (good < n)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s is not UTF-8 from its byte %zu on", what, good);
    char *p = rmr_alloc(c->mem, n + 1);
    if (p == NULL) return rmr_error_nomem(err, what, n + 1);
    if (n > 0) memcpy(p, text, n);
    p[n] = 0;
    drop(c, s);
    *s = (rmr_chat_str){p, n};
    c->bytes += n;
    return REMORA_OK;
}

remora_status rmr_conversation_set_name(rmr_conversation *c, rmr_chat_str *s, const char *what,
                                        const char *text, size_t n, remora_error *err)
{
    if (n > RMR_CHAT_MAX_NAME)
        RMR_FAIL(err, REMORA_E_LIMIT, "%s has %zu bytes: at most %d are supported", what, n,
                 RMR_CHAT_MAX_NAME);
    return rmr_conversation_set(c, s, what, text, n, err);
}

remora_status rmr_conversation_turn(rmr_conversation *c, int role, rmr_chat_turn **out,
                                    remora_error *err)
{
    if (c->n_turns == RMR_CHAT_MAX_TURNS)
        RMR_FAIL(err, REMORA_E_LIMIT, "a conversation has more than %d turns", RMR_CHAT_MAX_TURNS);
    RMR_TRY(rmr_grow(c->mem, &c->turns, &c->cap_turns, c->n_turns + 1, sizeof *c->turns, err));
    *out = &c->turns[c->n_turns++];
    **out = (rmr_chat_turn){.role = (uint8_t)role};
    return REMORA_OK;
}

remora_status rmr_conversation_call(rmr_conversation *c, rmr_chat_turn *t, rmr_chat_call **out,
                                    remora_error *err)
{
    if (t->n_calls == RMR_CHAT_MAX_CALLS)
        RMR_FAIL(err, REMORA_E_LIMIT, "a turn has more than %d calls", RMR_CHAT_MAX_CALLS);
    RMR_TRY(rmr_grow(c->mem, &t->calls, &t->cap_calls, t->n_calls + 1, sizeof *t->calls, err));
    *out = &t->calls[t->n_calls++];
    **out = (rmr_chat_call){.id = {NULL, 0}};
    return REMORA_OK;
}

remora_status rmr_conversation_tool(rmr_conversation *c, const char *json, size_t n,
                                    remora_error *err)
{
    rmr_json_span tool, function, name;
    RMR_TRY(rmr_json_text_check("tool", json, n, &tool, err));
    if (rmr_json_text_kind(tool) != '{' || !rmr_json_text_get(tool, "function", &function) ||
        rmr_json_text_kind(function) != '{' || !rmr_json_text_get(function, "name", &name) ||
        rmr_json_text_kind(name) != '"')
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "tool %zu is not {\"type\": \"function\", \"function\": "
                 "{\"name\": ..}}",
                 c->n_tools);
    if (name.size > RMR_CHAT_MAX_NAME)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "the name of tool %zu has %zu bytes: at most %d are supported", c->n_tools,
                 name.size, RMR_CHAT_MAX_NAME);
    if (c->n_tools == RMR_CHAT_MAX_TOOLS)
        RMR_FAIL(err, REMORA_E_LIMIT, "a conversation has more than %d tools", RMR_CHAT_MAX_TOOLS);
    RMR_TRY(rmr_grow(c->mem, &c->tools, &c->cap_tools, c->n_tools + 1, sizeof *c->tools, err));
    c->tools[c->n_tools] = (rmr_chat_str){NULL, 0};
    RMR_TRY(rmr_conversation_set(c, &c->tools[c->n_tools], "tool", tool.text, tool.size, err));
    c->n_tools++;
    c->tools_given = 1;
    return REMORA_OK;
}

remora_status rmr_conversation_add(rmr_conversation *c, rmr_conversation *from, remora_error *err)
{
    const size_t turns = c->n_turns + from->n_turns;
    RMR_ASSERT(c->mem == from->mem);
    if (turns > RMR_CHAT_MAX_TURNS)
        RMR_FAIL(err, REMORA_E_LIMIT, "a conversation has more than %d turns", RMR_CHAT_MAX_TURNS);
    if (from->bytes > RMR_CHAT_MAX_BYTES - c->bytes)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "the texts of a conversation have %zu bytes together: at most %d are supported",
                 from->bytes + c->bytes, RMR_CHAT_MAX_BYTES);
    RMR_TRY(rmr_grow(c->mem, &c->turns, &c->cap_turns, turns, sizeof *c->turns, err));
    if (from->n_turns > 0)
        memcpy(c->turns + c->n_turns, from->turns, from->n_turns * sizeof *from->turns);
    c->n_turns = turns;
    c->bytes += from->bytes;
    from->n_turns = from->bytes = 0;
    rmr_free(from->mem, from->turns, from->cap_turns * sizeof *from->turns);
    from->turns = NULL;
    from->cap_turns = 0;
    return REMORA_OK;
}

remora_status rmr_conversation_add_all(rmr_conversation *c, rmr_conversation *from,
                                       remora_error *err)
{
    RMR_TRY(rmr_conversation_add(c, from, err)); /* and the bytes of all that follows */
    if (from->tools_given) {
        drop_tools(c);
        c->tools = from->tools;
        c->n_tools = from->n_tools;
        c->cap_tools = from->cap_tools;
        c->tools_given = 1;
        from->tools = NULL;
        from->n_tools = from->cap_tools = 0;
    }
    drop(c, &c->wish.tool);
    drop(c, &c->wish.schema);
    c->wish = from->wish;
    from->wish = (rmr_chat_wish){0};
    return REMORA_OK;
}

void rmr_conversation_trim(rmr_conversation *c, size_t keep)
{
    while (c->n_turns > keep) drop_turn(c, &c->turns[--c->n_turns]);
}
