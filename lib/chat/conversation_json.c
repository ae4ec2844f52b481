/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in OpenAI's form. Every field that is read is a row of a table: the function that takes
 * its value, by its key. */
#include <stdio.h>
#include <string.h>

#include "conversation.h"
#include "json_text.h"
#include "source.h"
#include "utf8.h"

typedef struct request {
    rmr_conversation *c;
    remora_error *err;
    size_t index;        /* of the message, tool or call that is being read */
    rmr_chat_turn *turn; /* of a message */
    rmr_chat_call *call; /* of a call */
    rmr_json_span calls; /* of a message, read when all of it is known */
} request;

typedef remora_status field_fn(request *r, const char *where, rmr_json_span v);

typedef struct field {
    const char *key;
    field_fn *fn;
} field;

static remora_status wrong(request *r, const char *where, const char *want)
{
    RMR_FAIL(r->err, REMORA_E_FORMAT, "%s is not %s", where, want);
}

/* Give each member of an object to the function of its key; null is as good as absent. */
static remora_status each(request *r, const char *where, rmr_json_span object, const field *fields)
{
    uint32_t seen = 0;
    rmr_json_span k, v;
    if (rmr_json_text_kind(object) != '{') return wrong(r, where, "an object");
    rmr_json_items it = rmr_json_text_open(object);
    while (rmr_json_text_member(&it, &k, &v)) {
        for (uint32_t i = 0; fields[i].key != NULL; i++) {
            char name[96];
            if (!rmr_json_text_is(k, fields[i].key)) continue;
            snprintf(name, sizeof name, "%s%s%s", where, where[0] != 0 ? ": " : "", fields[i].key);
            if (seen >> i & 1) RMR_FAIL(r->err, REMORA_E_FORMAT, "%s is there twice", name);
            seen |= 1u << i;
            if (rmr_json_text_kind(v) != 'n') RMR_TRY(fields[i].fn(r, name, v));
        }
    }
    return REMORA_OK;
}

/* ---- values ---- */

/* The beginning of a value, for an error. */
static rmr_shown shown(rmr_json_span v)
{
    char text[128]; /* longer than what is shown, which ends between two characters */
    const size_t n = v.size < sizeof text - 1 ? v.size : sizeof text - 1;
    memcpy(text, v.text, n);
    text[n] = 0;
    return rmr_show(text);
}

static remora_status set(request *r, rmr_chat_str *s, const char *where, rmr_json_span v, int name)
{
    if (rmr_json_text_kind(v) != '"') return wrong(r, where, "a text");
    char *text = rmr_alloc(r->c->mem, v.size);
    if (text == NULL) return rmr_error_nomem(r->err, where, v.size);
    const size_t n = rmr_json_text_decode(v, text);
    const remora_status st = name ? rmr_conversation_set_name(r->c, s, where, text, n, r->err)
                                  : rmr_conversation_set(r->c, s, where, text, n, r->err);
    rmr_free(r->c->mem, text, v.size);
    return st;
}

static remora_status flag(request *r, const char *where, rmr_json_span v, uint8_t *out)
{
    const char kind = rmr_json_text_kind(v);
    if (kind != 't' && kind != 'f') return wrong(r, where, "true or false");
    *out = kind == 't';
    return REMORA_OK;
}

/* ---- messages ---- */

static remora_status part_type(request *r, const char *where, rmr_json_span v)
{
    if (rmr_json_text_kind(v) != '"') return wrong(r, where, "a text");
    if (!rmr_json_text_is(v, "text"))
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, "%s is %s: only \"text\" is supported", where,
                 shown(v).text);
    return REMORA_OK;
}

/* A part's text is added to what the turn has. */
static remora_status part_text(request *r, const char *where, rmr_json_span v)
{
    rmr_chat_str part = {NULL, 0}, both = {NULL, 0};
    rmr_chat_str *text = &r->turn->text;
    if (text->n == 0) return set(r, text, where, v, 0);
    RMR_TRY(set(r, &part, where, v, 0));
    char *joined = rmr_alloc(r->c->mem, text->n + part.n);
    remora_status st =
        joined != NULL ? REMORA_OK : rmr_error_nomem(r->err, where, text->n + part.n);
    const size_t n = text->n + part.n, n_part = part.n;
    if (st >= 0) {
        memcpy(joined, text->p, text->n);
        memcpy(joined + text->n, part.p, part.n);
    }
    r->c->bytes -= n_part;
    rmr_free(r->c->mem, part.p, n_part + 1);
    if (st >= 0) st = rmr_conversation_set(r->c, &both, where, joined, n, r->err);
    rmr_free(r->c->mem, joined, n);
    if (st < 0) return st;
    r->c->bytes -= text->n;
    rmr_free(r->c->mem, text->p, text->n + 1);
    *text = both;
    return REMORA_OK;
}

static remora_status content(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"type", part_type}, {"text", part_text}, {NULL, NULL}};
    if (rmr_json_text_kind(v) != '[') return set(r, &r->turn->text, where, v, 0);
    rmr_json_items it = rmr_json_text_open(v);
    rmr_json_span part;
    while (rmr_json_text_element(&it, &part)) RMR_TRY(each(r, where, part, fields));
    return REMORA_OK;
}

static remora_status role(request *r, const char *where, rmr_json_span v)
{
    static const struct {
        const char *name;
        uint8_t role;
    } roles[] = {{"system", RMR_ROLE_SYSTEM}, {"developer", RMR_ROLE_SYSTEM},
                 {"user", RMR_ROLE_USER},     {"assistant", RMR_ROLE_ASSISTANT},
                 {"tool", RMR_ROLE_TOOL},     {"latest_reminder", RMR_ROLE_REMINDER}};
    if (rmr_json_text_kind(v) != '"') return wrong(r, where, "a text");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (rmr_json_text_is(v, roles[i].name)) {
            r->turn->role = roles[i].role;
            return REMORA_OK;
        }
    RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
             "%s is %s: supported are system, developer, user, assistant, tool and "
             "latest_reminder",
             where, shown(v).text);
}

static remora_status task(request *r, const char *where, rmr_json_span v)
{
    static const char *const names[] = {"action", "query", "authority",
                                        "domain", "title", "read_url"};
    for (uint8_t i = RMR_TASK_ACTION; i < RMR_TASKS; i++)
        if (rmr_json_text_is(v, names[i - RMR_TASK_ACTION])) {
            r->turn->task = i;
            return REMORA_OK;
        }
    RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
             "%s is %s: supported are action, query, authority, domain, title and read_url", where,
             shown(v).text);
}

static remora_status turn_name(request *r, const char *where, rmr_json_span v)
{
    return set(r, &r->turn->name, where, v, 1);
}

static remora_status reasoning(request *r, const char *where, rmr_json_span v)
{
    return set(r, &r->turn->reasoning, where, v, 0);
}

static remora_status call_id(request *r, const char *where, rmr_json_span v)
{
    return set(r, &r->turn->call_id, where, v, 1);
}

static remora_status prefix(request *r, const char *where, rmr_json_span v)
{
    return flag(r, where, v, &r->turn->prefix);
}

static remora_status tool_calls(request *r, const char *where, rmr_json_span v)
{
    if (rmr_json_text_kind(v) != '[') return wrong(r, where, "a list");
    r->calls = v;
    return REMORA_OK;
}

static remora_status id(request *r, const char *where, rmr_json_span v)
{
    return set(r, &r->call->id, where, v, 1);
}

static remora_status type(request *r, const char *where, rmr_json_span v)
{
    if (rmr_json_text_kind(v) != '"' || !rmr_json_text_is(v, "function"))
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, "%s is %s: only \"function\" is supported", where,
                 shown(v).text);
    return REMORA_OK;
}

static remora_status function_name(request *r, const char *where, rmr_json_span v)
{
    return set(r, &r->call->name, where, v, 1);
}

/* Text, as OpenAI has it, or the object itself. */
static remora_status arguments(request *r, const char *where, rmr_json_span v)
{
    if (rmr_json_text_kind(v) == '{')
        return rmr_conversation_set(r->c, &r->call->args, where, v.text, v.size, r->err);
    return set(r, &r->call->args, where, v, 0);
}

static remora_status function(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"name", function_name}, {"arguments", arguments}, {NULL, NULL}};
    return each(r, where, v, fields);
}

static remora_status read_calls(request *r, const char *where)
{
    static const field fields[] = {
        {"id", id}, {"type", type}, {"function", function}, {NULL, NULL}};
    rmr_json_items it = rmr_json_text_open(r->calls);
    rmr_json_span v;
    if (r->turn->role != RMR_ROLE_ASSISTANT)
        RMR_FAIL(r->err, REMORA_E_FORMAT, "%s has tool_calls and is not the assistant's", where);
    while (rmr_json_text_element(&it, &v)) {
        RMR_TRY(rmr_conversation_call(r->c, r->turn, &r->call, r->err));
        RMR_TRY(each(r, where, v, fields));
        if (r->call->name.n == 0)
            RMR_FAIL(r->err, REMORA_E_FORMAT, "%s has a call without function.name", where);
    }
    return REMORA_OK;
}

static remora_status messages(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"role", role},
                                   {"content", content},
                                   {"name", turn_name},
                                   {"reasoning_content", reasoning},
                                   {"reasoning", reasoning},
                                   {"tool_calls", tool_calls},
                                   {"tool_call_id", call_id},
                                   {"prefix", prefix},
                                   {"task", task},
                                   {NULL, NULL}};
    if (rmr_json_text_kind(v) != '[') return wrong(r, where, "a list");
    rmr_json_items it = rmr_json_text_open(v);
    rmr_json_span message;
    for (r->index = 0; rmr_json_text_element(&it, &message); r->index++) {
        char name[32];
        snprintf(name, sizeof name, "messages[%zu]", r->index);
        RMR_TRY(rmr_conversation_turn(r->c, 0, &r->turn, r->err));
        r->calls = (rmr_json_span){NULL, 0};
        RMR_TRY(each(r, name, message, fields));
        if (r->turn->role == 0) RMR_FAIL(r->err, REMORA_E_FORMAT, "%s has no role", name);
        if (r->calls.size > 0) RMR_TRY(read_calls(r, name));
    }
    return REMORA_OK;
}

/* ---- the rest of a request ---- */

static remora_status tools(request *r, const char *where, rmr_json_span v)
{
    if (rmr_json_text_kind(v) != '[') return wrong(r, where, "a list");
    rmr_json_items it = rmr_json_text_open(v);
    rmr_json_span tool;
    r->c->tools_given = 1;
    while (rmr_json_text_element(&it, &tool))
        RMR_TRY(rmr_conversation_tool(r->c, tool.text, tool.size, r->err));
    return REMORA_OK;
}

static remora_status chosen_name(request *r, const char *where, rmr_json_span v)
{
    r->c->wish.choice = RMR_CHOICE_NAMED;
    return set(r, &r->c->wish.tool, where, v, 1);
}

static remora_status chosen_function(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"name", chosen_name}, {NULL, NULL}};
    return each(r, where, v, fields);
}

/* The number behind the text that v is, by a table that ends with a NULL. */
typedef struct word {
    const char *text;
    uint32_t number;
} word;

static int look_up(rmr_json_span v, const word *words, uint32_t *out)
{
    if (rmr_json_text_kind(v) != '"') return 0;
    for (; words->text != NULL; words++)
        if (rmr_json_text_is(v, words->text)) {
            *out = words->number;
            return 1;
        }
    return 0;
}

static remora_status tool_choice(request *r, const char *where, rmr_json_span v)
{
    static const word words[] = {{"auto", RMR_CHOICE_AUTO},
                                 {"none", RMR_CHOICE_NONE},
                                 {"required", RMR_CHOICE_REQUIRED},
                                 {NULL, 0}};
    static const field fields[] = {{"type", type}, {"function", chosen_function}, {NULL, NULL}};
    uint32_t choice;
    if (rmr_json_text_kind(v) == '{') {
        RMR_TRY(each(r, where, v, fields));
        if (r->c->wish.choice != RMR_CHOICE_NAMED) return wrong(r, where, "the name of a function");
        return REMORA_OK;
    }
    if (!look_up(v, words, &choice))
        return wrong(r, where, "\"auto\", \"none\", \"required\" or a function");
    r->c->wish.choice = (uint8_t)choice;
    return REMORA_OK;
}

static remora_status thinking_flag(request *r, const char *where, rmr_json_span v)
{
    uint8_t on = 0;
    RMR_TRY(flag(r, where, v, &on));
    r->c->wish.think = on ? RMR_THINK_ON : RMR_THINK_OFF;
    return REMORA_OK;
}

static remora_status thinking_type(request *r, const char *where, rmr_json_span v)
{
    static const word words[] = {
        {"enabled", RMR_THINK_ON}, {"disabled", RMR_THINK_OFF}, {"auto", 0}, {NULL, 0}};
    uint32_t think;
    if (!look_up(v, words, &think)) return wrong(r, where, "\"enabled\" or \"disabled\"");
    r->c->wish.think = (uint8_t)think;
    return REMORA_OK;
}

static remora_status thinking(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"type", thinking_type}, {NULL, NULL}};
    return each(r, where, v, fields);
}

static remora_status template_arguments(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {
        {"enable_thinking", thinking_flag}, {"thinking", thinking_flag}, {NULL, NULL}};
    return each(r, where, v, fields);
}

/* The names that servers take, as the numbers of DeepSeek-V4.1; or such a number. */
static remora_status effort(request *r, const char *where, rmr_json_span v)
{
    static const word words[] = {{"none", 0},  {"minimal", 50}, {"low", 50},  {"medium", 75},
                                 {"high", 75}, {"xhigh", 75},   {"max", 100}, {NULL, 0}};
    uint32_t n = 0;
    if (rmr_json_text_kind(v) == '0')
        for (size_t i = 0; i < v.size && n <= 100; i++)
            n = v.text[i] >= '0' && v.text[i] <= '9' ? n * 10 + (uint32_t)(v.text[i] - '0') : 101;
    else if (look_up(v, words, &n) && n == 0)
        r->c->wish.think = RMR_THINK_OFF;
    if (n > 100 || (n == 0 && r->c->wish.think != RMR_THINK_OFF))
        return wrong(r, where,
                     "none, minimal, low, medium, high, xhigh, max or a number from 1 to 100");
    r->c->wish.effort = n;
    return REMORA_OK;
}

static remora_status schema(request *r, const char *where, rmr_json_span v)
{
    const char kind = rmr_json_text_kind(v);
    if (kind != '{' && kind != 't' && kind != 'f') return wrong(r, where, "a schema");
    return rmr_conversation_set(r->c, &r->c->wish.schema, where, v.text, v.size, r->err);
}

static remora_status json_schema(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {{"schema", schema}, {NULL, NULL}};
    return each(r, where, v, fields);
}

static remora_status reply_type(request *r, const char *where, rmr_json_span v)
{
    static const word words[] = {{"text", RMR_REPLY_TEXT},
                                 {"json_object", RMR_REPLY_JSON},
                                 {"json_schema", RMR_REPLY_SCHEMA},
                                 {NULL, 0}};
    uint32_t reply;
    if (!look_up(v, words, &reply))
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 "%s is %s: supported are text, json_object and json_schema", where, shown(v).text);
    r->c->wish.reply = (uint8_t)reply;
    return REMORA_OK;
}

static remora_status response_format(request *r, const char *where, rmr_json_span v)
{
    static const field fields[] = {
        {"type", reply_type}, {"json_schema", json_schema}, {NULL, NULL}};
    RMR_TRY(each(r, where, v, fields));
    if (r->c->wish.reply == RMR_REPLY_SCHEMA && r->c->wish.schema.p == NULL)
        return wrong(r, where, "complete: json_schema.schema is missing");
    return REMORA_OK;
}

static remora_status go_on(request *r, const char *where, rmr_json_span v)
{
    return flag(r, where, v, &r->c->wish.go_on);
}

static remora_status generation(request *r, const char *where, rmr_json_span v)
{
    uint8_t on = 0;
    RMR_TRY(flag(r, where, v, &on));
    r->c->wish.no_request = !on;
    return REMORA_OK;
}

static remora_status read_request(request *r, rmr_json_span v)
{
    static const field fields[] = {{"messages", messages},
                                   {"tools", tools},
                                   {"tool_choice", tool_choice},
                                   {"thinking", thinking},
                                   {"enable_thinking", thinking_flag},
                                   {"chat_template_kwargs", template_arguments},
                                   {"reasoning_effort", effort},
                                   {"response_format", response_format},
                                   {"continue_final_message", go_on},
                                   {"add_generation_prompt", generation},
                                   {NULL, NULL}};
    RMR_TRY(each(r, "", v, fields));
    const rmr_conversation *c = r->c;
    if (c->n_turns > 0 && c->turns[c->n_turns - 1].prefix) r->c->wish.go_on = 1;
    return REMORA_OK;
}

remora_status rmr_conversation_add_json(rmr_conversation *c, const char *json, size_t n,
                                        remora_error *err)
{
    rmr_conversation fresh;
    rmr_json_span v;
    if (n > RMR_CHAT_MAX_BYTES)
        RMR_FAIL(err, REMORA_E_LIMIT, "a request has %zu bytes: at most %d are supported", n,
                 RMR_CHAT_MAX_BYTES);
    const size_t good = rmr_utf8_until(json, n);
    if (good < n) RMR_FAIL(err, REMORA_E_FORMAT, "request: byte %zu is not UTF-8", good);
    RMR_TRY(rmr_json_text_check("request", json, n, &v, err));
    rmr_conversation_init(&fresh, c->mem);
    request r = {.c = &fresh, .err = err};
    remora_status st = read_request(&r, v);
    if (st >= 0) st = rmr_conversation_add_all(c, &fresh, err);
    if (st < 0) rmr_conversation_clear(&fresh);
    return st;
}
