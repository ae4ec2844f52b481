/* SPDX-License-Identifier: Apache-2.0 */
/* How a line that is being typed lies in a terminal: the prompt and the text, which wrap at its
 * width, and the cursor. */
#ifndef TOOL_LINE_VIEW_H
#define TOOL_LINE_VIEW_H

#include <stddef.h>

typedef struct tool_place {
    size_t row, column; /* from the beginning of the prompt */
} tool_place;

/* Where the byte `at` of a text stands in a terminal of this width. Characters that take two
 * columns are not broken; line ends in the text begin a new row. */
tool_place tool_line_place(const char *prompt, const char *text, size_t at, size_t width);

/* The bytes of the character that begins or ends at a place; 0 at the end or beginning. */
size_t tool_char_after(const char *text, size_t n, size_t at);
size_t tool_char_before(const char *text, size_t at);

/* What a terminal has to be sent to show it, its cursor being in `row` of what is shown now. 0, or
 * -1 when memory ran out; *row is the cursor's row then. */
typedef struct tool_buffer tool_buffer;
int tool_line_show(tool_buffer *out, const char *prompt, const tool_buffer *text, size_t at,
                   size_t width, size_t *row);

#endif
