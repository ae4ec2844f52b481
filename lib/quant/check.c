/* SPDX-License-Identifier: Apache-2.0 */
/* Can stored bytes be weights? This runs over a whole model at load, so the types in which every
 * value can be bad (the plain ones, and the codes of F8) are looked through without a branch. */
#include <string.h>

#include "block.h"

enum { CHUNK = 256 };

/* Is one of n halves not finite? Then all its exponent bits are set, and adding the lowest of them
 * carries into the sign's place, which was cleared. */
static int any_half(const unsigned char *b, uint32_t n, unsigned exponent)
{
    const uint16_t lowest = (uint16_t)(0x8000 - exponent);
    uint16_t bad = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, b + 2 * (size_t)i, 2);
        bad |= (uint16_t)((h & 0x7fff) + lowest);
    }
    return (bad & 0x8000) != 0;
}

static int any_float(const unsigned char *b, uint32_t n)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, b + 4 * (size_t)i, 4);
        bad |= (u & 0x7fffffff) + 0x00800000;
    }
    return (bad & 0x80000000) != 0;
}

static int any_not_finite(rmr_elem e, const unsigned char *b, uint32_t n)
{
    return e == RMR_ELEM_F32 ? any_float(b, n)
                             : any_half(b, n, e == RMR_ELEM_BF16 ? 0x7f80 : 0x7c00);
}

uint64_t rmr_plain_check(rmr_elem e, const void *values, uint64_t n)
{
    const unsigned char *b = values;
    const uint32_t size = rmr_elem_size(e);
    for (uint64_t i = 0; i < n; i += CHUNK) {
        const uint32_t m = n - i < CHUNK ? (uint32_t)(n - i) : CHUNK;
        if (!any_not_finite(e, b + i * size, m)) continue;
        while (!any_not_finite(e, b + i * size, 1)) i++;
        return i * size;
    }
    return UINT64_MAX;
}

/* The first of n bytes that is a NaN of e4m3fn, or n. */
static uint64_t find_nan_code(const unsigned char *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += CHUNK) {
        const uint32_t end = n - i < CHUNK ? n : i + CHUNK;
        unsigned char bad = 0;
        for (uint32_t j = i; j < end; j++) bad |= (unsigned char)((b[j] & 0x7f) + 1);
        if ((bad & 0x80) == 0) continue;
        while ((b[i] & 0x7f) != 0x7f) i++;
        return i;
    }
    return n;
}

static uint64_t check_f8(const unsigned char *row, uint32_t cols)
{
    const uint64_t nan = find_nan_code(row, cols), end = rmr_row_bytes(RMR_ELEM_F8, cols);
    if (nan < cols) return nan;
    for (uint64_t i = cols; i < end; i += 4)
        if ((row[i + 3] & 0x7f) == 0x7f && (row[i + 2] & 0x80) != 0) return i;
    return UINT64_MAX;
}

/* The bits of a scale that are all set where it is not finite, or (E8M0) NaN. */
static unsigned bad_bits(rmr_scale_form form)
{
    return form == RMR_SCALE_E8M0 ? 0xff : form == RMR_SCALE_BF16 ? 0x7f80 : 0x7c00;
}

/* The first bad scale number `which` of n blocks. */
static uint64_t check_scales(const rmr_elem_format *f, const unsigned char *b, uint64_t n,
                             uint32_t which)
{
    const uint32_t size = rmr_scale_bytes(f), at = f->d + which * size;
    const unsigned bad = bad_bits(f->scale);
    for (uint64_t i = 0; i < n; i++) {
        const unsigned char *const p = b + i * f->bytes + at;
        if (((size == 1 ? *p : rmr_half_at(p)) & bad) == bad) return i * f->bytes + at;
    }
    return UINT64_MAX;
}

uint64_t rmr_row_check(rmr_elem e, const void *row, uint32_t cols)
{
    const rmr_elem_format *const f = &rmr_elem_table[e];
    uint64_t first = UINT64_MAX;
    if (e < RMR_ELEM_PLAIN) return rmr_plain_check(e, row, cols);
    if (e == RMR_ELEM_F8) return check_f8(row, cols);
    for (uint32_t i = 0; i < f->scales; i++) {
        const uint64_t at = check_scales(f, row, cols / f->values, i);
        first = at < first ? at : first;
    }
    return first;
}
