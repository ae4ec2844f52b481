/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar arithmetic shared by all kernel sets and by GPU kernels, written so that a loop around it
 * vectorises: no branches, no calls, a fixed order of single IEEE operations. What stands here is
 * part of the definition of kernels. */
#ifndef RMR_FLOAT_MATH_H
#define RMR_FLOAT_MATH_H

#include <stdint.h>
#include <string.h>

static inline float rmr_float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t rmr_bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* x as a float, held to the finite ones; NaN stays NaN. */
static inline float rmr_finite_float(double x)
{
    const double most = 0x1.fffffep127;
    return x > most ? (float)most : x < -most ? -(float)most : (float)x;
}

/* fmaf: a * b + c rounded once. The processor's own where the file is built for it. The baseline
 * x86-64 build has none, and a C library's stand-in is slow, so the sum is made in double, rounded
 * to odd, then to float: the product of two floats is exact in a double, and rounding to odd with
 * 53 bits makes the second rounding the right one. */
static inline float rmr_fmaf(float a, float b, float c)
{
#if defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    const double p = (double)a * (double)b, d = (double)c;
    double sum = p + d;
    const double t = sum - p;
    const double lost = (p - (sum - t)) + (d - t); /* sum + lost == p + d exactly */
    uint64_t u;
    memcpy(&u, &sum, 8);
    const uint64_t inexact = (uint64_t)((lost > 0) | (lost < 0)); /* false for infinities and NaN */
    const uint64_t away = (uint64_t)((lost > 0) == (sum > 0));
    const uint64_t even = ~u & 1u;
    u = u + (inexact & even & away) - (inexact & even & (away ^ 1u));
    memcpy(&sum, &u, 8);
    return (float)sum;
#endif
}

/* exp: x = n ln 2 + r, a polynomial of degree 6 in r (relative error 3e-9 before rounding), then n
 * goes into the exponent field. Below -126 ln 2 the result is 0 (subnormal results are not
 * produced), above ln FLT_MAX infinity; NaN stays NaN. Within 1 ulp of the true value elsewhere. */
static inline float rmr_expf(float x)
{
    const float magic = 0x1.8p23f;
    const float t = rmr_fmaf(x, 0x1.715476p+0f, magic);
    const float n = t - magic;
    float r = rmr_fmaf(n, -0x1.62e4p-1f, x);
    r = rmr_fmaf(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.6a23c8p-10f;
    p = rmr_fmaf(p, r, 0x1.123a20p-7f);
    p = rmr_fmaf(p, r, 0x1.5558f4p-5f);
    p = rmr_fmaf(p, r, 0x1.555492p-3f);
    p = rmr_fmaf(p, r, 0x1.fffffcp-2f);
    p = rmr_fmaf(p, r, 1.0f);
    p = rmr_fmaf(p, r, 1.0f);
    float y = rmr_float_of(rmr_bits_of(p) + (rmr_bits_of(t) << 23));
    y = x < -0x1.5d589ep+6f ? 0.0f : y;
    y = x > 0x1.62e42ep+6f ? __builtin_inff() : y;
    return x == x ? y : x;
}

static inline float rmr_sigmoidf(float x)
{
    return 1.0f / (1.0f + rmr_expf(-x));
}

#endif
