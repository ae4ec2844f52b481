/* SPDX-License-Identifier: Apache-2.0 */
/* Digits of texts that are not terminated. */
#ifndef RMR_DIGITS_H
#define RMR_DIGITS_H

#include <stddef.h>
#include <stdint.h>

/* The value of a hexadecimal digit, or -1. */
static inline int rmr_hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hexadecimal digits behind a \u. 0: they are not there. */
static inline int rmr_hex_four(const char *s, size_t n, uint32_t *v)
{
    *v = 0;
    if (n < 4) return 0;
    for (size_t i = 0; i < 4; i++) {
        const int d = rmr_hex_digit((unsigned char)s[i]);
        if (d < 0) return 0;
        *v = *v << 4 | (uint32_t)d;
    }
    return 1;
}

/* The decimal digits that the text begins with, as a number of at most `most`: what is above is
 * `most`. Returns how many digits there are. */
static inline size_t rmr_digits_read(const unsigned char *s, size_t n, uint32_t most, uint32_t *v)
{
    uint64_t x = 0;
    size_t i = 0;
    for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
        if (x <= most) x = x * 10 + (s[i] - (uint64_t)'0');
    *v = x > most ? most : (uint32_t)x;
    return i;
}

#endif
