/* Rows to tiles and back (tile.h). */
#include "tile.h"

#include <string.h>

/* Where element (row r, column k) of a plain tile lies, in elements. */
static size_t tile_index(rmr_elem e, uint32_t r, uint32_t k)
{
    if (e == RMR_ELEM_BF16) return (size_t)(k / 2) * 32 + 2 * r + k % 2;
    return (size_t)k * RMR_TILE + r;
}

/* The common case, a full bf16 tile of even width: whole pairs of columns move as 32-bit words. */
static void pack_bf16(unsigned char *tile, const unsigned char *rows, uint32_t cols)
{
    enum { BLOCK = 64 }; /* column pairs that stay in L1 for all 16 rows */
    for (uint32_t p0 = 0; p0 < cols / 2; p0 += BLOCK) {
        const uint32_t p1 = p0 + BLOCK < cols / 2 ? p0 + BLOCK : cols / 2;
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            const unsigned char *src = rows + (size_t)r * cols * 2;
            for (uint32_t p = p0; p < p1; p++)
                memcpy(tile + (size_t)p * 64 + 4 * r, src + (size_t)p * 4, 4);
        }
    }
}

static void pack_plain(rmr_elem e, unsigned char *tile, const unsigned char *rows, uint32_t n,
                       uint32_t cols)
{
    const uint32_t size = rmr_elem_size(e);
    if (e == RMR_ELEM_BF16 && n == RMR_TILE && cols % 2 == 0) {
        pack_bf16(tile, rows, cols);
        return;
    }
    for (uint32_t r = 0; r < n; r++) {
        const unsigned char *src = rows + (size_t)r * cols * size;
        for (uint32_t k = 0; k < cols; k++)
            memcpy(tile + tile_index(e, r, k) * size, src + (size_t)k * size, size);
    }
}

void rmr_tile_pack(rmr_elem e, void *tile, const void *rows, uint32_t n, uint32_t cols)
{
    const uint64_t bytes = rmr_tile_bytes(e, cols), row = rmr_row_bytes(e, cols);
    if (n < RMR_TILE || RMR_TILE * row != bytes) memset(tile, 0, (size_t)bytes);
    pack_plain(e, tile, rows, n, cols);
}

void rmr_tile_unpack(rmr_elem e, void *rows, const void *tile, uint32_t n, uint32_t cols)
{
    const uint32_t size = rmr_elem_size(e);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t k = 0; k < cols; k++)
            memcpy((unsigned char *)rows + ((size_t)r * cols + k) * size,
                   (const unsigned char *)tile + tile_index(e, r, k) * size, size);
}
