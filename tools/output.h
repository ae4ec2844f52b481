/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to stdout, with every write checked, and tables in the three formats that people and
 * programs read; progress bars on stderr, for terminals only. */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

void tool_write(const char *bytes, size_t n);
void tool_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tool_flush(void);
int tool_output_failed(void); /* a write to stdout failed */
int tool_output_close(void);  /* flush; 0, or -1 after a message when any write failed */

enum { TOOL_MD, TOOL_CSV, TOOL_JSON }; /* in the order of the option's words */
#define TOOL_FORMATS "md|csv|json"

/* A table that is filled row by row. Cells are text; numeric ones are aligned to the right and have
 * no quotes in JSON, and raw ones (JSON arrays) go to JSON alone. */
enum { TOOL_CELL_TEXT, TOOL_CELL_NUMBER, TOOL_CELL_RAW };
typedef struct tool_column {
    const char *name;
    int kind;
} tool_column;

typedef struct tool_table {
    const tool_column *columns;
    size_t n_columns;
    char **cells; /* row after row */
    size_t n_cells, cap_cells;
    int failed; /* out of memory */
} tool_table;

void tool_table_add(tool_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int tool_table_print(const tool_table *t, int format); /* 0, or -1 when memory ran out */
void tool_table_free(tool_table *t);

/* One line on stderr that overwrites itself; nothing when stderr is no terminal. */
void tool_bar(const char *what, uint64_t done, uint64_t total);
void tool_bar_clear(void);

#endif
