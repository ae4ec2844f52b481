/* SPDX-License-Identifier: Apache-2.0 */
/* Cosine and sine for rotary tables, for every processor: plain IEEE double operations in a fixed
 * order (sincos.h). Cody-Waite reduction to [-pi/4, pi/4] in three parts (the first two have 29
 * bits, so their products with a 24-bit quadrant number are exact), then the Taylor polynomials. No
 * fused multiply-add may be formed here: the project is compiled without contraction. */
#ifndef RMR_SINCOS_POLY_H
#define RMR_SINCOS_POLY_H

static inline double rmr_sin_poly(double r)
{
    const double z = r * r;
    double p = 1.0 / 1307674368000.0; /* 1/15!, and so on downward */
    p = 1.0 / 6227020800.0 - z * p;
    p = 1.0 / 39916800.0 - z * p;
    p = 1.0 / 362880.0 - z * p;
    p = 1.0 / 5040.0 - z * p;
    p = 1.0 / 120.0 - z * p;
    p = 1.0 / 6.0 - z * p;
    return r - (r * z) * p;
}

static inline double rmr_cos_poly(double r)
{
    const double z = r * r;
    double p = 1.0 / 20922789888000.0; /* 1/16! */
    p = 1.0 / 87178291200.0 - z * p;
    p = 1.0 / 479001600.0 - z * p;
    p = 1.0 / 3628800.0 - z * p;
    p = 1.0 / 40320.0 - z * p;
    p = 1.0 / 720.0 - z * p;
    p = 1.0 / 24.0 - z * p;
    p = 1.0 / 2.0 - z * p;
    return 1.0 - z * p;
}

static inline void rmr_sincos_poly(double angle, float *c, float *s)
{
    const double magic = 0x1.8p52; /* adding it rounds to an integer */
    const double limit = 0x1p50;
    if (!(angle > -limit && angle < limit)) angle = angle - angle; /* 0, or NaN */
    const double n = (angle * 0x1.45f306dc9c883p-1 + magic) - magic;
    double r = angle - n * 0x1.921fb54p+0;
    r = r - n * 0x1.10b4611p-30;
    r = r - n * 0x1.4c4c6628b80dcp-59;
    const double sr = rmr_sin_poly(r), cr = rmr_cos_poly(r);
    const long long whole = n == n ? (long long)n : 0;
    switch (whole & 3) {
    case 0:
        *c = (float)cr;
        *s = (float)sr;
        break;
    case 1:
        *c = (float)-sr;
        *s = (float)cr;
        break;
    case 2:
        *c = (float)-cr;
        *s = (float)-sr;
        break;
    default:
        *c = (float)sr;
        *s = (float)-cr;
        break;
    }
}

#endif
