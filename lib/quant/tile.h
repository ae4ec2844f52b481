/* SPDX-License-Identifier: Apache-2.0 */
/* Compute layout of a weight matrix [rows, cols], the same on every machine: ceil(rows / 16) tiles
 * one after another, missing rows zero. In a tile the 16 output rows lie in the lanes of vectors
 * and the columns run (docs/pack.md has it for other implementations). A tile takes what its 16
 * rows take, rounded up to 64 bytes.
 *
 * BF16: ceil(cols / 2) groups of 64 bytes: row 0's k, k+1; row 1's k, k+1; ... row 15's k, k+1. A
 * missing last k is zero and its product is left out, not added.
 * F16, F32: for each column 16 values, rows 0..15.
 * F8: for each column 16 codes, rows 0..15; padding to 4 bytes; one f32 scale for each run of 128
 * columns.
 *
 * The integer types: first the codes of all blocks, then the scales of all blocks.
 *
 * Codes come in runs of 32 columns. Column c = 4 g + i of a run and row r is lane 4 r + i of group
 * g (64 lanes, 8 groups). Planes of a run, in this order: 8 bits: 8 vectors of 64 bytes, vector g
 * holding group g (Q8_0: signed). 4 bits: 4 vectors; vector v holds group v in the low and group v
 * + 4 in the high nibbles. 2 bits: 2 vectors; vector v holds group v + 2 j in bits 2 j, 2 j + 1. 1
 * bit: 1 vector; group g in bit g. Q8_0: the 8-bit plane. Q4_0, Q4_1, I4, IQ4_NL, MXFP4, IQ4_XS,
 * Q4_K: the 4-bit plane. Q5_0, Q5_1, Q5_K: 4 bits, then the fifth. Q6_K: the low 4, then the high
 * 2. Q3_K: the low 2, then the third. Q2_K: the 2-bit plane.
 *
 * Scales of a block, for the 16 rows: arrays of 16 halves (f16; I4: bf16) or bytes.
 *   Q8_0, Q4_0, Q5_0, I4, IQ4_NL: d. Q4_1, Q5_1: d; m. MXFP4: e (bytes).
 *   Sub-scales are nibble pairs: array a (16 bytes) holds sub-block a in the low and a + n/2 in the
 *   high nibbles, n the number of sub-blocks; two more bits are arrays that hold sub-blocks a, a +
 *   n/4, a + n/2, a + 3n/4 in bits 0, 2, 4, 6.
 *   IQ4_XS (n = 8): d; low 4 of ls; high 2 of ls.
 *   Q4_K, Q5_K (n = 8): d; dmin; low 4 of sc; high 2 of sc; low 4 of mn; high 2 of mn.
 *   Q6_K (n = 16): d; 16 arrays of signed bytes, sub-block by sub-block.
 *   Q3_K (n = 16): d; low 4 of sc + 32; high 2 of it.
 *   Q2_K (n = 16): d; dmin; 4 bits of sc; 4 bits of mn. */
#ifndef RMR_TILE_H
#define RMR_TILE_H

#include "quant.h"

enum { RMR_TILE = 16 }; /* rows */

static inline uint64_t rmr_tile_bytes(rmr_elem e, uint64_t cols)
{
    const uint64_t k = e == RMR_ELEM_BF16 ? (cols + 1) / 2 * 2 : cols;
    uint64_t bytes = RMR_TILE * (k / rmr_elem_table[e].values * rmr_elem_table[e].bytes);
    if (e == RMR_ELEM_F8) bytes += (cols + RMR_F8_RUN - 1) / RMR_F8_RUN * 4;
    return (bytes + 63) / 64 * 64;
}

/* Offset of the scales in a tile of an integer type or F8. */
uint64_t rmr_tile_scales(rmr_elem e, uint64_t cols);

/* Pack n (1..16) canonical rows (quant.h) that lie next to each other, any alignment, into a tile;
 * and back. */
void rmr_tile_pack(rmr_elem e, void *tile, const void *rows, uint32_t n, uint32_t cols);
void rmr_tile_unpack(rmr_elem e, void *rows, const void *tile, uint32_t n, uint32_t cols);

/* The values of the first n rows of a tile, [n][cols]. `coded` has room for n canonical rows. */
void rmr_tile_decode(rmr_elem e, float *rows, const void *tile, uint32_t n, uint32_t cols,
                     void *coded);

#endif
