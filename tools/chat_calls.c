/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_calls.h"

#include "host.h"
#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- as they are made -- */

static int replace(tool_buffer *b, remora_text text)
{
    b->n = 0;
    return tool_buffer_add(b, text.ptr, (size_t)text.len);
}

static int begin(tool_calls *c, const remora_chat_event *e)
{
    if (c->n == c->cap) {
        const size_t cap = 2 * c->cap + 4;
        tool_call *grown = realloc(c->v, cap * sizeof *grown);
        if (grown == NULL) return -1;
        memset(grown + c->cap, 0, (cap - c->cap) * sizeof *grown);
        c->v = grown;
        c->cap = cap;
    }
    tool_call *call = &c->v[c->n];
    call->whole = 0;
    if (replace(&call->name, e->text) < 0 || replace(&call->id, e->id) < 0 ||
        replace(&call->arguments, (remora_text){"", 0}) < 0)
        return -1;
    c->n++;
    return 0;
}

int tool_calls_take(tool_calls *c, const remora_chat_event *e)
{
    if (e->kind == REMORA_PART_CALL) return begin(c, e);
    tool_call *call = &c->v[c->n - 1];
    if (e->kind == REMORA_PART_ARGUMENTS)
        return tool_buffer_add(&call->arguments, e->text.ptr, (size_t)e->text.len);
    call->whole = 1;
    return 0;
}

void tool_calls_free(tool_calls *c)
{
    for (size_t i = 0; i < c->cap; i++) {
        free(c->v[i].name.s);
        free(c->v[i].id.s);
        free(c->v[i].arguments.s);
    }
    free(c->v);
}

/* -- the conversation -- */

int tool_calls_declare(remora_chat *chat, const char *path)
{
    static const char open[] = "{\"tools\": ";
    remora_error err = {.struct_size = sizeof err};
    tool_buffer request = {0};
    char *text;
    size_t n;
    if (tool_read_file(path, &text, &n) < 0) return -1;
    const int ok = tool_buffer_add(&request, open, sizeof open - 1) == 0 &&
                   tool_buffer_add(&request, text, n) == 0 &&
                   tool_buffer_add(&request, "}", 1) == 0;
    const remora_status st =
        ok ? remora_chat_add_json(chat, request.s, request.n, &err) : REMORA_E_NOMEM;
    free(request.s);
    free(text);
    if (st >= 0) return 0;
    tool_fail(st, path, ok ? &err : NULL);
    return -1;
}

static remora_text text_of(const tool_buffer *b)
{
    return (remora_text){b->s, b->n};
}

remora_status tool_calls_add(const tool_calls *c, remora_chat *chat, remora_turn turn,
                             remora_error *err)
{
    remora_call *calls = calloc(c->n + 1, sizeof *calls);
    if (calls == NULL) return REMORA_E_NOMEM;
    for (size_t i = 0; i < c->n; i++)
        calls[i] = (remora_call){.id = text_of(&c->v[i].id),
                                 .name = text_of(&c->v[i].name),
                                 .arguments = text_of(&c->v[i].arguments)};
    turn.calls = calls;
    turn.n_calls = c->n;
    const remora_status st = remora_chat_add(chat, &turn, err);
    free(calls);
    return st;
}

/* -- results -- */

/* A file that has the call, at its beginning. A declared tool's name has nothing to escape. */
static FILE *file_of(const tool_call *call)
{
    const char *arguments = call->arguments.n > 0 ? call->arguments.s : "{}";
    FILE *f = tool_temporary_file();
    if (f == NULL) return NULL;
    fprintf(f, "{\"name\": \"%s\", \"arguments\": %s}\n", call->name.s, arguments);
    if (fflush(f) == 0 && fseek(f, 0, SEEK_SET) == 0) return f;
    fclose(f);
    return NULL;
}

int tool_call_run(const tool_call *call, const char *command, tool_buffer *result)
{
    FILE *in = file_of(call);
    result->n = 0;
    int e = in == NULL ? errno : tool_buffer_add(result, "", 0) < 0 ? ENOMEM : 0; /* a NUL */
    if (e == 0) e = tool_shell(command, in, result);
    if (in != NULL) fclose(in);
    while (result->n > 0 && result->s[result->n - 1] == '\n') result->s[--result->n] = 0;
    if (e == 0) return 0;
    fprintf(stderr, "remora: the tool command: %s\n", strerror(e));
    return -1;
}
