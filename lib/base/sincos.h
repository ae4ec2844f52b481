/* SPDX-License-Identifier: Apache-2.0 */
/* Cosine and sine for rotary tables. The C library's differ between versions and processors, which
 * would break the one CPU result; these are plain IEEE double operations in a fixed order, so every
 * machine gets the same bits. */
#ifndef RMR_SINCOS_H
#define RMR_SINCOS_H

/* For |angle| <= 2^24 (radians) the double result errs by less than 1e-13, so the floats are almost
 * always the correctly rounded ones. Larger angles lose accuracy gradually; NaN and infinity give
 * NaN. */
void rmr_sincos(double angle, float *c, float *s);

#endif
