/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to tiles and back (tile.h). Of the integer types both sides are lists of bit fields, and
 * each field has one place in the row's block (elem_format.h) and one in the tile, so that packing
 * and unpacking are the same walk in two directions. */
#include "tile.h"

#include <string.h>

#include "block.h"

/* ---- plain types and F8 ---- */

/* Place of (row r, column k) in a bf16 tile. */
static size_t bf16_at(uint32_t r, uint32_t k)
{
    return ((size_t)(k / 2) * 32 + 2 * r + k % 2) * 2;
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

/* Values of `size` bytes between rows `row_bytes` apart (F8 has its scales between them) and a tile
 * of one column after the other; some columns at a time, so that both sides stay in L1. */
static inline void move_columns(uint32_t size, int to_tile, unsigned char *tile,
                                unsigned char *rows, uint64_t row_bytes, uint32_t n, uint32_t cols)
{
    enum { BLOCK = 64 };
    for (uint32_t k0 = 0; k0 < cols; k0 += BLOCK) {
        const uint32_t k1 = cols - k0 < BLOCK ? cols : k0 + BLOCK;
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t k = k0; k < k1; k++) {
                unsigned char *const a = tile + ((size_t)k * RMR_TILE + r) * size,
                                     *const b = rows + r * row_bytes + (size_t)k * size;
                if (to_tile)
                    memcpy(a, b, size);
                else
                    memcpy(b, a, size);
            }
    }
}

static void pack_plain(rmr_elem e, unsigned char *tile, const unsigned char *rows,
                       uint64_t row_bytes, uint32_t n, uint32_t cols)
{
    unsigned char *const from = (unsigned char *)(uintptr_t)rows; /* only read */
    if (e == RMR_ELEM_BF16 && n == RMR_TILE && cols % 2 == 0)
        pack_bf16(tile, rows, cols);
    else if (e == RMR_ELEM_BF16)
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t k = 0; k < cols; k++)
                memcpy(tile + bf16_at(r, k), rows + r * row_bytes + (size_t)k * 2, 2);
    else if (e == RMR_ELEM_F8)
        move_columns(1, 1, tile, from, row_bytes, n, cols);
    else if (e == RMR_ELEM_F16)
        move_columns(2, 1, tile, from, row_bytes, n, cols);
    else
        move_columns(4, 1, tile, from, row_bytes, n, cols);
}

static void unpack_plain(rmr_elem e, unsigned char *rows, uint64_t row_bytes,
                         const unsigned char *tile, uint32_t n, uint32_t cols)
{
    unsigned char *const from = (unsigned char *)(uintptr_t)tile; /* only read */
    if (e != RMR_ELEM_BF16) move_columns(rmr_elem_size(e), 0, from, rows, row_bytes, n, cols);
    for (uint32_t r = 0; e == RMR_ELEM_BF16 && r < n; r++)
        for (uint32_t k = 0; k < cols; k++)
            memcpy(rows + r * row_bytes + (size_t)k * 2, tile + bf16_at(r, k), 2);
}

/* ---- integer types: the places of fields ---- */

enum {
    RUN = 32,   /* columns */
    GROUP = 64, /* bytes: four columns of 16 rows */
    MAX_BLOCK = 256
};

/* Place in arrays of 16 bytes of field j of n that are `bits` wide; `at` counts arrays. */
static rmr_place array_place(uint32_t bits, uint32_t n, uint32_t j)
{
    const uint32_t arrays = n * bits / 8;
    return (rmr_place){j % arrays, j / arrays * bits};
}

static uint32_t code_bytes(rmr_elem e)
{
    const rmr_elem_format *const f = &rmr_elem_table[e];
    return f->values * (f->low.bits + (uint32_t)f->high.bits) / 8;
}

uint64_t rmr_tile_scales(rmr_elem e, uint64_t cols)
{
    if (e == RMR_ELEM_F8) return RMR_TILE * cols;
    return RMR_TILE * (cols / rmr_elem_table[e].values * code_bytes(e));
}

/* ---- codes ---- */

/* Codes [16][stride] of a run to its plane of `bits` and back; the plane has as many vectors of 64
 * bytes. */
static void run_pack(uint8_t *plane, const uint8_t *codes, uint32_t stride, uint32_t bits)
{
    for (uint32_t v = 0; v < bits; v++)
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            uint32_t w = 0;
            for (uint32_t g = v, shift = 0; g < RUN / 4; g += bits, shift += bits) {
                uint32_t four;
                memcpy(&four, codes + (size_t)r * stride + (size_t)4 * g, 4);
                w |= four << shift;
            }
            memcpy(plane + (size_t)v * GROUP + (size_t)4 * r, &w, 4);
        }
}

static void run_unpack(uint8_t *codes, uint32_t stride, const uint8_t *plane, uint32_t bits)
{
    const uint32_t mask = rmr_bit_mask(bits) * 0x01010101u;
    for (uint32_t g = 0; g < RUN / 4; g++)
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            uint32_t w;
            memcpy(&w, plane + (size_t)(g % bits) * GROUP + (size_t)4 * r, 4);
            w = w >> g / bits * bits & mask;
            memcpy(codes + (size_t)r * stride + (size_t)4 * g, &w, 4);
        }
}

/* Pack both planes of a block of 16 rows, MAX_BLOCK apart, of which n are there. */
static void codes_pack(const rmr_elem_format *f, uint8_t *to, const uint8_t *block, uint32_t n)
{
    const size_t run_bytes = (size_t)(f->low.bits + f->high.bits) * GROUP;
    uint8_t codes[RMR_TILE * MAX_BLOCK];
    if (n < RMR_TILE) memset(codes, 0, sizeof codes);
    for (int high = 0; high < (f->high.bits ? 2 : 1); high++) {
        const rmr_fields *const plane = high ? &f->high : &f->low;
        for (uint32_t r = 0; r < n; r++)
            rmr_fields_get(plane, f->values, codes + r * f->values, block + (size_t)r * MAX_BLOCK);
        for (uint32_t i = 0; i < f->values / RUN; i++)
            run_pack(to + i * run_bytes + (high ? (size_t)f->low.bits * GROUP : 0), codes + i * RUN,
                     f->values, plane->bits);
    }
}

static void codes_unpack(const rmr_elem_format *f, uint8_t *block, const uint8_t *from, uint32_t n)
{
    const size_t run_bytes = (size_t)(f->low.bits + f->high.bits) * GROUP;
    uint8_t codes[RMR_TILE * MAX_BLOCK];
    for (int high = 0; high < (f->high.bits ? 2 : 1); high++) {
        const rmr_fields *const plane = high ? &f->high : &f->low;
        for (uint32_t i = 0; i < f->values / RUN; i++)
            run_unpack(codes + i * RUN, f->values,
                       from + i * run_bytes + (high ? (size_t)f->low.bits * GROUP : 0),
                       plane->bits);
        for (uint32_t r = 0; r < n; r++)
            rmr_fields_put(plane, f->values, block + (size_t)r * MAX_BLOCK, codes + r * f->values,
                           0);
    }
}

/* ---- scales ---- */

enum { PACK, UNPACK };

/* Move one field of n rows, whose blocks are MAX_BLOCK apart and whose bytes in the tile are `step`
 * apart. The target's bits are zero before. */
static inline void field_move(int way, uint8_t *block, rmr_place in_block, uint8_t *tile,
                              rmr_place in_tile, uint32_t step, uint32_t mask, uint32_t n)
{
    block += in_block.at;
    tile += in_tile.at;
    for (uint32_t r = 0; r < n; r++, block += MAX_BLOCK, tile += step)
        if (way == PACK)
            *tile |= (uint8_t)(((uint32_t)*block >> in_block.shift & mask) << in_tile.shift);
        else
            *block |= (uint8_t)(((uint32_t)*tile >> in_tile.shift & mask) << in_block.shift);
}

/* Move one list of n_fields numbers of n rows; returns how many bytes of the tile it takes. */
static inline size_t list_move(const rmr_fields *f, uint32_t n_fields, int way, uint8_t *tile,
                               uint8_t *block, uint32_t n)
{
    for (uint32_t j = 0; j < n_fields; j++) {
        rmr_place in_tile = array_place(f->bits, n_fields, j);
        in_tile.at *= RMR_TILE;
        field_move(way, block, rmr_field_place(f, n_fields, j), tile, in_tile, 1,
                   rmr_bit_mask(f->bits), n);
    }
    return (size_t)n_fields * f->bits / 8 * RMR_TILE;
}

/* Move the scales of one block of n rows. */
static inline void scales_move(const rmr_elem_format *f, int way, uint8_t *tile, uint8_t *block,
                               uint32_t n)
{
    const uint32_t size = rmr_scale_bytes(f);
    const rmr_fields *const lists[] = {&f->sub, &f->sub_high, &f->min, &f->min_high};
    for (uint32_t i = 0; i < size * f->scales; i++)
        field_move(way, block, (rmr_place){f->d + i, 0}, tile,
                   (rmr_place){i / size * size * RMR_TILE + i % size, 0}, size, 0xff, n);
    tile += (size_t)size * f->scales * RMR_TILE;
    for (int i = 0; i < 4; i++)
        if (lists[i]->bits != 0) tile += list_move(lists[i], f->subs, way, tile, block, n);
}

/* ---- tiles ---- */

static void pack_blocks(rmr_elem e, uint8_t *tile, const uint8_t *rows, uint32_t n, uint32_t cols)
{
    const rmr_elem_format *const f = &rmr_elem_table[e];
    const size_t codes = (size_t)RMR_TILE * code_bytes(e),
                 scales = (size_t)RMR_TILE * f->bytes - codes;
    const uint64_t row_bytes = rmr_row_bytes(e, cols);
    uint8_t *const tile_scales = tile + rmr_tile_scales(e, cols);
    uint8_t block[RMR_TILE * MAX_BLOCK];
    for (uint32_t b = 0; b < cols / f->values; b++) {
        for (uint32_t r = 0; r < n; r++)
            memcpy(block + (size_t)r * MAX_BLOCK, rows + r * row_bytes + (size_t)b * f->bytes,
                   f->bytes);
        codes_pack(f, tile + b * codes, block, n);
        memset(tile_scales + b * scales, 0, scales);
        scales_move(f, PACK, tile_scales + b * scales, block, n);
    }
}

static void unpack_blocks(rmr_elem e, uint8_t *rows, const uint8_t *tile, uint32_t n, uint32_t cols)
{
    const rmr_elem_format *const f = &rmr_elem_table[e];
    const size_t codes = (size_t)RMR_TILE * code_bytes(e),
                 scales = (size_t)RMR_TILE * f->bytes - codes;
    const uint64_t row_bytes = rmr_row_bytes(e, cols);
    const uint8_t *const tile_scales = tile + rmr_tile_scales(e, cols);
    uint8_t block[RMR_TILE * MAX_BLOCK], copy[RMR_TILE * MAX_BLOCK];
    for (uint32_t b = 0; b < cols / f->values; b++) {
        memset(block, 0, sizeof block);
        codes_unpack(f, block, tile + b * codes, n);
        memcpy(copy, tile_scales + b * scales, scales);
        scales_move(f, UNPACK, copy, block, n);
        for (uint32_t r = 0; r < n; r++)
            memcpy(rows + r * row_bytes + (size_t)b * f->bytes, block + (size_t)r * MAX_BLOCK,
                   f->bytes);
    }
}

void rmr_tile_pack(rmr_elem e, void *tile, const void *rows, uint32_t n, uint32_t cols)
{
    const uint64_t bytes = rmr_tile_bytes(e, cols), row = rmr_row_bytes(e, cols);
    unsigned char *const to = tile;
    if (e > RMR_ELEM_F8) {
        pack_blocks(e, tile, rows, n, cols);
        memset(to + RMR_TILE * row, 0, (size_t)(bytes - RMR_TILE * row));
        return;
    }
    /* rows that are missing, columns that fill up a group, and what is behind F8's scales */
    if (n < RMR_TILE || e == RMR_ELEM_F8 || RMR_TILE * row != bytes) memset(tile, 0, (size_t)bytes);
    pack_plain(e, tile, rows, row, n, cols);
    if (e == RMR_ELEM_F8 && cols > 0)
        memcpy(to + rmr_tile_scales(e, cols), (const unsigned char *)rows + cols,
               (size_t)(row - cols));
}

void rmr_tile_unpack(rmr_elem e, void *rows, const void *tile, uint32_t n, uint32_t cols)
{
    const uint64_t row = rmr_row_bytes(e, cols);
    if (e > RMR_ELEM_F8) {
        unpack_blocks(e, rows, tile, n, cols);
        return;
    }
    unpack_plain(e, rows, row, tile, n, cols);
    for (uint32_t r = 0; e == RMR_ELEM_F8 && r < n; r++)
        memcpy((unsigned char *)rows + r * row + cols,
               (const unsigned char *)tile + rmr_tile_scales(e, cols), (size_t)(row - cols));
}
