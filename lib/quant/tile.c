/* Rows to tiles and back (tile.h). Of the integer types both sides are lists of bit fields, and
 * each field has one place in the row's block and one in the tile, so that
 * packing and unpacking are the same walk in two directions. */
#include "tile.h"

#include <string.h>

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
    PIECE = 16, /* columns whose fields lie in consecutive bytes of a block, equally shifted */
    GROUP = 64, /* bytes: four columns of 16 rows */
    MAX_BLOCK = 256
};

/* A field of n bits in byte `at`, `shift` bits up. */
typedef struct place {
    uint32_t at, shift;
} place;

typedef struct format {
    uint8_t low, high;     /* bits of the two planes of codes */
    uint8_t halves;        /* d; dmin or m */
    uint8_t n_sub;         /* sub-scales */
    uint8_t low_s, high_s; /* bits of their two parts */
    uint8_t mins;          /* there are sub-minima, of the form of the sub-scales */
    uint8_t d;             /* offset of d in the block */
    uint8_t bits;          /* offset of high bits that are one row of bits; 0: code_place */
} format;

static const format formats[RMR_ELEM_COUNT] = {
    [RMR_ELEM_Q8_0] = {.low = 8, .halves = 1},
    [RMR_ELEM_Q4_0] = {.low = 4, .halves = 1},
    [RMR_ELEM_I4] = {.low = 4, .halves = 1},
    [RMR_ELEM_IQ4_NL] = {.low = 4, .halves = 1},
    [RMR_ELEM_MXFP4] = {.low = 4, .n_sub = 1, .low_s = 8},
    [RMR_ELEM_IQ4_XS] = {.low = 4, .halves = 1, .n_sub = 8, .low_s = 4, .high_s = 2},
    [RMR_ELEM_Q4_K] = {.low = 4, .halves = 2, .n_sub = 8, .low_s = 4, .high_s = 2, .mins = 1},
    [RMR_ELEM_Q5_K] =
        {.low = 4, .high = 1, .halves = 2, .n_sub = 8, .low_s = 4, .high_s = 2, .mins = 1},
    [RMR_ELEM_Q6_K] = {.low = 4, .high = 2, .halves = 1, .n_sub = 16, .low_s = 8, .d = 208},
    [RMR_ELEM_Q3_K] =
        {.low = 2, .high = 1, .halves = 1, .n_sub = 16, .low_s = 4, .high_s = 2, .d = 108},
    [RMR_ELEM_Q2_K] = {.low = 2, .halves = 2, .n_sub = 16, .low_s = 4, .mins = 1, .d = 80},
    [RMR_ELEM_Q4_1] = {.low = 4, .halves = 2},
    [RMR_ELEM_Q5_0] = {.low = 4, .high = 1, .halves = 1, .bits = 2},
    [RMR_ELEM_Q5_1] = {.low = 4, .high = 1, .halves = 2, .bits = 4},
};

/* Place in a block of the low or high bits of the first code of piece p (16 columns); the other
 * codes follow byte by byte. */
static place code_place(rmr_elem e, int high, uint32_t p)
{
    const uint32_t run = p / 2, l = p % 2 * PIECE, half = run / 4, k = run % 4;
    switch (e) {
    case RMR_ELEM_Q8_0: return (place){2 + l, 0};
    case RMR_ELEM_MXFP4: return (place){1, 4 * (p % 2)};
    case RMR_ELEM_IQ4_XS: return (place){8 + PIECE * run, 4 * (p % 2)};
    case RMR_ELEM_Q4_K: return (place){16 + 32 * (run / 2) + l, 4 * (run % 2)};
    case RMR_ELEM_Q5_K:
        return high ? (place){16 + l, run} : (place){48 + 32 * (run / 2) + l, 4 * (run % 2)};
    case RMR_ELEM_Q6_K:
        return high ? (place){128 + 32 * half + l, 2 * k}
                    : (place){64 * half + 32 * (k % 2) + l, 4 * (k / 2)};
    case RMR_ELEM_Q3_K: return high ? (place){l, run} : (place){32 + 32 * half + l, 2 * k};
    case RMR_ELEM_Q2_K: return (place){16 + 32 * half + l, 2 * k};
    case RMR_ELEM_Q4_1: return (place){4, 4 * (p % 2)};
    case RMR_ELEM_Q5_0: return (place){6, 4 * (p % 2)};
    case RMR_ELEM_Q5_1: return (place){8, 4 * (p % 2)};
    default: return (place){2, 4 * (p % 2)}; /* Q4_0, I4, IQ4_NL */
    }
}

/* The six bits of sub-block j of Q4_K and Q5_K, whose 12 bytes start at byte 4. */
static place k_place(int high, int min, uint32_t j)
{
    const uint32_t s = 4;
    if (j < 4) return (place){s + j + (min ? 4 : 0), high ? 4 : 0};
    if (high) return (place){s + j - (min ? 0 : 4), 6};
    return (place){s + j + 4, min ? 4 : 0};
}

/* Place in a block of the low or high bits of sub-scale or sub-minimum j. */
static place sub_place(rmr_elem e, int high, int min, uint32_t j)
{
    switch (e) {
    case RMR_ELEM_IQ4_XS:
        return high ? (place){2 + j / 4, 2 * (j % 4)} : (place){4 + j / 2, 4 * (j % 2)};
    case RMR_ELEM_Q4_K:
    case RMR_ELEM_Q5_K: return k_place(high, min, j);
    case RMR_ELEM_Q6_K: return (place){192 + j, 0};
    case RMR_ELEM_Q3_K:
        return high ? (place){104 + j % 4, 2 * (j / 4)} : (place){96 + j % 8, 4 * (j / 8)};
    case RMR_ELEM_Q2_K: return (place){j, min ? 4 : 0};
    default: return (place){0, 0}; /* MXFP4 */
    }
}

/* Place in arrays of 16 bytes of field j of n that are `bits` wide; `at` counts arrays. */
static place array_place(uint32_t bits, uint32_t n, uint32_t j)
{
    const uint32_t arrays = n * bits / 8;
    return (place){j % arrays, j / arrays * bits};
}

static uint32_t code_bytes(rmr_elem e)
{
    return rmr_elem_table[e].values * (formats[e].low + (uint32_t)formats[e].high) / 8;
}

static uint32_t mask_of(uint32_t bits)
{
    return (1u << bits) - 1;
}

uint64_t rmr_tile_scales(rmr_elem e, uint64_t cols)
{
    if (e == RMR_ELEM_F8) return RMR_TILE * cols;
    return RMR_TILE * (cols / rmr_elem_table[e].values * code_bytes(e));
}

/* ---- codes: several bytes at a time in a word; fields never cross their bytes ---- */

/* Bits [shift, shift + bits) of each of 8 bytes moved to the bottom; and back, into zeros. */
static void words_get(uint8_t *to, const uint8_t *from, uint32_t shift, uint32_t bits)
{
    const uint64_t mask = mask_of(bits) * 0x0101010101010101u;
    for (uint32_t i = 0; i < PIECE; i += 8) {
        uint64_t w;
        memcpy(&w, from + i, 8);
        w = w >> shift & mask;
        memcpy(to + i, &w, 8);
    }
}

static void words_put(uint8_t *to, const uint8_t *from, uint32_t shift)
{
    for (uint32_t i = 0; i < PIECE; i += 8) {
        uint64_t w, old;
        memcpy(&w, from + i, 8);
        memcpy(&old, to + i, 8);
        old |= w << shift;
        memcpy(to + i, &old, 8);
    }
}

/* Bits of columns, eight in a byte, the lowest first. Apart: the byte is copied eight times, byte k
 * of the word keeps bit k, and 0x7f carries it to the byte's top. Together: the product moves the
 * eight bits, which do not meet, into the highest byte. */
static void row_get(uint8_t *codes, const uint8_t *from, uint32_t n)
{
    const uint64_t ones = 0x0101010101010101u;
    for (uint32_t i = 0; i < n; i += 8) {
        const uint64_t apart = from[i / 8] * ones & 0x8040201008040201u;
        const uint64_t w = (apart + 0x7f * ones) >> 7 & ones;
        memcpy(codes + i, &w, 8);
    }
}

static void row_put(uint8_t *to, const uint8_t *codes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t w;
        memcpy(&w, codes + i, 8);
        to[i / 8] |= (uint8_t)(w * 0x0102040810204080u >> 56);
    }
}

/* The bits of one plane between a block and codes[] = fields of one byte each. */
static void plane_get(rmr_elem e, int high, uint8_t *codes, const uint8_t *block)
{
    const uint32_t bits = high ? formats[e].high : formats[e].low;
    if (high && formats[e].bits != 0) {
        row_get(codes, block + formats[e].bits, rmr_elem_table[e].values);
        return;
    }
    for (uint32_t p = 0; p < rmr_elem_table[e].values / PIECE; p++) {
        const place at = code_place(e, high, p);
        words_get(codes + (size_t)p * PIECE, block + at.at, at.shift, bits);
    }
}

static void plane_put(rmr_elem e, int high, uint8_t *block, const uint8_t *codes)
{
    if (high && formats[e].bits != 0) {
        row_put(block + formats[e].bits, codes, rmr_elem_table[e].values);
        return;
    }
    for (uint32_t p = 0; p < rmr_elem_table[e].values / PIECE; p++) {
        const place at = code_place(e, high, p);
        words_put(block + at.at, codes + (size_t)p * PIECE, at.shift);
    }
}

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
    const uint32_t mask = mask_of(bits) * 0x01010101u;
    for (uint32_t g = 0; g < RUN / 4; g++)
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            uint32_t w;
            memcpy(&w, plane + (size_t)(g % bits) * GROUP + (size_t)4 * r, 4);
            w = w >> g / bits * bits & mask;
            memcpy(codes + (size_t)r * stride + (size_t)4 * g, &w, 4);
        }
}

/* Pack both planes of a block of 16 rows, MAX_BLOCK apart, of which n are there. */
static void codes_pack(rmr_elem e, uint8_t *to, const uint8_t *block, uint32_t n)
{
    const format *const f = &formats[e];
    const uint32_t values = rmr_elem_table[e].values;
    const size_t run_bytes = (size_t)(f->low + f->high) * GROUP;
    uint8_t codes[RMR_TILE * MAX_BLOCK];
    if (n < RMR_TILE) memset(codes, 0, sizeof codes);
    for (int high = 0; high < (f->high ? 2 : 1); high++) {
        for (uint32_t r = 0; r < n; r++)
            plane_get(e, high, codes + r * values, block + (size_t)r * MAX_BLOCK);
        for (uint32_t i = 0; i < values / RUN; i++)
            run_pack(to + i * run_bytes + (high ? (size_t)f->low * GROUP : 0), codes + i * RUN,
                     values, high ? f->high : f->low);
    }
}

static void codes_unpack(rmr_elem e, uint8_t *block, const uint8_t *from, uint32_t n)
{
    const format *const f = &formats[e];
    const uint32_t values = rmr_elem_table[e].values;
    const size_t run_bytes = (size_t)(f->low + f->high) * GROUP;
    uint8_t codes[RMR_TILE * MAX_BLOCK];
    for (int high = 0; high < (f->high ? 2 : 1); high++) {
        for (uint32_t i = 0; i < values / RUN; i++)
            run_unpack(codes + i * RUN, values,
                       from + i * run_bytes + (high ? (size_t)f->low * GROUP : 0),
                       high ? f->high : f->low);
        for (uint32_t r = 0; r < n; r++)
            plane_put(e, high, block + (size_t)r * MAX_BLOCK, codes + r * values);
    }
}

/* ---- scales ---- */

enum { PACK, UNPACK };

/* Move one field of n rows, whose blocks are MAX_BLOCK apart and whose bytes in the tile are `step`
 * apart. The target's bits are zero before. */
static inline void field_move(int way, uint8_t *block, place in_block, uint8_t *tile, place in_tile,
                              uint32_t step, uint32_t mask, uint32_t n)
{
    block += in_block.at;
    tile += in_tile.at;
    for (uint32_t r = 0; r < n; r++, block += MAX_BLOCK, tile += step)
        if (way == PACK)
            *tile |= (uint8_t)(((uint32_t)*block >> in_block.shift & mask) << in_tile.shift);
        else
            *block |= (uint8_t)(((uint32_t)*tile >> in_tile.shift & mask) << in_block.shift);
}

/* Move the scales of one block of n rows. */
static inline void scales_move(rmr_elem e, int way, uint8_t *tile, uint8_t *block, uint32_t n)
{
    const format *const f = &formats[e];
    for (uint32_t i = 0; i < 2u * f->halves; i++)
        field_move(way, block, (place){f->d + i, 0}, tile, (place){i / 2 * 32 + i % 2, 0}, 2, 0xff,
                   n);
    tile += (size_t)32 * f->halves;
    for (int min = 0; min <= f->mins; min++)
        for (int high = 0; high < (f->high_s ? 2 : 1); high++) {
            const uint32_t bits = high ? f->high_s : f->low_s;
            for (uint32_t j = 0; j < f->n_sub; j++) {
                place in_tile = array_place(bits, f->n_sub, j);
                in_tile.at *= RMR_TILE;
                field_move(way, block, sub_place(e, high, min, j), tile, in_tile, 1, mask_of(bits),
                           n);
            }
            tile += (size_t)f->n_sub * bits / 8 * RMR_TILE;
        }
}

/* ---- tiles ---- */

static void pack_blocks(rmr_elem e, uint8_t *tile, const uint8_t *rows, uint32_t n, uint32_t cols)
{
    const rmr_elem_info *const info = &rmr_elem_table[e];
    const size_t codes = (size_t)RMR_TILE * code_bytes(e),
                 scales = (size_t)RMR_TILE * info->bytes - codes;
    const uint64_t row_bytes = rmr_row_bytes(e, cols);
    uint8_t *const tile_scales = tile + rmr_tile_scales(e, cols);
    uint8_t block[RMR_TILE * MAX_BLOCK];
    for (uint32_t b = 0; b < cols / info->values; b++) {
        for (uint32_t r = 0; r < n; r++)
            memcpy(block + (size_t)r * MAX_BLOCK, rows + r * row_bytes + (size_t)b * info->bytes,
                   info->bytes);
        codes_pack(e, tile + b * codes, block, n);
        memset(tile_scales + b * scales, 0, scales);
        scales_move(e, PACK, tile_scales + b * scales, block, n);
    }
}

static void unpack_blocks(rmr_elem e, uint8_t *rows, const uint8_t *tile, uint32_t n, uint32_t cols)
{
    const rmr_elem_info *const info = &rmr_elem_table[e];
    const size_t codes = (size_t)RMR_TILE * code_bytes(e),
                 scales = (size_t)RMR_TILE * info->bytes - codes;
    const uint64_t row_bytes = rmr_row_bytes(e, cols);
    const uint8_t *const tile_scales = tile + rmr_tile_scales(e, cols);
    uint8_t block[RMR_TILE * MAX_BLOCK], copy[RMR_TILE * MAX_BLOCK];
    for (uint32_t b = 0; b < cols / info->values; b++) {
        memset(block, 0, sizeof block);
        codes_unpack(e, block, tile + b * codes, n);
        memcpy(copy, tile_scales + b * scales, scales);
        scales_move(e, UNPACK, copy, block, n);
        for (uint32_t r = 0; r < n; r++)
            memcpy(rows + r * row_bytes + (size_t)b * info->bytes, block + (size_t)r * MAX_BLOCK,
                   info->bytes);
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
