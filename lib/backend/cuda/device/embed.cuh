/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table (quant.h: canonical rows) as floats: the values of lib/quant/decode.c, one thread
 * a value. */
#ifndef RMR_CUDA_EMBED_CUH
#define RMR_CUDA_EMBED_CUH

#include "prelude.cuh"

DEV uint32_t half_bits(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

DEV float half_at(const uint8_t *p)
{
    return half_float((uint16_t)half_bits(p));
}

DEV float f8_value(uint8_t b)
{
    const uint32_t sign = (uint32_t)(b & 0x80u) << 24, mag = b & 0x7fu;
    if (mag == 0x7f) return rmr_float_of(0x7fc00000u | sign);
    if (mag < 8) return rmr_float_of(rmr_bits_of((float)mag * 0x1p-9f) | sign);
    return rmr_float_of(((mag << 20) + (120u << 23)) | sign);
}

DEV float iq4_value(uint32_t code)
{
    const uint32_t book[4] = {0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u};
    return (float)(int8_t)(book[code / 4] >> code % 4 * 8 & 255);
}

DEV float mxfp4_value(uint32_t code)
{
    const uint32_t book[4] = {0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu};
    return (float)(int8_t)(book[code / 4] >> code % 4 * 8 & 255);
}

DEV uint32_t nibble(const uint8_t *qs, uint32_t n)
{
    return qs[n % 16] >> n / 16 * 4 & 15;
}

DEV uint32_t fifth_bit(const uint8_t *qh, uint32_t n)
{
    return (uint32_t)(qh[n / 8] >> n % 8 & 1) << 4;
}

/* Scale j of the 8 six-bit ones of Q4_K and Q5_K; or minimum j. */
DEV uint32_t k4_field(const uint8_t *s, uint32_t j, bool min)
{
    if (j < 4) return s[j + (min ? 4 : 0)] & 63u;
    return (min ? s[j + 4] >> 4 : s[j + 4] & 15u) | (uint32_t)(s[j - (min ? 0 : 4)] >> 6) << 4;
}

DEV float k45_value(const uint8_t *b, uint32_t n, bool five)
{
    const uint32_t j = n / 32, l = n % 32;
    const uint8_t *const qs = b + (five ? 48 : 16);
    uint32_t q = qs[32 * (j / 2) + l] >> 4 * (j % 2) & 15u;
    if (five) q |= (uint32_t)(b[16 + l] >> j & 1) << 4;
    return half_at(b) * (float)k4_field(b + 4, j, false) * (float)q -
           half_at(b + 2) * (float)k4_field(b + 4, j, true);
}

DEV float q6_value(const uint8_t *b, uint32_t n)
{
    const uint32_t half = n / 128, k = n % 128 / 32, l = n % 32;
    const uint32_t low = b[64 * half + l + k % 2 * 32] >> k / 2 * 4 & 15u;
    const int q = (int)(low | (uint32_t)(b[128 + 32 * half + l] >> 2 * k & 3) << 4) - 32;
    return half_at(b + 208) * (float)(int8_t)b[192 + n / 16] * (float)q;
}

DEV float q3_value(const uint8_t *b, uint32_t n)
{
    const uint8_t *const s = b + 96;
    const uint32_t j = n / 16, low_s = j < 8 ? s[j] & 15u : s[j - 8] >> 4;
    const int sc = (int)(low_s | (uint32_t)(s[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32;
    const uint32_t low = b[32 + 32 * (n / 128) + n % 32] >> 2 * (n % 128 / 32) & 3u;
    const int q = (int)(low | (uint32_t)(b[n % 32] >> n / 32 & 1) << 2) - 4;
    return half_at(b + 108) * (float)sc * (float)q;
}

DEV float q2_value(const uint8_t *b, uint32_t n)
{
    const uint32_t q = b[16 + 32 * (n / 128) + n % 32] >> 2 * (n % 128 / 32) & 3u;
    return half_at(b + 80) * (float)(b[n / 16] & 15) * (float)q -
           half_at(b + 82) * (float)(b[n / 16] >> 4);
}

DEV float iq4_xs_value(const uint8_t *b, uint32_t n)
{
    const uint32_t j = n / 32;
    const int ls =
        (int)((b[4 + j / 2] >> 4 * (j % 2) & 15u) | (half_bits(b + 2) >> 2 * j & 3u) << 4);
    return half_at(b) * (float)(ls - 32) * iq4_value(nibble(b + 8 + 16 * j, n % 32));
}

/* Value n of a block. */
DEV float block_value(rmr_elem e, const uint8_t *b, uint32_t n)
{
    switch (e) {
    case RMR_ELEM_Q8_0: return half_at(b) * (float)(int8_t)b[2 + n];
    case RMR_ELEM_Q4_0: return half_at(b) * (float)((int)nibble(b + 2, n) - 8);
    case RMR_ELEM_I4:
        return rmr_bf16_to_f32((uint16_t)half_bits(b)) * (float)((int)nibble(b + 2, n) - 8);
    case RMR_ELEM_IQ4_NL: return half_at(b) * iq4_value(nibble(b + 2, n));
    case RMR_ELEM_MXFP4:
        return rmr_float_of(b[0] < 2 ? 0x200000u << b[0] : (b[0] - 1u) << 23) *
               mxfp4_value(nibble(b + 1, n));
    case RMR_ELEM_IQ4_XS: return iq4_xs_value(b, n);
    case RMR_ELEM_Q4_K: return k45_value(b, n, false);
    case RMR_ELEM_Q5_K: return k45_value(b, n, true);
    case RMR_ELEM_Q6_K: return q6_value(b, n);
    case RMR_ELEM_Q3_K: return q3_value(b, n);
    case RMR_ELEM_Q2_K: return q2_value(b, n);
    case RMR_ELEM_Q4_1: return half_at(b) * (float)nibble(b + 4, n) + half_at(b + 2);
    case RMR_ELEM_Q5_0:
        return half_at(b) * (float)((int)(nibble(b + 6, n) | fifth_bit(b + 2, n)) - 16);
    case RMR_ELEM_Q5_1:
        return half_at(b) * (float)(nibble(b + 8, n) | fifth_bit(b + 4, n)) + half_at(b + 2);
    default: return 0.0f;
    }
}

DEV float row_value(const rmr_gpu_embed &a, const uint8_t *row, uint32_t c)
{
    const uint32_t cols = a.w.cols;
    float f;
    switch (a.elem) {
    case RMR_ELEM_BF16: return rmr_bf16_to_f32((uint16_t)half_bits(row + 2 * (size_t)c));
    case RMR_ELEM_F16: return half_at(row + 2 * (size_t)c);
    case RMR_ELEM_F32:
        return rmr_float_of(half_bits(row + 4 * (size_t)c) | half_bits(row + 4 * (size_t)c + 2)
                                                                 << 16);
    case RMR_ELEM_F8:
        f = rmr_float_of(half_bits(row + cols + c / RMR_F8_RUN * (size_t)4) |
                         half_bits(row + cols + c / RMR_F8_RUN * (size_t)4 + 2) << 16);
        return f8_value(row[c]) * f;
    default: return block_value(a.elem, row + (size_t)(c / a.values) * a.bytes, c % a.values);
    }
}

KERNEL(embed, rmr_gpu_embed, 256, 1)
{
    const uint32_t n = rows_of(a.in, a.rows), cols = a.w.cols;
    for (uint32_t r = blockIdx.y; r < n; r += gridDim.y) {
        const int32_t token = a.in.token[r];
        const bool there = token >= 0 && (uint32_t)token < a.w.rows;
        const uint8_t *const row = a.w.at + (size_t)(there ? token : 0) * a.w.tile;
        for (uint32_t c = blockIdx.x * 256 + thread_of(); c < cols; c += gridDim.x * 256)
            a.y.at[r * a.y.ld + c] = there ? row_value(a, row, c) : 0.0f;
    }
}

#endif
