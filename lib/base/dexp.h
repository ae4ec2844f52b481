/* SPDX-License-Identifier: Apache-2.0 */
/* exp and log in double from plain IEEE additions and multiplications in one written order: no fma,
 * no table, no libm, whose last bits differ between machines. The same input gives the same bits
 * everywhere (P22), given round to nearest (fpenv.h) and no contraction (-ffp-contract=off).
 * Relative error below 1e-15 wherever the result is normal. */
#ifndef RMR_DEXP_H
#define RMR_DEXP_H

#include <math.h> /* INFINITY, NAN */
#include <stdint.h>
#include <string.h>

/* ln 2 in two parts: the first has 21 trailing zero bits, so k * LN2_HI is exact for |k| < 2^21. */
#define RMR_LN2_HI 0x1.62e42feep-1
#define RMR_LN2_LO 0x1.a39ef35793c76p-33

static inline double rmr_dexp_pow2(int k) /* -1022 <= k <= 1023 */
{
    const uint64_t u = (uint64_t)(k + 1023) << 52;
    double d;
    memcpy(&d, &u, 8);
    return d;
}

/* e^x. Cody-Waite reduction to |r| <= ln2/2, Taylor polynomial of degree 13 (remainder below
 * 5e-18). */
static inline double rmr_dexp(double x)
{
    if (!(x > -746.0)) return x == x ? 0.0 : x;
    if (x > 710.0) return x * 0x1p1023; /* +infinity */
    const double shifter = 0x1.8p52;    /* adding it rounds to an integer */
    const double kd = (x * 0x1.71547652b82fep+0 + shifter) - shifter;
    const double r = (x - kd * RMR_LN2_HI) - kd * RMR_LN2_LO;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    const int k = (int)kd, half = k / 2; /* two factors: 2^k itself may not be a normal number */
    return p * rmr_dexp_pow2(half) * rmr_dexp_pow2(k - half);
}

/* Natural logarithm. x = m 2^e with m in [sqrt(1/2), sqrt 2); log m = 2 atanh((m - 1) / (m + 1)) as
 * a series whose first left-out term is below 1e-18. log(0) = -infinity, log(x < 0) = NaN. */
static inline double rmr_dlog(double x)
{
    uint64_t u;
    int e = 0;
    if (!(x > 0.0)) return x == 0.0 ? -(double)INFINITY : (double)NAN;
    if (x > 0x1.fffffffffffffp1023) return x;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    memcpy(&u, &x, 8);
    e += (int)(u >> 52) - 1023;
    u = (u & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &u, 8);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 1.0 / 23.0;
    p = p * z + 1.0 / 21.0;
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    const double tail = 2.0 * s * (z * p) + (double)e * RMR_LN2_LO;
    return (double)e * RMR_LN2_HI + (2.0 * s + tail);
}

#endif
