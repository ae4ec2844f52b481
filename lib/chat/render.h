/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation in a chat format, as bytes of which some are markup, and then as tokens. */
#ifndef RMR_CHAT_RENDER_H
#define RMR_CHAT_RENDER_H

#include "chat_format.h"
#include "conversation.h"
#include "writer.h"

/* Where the output begins that the prompt asks for. */
enum rmr_chat_begin {
    RMR_BEGIN_ANSWER,
    RMR_BEGIN_REASONING, /* the prompt opened it */
    RMR_BEGIN_CALLS      /* the prompt opened the block of calls */
};

/* Write the conversation's prompt. `wish` is what the answer is to be like; `date` (or NULL) is
 * today's date for the family that names one. E_ARG: the conversation asks for what makes no sense
 * (a result without a call, say); E_UNSUPPORTED: for what the chat format does not have. w keeps
 * the error's text. */
remora_status rmr_chat_render(const rmr_conversation *c, const rmr_chat_wish *wish,
                              const rmr_chat_format *f, const char *date, rmr_chat_writer *w,
                              int *begin);

#endif
