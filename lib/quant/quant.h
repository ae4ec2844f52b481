/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of stored weights: what a row of them looks like, exact decoding, checking and
 * encoding (docs/models.md, "Stored types" and "GGUF blocks").
 *
 * A row is a sequence of blocks; a block is some values and the bytes they take. The plain types
 * have blocks of one value. All types from Q8_0 on but I4 are GGUF's blocks, byte for byte. I4 is
 * Q4_0 with a bf16 scale, the form in which group-quantised INT4 checkpoints (compressed-tensors,
 * group 32) are read. F8 is e4m3fn: `cols` bytes, then one f32 for each started run of 128 columns,
 * the scale of that row and run; all rows of 16 that start at a multiple of 16 have the same
 * scales. */
#ifndef RMR_QUANT_H
#define RMR_QUANT_H

#include <stddef.h>
#include <stdint.h>

#include "elem_format.h"

enum { RMR_F8_RUN = 128 }; /* columns, and at most rows, that share a scale of F8 */

/* Bytes of one value of a plain type. */
static inline uint32_t rmr_elem_size(rmr_elem e)
{
    return rmr_elem_table[e].bytes;
}

/* The type of that name, or RMR_ELEM_COUNT. */
rmr_elem rmr_elem_find(const char *name);

/* 1 when a row can have this many columns. */
static inline int rmr_elem_fits(rmr_elem e, uint64_t cols)
{
    return cols % rmr_elem_table[e].values == 0;
}

/* Bytes of a row that fits; cols is at most 2^32. */
static inline uint64_t rmr_row_bytes(rmr_elem e, uint64_t cols)
{
    const uint64_t scales = e == RMR_ELEM_F8 ? (cols + RMR_F8_RUN - 1) / RMR_F8_RUN * 4 : 0;
    return cols / rmr_elem_table[e].values * rmr_elem_table[e].bytes + scales;
}

/* out[cols] = the values of a row, rounded once to f32 where they are not exact. Any alignment of
 * `row`. */
void rmr_row_decode(rmr_elem e, float *out, const void *row, uint32_t cols);

/* The offset in the row of the first byte that no weight can have: a value (of F8 a code) that is
 * NaN or an infinity, or a scale that is not finite. UINT64_MAX when there is none. */
uint64_t rmr_row_check(rmr_elem e, const void *row, uint32_t cols);

/* As rmr_row_check, for n values of a plain type in any order. */
uint64_t rmr_plain_check(rmr_elem e, const void *values, uint64_t n);

/* Encode n rows of finite f32 as type e. `importance` (NULL: all equal) weighs the squared error of
 * each column: finite, not negative. n is 1 or, for F8, the whole of a run of 128 rows or the last
 * rows of a matrix. The same input gives the same bytes on every machine. */
void rmr_rows_encode(rmr_elem e, void *rows, const float *x, uint32_t n, uint32_t cols,
                     const float *importance);

#endif
