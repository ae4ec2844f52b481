/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the encoder: the parts that its files share. Plain C whose every operation rounds once,
 * sums in one order, no function of the C library whose result a machine may choose: the same bytes
 * anywhere.
 *
 * The goal is the least sum of w (x - y)^2 over a block, y being the decoder's value. w is the
 * importance of the column times (a typical |x| of the block + |x|): that gives up 0.5 to 2 % of
 * plain error, yet the KL divergence of a small real model was no larger with it at any of Q4_K,
 * Q3_K, Q2_K, and 4 % smaller at Q2_K. Codes given a scale are simple (the nearest); a scale given
 * the codes is a linear least-squares problem; each is a step of descent, and the two alternate.
 * The descent finds the nearest of many minima, so it starts from LANES scales at once, which is
 * also a form that compilers vectorise: one candidate per lane, values in order, no sum across
 * lanes. A block with sub-scales then looks for the super-scale that fits them best, tries for each
 * sub-block the integers around the fit with its codes rounded anew, fits the super-scale to the
 * codes, and does that again. */
#ifndef RMR_ENCODE_H
#define RMR_ENCODE_H

#include "block.h"

enum { LANES = 16 };

/* A block in its own unit, a power of two that brings the largest value to [1, 2). */
typedef struct rmr_enc_block {
    float x[RMR_BLOCK_VALUES], w[RMR_BLOCK_VALUES]; /* weights of squared errors, below 10 */
    float unit, inverse;                            /* real value = x * unit; inverse = 1 / unit */
    int bf16;                                       /* the scale is a bf16, not a half */
} rmr_enc_block;

/* The values that codes can stand for: the integers lo..hi, or the entries of a book. */
typedef struct rmr_enc_codes {
    float lo, hi;
    const float *nearest; /* NULL: integers; or book value nearest to v at [2 v + 256] */
} rmr_enc_codes;

/* For each lane's scale, its error and the sums by which a scale is fitted to its codes. */
typedef struct rmr_enc_sums {
    float err[LANES], q[LANES], qq[LANES], qx[LANES]; /* sums of w (..)^2, w q, w q q, w q x */
} rmr_enc_sums;

/* Nearest integer, ties to even; |v| < 2^22. */
static inline float rmr_enc_round(float v)
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

/* The factor that divides by a scale; a scale too small to divide by makes all codes 0. */
static inline float rmr_enc_inverse(float d)
{
    return d > 1e-30f || d < -1e-30f ? 1 / d : 0;
}

static inline float rmr_enc_clamp(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/* The value that stands for x at a scale, and for x = s q - m. `inv` = rmr_enc_inverse(scale). */
static inline float rmr_enc_value(const rmr_enc_codes *c, float x, float inv)
{
    const float v = rmr_enc_clamp(x * inv, c->lo, c->hi);
    return c->nearest != NULL ? c->nearest[(int)(2 * v + 256)] : rmr_enc_round(v);
}

static inline float rmr_enc_value_min(float x, float m, float inv, float hi)
{
    return rmr_enc_round(rmr_enc_clamp((x + m) * inv, 0, hi));
}

/* encode_fit.c */

/* The stored scale next to d, never beyond the largest finite one; and its value in units. */
uint16_t rmr_enc_half(const rmr_enc_block *b, float d);
float rmr_enc_stored(const rmr_enc_block *b, float d);

/* Errors of n values at the scales d, or at scales s and minima m. */
void rmr_enc_try(rmr_enc_sums *t, const float *x, const float *w, int n, const float d[LANES],
                 const rmr_enc_codes *c);
void rmr_enc_try_min(rmr_enc_sums *t, const float *x, const float *w, int n, const float s[LANES],
                     const float m[LANES], float hi);

/* Best scale for n values alone. `spread`: the distance of the first candidates from the scale that
 * makes the largest value the largest code. b: the block, to round the scale to one that can be
 * stored; or NULL. *qq: the second derivative there. */
float rmr_enc_fit(const rmr_enc_block *b, const float *x, const float *w, int n,
                  const rmr_enc_codes *c, float spread, float *qq);

/* The largest code without a sign. */
static inline int rmr_enc_most_code(const rmr_elem_format *f)
{
    return (int)rmr_bit_mask((uint32_t)f->low.bits + f->high.bits);
}

/* The spread of rmr_enc_fit for codes of so many bits, found by trying. */
static inline float rmr_enc_spread(const rmr_elem_format *f)
{
    static const float spread[] = {[3] = 0.5f, [4] = 0.28f, [5] = 0.14f, [6] = 0.15f, [8] = 0.02f};
    return spread[f->low.bits + f->high.bits];
}

/* The codes of all values v of a block, into bits that are 0. */
void rmr_enc_codes_put(const rmr_elem_format *f, unsigned char *block, const int *v);

/* encode_super.c, encode_min.c: one block that is not all zeros; min_single: without sub-scales */
void rmr_enc_super(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b,
                   const rmr_enc_codes *c);
void rmr_enc_min(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b);
void rmr_enc_min_single(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b);

#endif
