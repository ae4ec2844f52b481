/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a block of the integer types, by the fields of elem_format.h: codes, scales and sub-scales
 * out of the bytes and into them. For those that read blocks (tiles, decoding) and those that write
 * them (encoding). */
#ifndef RMR_BLOCK_H
#define RMR_BLOCK_H

#include <string.h>

#include "half.h"
#include "quant.h"

/* With a row of the table of types as a constant everything here folds to a few shifts. */
#define RMR_INLINE static inline __attribute__((always_inline))

enum { RMR_BLOCK_VALUES = 256, RMR_BLOCK_SUBS = 16 }; /* of the largest blocks */

/* A number in byte `at`, `shift` bits up. */
typedef struct rmr_place {
    uint32_t at, shift;
} rmr_place;

/* Place of number j of n. */
RMR_INLINE rmr_place rmr_field_place(const rmr_fields *f, uint32_t n, uint32_t j)
{
    const int second = f->at2 != 0 && j >= n / 2;
    const uint32_t k = second ? j - n / 2 : j;
    const uint32_t bit = (second ? f->shift2 : f->shift) + k / f->unit * f->bits;
    return (rmr_place){(second ? f->at2 : f->at) + bit / 8 * f->unit + k % f->unit, bit % 8};
}

static inline uint32_t rmr_bit_mask(uint32_t bits)
{
    return (1u << bits) - 1;
}

enum { RMR_PIECE = 16 }; /* numbers in consecutive bytes, equally shifted, where `unit` allows it */

/* The place of the next unit behind p. */
RMR_INLINE rmr_place rmr_next_unit(const rmr_fields *f, rmr_place p)
{
    p.shift += f->bits;
    return p.shift < 8 ? p : (rmr_place){p.at + f->unit, 0};
}

RMR_INLINE void rmr_words_get(uint8_t *to, const uint8_t *from, uint32_t shift, uint32_t bits)
{
    const uint64_t mask = rmr_bit_mask(bits) * 0x0101010101010101u;
    for (uint32_t i = 0; i < RMR_PIECE; i += 8) {
        uint64_t w;
        memcpy(&w, from + i, 8);
        w = w >> shift & mask;
        memcpy(to + i, &w, 8);
    }
}

RMR_INLINE void rmr_pieces_get(const rmr_fields *f, uint32_t n, uint8_t *to,
                               const unsigned char *block)
{
    rmr_place p = {f->at, f->shift};
    for (uint32_t j = 0; j < n; j += f->unit, p = rmr_next_unit(f, p))
        for (uint32_t i = 0; i < f->unit; i += RMR_PIECE)
            rmr_words_get(to + j + i, block + p.at + i, p.shift, f->bits);
}

/* A row of bits, eight in a byte, the lowest first. The byte is copied eight times, byte k of the
 * word keeps bit k, and 0x7f carries it to the byte's top. */
RMR_INLINE void rmr_bits_get(uint8_t *to, const uint8_t *from, uint32_t n)
{
    const uint64_t ones = 0x0101010101010101u;
    for (uint32_t i = 0; i < n; i += 8) {
        const uint64_t apart = from[i / 8] * ones & 0x8040201008040201u;
        const uint64_t w = (apart + 0x7f * ones) >> 7 & ones;
        memcpy(to + i, &w, 8);
    }
}

/* n numbers of a list out of a block, a byte each. */
RMR_INLINE void rmr_fields_get(const rmr_fields *f, uint32_t n, uint8_t *to,
                               const unsigned char *block)
{
    if (f->unit % RMR_PIECE == 0) {
        rmr_pieces_get(f, n, to, block);
        return;
    }
    if (f->unit == 1 && f->bits == 1) {
        rmr_bits_get(to, block + f->at, n);
        return;
    }
    for (uint32_t j = 0; j < n; j++) {
        const rmr_place p = rmr_field_place(f, n, j);
        to[j] = (uint8_t)((uint32_t)block[p.at] >> p.shift & rmr_bit_mask(f->bits));
    }
}

/* The same of numbers in two lists, of low and high bits. */
RMR_INLINE void rmr_halves_get(const rmr_fields *low, const rmr_fields *high, uint32_t n,
                               uint8_t *to, const unsigned char *block)
{
    uint8_t more[RMR_BLOCK_VALUES];
    const uint32_t up = low->bits;
    rmr_fields_get(low, n, to, block);
    if (high->bits == 0) return;
    rmr_fields_get(high, n, more, block);
    for (uint32_t i = 0; i < n; i++) to[i] |= (uint8_t)(more[i] << up);
}

/* v(code). */
RMR_INLINE int rmr_code_value(const rmr_elem_format *f, uint8_t code)
{
    return f->book != NULL ? f->book[code] : f->low.bits == 8 ? (int8_t)code : code - f->offset;
}

/* The integer that a sub-scale stands for. */
RMR_INLINE int rmr_sub_value(const rmr_elem_format *f, uint8_t sub)
{
    return f->sub.bits == 8 ? (int8_t)sub : sub - f->sub_offset;
}

/* Back, from bit `first` of the bytes on, into bits of the block that are 0. */
void rmr_fields_put(const rmr_fields *f, uint32_t n, unsigned char *block, const uint8_t *from,
                    uint32_t first);
void rmr_halves_put(const rmr_fields *low, const rmr_fields *high, uint32_t n, unsigned char *block,
                    const uint8_t *from);

static inline uint16_t rmr_half_at(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline void rmr_half_put(unsigned char *p, uint16_t h)
{
    p[0] = (unsigned char)h;
    p[1] = (unsigned char)(h >> 8);
}

/* 2^(e - 128), exact; the two smallest are subnormal. */
static inline float rmr_e8m0_half(uint8_t e)
{
    const uint32_t u = e < 2 ? UINT32_C(0x200000) << e : (uint32_t)(e - 1) << 23;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Bytes of a scale; and scale i of a block. */
RMR_INLINE uint32_t rmr_scale_bytes(const rmr_elem_format *f)
{
    return f->scale == RMR_SCALE_E8M0 ? 1 : 2;
}

RMR_INLINE float rmr_scale_at(const rmr_elem_format *f, const unsigned char *block, uint32_t i)
{
    const unsigned char *const p = block + f->d + i * rmr_scale_bytes(f);
    switch (f->scale) {
    case RMR_SCALE_E8M0: return rmr_e8m0_half(*p);
    case RMR_SCALE_BF16: return rmr_bf16_to_f32(rmr_half_at(p));
    default: return rmr_f16_to_f32(rmr_half_at(p));
    }
}

/* e4m3fn, exact; 0x7F and 0xFF are NaN. */
static inline float rmr_e4m3_to_f32(uint8_t b)
{
    const uint32_t sign = (uint32_t)(b & 0x80u) << 24, mag = b & 0x7fu;
    uint32_t u = (mag << 20) + (120u << 23);
    float f = (float)mag * 0x1p-9f; /* right below 8, the subnormals */
    if (mag == 0x7f) u = 0x7fc00000u;
    if (mag < 8) memcpy(&u, &f, 4);
    u |= sign;
    memcpy(&f, &u, 4);
    return f;
}

#endif
