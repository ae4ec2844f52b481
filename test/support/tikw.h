/* SPDX-License-Identifier: Apache-2.0 */
/* tiktoken.model files in memory. */
#ifndef TIKW_H
#define TIKW_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tik { /* a file while it is written; the owner frees text */
    char *text;
    size_t n, cap;
    uint32_t rank; /* of the next token */
} tik;

static inline void tik_raw(tik *f, const char *s, size_t n)
{
    if (f->n + n > f->cap) f->text = realloc(f->text, f->cap = 2 * (f->n + n) + 4096);
    if (f->text == NULL) abort();
    if (n > 0) memcpy(f->text + f->n, s, n);
    f->n += n;
}

/* A line with this token and the next rank, ended by `eol`. */
static inline void tik_line(tik *f, const char *s, size_t n, const char *eol)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char tail[32];
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t b = (uint32_t)(unsigned char)s[i] << 16 |
                           (left > 1 ? (uint32_t)(unsigned char)s[i + 1] << 8 : 0) |
                           (left > 2 ? (uint32_t)(unsigned char)s[i + 2] : 0);
        const char four[4] = {digits[b >> 18], digits[b >> 12 & 63],
                              left > 1 ? digits[b >> 6 & 63] : '=',
                              left > 2 ? digits[b & 63] : '='};
        tik_raw(f, four, 4);
    }
    snprintf(tail, sizeof tail, " %u%s", f->rank++, eol);
    tik_raw(f, tail, strlen(tail));
}

static inline void tik_word(tik *f, const char *s)
{
    tik_line(f, s, strlen(s), "\n");
}

/* Byte b is token b. */
static inline void tik_bytes(tik *f)
{
    for (int b = 0; b < 256; b++) tik_line(f, &(char){(char)b}, 1, "\n");
}

#endif
