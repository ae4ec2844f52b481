/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between float and bf16 or IEEE half: exact, or rounded to nearest, ties to even. */
#ifndef RMR_HALF_H
#define RMR_HALF_H

#include <stdint.h>
#include <string.h>

static inline float rmr_bf16_to_f32(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Round to nearest even; NaN stays a quiet NaN. */
static inline uint16_t rmr_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

static inline float rmr_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exp = (h >> 10) & 31u;
    uint32_t man = h & 1023u, u;
    float f;
    if (exp == 31u) {
        u = sign | 0x7f800000u | (man << 13) | (man ? 0x400000u : 0u);
    } else if (exp != 0) {
        u = sign | ((exp + 112u) << 23) | (man << 13);
    } else {
        f = (float)man * 0x1p-24f; /* subnormal half: exact in float */
        memcpy(&u, &f, 4);
        u |= sign;
    }
    memcpy(&f, &u, 4);
    return f;
}

/* Round to nearest even; beyond the largest half that is the result. NaN stays a quiet NaN. */
static inline uint16_t rmr_f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    const uint32_t sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7bffu);
    if (a >= 0x38800000u)
        return (uint16_t)(sign | (a + 0xfffu + (a >> 13 & 1u) - 0x38000000u) >> 13);
    float m; /* subnormal half: a multiple of 2^-24, which is the step of floats above one half */
    memcpy(&m, &a, 4);
    m += 0.5f;
    memcpy(&u, &m, 4);
    return (uint16_t)(sign | (u - 0x3f000000u));
}

#endif
