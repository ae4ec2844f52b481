/* SPDX-License-Identifier: Apache-2.0 */
/* Which arguments of the declared tools are strings: families that write strings raw (GLM) do not
 * say it in a call. */
#ifndef RMR_TOOL_TYPES_H
#define RMR_TOOL_TYPES_H

#include "conversation.h"
#include "markers.h"

typedef struct rmr_tool_types {
    rmr_chat_type *items; /* by ascending key */
    size_t n, cap;
} rmr_tool_types;

/* Of a conversation's tools. Arguments whose schema has no one type are left out. A failure leaves
 * nothing to free. E_NOMEM. */
remora_status rmr_tool_types_make(rmr_tool_types *t, rmr_mem *mem, const rmr_conversation *c,
                                  remora_error *err);
remora_status rmr_tool_types_copy(rmr_tool_types *to, rmr_mem *mem, const rmr_tool_types *from,
                                  remora_error *err);
void rmr_tool_types_free(rmr_tool_types *t, rmr_mem *mem);

#endif
