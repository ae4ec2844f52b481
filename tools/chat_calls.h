/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of tools in a conversation of the command: as they are made, and their results, which a
 * command gives. */
#ifndef TOOL_CHAT_CALLS_H
#define TOOL_CHAT_CALLS_H

#include "buffer.h"
#include <remora/remora.h>

typedef struct tool_call {
    tool_buffer name, id, arguments;
    int whole; /* the model has ended it */
} tool_call;

typedef struct tool_calls {
    tool_call *v;
    size_t n, cap; /* those beyond n keep their memory */
} tool_calls;

/* Take an event of a call. 0, or -1 when memory ran out. */
int tool_calls_take(tool_calls *c, const remora_chat_event *e);
void tool_calls_free(tool_calls *c);

/* The tools of a file in OpenAI's form, a list, are those of the conversation. 0, or -1 after a
 * message. */
int tool_calls_declare(remora_chat *chat, const char *path);

/* A turn with calls into the conversation. */
remora_status tool_calls_add(const tool_calls *c, remora_chat *chat, remora_turn turn,
                             remora_error *err);

/* Run a command of the shell with the call on its stdin, {"name": .., "arguments": ..}; what it
 * writes to stdout is the result, without newlines at its end. 0, or -1 after a message. */
int tool_call_run(const tool_call *call, const char *command, tool_buffer *result);

#endif
