/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings in text that comes in pieces: the end of the text is held back while it may become
 * one. */
#ifndef SV_STOPS_H
#define SV_STOPS_H

#include "../../tools/buffer.h"
#include <remora/remora.h>

typedef struct sv_stops {
    const remora_text *stop; /* borrowed */
    size_t n;
    tool_buffer held; /* text that may go out, and behind `ready` what may not yet */
    size_t ready;
    int found; /* index of the stop string + 1; text behind it is dropped */
} sv_stops;

/* Text comes; held.s[0, ready) may go out then. -1: memory ran out. */
int sv_stops_add(sv_stops *s, const char *text, size_t n);
void sv_stops_end(sv_stops *s);  /* no more text: all of it may go out */
void sv_stops_took(sv_stops *s); /* what was ready is gone */

#endif
