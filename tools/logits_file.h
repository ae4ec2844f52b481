/* SPDX-License-Identifier: Apache-2.0 */
/* Saved logits: the reference of a later remora eval in one binary file, with the windows they
 * belong to. The format and what it loses are in docs/command.md. A row is kept in 16 bit integers,
 * equal steps down from its best entry: the step is the same for likely and for unlikely tokens,
 * which half floats of log-probabilities are not. Its best token and the log-likelihood of the
 * token that follows are kept exactly. Failures are told on stderr and returned as -1. */
#ifndef TOOL_LOGITS_FILE_H
#define TOOL_LOGITS_FILE_H

#include "outfile.h"
#include "stats.h"
#include "eval_windows.h"

#include <stdint.h>
#include <stdio.h>

typedef struct tool_logits_file {
    FILE *f;          /* reading */
    const char *path; /* borrowed */
    tool_outfile out; /* writing */
    unsigned char *row;
    size_t row_bytes;
    uint32_t n_vocab;
    uint64_t n_rows, at; /* rows in all, and done */
    char name[96];       /* of the model; reading: without control characters */
    uint8_t fingerprint[32];
} tool_logits_file;

/* Begins PATH.part with header and windows; n_vocab, name and fingerprint are set before. */
int tool_logits_create(tool_logits_file *o, const char *path, const tool_windows *w);

/* The next row: n_vocab logits, what was measured of them, and -log p of the following token. */
int tool_logits_write(tool_logits_file *o, const float *logits, const tool_row *m, double nll);

/* All rows are written: the file gets its name. */
int tool_logits_finish(tool_logits_file *o);

/* Opens a file that anybody may have made: its size must be exactly what its header says, windows
 * and ids in range. w is filled. */
int tool_logits_open(tool_logits_file *o, const char *path, tool_windows *w);

/* The next row. m->log_sum belongs to the logits given out, which are 0 at the best token. */
int tool_logits_read(tool_logits_file *o, float *logits, tool_row *m, double *nll);

/* Closes; a file that was being written and is not finished is removed. */
void tool_logits_close(tool_logits_file *o);

#endif
