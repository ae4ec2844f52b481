/* SPDX-License-Identifier: Apache-2.0 */
#include "tool_types.h"

#include <string.h>

#include "json_text.h"
#include "sort.h"

enum { MOST_NAME = 1024 }; /* bytes of a name as JSON; longer ones have no type */

enum { IS_RAW, IS_TEXT, IS_NEITHER };

/* Hash of a name, on with `before`; 0 for one that is no name or too long. */
static int add_name(uint64_t *key, rmr_json_span name)
{
    char text[MOST_NAME];
    if (rmr_json_text_kind(name) != '"' || name.size > sizeof text) return 0;
    *key = rmr_chat_key(*key, text, rmr_json_text_decode(name, text));
    return 1;
}

/* Whether every value of an enum is a string. */
static int all_strings(rmr_json_span list)
{
    rmr_json_span v;
    int n = 0;
    if (rmr_json_text_kind(list) != '[') return 0;
    rmr_json_items it = rmr_json_text_open(list);
    for (; rmr_json_text_element(&it, &v); n++)
        if (rmr_json_text_kind(v) != '"') return 0;
    return n > 0;
}

static int type_of(rmr_json_span schema)
{
    rmr_json_span type;
    if (rmr_json_text_kind(schema) != '{') return IS_NEITHER;
    if (rmr_json_text_get(schema, "type", &type)) {
        if (rmr_json_text_kind(type) != '"') return IS_NEITHER;
        return rmr_json_text_is(type, "string") ? IS_TEXT : IS_RAW;
    }
    return rmr_json_text_get(schema, "enum", &type) && all_strings(type) ? IS_TEXT : IS_NEITHER;
}

static int get_object(rmr_json_span from, const char *key, rmr_json_span *out)
{
    return rmr_json_text_get(from, key, out) && rmr_json_text_kind(*out) == '{';
}

static remora_status add_tool(rmr_tool_types *t, rmr_mem *mem, rmr_json_span tool,
                              remora_error *err)
{
    rmr_json_span function, name, parameters, properties, key, schema;
    uint64_t begin = RMR_CHAT_KEY_BEGIN;
    if (!get_object(tool, "function", &function)) return REMORA_OK;
    if (!rmr_json_text_get(function, "name", &name) || !add_name(&begin, name)) return REMORA_OK;
    begin = rmr_chat_key(begin, "", 1);
    if (!get_object(function, "parameters", &parameters)) return REMORA_OK;
    if (!get_object(parameters, "properties", &properties)) return REMORA_OK;
    rmr_json_items it = rmr_json_text_open(properties);
    while (rmr_json_text_member(&it, &key, &schema)) {
        rmr_chat_type item = {.key = begin, .order = (uint32_t)t->n};
        const int type = type_of(schema);
        if (type == IS_NEITHER || !add_name(&item.key, key)) continue;
        item.is_text = type == IS_TEXT;
        RMR_TRY(rmr_grow(mem, &t->items, &t->cap, t->n + 1, sizeof *t->items, err));
        t->items[t->n++] = item;
    }
    return REMORA_OK;
}

static int key_before(const rmr_chat_type *x, const rmr_chat_type *y)
{
    return x->key != y->key ? x->key < y->key : x->order < y->order;
}

RMR_SORT_DEFINE(sort_types, rmr_chat_type, key_before);

remora_status rmr_tool_types_make(rmr_tool_types *t, rmr_mem *mem, const rmr_conversation *c,
                                  remora_error *err)
{
    *t = (rmr_tool_types){0};
    for (size_t i = 0; i < c->n_tools; i++) {
        const rmr_json_span tool = {c->tools[i].p, c->tools[i].n};
        const remora_status st = add_tool(t, mem, tool, err);
        if (st < 0) rmr_tool_types_free(t, mem);
        RMR_TRY(st);
    }
    sort_types(t->items, t->n);
    return REMORA_OK;
}

remora_status rmr_tool_types_copy(rmr_tool_types *to, rmr_mem *mem, const rmr_tool_types *from,
                                  remora_error *err)
{
    *to = (rmr_tool_types){0};
    RMR_TRY(rmr_grow(mem, &to->items, &to->cap, from->n, sizeof *to->items, err));
    if (from->n > 0) memcpy(to->items, from->items, from->n * sizeof *to->items);
    to->n = from->n;
    return REMORA_OK;
}

void rmr_tool_types_free(rmr_tool_types *t, rmr_mem *mem)
{
    rmr_free(mem, t->items, t->cap * sizeof *t->items);
    *t = (rmr_tool_types){0};
}
