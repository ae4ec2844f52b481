/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include "host.h"
#include "line_view.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BEFORE = 500 };
enum { CTRL_A = 1, CTRL_B, CTRL_C, CTRL_D, CTRL_E, CTRL_F, CTRL_H = 8, CTRL_K = 11, CTRL_L };
enum { CTRL_N = 14, CTRL_P = 16, CTRL_U = 21, CTRL_W = 23, CTRL_Z = 26, ESCAPE, DELETE = 127 };
enum { GOES_ON, DONE, NO_LINE }; /* what a key makes of the line */

void tool_lines_init(tool_lines *l)
{
    memset(l, 0, sizeof *l);
    l->asks = tool_is_terminal(stdin) && tool_is_terminal(stderr);
    l->edits = l->asks && tool_terminal_edits();
    if (l->edits) tool_watch_window();
}

void tool_lines_free(tool_lines *l)
{
    for (size_t i = 0; i < l->n_before; i++) free(l->before[i]);
    free(l->before);
    free(l->text.s);
    free(l->draft.s);
}

/* -- the terminal -- */

static void show(tool_lines *l)
{
    tool_buffer out = {0};
    if (tool_line_show(&out, l->prompt, &l->text, l->at, tool_terminal_width(), &l->row) == 0)
        fwrite(out.s, 1, out.n, stderr);
    free(out.s);
}

/* A terminal whose width has changed has wrapped what it shows anew. */
static void show_again(tool_lines *l)
{
    l->row = tool_line_place(l->prompt, l->text.s, l->at, tool_terminal_width()).row;
    show(l);
}

static int next_byte(tool_lines *l)
{
    while (l->taken == l->n_in) {
        const int there = tool_wait_input();
        const size_t n = there > 0 ? tool_read_input(l->in, sizeof l->in) : 0;
        if (there < 0) {
            if (l->edits) show_again(l);
            continue;
        }
        if (n == 0) return EOF;
        l->n_in = n;
        l->taken = 0;
    }
    return (unsigned char)l->in[l->taken++];
}

/* -- changes of the line -- */

static int insert(tool_lines *l, const char *s, size_t n)
{
    if (tool_buffer_insert(&l->text, l->at, s, n) < 0) return NO_LINE;
    l->at += n;
    return GOES_ON;
}

static void cut(tool_lines *l, size_t from, size_t to)
{
    tool_buffer_cut(&l->text, from, to - from);
    l->at = from;
}

static size_t back(const tool_lines *l)
{
    return l->at - tool_char_before(l->text.s, l->at);
}

static size_t on(const tool_lines *l)
{
    return l->at + tool_char_after(l->text.s, l->text.n, l->at);
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static size_t word_back(const tool_lines *l)
{
    size_t at = l->at;
    while (at > 0 && is_space(l->text.s[at - 1])) at--;
    while (at > 0 && !is_space(l->text.s[at - 1])) at--;
    return at;
}

static size_t word_on(const tool_lines *l)
{
    size_t at = l->at;
    while (at < l->text.n && is_space(l->text.s[at])) at++;
    while (at < l->text.n && !is_space(l->text.s[at])) at++;
    return at;
}

/* -- lines before -- */

static void remember(tool_lines *l)
{
    if (l->text.n == 0) return;
    if (l->n_before > 0 && strcmp(l->before[l->n_before - 1], l->text.s) == 0) return;
    char *copy = strdup(l->text.s);
    char **grown = l->before ? l->before : malloc(MOST_BEFORE * sizeof *grown);
    if (copy == NULL || grown == NULL) {
        free(copy);
        return;
    }
    l->before = grown;
    if (l->n_before == MOST_BEFORE) {
        free(grown[0]);
        memmove(grown, grown + 1, --l->n_before * sizeof *grown);
    }
    grown[l->n_before++] = copy;
}

/* Show an older line, or what was being typed: `recalled` counts from the oldest on. */
static int recall(tool_lines *l, size_t which)
{
    if (which > l->n_before || l->n_before == 0) return GOES_ON;
    if (l->recalled == l->n_before) {
        l->draft.n = 0;
        if (tool_buffer_add(&l->draft, l->text.s, l->text.n) < 0) return NO_LINE;
    }
    const char *s = which < l->n_before ? l->before[which] : l->draft.s;
    l->recalled = which;
    cut(l, 0, l->text.n);
    return insert(l, s, strlen(s));
}

/* -- keys -- */

static int end_of_line(tool_lines *l)
{
    if (l->at > 0 && l->text.s[l->at - 1] == '\\') {
        cut(l, l->at - 1, l->at);
        return insert(l, "\n", 1);
    }
    l->at = l->text.n;
    return DONE;
}

/* Drop what was typed; where nothing was, it is an interrupt. */
static int stop(tool_lines *l)
{
    l->at = l->text.n;
    show(l);
    fputs("^C", stderr);
    if (l->text.n == 0) {
        raise(SIGINT);
        return NO_LINE;
    }
    fputc('\n', stderr);
    l->row = 0;
    cut(l, 0, l->text.n);
    return GOES_ON;
}

static int control(tool_lines *l, int key)
{
    switch (key) {
    case CTRL_A: l->at = 0; break;
    case CTRL_E: l->at = l->text.n; break;
    case CTRL_B: l->at = back(l); break;
    case CTRL_F: l->at = on(l); break;
    case CTRL_H:
    case DELETE: cut(l, back(l), l->at); break;
    case CTRL_K: cut(l, l->at, l->text.n); break;
    case CTRL_U: cut(l, 0, l->at); break;
    case CTRL_W: cut(l, word_back(l), l->at); break;
    case CTRL_P: return recall(l, l->recalled - 1);
    case CTRL_N: return recall(l, l->recalled + 1);
    case CTRL_C: return stop(l);
    case CTRL_D:
        if (l->text.n == 0) return NO_LINE;
        cut(l, l->at, on(l));
        break;
    case CTRL_L:
        fputs("\033[H\033[2J", stderr);
        l->row = 0;
        break;
    default: break;
    }
    return GOES_ON;
}

/* Keys of a terminal: ESC [ numbers letter. Pasted text stands between two of them. */
static int sequence(tool_lines *l)
{
    char number[16];
    size_t n = 0;
    int c = next_byte(l);
    while (c == ';' || (c >= '0' && c <= '9')) {
        if (n + 1 < sizeof number) number[n++] = (char)c;
        c = next_byte(l);
    }
    number[n] = 0;
    const int word = strcmp(number, "1;5") == 0 || strcmp(number, "1;3") == 0;
    if (c == 'A') return recall(l, l->recalled - 1);
    if (c == 'B') return recall(l, l->recalled + 1);
    if (c == 'C') l->at = word ? word_on(l) : on(l);
    if (c == 'D') l->at = word ? word_back(l) : back(l);
    const int tilde = c == '~' ? atoi(number) : 0;
    if (c == 'H' || tilde == 1 || tilde == 7) l->at = 0;
    if (c == 'F' || tilde == 4 || tilde == 8) l->at = l->text.n;
    if (tilde == 3) cut(l, l->at, on(l));
    if (tilde == 200 || tilde == 201) l->pasting = tilde == 200;
    return c == EOF ? NO_LINE : GOES_ON;
}

static int escape(tool_lines *l)
{
    const int c = next_byte(l);
    if (c == '[' || c == 'O') return sequence(l);
    if (c == '\r' || c == '\n') return insert(l, "\n", 1);
    if (c == 'b') l->at = word_back(l);
    if (c == 'f') l->at = word_on(l);
    return c == EOF ? NO_LINE : GOES_ON;
}

static int key(tool_lines *l, int c)
{
    const char one = (char)c;
    if (c == EOF) return NO_LINE;
    if (c == ESCAPE) return escape(l);
    if (c == '\r' || c == '\n') return l->pasting ? insert(l, "\n", 1) : end_of_line(l);
    if ((c >= ' ' && c != DELETE) || c == '\t') return insert(l, &one, 1);
    return l->pasting ? GOES_ON : control(l, c);
}

static int edit(tool_lines *l)
{
    int what = GOES_ON;
    l->at = l->row = 0;
    l->pasting = 0;
    l->recalled = l->n_before;
    tool_terminal_take_keys();
    for (show(l); what == GOES_ON;) {
        const int c = next_byte(l);
        if (c == CTRL_Z && !l->pasting) {
            tool_terminal_give_keys_back();
            tool_terminal_suspend();
            tool_terminal_take_keys();
            l->row = 0;
        } else {
            what = key(l, c);
        }
        if (what == DONE || (what == GOES_ON && l->taken == l->n_in)) show(l);
    }
    fputc('\n', stderr);
    tool_terminal_give_keys_back();
    if (what == DONE) remember(l);
    return what == DONE;
}

/* -- lines -- */

/* As it is; the last line needs no end. */
static int read_plain(tool_lines *l)
{
    int c;
    if (l->asks) fputs(l->prompt, stderr);
    while ((c = next_byte(l)) != EOF) {
        const char one = (char)c;
        l->at = l->text.n;
        if (c != '\n') {
            if (insert(l, &one, 1) != GOES_ON) return 0;
        } else if (end_of_line(l) == DONE) {
            return 1;
        }
    }
    if (l->asks && tool_cancelled()) fputc('\n', stderr);
    return l->text.n > 0 && !tool_cancelled();
}

int tool_lines_read(tool_lines *l, const char *prompt)
{
    l->prompt = prompt;
    l->text.n = l->at = 0;
    if (tool_buffer_add(&l->text, "", 0) < 0) return 0; /* there is a NUL */
    return l->edits ? edit(l) : read_plain(l);
}
