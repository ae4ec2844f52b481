/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles to floats: for work that needs the values themselves, such as a transposed matrix. */
#include <string.h>

#include "half.h"
#include "tile.h"

void rmr_tile_decode(rmr_elem e, float *rows, const void *tile, uint32_t n, uint32_t cols,
                     void *coded)
{
    const uint64_t row = rmr_row_bytes(e, cols);
    if (e == RMR_ELEM_BF16) { /* the common case, in one pass */
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t k = 0; k < cols; k++) {
                uint16_t h;
                memcpy(&h, (const unsigned char *)tile + (size_t)(k / 2) * 64 + r * 4 + k % 2 * 2,
                       sizeof h);
                rows[(size_t)r * cols + k] = rmr_bf16_to_f32(h);
            }
        return;
    }
    rmr_tile_unpack(e, coded, tile, n, cols);
    for (uint32_t r = 0; r < n; r++)
        rmr_row_decode(e, rows + (size_t)r * cols, (const unsigned char *)coded + r * row, cols);
}
