/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of rows (encode.h has the idea). Here: plain types, F8, and blocks with one scale. */
#include "encode.h"

#include <math.h>
#include <string.h>

static float magnitude(float x)
{
    return x < 0 ? -x : x;
}

/* ---- plain types ---- */

static void encode_plain(rmr_elem e, unsigned char *out, const float *x, size_t n)
{
    if (e == RMR_ELEM_F32) memcpy(out, x, n * 4);
    for (size_t i = 0; i < n && e != RMR_ELEM_F32; i++) {
        uint16_t h = e == RMR_ELEM_F16 ? rmr_f32_to_f16(x[i]) : rmr_f32_to_bf16(x[i]);
        if (e == RMR_ELEM_BF16 && (h & 0x7fff) == 0x7f80) h--; /* rounded up to infinity */
        rmr_half_put(out + 2 * i, h);
    }
}

/* ---- F8 ---- */

/* Round to nearest even, saturating. */
static unsigned char to_e4m3(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    const uint32_t sign = u >> 24 & 0x80u, a = u & 0x7fffffffu;
    if (a >= 0x43e00000u) return (unsigned char)(sign | 0x7e); /* 448 */
    if (a >= 0x3c800000u)                                      /* 2^-6, the smallest normal */
        return (unsigned char)(sign | ((a + 0x7ffffu + (a >> 20 & 1u)) - 0x3c000000u) >> 20);
    float m; /* a multiple of 2^-9, which is the step of floats above 2^14 */
    memcpy(&m, &a, 4);
    m += 0x1p14f;
    memcpy(&u, &m, 4);
    return (unsigned char)(sign | (u - 0x46800000u));
}

/* The largest value of a square of 128 becomes 448; of nothing but zeros the scale is 1. */
static void encode_f8(unsigned char *rows, const float *x, uint32_t n, uint32_t cols)
{
    const size_t row = (size_t)rmr_row_bytes(RMR_ELEM_F8, cols);
    for (uint32_t c0 = 0; c0 < cols; c0 += RMR_F8_RUN) {
        const uint32_t c1 = cols - c0 < RMR_F8_RUN ? cols : c0 + RMR_F8_RUN;
        float most = 0;
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t c = c0; c < c1; c++) {
                const float a = magnitude(x[(size_t)r * cols + c]);
                most = a > most ? a : most;
            }
        float scale = most / 448;
        if (scale < 0x1p-126f) scale = most > 0 ? 0x1p-126f : 1; /* no subnormal to divide by */
        for (uint32_t r = 0; r < n; r++) {
            for (uint32_t c = c0; c < c1; c++)
                rows[r * row + c] = to_e4m3(x[(size_t)r * cols + c] / scale);
            memcpy(rows + r * row + cols + c0 / RMR_F8_RUN * (size_t)4, &scale, 4);
        }
    }
}

/* ---- blocks ---- */

/* Scale the values to the block's own unit; 0 if all are zero. A column of no importance still
 * counts a little, so that it gets the best code that the others leave open. */
static int prepare(rmr_enc_block *b, const float *x, const float *importance, uint32_t n)
{
    float most = 0, heaviest = 0, squares = 0, sum = 0;
    uint32_t u;
    for (uint32_t i = 0; i < n; i++) most = magnitude(x[i]) > most ? magnitude(x[i]) : most;
    if (most == 0) return 0;
    memcpy(&u, &most, 4);
    u = u >> 23 < 1 ? 1 : u >> 23 > 253 ? 253 : u >> 23; /* so that both units are normal */
    const uint32_t unit = u << 23, inverse = (254 - u) << 23;
    memcpy(&b->unit, &unit, 4);
    memcpy(&b->inverse, &inverse, 4);
    for (uint32_t i = 0; i < n; i++) b->x[i] = x[i] * b->inverse;
    for (uint32_t i = 0; importance != NULL && i < n; i++)
        heaviest = importance[i] > heaviest ? importance[i] : heaviest;
    for (uint32_t i = 0; i < n; i++) squares += b->x[i] * b->x[i];
    const float typical = sqrtf(2 * squares / (float)n);
    for (uint32_t i = 0; i < n; i++) {
        b->w[i] = (heaviest > 0 ? importance[i] / heaviest : 1) * (typical + magnitude(b->x[i]));
        sum += b->w[i];
    }
    sum *= 0x1p-12f / (float)n;
    for (uint32_t i = 0; i < n; i++) b->w[i] += sum;
    return 1;
}

/* MXFP4's scale is a power of two: the exponents around the largest value are tried. */
static float fit_power(const rmr_enc_block *b, const rmr_enc_codes *c, uint8_t *e)
{
    float d[LANES];
    int at[LANES], best = 0;
    uint32_t u;
    rmr_enc_sums t;
    memcpy(&u, &b->unit, 4);
    for (int l = 0; l < LANES; l++) { /* 252: so that 12 times it is finite */
        at[l] = (int)(u >> 23) + 1 - l / 2;
        at[l] = at[l] < 0 ? 0 : at[l] > 252 ? 252 : at[l];
        d[l] = rmr_e8m0_half((uint8_t)at[l]) * b->inverse;
    }
    rmr_enc_try(&t, b->x, b->w, 32, d, c);
    for (int l = 1; l < LANES; l++)
        if (t.err[l] < t.err[best]) best = l;
    *e = (uint8_t)at[best];
    return d[best];
}

/* A block without sub-scales, one scale. */
static void encode_single(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b,
                          const rmr_enc_codes *c)
{
    float d, qq;
    int v[RMR_BLOCK_VALUES];
    memset(out, 0, f->bytes);
    if (f->scale == RMR_SCALE_E8M0) {
        d = fit_power(b, c, out + f->d);
    } else {
        d = rmr_enc_fit(b, b->x, b->w, (int)f->values, c, rmr_enc_spread(f), &qq);
        rmr_half_put(out + f->d, rmr_enc_half(b, d));
    }
    for (uint32_t i = 0; i < f->values; i++)
        v[i] = (int)rmr_enc_value(c, b->x[i], rmr_enc_inverse(d));
    rmr_enc_codes_put(f, out, v);
}

/* A block of zeros: scales 0 and, where one code stands for 0, that. */
static void encode_zeros(const rmr_elem_format *f, unsigned char *out)
{
    static const int zeros[RMR_BLOCK_VALUES];
    memset(out, 0, f->bytes);
    if (f->subs == 0 && f->book == NULL) rmr_enc_codes_put(f, out, zeros);
}

/* ---- codes ---- */

enum { NEAREST = 512 };

static void fill_nearest(float table[NEAREST], const int8_t book[16])
{
    for (int k = 0; k < NEAREST; k++) {
        int best = 0;
        const int v4 = 2 * (k - 256) + 1; /* 4 v in the middle of the step */
        for (int i = 1; i < 16; i++) {
            const int a = v4 - 4 * book[i], z = v4 - 4 * book[best];
            if (a * a < z * z) best = i;
        }
        table[k] = book[best];
    }
}

static rmr_enc_codes codes_of(const rmr_elem_format *f, float table[NEAREST])
{
    rmr_enc_codes c = {(float)-f->offset, (float)(rmr_enc_most_code(f) - f->offset), NULL};
    if (f->book != NULL) {
        fill_nearest(table, f->book);
        c = (rmr_enc_codes){f->book[0], f->book[0], table};
        for (int i = 1; i < 16; i++) {
            c.lo = f->book[i] < c.lo ? f->book[i] : c.lo;
            c.hi = f->book[i] > c.hi ? f->book[i] : c.hi;
        }
    } else if (f->low.bits == 8) {
        c.lo = -c.hi; /* without -128 */
    }
    return c;
}

static void encode_blocks(const rmr_elem_format *f, unsigned char *out, const float *x,
                          uint32_t cols, const float *importance)
{
    float table[NEAREST];
    const rmr_enc_codes c = codes_of(f, table);
    rmr_enc_block b;
    b.bf16 = f->scale == RMR_SCALE_BF16;
    for (uint32_t i = 0; i < cols; i += f->values, out += f->bytes) {
        if (!prepare(&b, x + i, importance != NULL ? importance + i : NULL, f->values))
            encode_zeros(f, out);
        else if (f->subs == 0 && f->scales == 2)
            rmr_enc_min_single(f, out, &b);
        else if (f->subs == 0)
            encode_single(f, out, &b, &c);
        else if (f->scales == 2)
            rmr_enc_min(f, out, &b);
        else
            rmr_enc_super(f, out, &b, &c);
    }
}

void rmr_rows_encode(rmr_elem e, void *rows, const float *x, uint32_t n, uint32_t cols,
                     const float *importance)
{
    const size_t row = (size_t)rmr_row_bytes(e, cols);
    if (e < RMR_ELEM_PLAIN) {
        encode_plain(e, rows, x, (size_t)n * cols);
    } else if (e == RMR_ELEM_F8) {
        encode_f8(rows, x, n, cols);
    } else {
        for (uint32_t r = 0; r < n; r++)
            encode_blocks(&rmr_elem_table[e], (unsigned char *)rows + r * row, x + (size_t)r * cols,
                          cols, importance);
    }
}
