/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a weight in memory for computing, the same on every machine and in packs
 * (docs/pack.md): the matrices of a stack one after another; a matrix in tiles (tile.h), a table as
 * canonical rows (quant.h), a vector as f32. */
#ifndef RMR_LAYOUT_H
#define RMR_LAYOUT_H

#include "tile.h"

typedef enum rmr_weight_use {
    RMR_USE_MATRIX, /* y = W x */
    RMR_USE_TABLE,  /* rows are looked up (embedding) */
    RMR_USE_VECTOR  /* rows = 1: norm weights, biases; kept as f32 */
} rmr_weight_use;

typedef struct rmr_layout {
    uint64_t tile;   /* bytes of a tile; 0 for tables and vectors */
    uint64_t stride; /* bytes of one matrix of the stack */
    uint64_t bytes;  /* bytes of all matrices of the stack */
} rmr_layout;

/* Fill in the sizes; 0 when one does not fit. `elem` of a vector is the type of its source. */
static inline int rmr_lay_out(rmr_weight_use use, rmr_elem elem, uint32_t count, uint32_t rows,
                              uint32_t cols, rmr_layout *out)
{
    uint64_t n = rows, row = (uint64_t)cols * 4;
    *out = (rmr_layout){0};
    if (use == RMR_USE_MATRIX) {
        row = out->tile = rmr_tile_bytes(elem, cols);
        n = (n + RMR_TILE - 1) / RMR_TILE;
    } else if (use == RMR_USE_TABLE) {
        row = rmr_row_bytes(elem, cols);
    }
    return !__builtin_mul_overflow(row, n, &out->stride) &&
           !__builtin_mul_overflow(out->stride, (uint64_t)count, &out->bytes) &&
           out->bytes <= PTRDIFF_MAX;
}

#endif
