/* SPDX-License-Identifier: Apache-2.0 */
/* THE CONTRACT: every name that an instruction set defines before it includes this file, and after
 * it the templates (*_tmpl.h). A name that is missing is an error of the compiler in this file,
 * beside the meaning of the name.
 *
 * An instruction set never decides an order of additions: it says how vectors are computed with and
 * how much fits its registers. Blocking never changes the order of any output's chain. */
#ifndef RMR_VEC_H
#define RMR_VEC_H

#include "unroll.h"

/* ---- sizes: how much stays in registers ---- */

#ifndef VEC_LANES
#error "VEC_LANES is missing: the floats of a vec, a divisor of 16"
#endif
#ifndef MM_ROWS
#error "MM_ROWS is missing: rows of x that a product with floats takes at a time, 5 to 12"
#endif
#ifndef MM_TILES
#error "MM_TILES is missing: the largest value of MM_AT"
#endif
#ifndef MM_AT
#error "MM_AT(rows) is missing: tiles that so many rows of x go through at a time, 1, 2 or 4"
#endif
#ifndef SCORE_Q
#error "SCORE_Q is missing: queries by SCORE_K keys whose dot products are computed at a time"
#endif
#ifndef SCORE_K
#error "SCORE_K is missing: keys of SCORE_Q"
#endif
#ifndef WSUM_Q
#error "WSUM_Q is missing: queries by WSUM_PAIRS pairs of vectors of value sums, 4 or more"
#endif
#ifndef WSUM_PAIRS
#error                                                                                             \
    "WSUM_PAIRS is missing: pairs of WSUM_Q; WSUM_Q / 2 queries take twice, one four times as many"
#endif
#ifndef Q_STREAMS
#error "Q_STREAMS is missing: tiles that an integer product reads side by side, 1 or 2"
#endif
#ifndef Q_MANY_ROWS
#error                                                                                             \
    "Q_MANY_ROWS is missing: rows of x side by side in an integer product: 1, or 4 if iv_dot is \
good for a single group"
#endif
#ifndef KV8_ROWS
#error "KV8_ROWS is missing: tokens of the 8-bit cache whose scores are computed at a time"
#endif
#ifndef KV8_COLS
#error "KV8_COLS is missing: heads by KV8_VECS vectors of value sums of the 8-bit cache"
#endif
#ifndef KV8_VECS
#error "KV8_VECS is missing: vectors of columns of KV8_COLS, 1 or 2"
#endif

/* Rows of x that are done all at once where there are just so many; Q_MANY_ROWS or 8. */
#ifndef Q_SIDE_ROWS
#define Q_SIDE_ROWS Q_MANY_ROWS
#endif

/* Lines of x (kernels.h) in one pass over K: 16 KiB stay in any first cache. A set where it was
 * measured that twice as many passes cost more than lines from the second cache has its own. */
#ifndef Q_LINES
#define Q_LINES 256
#endif

enum { NV = 16 / VEC_LANES }; /* vectors of the 16 rows of a tile */

/* ---- vec: VEC_LANES floats ---- */

/* No code: the compiler checks the names. Every function is also what its line says. */
static inline void vec_contract(vec a, vec b, vec c, float f, float *to, const void *from,
                                uint16_t *half)
{
    a = vec_zero();           /* +0 */
    a = vec_set1(f);          /* f in all lanes */
    a = vec_load(to);         /* VEC_LANES floats, of any alignment */
    vec_store(to, a);         /* and back */
    a = vec_add(a, b);        /* a + b */
    a = vec_mul(a, b);        /* a * b */
    a = vec_fma(a, b, c);     /* a * b + c, rounded once */
    a = vec_max(a, b);        /* a > b ? a : b: of two zeros, and where one is NaN, b */
    a = vec_dup_even(a);      /* of each pair of lanes the first, twice */
    a = vec_dup_odd(a);       /* of each pair of lanes the second, twice */
    a = vec_swap_neg(a);      /* each pair (c, s) as (-s, c) */
    a = vec_even(from);       /* of VEC_LANES pairs of bf16 the first values */
    a = vec_odd(from);        /* and the second ones */
    a = vec_bf16(from);       /* VEC_LANES bf16 */
    a = vec_f16(from);        /* VEC_LANES f16 */
    a = vec_int8(from);       /* VEC_LANES signed bytes, converted */
    a = vec_e8m0(from);       /* VEC_LANES bytes e as 2^(e - 128), subnormals too */
    a = vec_unzip_even(a, b); /* of the pairs of lanes of a and then b the first ones */
    a = vec_unzip_odd(a, b);  /* and the second ones */
    a = vec_zip_low(a, b);    /* back: a[0], b[0], a[1], ... the first VEC_LANES of them */
    a = vec_zip_high(a, b);   /* and the rest */
    f8_halves(half, from);    /* 2 VEC_LANES codes of F8 as the halves of kernels.h */
    sum_dots(&a, to); /* the tree of kernels.h over SCORE_Q * SCORE_K dot products, NV vec each */
}

/* ---- ivec: 64 / NV bytes, or VEC_LANES int32: a vec's lanes of a group of codes (tile.h) ---- */

/* CODES_SIGNED(type): 1 when iv_dot is given the codes of the type as signed values. 0: the codes
 * come with an offset that makes them unsigned. */
#ifndef CODES_SIGNED
#error "CODES_SIGNED(type) is missing"
#endif

/* Q_FUSED(type): 1 when the integer sums of several rows are scaled without being made floats first
 * (q_scaled). */
#ifndef Q_FUSED
#define Q_FUSED(type) 0
#endif

static inline void ivec_contract(const rmr_elem type, ivec a, ivec b, vec v, const void *from,
                                 const ivec *code, const int8_t *q)
{
    a = iv_load(from);      /* bytes of any alignment */
    a = iv_set1(1);         /* a byte in all bytes */
    a = iv_zero();          /* 0 */
    a = iv_start(1);        /* an int32 in all lanes */
    a = iv_and(a, b);       /* a & b */
    a = iv_or(a, b);        /* a | b */
    a = iv_shr(a, 1);       /* of lanes of 16 bits: a >> n, unsigned */
    a = iv_shl(a, 1);       /* and a << n */
    a = iv_sub(a, b);       /* a - b of bytes */
    a = iv_flip(a);         /* a ^ 0x80 of bytes */
    a = iv_lookup(from, a); /* book[a] of bytes < 16, for a book of 16 bytes */
    a = iv_add32(a, b);     /* a + b of int32 */
    a = iv_shl32(a, 1);     /* a << n of int32 */
    a = iv_sar32(a, 1);     /* a >> n of int32, signed */
    v = iv_float(a);        /* int32 converted to floats */
    v = iv_bits(a);         /* int32 taken as the bits of floats */
    /* b + the products of n groups of codes with q[4 n], exact. n is 4 or 8, and 1 where
     * Q_MANY_ROWS is 4 or KV8_DOT is not defined. */
    a = iv_dot(type, code, 4, q, b);
#ifdef Q_NIBBLES                     /* where codes of all eight bits are good for iv_dot */
    a = q_nibbles(type, from, q, a); /* a + the products of a run of plain nibbles */
#endif
    (void)v;
}

/* ---- the 8-bit cache (kv8.h) ---- */

static inline void kv8_contract(ivec sum, const uint8_t *from, const int8_t *q)
{
    const kv8_val val = kv8_value(from); /* 4 tokens' codes of 64 / NV / 4 columns */
    const kv8_by by = kv8_weight(from);  /* 4 weights of 0..255 for all columns */
    sum = kv8_add(sum, by, val);         /* sum (an int32 a column) + their products, exact */
#ifdef KV8_DOT                           /* else iv_dot does it */
    sum = kv8_dot(sum, sum, q);          /* sum + the products of one group of codes with q[4] */
#endif
    (void)sum;
    (void)q;
}

#endif
