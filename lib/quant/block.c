/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers into blocks (block.h has the way out): several bytes at a time in a word where a list
 * allows it, for numbers never cross their bytes. */
#include "block.h"

static void words_put(uint8_t *to, const uint8_t *from, uint32_t shift, uint32_t bits,
                      uint32_t first)
{
    const uint64_t mask = rmr_bit_mask(bits) * 0x0101010101010101u;
    for (uint32_t i = 0; i < RMR_PIECE; i += 8) {
        uint64_t w, old;
        memcpy(&w, from + i, 8);
        memcpy(&old, to + i, 8);
        old |= (w >> first & mask) << shift;
        memcpy(to + i, &old, 8);
    }
}

static void pieces_put(const rmr_fields *f, uint32_t n, unsigned char *block, const uint8_t *from,
                       uint32_t first)
{
    rmr_place p = {f->at, f->shift};
    for (uint32_t j = 0; j < n; j += f->unit, p = rmr_next_unit(f, p))
        for (uint32_t i = 0; i < f->unit; i += RMR_PIECE)
            words_put(block + p.at + i, from + j + i, p.shift, f->bits, first);
}

/* A row of bits. The product moves the eight bits, which do not meet, into the highest byte. */
static void row_put(uint8_t *to, const uint8_t *from, uint32_t n, uint32_t first)
{
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t w;
        memcpy(&w, from + i, 8);
        w = w >> first & 0x0101010101010101u;
        to[i / 8] |= (uint8_t)(w * 0x0102040810204080u >> 56);
    }
}

void rmr_fields_put(const rmr_fields *f, uint32_t n, unsigned char *block, const uint8_t *from,
                    uint32_t first)
{
    if (f->unit % RMR_PIECE == 0) {
        pieces_put(f, n, block, from, first);
        return;
    }
    if (f->unit == 1 && f->bits == 1) {
        row_put(block + f->at, from, n, first);
        return;
    }
    for (uint32_t j = 0; j < n; j++) {
        const rmr_place p = rmr_field_place(f, n, j);
        const uint32_t v = (uint32_t)from[j] >> first & rmr_bit_mask(f->bits);
        block[p.at] |= (uint8_t)(v << p.shift);
    }
}

void rmr_halves_put(const rmr_fields *low, const rmr_fields *high, uint32_t n, unsigned char *block,
                    const uint8_t *from)
{
    rmr_fields_put(low, n, block, from, 0);
    if (high->bits != 0) rmr_fields_put(high, n, block, from, low->bits);
}
