/* SPDX-License-Identifier: Apache-2.0 */
/* A file that gets its name when it is whole: until then it is PATH.part, which goes when anything
 * fails. Failures are told on stderr and returned as -1. */
#ifndef TOOL_OUTFILE_H
#define TOOL_OUTFILE_H

#include <stddef.h>
#include <stdio.h>

typedef struct tool_outfile {
    FILE *f;          /* NULL: not open */
    const char *path; /* borrowed */
    char *part;
} tool_outfile;

int tool_outfile_create(tool_outfile *o, const char *path);
int tool_outfile_write(tool_outfile *o, const void *p, size_t n);
int tool_outfile_finish(tool_outfile *o);
void tool_outfile_close(tool_outfile *o); /* removes what is not finished */

#endif
