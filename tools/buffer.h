/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow, with a NUL behind them. */
#ifndef TOOL_BUFFER_H
#define TOOL_BUFFER_H

#include <stddef.h>

typedef struct tool_buffer {
    char *s; /* free() it; NULL before anything was added */
    size_t n, cap;
} tool_buffer;

/* Put n bytes in at a place, or at the end. 0, or -1 when memory ran out; then nothing changed. */
int tool_buffer_insert(tool_buffer *b, size_t at, const char *s, size_t n);
int tool_buffer_add(tool_buffer *b, const char *s, size_t n);
void tool_buffer_cut(tool_buffer *b, size_t at, size_t n); /* take n bytes out */

#endif
