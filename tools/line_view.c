/* SPDX-License-Identifier: Apache-2.0 */
#include "line_view.h"

#include "buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TAB "    " /* how a tab is shown */

size_t tool_char_after(const char *text, size_t n, size_t at)
{
    size_t len = at < n;
    while (at + len < n && ((unsigned char)text[at + len] & 0xC0) == 0x80) len++;
    return len;
}

size_t tool_char_before(const char *text, size_t at)
{
    size_t len = at > 0;
    while (len > 0 && len < at && ((unsigned char)text[at - len] & 0xC0) == 0x80) len++;
    return len;
}

static uint32_t code_of(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (n < 2) return u[0];
    uint32_t code = u[0] & (0xFFU >> (n + 1));
    for (size_t i = 1; i < n; i++) code = code << 6 | (u[i] & 0x3F);
    return code;
}

/* Columns of a character: East Asian ones and pictures take two, marks that join others none. */
static size_t columns_of(const char *s, size_t n)
{
    static const struct {
        uint32_t first, last;
        size_t columns;
    } ranges[] = {
        {'\t', '\t', sizeof TAB - 1}, {0x300, 0x36F, 0},     {0x200B, 0x200F, 0},
        {0xFE00, 0xFE0F, 0},          {0x1100, 0x115F, 2},   {0x2E80, 0xA4CF, 2},
        {0xAC00, 0xD7A3, 2},          {0xF900, 0xFAFF, 2},   {0xFE30, 0xFE6F, 2},
        {0xFF00, 0xFF60, 2},          {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2},
        {0x1F680, 0x1F6FF, 2},        {0x1F900, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2},
    };
    const uint32_t code = code_of(s, n);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return ranges[i].columns;
    return 1;
}

static void advance(tool_place *p, const char *s, size_t n, size_t width)
{
    for (size_t i = 0, len; i < n; i += len) {
        len = tool_char_after(s, n, i);
        const size_t columns = columns_of(s + i, len);
        if (s[i] == '\n' || p->column + columns > width) {
            p->row++;
            p->column = 0;
        }
        if (s[i] != '\n') p->column += columns;
    }
}

tool_place tool_line_place(const char *prompt, const char *text, size_t at, size_t width)
{
    tool_place p = {0, 0};
    advance(&p, prompt, strlen(prompt), width);
    advance(&p, text, at, width);
    if (p.column >= width) p = (tool_place){p.row + 1, 0};
    return p;
}

static int add(tool_buffer *out, const char *s)
{
    return tool_buffer_add(out, s, strlen(s));
}

static int move(tool_buffer *out, size_t n, char where)
{
    char code[32];
    if (n == 0) return 0;
    snprintf(code, sizeof code, "\033[%zu%c", n, where);
    return add(out, code);
}

static int add_text(tool_buffer *out, const tool_buffer *text)
{
    int bad = 0;
    for (size_t i = 0; i < text->n; i++)
        bad |= text->s[i] == '\t' ? add(out, TAB) : tool_buffer_add(out, text->s + i, 1);
    return bad;
}

int tool_line_show(tool_buffer *out, const char *prompt, const tool_buffer *text, size_t at,
                   size_t width, size_t *row)
{
    const tool_place end = tool_line_place(prompt, text->s, text->n, width);
    const tool_place cursor = tool_line_place(prompt, text->s, at, width);
    int bad = add(out, "\r") | move(out, *row, 'A') | add(out, "\033[J\033[2m") | add(out, prompt) |
              add(out, "\033[m") | add_text(out, text);
    /* Behind the last column a terminal goes on in the next row only with the next character. */
    if (end.column == 0 && end.row > 0) bad |= add(out, " \r");
    bad |= move(out, end.row - cursor.row, 'A') | add(out, "\r") | move(out, cursor.column, 'C');
    *row = cursor.row;
    return bad;
}
