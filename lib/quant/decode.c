/* Exact decoding of rows (docs/models.md, "Stored types" and "GGUF blocks"). Products of scale,
 * sub-scale and code fit 24 bits, so they are exact; a sum or difference with a minimum, and a
 * product with an f32 scale (F8), is rounded once. */
#include <string.h>

#include "block.h"

/* ---- one block of the blocked types ---- */

typedef void block_fn(float *y, const unsigned char *b);

static void block_q8_0(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b));
    for (int j = 0; j < 32; j++) y[j] = d * (float)(int8_t)b[2 + j];
}

/* 16 bytes of nibbles: the low ones are the first 16 values. */
static void nibbles(float *y, float d, const unsigned char *qs, const int8_t book[16])
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)book[qs[j] & 15];
        y[j + 16] = d * (float)book[qs[j] >> 4];
    }
}

static const int8_t offset8[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

static void block_q4_0(float *y, const unsigned char *b)
{
    nibbles(y, rmr_f16_to_f32(rmr_half_at(b)), b + 2, offset8);
}

static void block_i4(float *y, const unsigned char *b)
{
    nibbles(y, rmr_bf16_to_f32(rmr_half_at(b)), b + 2, offset8);
}

static void block_iq4_nl(float *y, const unsigned char *b)
{
    nibbles(y, rmr_f16_to_f32(rmr_half_at(b)), b + 2, rmr_iq4_codes);
}

/* x = d q + m: one minimum for the block, added and of either sign. */
static void block_q4_1(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b)), m = rmr_f16_to_f32(rmr_half_at(b + 2));
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)(b[4 + j] & 15) + m;
        y[j + 16] = d * (float)(b[4 + j] >> 4) + m;
    }
}

/* The codes of Q5_0 and Q5_1, whose fifth bits are 32 in a row. */
static void five_bits(float *y, const unsigned char *qh, const unsigned char *qs)
{
    const uint32_t low = rmr_half_at(qh), high = rmr_half_at(qh + 2);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)(int)((qs[j] & 15u) | (low >> j & 1) << 4);
        y[j + 16] = (float)(int)(qs[j] >> 4 | (high >> j & 1) << 4);
    }
}

static void block_q5_0(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b));
    five_bits(y, b + 2, b + 6);
    for (int n = 0; n < 32; n++) y[n] = d * (y[n] - 16);
}

static void block_q5_1(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b)), m = rmr_f16_to_f32(rmr_half_at(b + 2));
    five_bits(y, b + 4, b + 8);
    for (int n = 0; n < 32; n++) y[n] = d * y[n] + m;
}

static void block_mxfp4(float *y, const unsigned char *b)
{
    nibbles(y, rmr_e8m0_half(b[0]), b + 1, rmr_e2m1_codes);
}

static void block_iq4_xs(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b));
    int8_t ls[8];
    rmr_iq4_xs_unpack(ls, rmr_half_at(b + 2), b + 4);
    for (int j = 0; j < 8; j++) nibbles(y + 32 * j, d * ls[j], b + 8 + 16 * j, rmr_iq4_codes);
}

/* Q4_K and Q5_K; qh is NULL or the fifth bits, sub-block j's in bit j. */
static void block_k45(float *y, const unsigned char *b, const unsigned char *qh,
                      const unsigned char *qs)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b)), dmin = rmr_f16_to_f32(rmr_half_at(b + 2));
    uint8_t sc[8], mn[8];
    rmr_k4_unpack(sc, mn, b + 4);
    for (int j = 0; j < 8; j++) {
        const float scale = d * sc[j], min = dmin * mn[j];
        for (int l = 0; l < 32; l++) {
            int q = qs[32 * (j / 2) + l] >> 4 * (j % 2) & 15;
            if (qh != NULL) q |= (qh[l] >> j & 1) << 4;
            y[32 * j + l] = scale * (float)q - min;
        }
    }
}

static void block_q4_k(float *y, const unsigned char *b)
{
    block_k45(y, b, NULL, b + 16);
}

static void block_q5_k(float *y, const unsigned char *b)
{
    block_k45(y, b, b + 16, b + 48);
}

static void block_q6_k(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b + 208));
    for (int n = 0; n < RMR_SUPER; n++) {
        const int half = n / 128, k = n % 128 / 32, l = n % 32;
        const int low = b[64 * half + l + k % 2 * 32] >> k / 2 * 4 & 15;
        const int q = (low | (b[128 + 32 * half + l] >> 2 * k & 3) << 4) - 32;
        y[n] = d * (float)(int8_t)b[192 + n / 16] * (float)q;
    }
}

static void block_q3_k(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b + 108));
    int8_t sc[16];
    rmr_q3_unpack(sc, b + 96);
    for (int n = 0; n < RMR_SUPER; n++) {
        const int low = b[32 + 32 * (n / 128) + n % 32] >> 2 * (n % 128 / 32) & 3;
        const int q = (low | (b[n % 32] >> n / 32 & 1) << 2) - 4;
        y[n] = d * (float)sc[n / 16] * (float)q;
    }
}

static void block_q2_k(float *y, const unsigned char *b)
{
    const float d = rmr_f16_to_f32(rmr_half_at(b + 80)), dmin = rmr_f16_to_f32(rmr_half_at(b + 82));
    for (int n = 0; n < RMR_SUPER; n++) {
        const int q = b[16 + 32 * (n / 128) + n % 32] >> 2 * (n % 128 / 32) & 3;
        y[n] = d * (float)(b[n / 16] & 15) * (float)q - dmin * (float)(b[n / 16] >> 4);
    }
}

static block_fn *const blocks[RMR_ELEM_COUNT] = {
    [RMR_ELEM_Q8_0] = block_q8_0,   [RMR_ELEM_Q4_0] = block_q4_0,
    [RMR_ELEM_I4] = block_i4,       [RMR_ELEM_IQ4_NL] = block_iq4_nl,
    [RMR_ELEM_MXFP4] = block_mxfp4, [RMR_ELEM_IQ4_XS] = block_iq4_xs,
    [RMR_ELEM_Q4_K] = block_q4_k,   [RMR_ELEM_Q5_K] = block_q5_k,
    [RMR_ELEM_Q6_K] = block_q6_k,   [RMR_ELEM_Q3_K] = block_q3_k,
    [RMR_ELEM_Q2_K] = block_q2_k,   [RMR_ELEM_Q4_1] = block_q4_1,
    [RMR_ELEM_Q5_0] = block_q5_0,   [RMR_ELEM_Q5_1] = block_q5_1,
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
    const uint32_t values = rmr_elem_table[e].values, bytes = rmr_elem_table[e].bytes;
    switch (e) {
    case RMR_ELEM_BF16:
    case RMR_ELEM_F16: decode_half(e, out, b, cols); break;
    case RMR_ELEM_F32: memcpy(out, b, (size_t)cols * 4); break;
    case RMR_ELEM_F8: decode_f8(out, b, cols); break;
    default:
        for (uint32_t i = 0; i < cols / values; i++)
            blocks[e](out + (size_t)i * values, b + (size_t)i * bytes);
    }
}
