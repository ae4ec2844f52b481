/* SPDX-License-Identifier: Apache-2.0 */
/* What the command asks of its system, in a file for each: arguments, signals, the terminal, files
 * by name and other programs. Text is UTF-8 on all of them. */
#ifndef TOOL_SYSTEM_H
#define TOOL_SYSTEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "buffer.h"

/* Before all others: the arguments as UTF-8, and streams whose bytes stay as they are. -1: no
 * memory. */
int tool_start(int *argc, char ***argv);

double tool_seconds(void); /* monotonic */
/* As many threads as the library takes by default: the cores that this process may use. */
uint32_t tool_cores(void);
void tool_cpu_name(char *out, size_t cap); /* where the system tells it; else "CPU" */

/* -- signals -- */

/* SIGINT and SIGTERM set the cancel word; a second one ends the program at once. */
void tool_catch_signals(void);
const int32_t *tool_cancel(void);
int tool_cancelled(void);
/* Wait until stdin has bytes or is at its end: 1. 0: it was interrupted, now or before the call, so
 * no interrupt is lost between a look at the cancel word and reading. -1, once it is watched: the
 * window of the terminal has another size. */
int tool_wait_input(void);
void tool_watch_window(void);
/* The work that an interrupt ended is over: clear the word, and wait for the next one. SIGTERM
 * stays. */
void tool_cancel_again(void);

/* -- the terminal -- */

int tool_is_terminal(FILE *f);
/* Keys can be had one by one, and the cursor moves. Where not, the system's own editing is used. */
int tool_terminal_edits(void);
size_t tool_terminal_width(void);
/* Keys come one by one and are not shown; Ctrl-C is one of them. */
void tool_terminal_take_keys(void);
void tool_terminal_give_keys_back(void);
void tool_terminal_suspend(void); /* the program stops until somebody wants it to go on */
/* Some bytes of stdin; 0: its end. */
size_t tool_read_input(char *to, size_t cap);

/* -- files -- */

FILE *tool_fopen(const char *path, const char *mode);
int tool_file_size(FILE *f, uint64_t *size); /* 1: it is no regular file; -1: errno says why */
int tool_rename(const char *from, const char *to);
int tool_unlink(const char *path);
/* A new folder for files that are not kept; -1 where it cannot be made. */
int tool_make_folder(char *path, size_t cap);
void tool_remove_folder(const char *path);

/* The module for GPUs, where a build or an installation has it: this program has the library
 * inside, which would look beside the program alone. NULL: it is in neither place. */
const char *tool_find_module(char *path, size_t cap);

/* -- programs -- */

/* Run a command of the shell with `in` as its standard input; what it writes goes to `out`. An
 * errno, or 0; it tells on stderr how the command ended if that was no success. */
int tool_shell(const char *command, FILE *in, tool_buffer *out);
FILE *tool_temporary_file(void);

#endif
