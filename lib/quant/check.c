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

/* The first bad half-sized scale of n blocks; all bits of `exponent` are set in a value that is not
 * finite. */
static uint64_t check_scales(const unsigned char *b, uint64_t n, uint32_t stride, int at,
                             unsigned exponent)
{
    for (uint64_t i = 0; i < n; i++)
        if ((rmr_half_at(b + i * stride + at) & exponent) == exponent)
            return i * stride + (unsigned)at;
    return UINT64_MAX;
}

static uint64_t check_mxfp4(const unsigned char *b, uint64_t n, uint32_t stride)
{
    for (uint64_t i = 0; i < n; i++)
        if (b[i * stride] == 255) return i * stride;
    return UINT64_MAX;
}

uint64_t rmr_row_check(rmr_elem e, const void *row, uint32_t cols)
{
    if (e < RMR_ELEM_PLAIN) return rmr_plain_check(e, row, cols);
    if (e == RMR_ELEM_F8) return check_f8(row, cols);
    const uint32_t stride = rmr_elem_table[e].bytes;
    const uint64_t n = cols / rmr_elem_table[e].values;
    if (e == RMR_ELEM_MXFP4) return check_mxfp4(row, n, stride);
    const rmr_block_scales at = rmr_block_scales_at[e];
    const uint64_t d = check_scales(row, n, stride, at.d, e == RMR_ELEM_I4 ? 0x7f80 : 0x7c00);
    const uint64_t m = at.dmin < 0 ? UINT64_MAX : check_scales(row, n, stride, at.dmin, 0x7c00);
    return d < m ? d : m;
}
