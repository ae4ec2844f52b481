/* SPDX-License-Identifier: Apache-2.0 */
/* Output of the command. Errors of stdout stick until tool_output_close() tells of them, so that no
 * caller can lose one: a full disk ends with exit code 1, not with half a file and 0. */
#include "output.h"
#include "tool_system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int first_errno; /* of the first write that failed; this is a program, not the library */

static void note_failure(int failed)
{
    if (failed && first_errno == 0) first_errno = errno ? errno : EIO;
}

void tool_write(const char *bytes, size_t n)
{
    note_failure(fwrite(bytes, 1, n, stdout) != n);
}

void tool_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_failure(vprintf(format, args) < 0);
    va_end(args);
}

void tool_flush(void)
{
    note_failure(fflush(stdout) != 0);
}

int tool_output_failed(void)
{
    return first_errno != 0;
}

int tool_output_close(void)
{
    note_failure(fclose(stdout) != 0);
    if (first_errno == 0) return 0;
    fprintf(stderr, "remora: writing to standard output: %s\n", strerror(first_errno));
    return -1;
}

/* ---- tables ---- */

static int keep_cell(tool_table *t, char *cell)
{
    if (t->n_cells == t->cap_cells) {
        const size_t cap = t->cap_cells ? 2 * t->cap_cells : 64;
        char **cells = realloc(t->cells, cap * sizeof *cells);
        if (!cells) return -1;
        t->cells = cells;
        t->cap_cells = cap;
    }
    t->cells[t->n_cells++] = cell;
    return 0;
}

void tool_table_add(tool_table *t, const char *format, ...)
{
    va_list args;
    char *cell = NULL;
    int n;
    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0) cell = malloc((size_t)n + 1);
    if (cell) {
        va_start(args, format);
        vsnprintf(cell, (size_t)n + 1, format, args);
        va_end(args);
    }
    if (cell && keep_cell(t, cell) == 0) return;
    free(cell);
    t->failed = 1;
}

void tool_table_free(tool_table *t)
{
    for (size_t i = 0; i < t->n_cells; i++) free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->n_cells = t->cap_cells = 0;
}

/* Columns that a terminal shows: characters, not bytes. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void pad(size_t n)
{
    for (; n > 0; n--) tool_write(" ", 1);
}

static void print_md_row(const tool_table *t, const size_t *width, char *const *cells)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *cell = cells ? cells[c] : t->columns[c].name;
        const size_t room = width[c] - width_of(cell);
        tool_printf("| ");
        if (t->columns[c].kind == TOOL_CELL_NUMBER) pad(room);
        tool_printf("%s ", cell);
        if (t->columns[c].kind != TOOL_CELL_NUMBER) pad(room);
    }
    tool_printf("|\n");
}

static void print_md_rule(const tool_table *t, const size_t *width)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        tool_printf("| ");
        for (size_t i = 1; i < width[c]; i++) tool_write("-", 1);
        tool_printf("%s ", t->columns[c].kind == TOOL_CELL_NUMBER ? ":" : "-");
    }
    tool_printf("|\n");
}

static int print_md(const tool_table *t)
{
    size_t *width = calloc(t->n_columns ? t->n_columns : 1, sizeof *width);
    if (!width) return -1;
    for (size_t c = 0; c < t->n_columns; c++) {
        width[c] = width_of(t->columns[c].name);
        for (size_t i = c; i < t->n_cells; i += t->n_columns)
            if (width_of(t->cells[i]) > width[c]) width[c] = width_of(t->cells[i]);
    }
    print_md_row(t, width, NULL);
    print_md_rule(t, width);
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        print_md_row(t, width, t->cells + i);
    free(width);
    return 0;
}

static void print_csv_cell(const char *s)
{
    if (!strpbrk(s, ",\"\n\r")) {
        tool_printf("%s", s);
        return;
    }
    tool_write("\"", 1);
    for (; *s; s++) tool_printf(*s == '"' ? "\"%c" : "%c", *s);
    tool_write("\"", 1);
}

static void print_csv_row(const tool_table *t, char *const *cells)
{
    const char *sep = "";
    for (size_t c = 0; c < t->n_columns; c++) {
        if (t->columns[c].kind == TOOL_CELL_RAW) continue;
        tool_printf("%s", sep);
        print_csv_cell(cells ? cells[c] : t->columns[c].name);
        sep = ",";
    }
    tool_printf("\n");
}

static void print_json_text(const char *s)
{
    tool_write("\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            tool_printf("\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            tool_printf("\\u%04x", (unsigned)(unsigned char)*s);
        else
            tool_write(s, 1);
    }
    tool_write("\"", 1);
}

static void print_json(const tool_table *t)
{
    tool_printf("[");
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns) {
        tool_printf("%s\n  {", i ? "," : "");
        for (size_t c = 0; c < t->n_columns; c++) {
            tool_printf("%s\n    \"%s\": ", c ? "," : "", t->columns[c].name);
            if (t->columns[c].kind == TOOL_CELL_TEXT)
                print_json_text(t->cells[i + c]);
            else
                tool_printf("%s", t->cells[i + c]);
        }
        tool_printf("\n  }");
    }
    tool_printf("\n]\n");
}

int tool_table_print(const tool_table *t, int format)
{
    if (t->failed) {
        fputs("remora: out of memory\n", stderr);
        return -1;
    }
    if (format == TOOL_MD) return print_md(t);
    if (format == TOOL_JSON) {
        print_json(t);
        return 0;
    }
    print_csv_row(t, NULL);
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        print_csv_row(t, t->cells + i);
    return 0;
}

/* ---- progress ---- */

void tool_bar(const char *what, uint64_t done, uint64_t total)
{
    static const char full[] = "########################################";
    const unsigned parts = sizeof full - 1;
    if (total == 0 || !tool_is_terminal(stderr)) return;
    const double share = done < total ? (double)done / (double)total : 1.0;
    const int n = (int)(share * parts);
    fprintf(stderr, "\r%s [%-*.*s] %3.0f %%", what, (int)parts, n, full, share * 100);
    fflush(stderr);
}

void tool_bar_clear(void)
{
    if (!tool_is_terminal(stderr)) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}
