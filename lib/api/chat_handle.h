/* SPDX-License-Identifier: Apache-2.0 */
/* The public handle of a conversation. */
#ifndef RMR_CHAT_HANDLE_H
#define RMR_CHAT_HANDLE_H

#include "chat_format.h"
#include "conversation.h"
#include "model.h"
#include "use.h"

struct remora_chat {
    remora_model *model;           /* counted */
    const rmr_chat_format *format; /* built in, or `own` */
    rmr_chat_format own;
    char *own_text; /* the strings of `own`, each terminated */
    size_t own_size;
    char date[64];
    rmr_conversation talk;
    rmr_use use;
};

/* The chat format of this name, or with NULL the model's own. */
remora_status rmr_api_chat_format(const remora_model *m, const char *name,
                                  const rmr_chat_format **out, remora_error *err);

/* Make what the host describes the conversation's chat format; its strings are copied. */
remora_status rmr_api_chat_described(remora_chat *c, const remora_chat_format *given,
                                     remora_error *err);

/* What a prompt with these options (checked) asks for, over what the last request said. `name` gets
 * the name of the tool, terminated. */
remora_status rmr_api_chat_wish(const remora_chat *c, const remora_prompt_opts *o,
                                char name[RMR_CHAT_MAX_NAME + 1], rmr_chat_wish *w,
                                remora_error *err);

/* Where the answer to a prompt begins that was written with rmr_chat_begin `begin`. */
int32_t rmr_api_chat_place(const remora_chat *c, const rmr_chat_wish *w, int begin);

/* Today's date as the host gave it, or NULL. */
const char *rmr_api_chat_date(const remora_chat *c);

#endif
