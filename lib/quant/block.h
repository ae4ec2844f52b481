/* Inside a block of the quantised types (docs/models.md, "GGUF blocks"): code books, the places of
 * the scales, the packing of sub-scales. Shared by the code that reads blocks and the code that
 * writes them. */
#ifndef RMR_BLOCK_H
#define RMR_BLOCK_H

#include "half.h"
#include "quant.h"

enum { RMR_SUPER = 256 }; /* values of a block of the K types and IQ4_XS */

/* IQ4_NL and IQ4_XS. */
static const int8_t rmr_iq4_codes[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};

/* MXFP4: twice the value of e2m1. An integer book, so code 8, the minus zero, is plain zero. */
static const int8_t rmr_e2m1_codes[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* Byte offsets of the half-sized scales of a block: dmin is also the minimum of Q4_1 and Q5_1,
 * which is added where the K types subtract theirs. No dmin: -1. Types without any have d = -1. */
typedef struct rmr_block_scales {
    int d, dmin;
} rmr_block_scales;

static const rmr_block_scales rmr_block_scales_at[RMR_ELEM_COUNT] = {
    [RMR_ELEM_BF16] = {-1, -1},  [RMR_ELEM_F16] = {-1, -1},   [RMR_ELEM_F32] = {-1, -1},
    [RMR_ELEM_F8] = {-1, -1},    [RMR_ELEM_Q8_0] = {0, -1},   [RMR_ELEM_Q4_0] = {0, -1},
    [RMR_ELEM_I4] = {0, -1},     [RMR_ELEM_IQ4_NL] = {0, -1}, [RMR_ELEM_MXFP4] = {-1, -1},
    [RMR_ELEM_IQ4_XS] = {0, -1}, [RMR_ELEM_Q4_K] = {0, 2},    [RMR_ELEM_Q5_K] = {0, 2},
    [RMR_ELEM_Q6_K] = {208, -1}, [RMR_ELEM_Q3_K] = {108, -1}, [RMR_ELEM_Q2_K] = {80, 82},
    [RMR_ELEM_Q4_1] = {0, 2},    [RMR_ELEM_Q5_0] = {0, -1},   [RMR_ELEM_Q5_1] = {0, 2},
};

static inline uint16_t rmr_half_at(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline void rmr_half_put(unsigned char *p, uint16_t h)
{
    p[0] = (unsigned char)h;
    p[1] = (unsigned char)(h >> 8);
}

/* MXFP4: 2^(e - 128), exact; the two smallest are subnormal. */
static inline float rmr_e8m0_half(uint8_t e)
{
    const uint32_t u = e < 2 ? UINT32_C(0x200000) << e : (uint32_t)(e - 1) << 23;
    float f;
    memcpy(&f, &u, 4);
    return f;
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

/* Q4_K, Q5_K: 8 six-bit scales and 8 minima in 12 bytes. */
static inline void rmr_k4_unpack(uint8_t sc[8], uint8_t mn[8], const unsigned char s[12])
{
    for (int j = 0; j < 4; j++) {
        sc[j] = s[j] & 63;
        mn[j] = s[j + 4] & 63;
        sc[j + 4] = (uint8_t)((s[j + 8] & 15) | (s[j] >> 6) << 4);
        mn[j + 4] = (uint8_t)(s[j + 8] >> 4 | (s[j + 4] >> 6) << 4);
    }
}

/* Q3_K: 16 six-bit scales in 12 bytes, stored + 32. */
static inline void rmr_q3_unpack(int8_t sc[16], const unsigned char s[12])
{
    for (int j = 0; j < 16; j++) {
        const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
        sc[j] = (int8_t)((low | ((s[8 + j % 4] >> 2 * (j / 4)) & 3) << 4) - 32);
    }
}

/* IQ4_XS: 8 six-bit scales, stored + 32: two high bits each in `high`, then 4 bytes of nibbles. */
static inline void rmr_iq4_xs_unpack(int8_t ls[8], uint16_t high, const unsigned char low[4])
{
    for (int j = 0; j < 8; j++)
        ls[j] = (int8_t)(((low[j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4) - 32);
}

#endif
