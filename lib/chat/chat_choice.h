/* SPDX-License-Identifier: Apache-2.0 */
/* Which chat format a model has: by its family, the tokens of its tokenizer, and what its template
 * says, of which revisions differ. */
#ifndef RMR_CHAT_CHOICE_H
#define RMR_CHAT_CHOICE_H

#include "chat_format.h"
#include "conversation.h"
#include "tokenizer.h"

/* `family`: model_type of config.json; `text`: the template, or NULL. E_UNSUPPORTED when no chat
 * format fits, and the message says what was seen. */
remora_status rmr_chat_choose(const rmr_tokenizer *t, const char *family, const char *text,
                              const rmr_chat_format **out, remora_error *err);

/* E_UNSUPPORTED unless the tokens are there without which it is not this chat format. */
remora_status rmr_chat_suits(const rmr_chat_format *f, const rmr_tokenizer *t, remora_error *err);
/* The same for the tokens of reminders and tasks, which only conversations that have them need. */
remora_status rmr_chat_suits_turns(const rmr_chat_format *f, const rmr_conversation *c,
                                   const rmr_tokenizer *t, remora_error *err);

#endif
