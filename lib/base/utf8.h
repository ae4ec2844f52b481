/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, one step at a time. Ill-formed input is cut as the Unicode standard recommends ("maximal
 * subparts"), which is what Python's and Rust's lossy decoders do: one U+FFFD each. */
#ifndef RMR_UTF8_H
#define RMR_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define RMR_UTF8_BAD UINT32_MAX         /* not UTF-8 */
#define RMR_UTF8_SHORT (UINT32_MAX - 1) /* well-formed so far, but the bytes end */

/* Decode the sequence at p (n >= 1 bytes): returns its length and stores the code point, BAD
 * (length 1..3) or SHORT (length n, at most 3). */
static inline size_t rmr_utf8_step(const unsigned char *p, size_t n, uint32_t *cp)
{
    const unsigned b = p[0];
    unsigned need, lo = 0x80, hi = 0xBF;
    *cp = b;
    if (b < 0x80) return 1;
    *cp = RMR_UTF8_BAD;
    if (b < 0xC2 || b > 0xF4) return 1;
    need = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
    if (b == 0xE0) lo = 0xA0; /* overlong */
    if (b == 0xED) hi = 0x9F; /* surrogates */
    if (b == 0xF0) lo = 0x90; /* overlong */
    if (b == 0xF4) hi = 0x8F; /* above U+10FFFF */
    uint32_t v = b & (0x3Fu >> need);
    for (unsigned i = 1; i <= need; i++, lo = 0x80, hi = 0xBF) {
        if (i >= n) {
            *cp = RMR_UTF8_SHORT;
            return n;
        }
        if (p[i] < lo || p[i] > hi) return i;
        v = v << 6 | (p[i] & 0x3Fu);
    }
    *cp = v;
    return need + 1;
}

/* The number of bytes before the first that is not UTF-8; n when all of them are. */
static inline size_t rmr_utf8_until(const char *s, size_t n)
{
    size_t at = 0;
    while (at < n) {
        uint32_t cp;
        const size_t len = rmr_utf8_step((const unsigned char *)s + at, n - at, &cp);
        if (cp >= RMR_UTF8_SHORT) return at; /* or BAD */
        at += len;
    }
    return n;
}

/* The code point of two surrogates, which UTF-16 and the escapes \uXXXX write for those above
 * U+FFFF. 0: they are no pair. */
static inline int rmr_utf16_pair(uint32_t high, uint32_t low, uint32_t *cp)
{
    if (high < 0xD800 || high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) return 0;
    *cp = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    return 1;
}

/* Write a code point (not a surrogate, at most U+10FFFF); returns its length, 1..4. */
static inline size_t rmr_utf8_put(uint32_t cp, unsigned char out[4])
{
    if (cp < 0x80) {
        out[0] = (unsigned char)cp;
        return 1;
    }
    const size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (unsigned char)(0x80 | (cp & 0x3F));
    out[0] = (unsigned char)((0xF00u >> n & 0xFF) | cp);
    return n;
}

#endif
