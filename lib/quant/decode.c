/* SPDX-License-Identifier: Apache-2.0 */
/* Exact decoding of rows (docs/models.md, "Stored types" and "GGUF blocks"). Products of scale,
 * sub-scale and code fit 24 bits, so they are exact; a sum or difference with a minimum, and a
 * product with an f32 scale (F8), is rounded once. */
#include <string.h>

#include "block.h"

/* ---- one block of the integer types ---- */

/* y = s * v(code), and with_min: + m, rounded once more. */
RMR_INLINE void scaled(const rmr_elem_format *f, float *y, const uint8_t *code, uint32_t n, float s,
                       int with_min, float m)
{
    if (with_min)
        for (uint32_t i = 0; i < n; i++) y[i] = s * (float)rmr_code_value(f, code[i]) + m;
    else
        for (uint32_t i = 0; i < n; i++) y[i] = s * (float)rmr_code_value(f, code[i]);
}

RMR_INLINE void sub_blocks(const rmr_elem_format *f, float *y, const uint8_t *code,
                           const unsigned char *b)
{
    const int mins = f->scales == 2;
    const float d = rmr_scale_at(f, b, 0), dmin = mins ? rmr_scale_at(f, b, 1) : 0;
    const uint32_t subs = f->subs, n = f->values / subs;
    uint8_t sub[RMR_BLOCK_SUBS], min[RMR_BLOCK_SUBS] = {0};
    rmr_halves_get(&f->sub, &f->sub_high, subs, sub, b);
    if (mins) rmr_halves_get(&f->min, &f->min_high, subs, min, b);
    for (uint32_t j = 0; j < subs; j++)
        scaled(f, y + j * n, code + j * n, n, d * (float)rmr_sub_value(f, sub[j]), mins,
               -(dmin * (float)min[j]));
}

RMR_INLINE void decode_block(const rmr_elem_format *f, float *y, const unsigned char *b)
{
    uint8_t code[RMR_BLOCK_VALUES];
    rmr_halves_get(&f->low, &f->high, f->values, code, b);
    if (f->subs == 0)
        scaled(f, y, code, f->values, rmr_scale_at(f, b, 0), f->scales == 2,
               f->scales == 2 ? rmr_scale_at(f, b, 1) : 0);
    else
        sub_blocks(f, y, code, b);
}

/* A function for each type, in which its row of the table is a constant. */
#define BLOCK_TYPE(id, name, ...)                                                                  \
    static void decode_##name(float *y, const unsigned char *b)                                    \
    {                                                                                              \
        decode_block(&rmr_elem_table[id], y, b);                                                   \
    }
#include "elem_rows.h"

typedef void block_fn(float *y, const unsigned char *b);

static block_fn *const blocks[RMR_ELEM_COUNT] = {
#define BLOCK_TYPE(id, name, ...) [id] = decode_##name,
#include "elem_rows.h"
};

/* ---- rows ---- */

static void decode_f8(float *out, const unsigned char *row, uint32_t cols)
{
    float scale = 0;
    for (uint32_t i = 0; i < cols; i++) {
        if (i % RMR_F8_RUN == 0) memcpy(&scale, row + cols + i / RMR_F8_RUN * (size_t)4, 4);
        out[i] = rmr_e4m3_to_f32(row[i]) * scale;
    }
}

static void decode_half(rmr_elem e, float *out, const unsigned char *row, uint32_t cols)
{
    for (uint32_t i = 0; i < cols; i++) {
        const uint16_t h = rmr_half_at(row + 2 * (size_t)i);
        out[i] = e == RMR_ELEM_BF16 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h);
    }
}

void rmr_row_decode(rmr_elem e, float *out, const void *row, uint32_t cols)
{
    const unsigned char *b = row;
    const rmr_elem_format *const f = &rmr_elem_table[e];
    switch (e) {
    case RMR_ELEM_BF16:
    case RMR_ELEM_F16: decode_half(e, out, b, cols); break;
    case RMR_ELEM_F32: memcpy(out, b, (size_t)cols * 4); break;
    case RMR_ELEM_F8: decode_f8(out, b, cols); break;
    default:
        for (uint32_t i = 0; i < cols / f->values; i++, out += f->values, b += f->bytes)
            blocks[e](out, b);
    }
}
