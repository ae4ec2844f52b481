/* SPDX-License-Identifier: Apache-2.0 */
/* What the answer to a prompt may be, as a grammar: reasoning and text as the chat format has them,
 * and calls of the declared tools in the format's own form, whose arguments their schemas allow.
 *
 * Markers are the tokenizer's own tokens where it has them. Text is free: it cannot spell such a
 * token, and where a marker is text it is any text that does not have the marker in it. */
#ifndef RMR_ANSWER_GRAMMAR_H
#define RMR_ANSWER_GRAMMAR_H

#include "chat_format.h"
#include "conversation.h"
#include "grammar.h"
#include "tool_types.h"

typedef struct rmr_answer_rules {
    const rmr_conversation *talk;
    const rmr_chat_wish *wish; /* of which prompt */
    const rmr_chat_format *format;
    const rmr_tokenizer *tok;
    const rmr_tool_types *types; /* of the conversation's tools */
    int place;                   /* rmr_parse_state: where the prompt ended */
    int one;                     /* at most one call */
    int lax;                     /* what schemas have that is not enforced is left out */
    /* Called once for each place that lax leaves out; `what` begins with the tool that has it. */
    void (*left_out)(void *user, const char *what);
    void *user;
} rmr_answer_rules;

enum { RMR_ANSWER_MOST_CALLS = 32 }; /* of one answer, where calls are numbered */

/* Build and finish the grammar. E_UNSUPPORTED (the tokenizer lacks a marker that calls end with, a
 * tool's name or an argument cannot be written, a schema asks for what is not enforced; the message
 * names the tool), E_ARG, E_FORMAT, E_LIMIT, E_NOMEM. */
remora_status rmr_answer_grammar(rmr_grammar *g, const rmr_answer_rules *in, remora_error *err);

#endif
