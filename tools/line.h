/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of stdin. In a terminal they are edited: the usual keys, the lines before, several lines as
 * one; elsewhere they are read as they are. */
#ifndef TOOL_LINE_H
#define TOOL_LINE_H

#include "buffer.h"

typedef struct tool_lines {
    tool_buffer text; /* the line, without its end */
    int asks;         /* stdin and stderr are a terminal: the prompt goes to stderr */
    int edits;        /* ... which can move its cursor */
    const char *prompt;
    size_t at;  /* of the cursor */
    size_t row; /* where the cursor is shown */
    int pasting;
    char **before; /* older lines */
    size_t n_before, recalled;
    tool_buffer draft; /* what was typed before older lines were looked at */
    char in[1024];     /* bytes of stdin, of which `taken` were read */
    size_t n_in, taken;
} tool_lines;

void tool_lines_init(tool_lines *l);
void tool_lines_free(tool_lines *l);

/* Read the next line into text. 0: the end of the input, an interrupt (tool_cancelled() says
 * so), or no memory. A line that ends with a backslash goes on with the next one. */
int tool_lines_read(tool_lines *l, const char *prompt);

#endif
