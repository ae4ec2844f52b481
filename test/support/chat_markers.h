/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model with the markers of all chat formats that have calls. */
#ifndef CHAT_MARKERS_H
#define CHAT_MARKERS_H

#include "world.h"

void chat_markers_begin(world *w);
/* A text as bytes and markers, which the tokenizer would not cut it into. Returns how many. */
size_t chat_markers_bytes(const char *text, remora_token *t);

#endif
