/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

int tool_buffer_insert(tool_buffer *b, size_t at, const char *s, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        const size_t cap = 2 * (b->n + n + 1);
        char *grown = realloc(b->s, cap);
        if (grown == NULL) return -1;
        b->s = grown;
        b->cap = cap;
    }
    memmove(b->s + at + n, b->s + at, b->n - at);
    if (n > 0) memcpy(b->s + at, s, n);
    b->n += n;
    b->s[b->n] = 0;
    return 0;
}

int tool_buffer_add(tool_buffer *b, const char *s, size_t n)
{
    return tool_buffer_insert(b, b->n, s, n);
}

void tool_buffer_cut(tool_buffer *b, size_t at, size_t n)
{
    if (n == 0) return;
    memmove(b->s + at, b->s + at + n, b->n - at - n + 1);
    b->n -= n;
}
