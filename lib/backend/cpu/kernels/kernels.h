/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU kernels: what each computes, and the tables of functions of each instruction set.
 *
 * THE DEFINITION (P22). Plain C in ref/ defines every result to the bit; all other sets must agree
 * with it under memcmp. What makes that cheap:
 *
 * - a matmul output is one chain of fused multiply-adds in the order of K, in one lane, whatever
 *   the vector width;
 * - a dot product ("dot16") is 16 lane chains (lane l takes k = l, l+16, ...; fmaf from +0), then a
 *   tree: for s in 8, 4, 2, 1: lane[i] += lane[i + s] for i < s. A sum ("sum16") is the same with
 *   additions;
 * - exp, sigmoid and silu are one polynomial with a fixed order of fused multiply-adds
 *   (float_math.h);
 * - everything else is a sequence of single IEEE operations per element as written here.
 *
 * A result that is NaN is NaN in every set, but its sign and payload are the processor's
 * (conversions excepted). The floating-point mode is that of fpenv.h. No function allocates, and
 * any n may be 0 unless said otherwise.
 *
 * Kernels come in families, one struct each. A set has a table of every family, or points to the
 * table of the set that it is built on. Files built with wide instruction flags include only this
 * header, the headers in ref/, in tmpl/ and beside the file, float_math.h, half.h and intrinsics,
 * and every function in those is static: nothing wide can be linked into the baseline.
 * CONTRIBUTING.md says how a kernel, a type and a set are added, docs/kernels.md what makes them
 * fast. */
#ifndef RMR_KERNELS_H
#define RMR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kv8.h"
#include "tile.h"

/* y[m*ldy + 16*t + r] (+)= sum over k of w[t][r][k] * x[m*ldx + k], m < n_x, t < n_tiles: the chain
 * starts at +0, or at y when `accumulate`, so a caller may cut K into blocks (at even k) without
 * changing a bit. `tiles` points at the first group of the K block in tile 0 and tile_stride is the
 * distance between tiles in bytes. y and x need no alignment; all 16 rows of every tile are
 * written. `next`: tiles alike that will be read after these, or NULL: a hint. */
typedef void rmr_matmul_fn(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                           const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                           int accumulate, const void *next);

/* F8 (e4m3fn code book h(c) = the value * 2^-8, as the f16 whose bits are sign and code << 7): for
 * each run of 128 columns, p = one chain of fmaf(h, x) over the run from +0, then acc = fmaf(p,
 * scale * 256, acc). It is a rmr_matmul_fn with `accumulate` 0, and its k is the whole K of the
 * tile, for that says where the scales lie. */

/* Activations whose largest is below this become 0. Then every product of two scales that is not 0
 * is a normal float, so an accumulator never becomes -0, and the sign of the 0 that an all-zero
 * sub-block adds cannot show. */
#define RMR_LEAST 0x1p-90f

/* Integer products. Activations are quantised by runs of 32: with amax the largest |x| of a run,
 * scale = amax / 127 and q = x * (127 / amax) rounded to nearest even: two divisions, a product and
 * a rounding to an integer, each a float operation. When amax is below RMR_LEAST, scale and all q
 * are 0; when the run holds a NaN or an infinity, all q are 0 and scale is NaN, so that every
 * output is NaN, as it would be (or infinite) in exact arithmetic. A quantised row of k values (a
 * multiple of 32) is k / 32 lines, 64-byte aligned, each with all that a product with a run needs.
 */
typedef struct rmr_qline {
    _Alignas(64) int8_t q[32];
    float scale;
    float sum[3];     /* scale * (float)(sum of q): of the run, of its halves */
    int32_t start[4]; /* RMR_QMAGIC_BITS, and taken from it what codes with an offset add too much:
                         128 and 8 times the sum of q of the run, 32 times those of its halves */
} rmr_qline;

/* As a float's bits, RMR_QMAGIC_BITS + I are RMR_QMAGIC + I, exactly, as long as |I| < 2^22. */
#define RMR_QMAGIC 0x1.8p23f
enum { RMR_QMAGIC_BITS = 0x4b400000 };

static inline size_t rmr_qrow_bytes(size_t k)
{
    return k / 32 * sizeof(rmr_qline);
}

/* y[m*ldy + 16*t + r] = sum over the sub-blocks of w's row in the order of K, one chain from +0. A
 * sub-block is a run of 32 columns, or a half of one for Q6_K, Q3_K and Q2_K. With v the integer
 * values of the codes (Q4_0, I4: code - 8; IQ4_NL, IQ4_XS: the code book; MXFP4: twice E2M1; Q5_0:
 * code - 16; Q6_K: code - 32; Q3_K: code - 4; else the code) and I = sum of v q, exact in int32, a
 * sub-block is
 *   acc = fmaf(s * (float)I, scale, acc)
 * and for Q4_K, Q5_K and Q2_K then
 *   acc = fmaf(-(dmin * mn), sum[of the sub-block], acc)
 * for Q4_1 and Q5_1
 *   acc = fmaf(m, sum[of the sub-block], acc)
 * where s is d, d * sc, d * (ls - 32), or 2^(e - 128), all exact in f32. Scales are what
 * rmr_row_check lets pass (e = 255 does not matter: it counts as 2^127). xq are quantised rows ldq
 * bytes apart, a multiple of 64. `tiles` is 64-byte aligned, tile_stride a multiple of 64; k is the
 * whole K of the tile. `next` as above. */
typedef void rmr_qmatmul_fn(float *y, size_t ldy, const void *xq, size_t ldq, uint32_t n_x,
                            const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                            const void *next);

/* Columns that `pairs` (below) puts in another order, and the room that a row of n takes then. */
enum { RMR_PAIRS = 2 * RMR_TILE };

static inline uint32_t rmr_pairs_room(uint32_t n)
{
    return (n + RMR_PAIRS - 1) / RMR_PAIRS * RMR_PAIRS;
}

/* Attention over positions of one segment in a cache of bf16 or f32. Position j is row
 * j % RMR_KV8_TOKENS of pages[j / RMR_KV8_TOKENS], rows are ld elements apart; what belongs to
 * positions, out and p, has a row of RMR_KV8_SEG floats for each query.
 *
 * out[i][j] = dot16(q + i*ld_q, key j, width) * scale. With bf16 the lanes are others, because its
 * even and its odd columns are what is cheap to widen: lane l takes k = 2 l, 2 l + 1, 32 + 2 l, ...
 * and rows of q are as `pairs` makes them. Behind the pages comes one that will be read soon, or
 * any of them: a hint. */
typedef void rmr_scores_fn(float *out, const float *q, size_t ld_q, uint32_t n_q,
                           const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                           float scale);

/* z[i*ld_z + d] = fmaf(p[i][j], value[j][d], z[i*ld_z + d]) for j = 0, 1, ... n_vals-1 in
 * order. */
typedef void rmr_wsum_fn(float *z, size_t ld_z, const float *p, uint32_t n_q,
                         const void *const *pages, size_t ld_val, uint32_t n_vals, uint32_t width);

/* The 8-bit latent cache (kv8.h), for absorbed attention; a layer's part of a page is 64-byte
 * aligned. The scale and integer of what is quantised are those of activations above, with 127
 * replaced by `most`: scale = amax / most, q = x * (most / amax) rounded to nearest even, 0 below
 * RMR_LEAST; of values that are not finite all q are 0 and scale is NaN.
 *
 * put: token t (< 32) of a page from the floats x[rank + rope]. Each block of the latent with most
 * = 127. The rope key with most = 127 * 128: q = 128 h + l with l in [-64, 63], as two blocks: h
 * with 128 * scale, l with scale.
 *
 * get: the values of the first n tokens of a page as floats: (float)q * scale.
 *
 * query: a group of up to 16 heads' queries q[head * ld + .] of rank + rope floats: each block of
 * the latent and the rope key with most = 127, where the scale kept is scale * `scale`. 64-byte
 * aligned: int8 [columns / 4][16 heads][4], float scale [blocks, the rope key one][16 heads];
 * missing heads and columns are zero.
 *
 * attend: one segment of n (1 to 256) positions in ceil(n / 32) pages, for the first n_heads of a
 * group; behind them `pages` has as many that will be read soon, or the same: a hint. The score of
 * a position is a chain over the blocks from +0: acc = fmaf((float)I, query scale * block scale,
 * acc) with I the sum of the products of integers, exact in int32. max and sum are `max` and
 * `exp_sum` of the n scores, e the exponentials. Then for each block of the latent and each page: w
 * = e * block scale of the position; p and `unit` are the integers and the scale of w over the page
 * with most = 255; and z of a column is a chain over the pages from +0: fmaf((float)I, unit, z)
 * with I the sum of p times the column's integers over the page's positions. z[head * ld + column],
 * max and sum are written. */
enum { RMR_KV8_HEADS = 16 };

static inline size_t rmr_kv8_query_bytes(uint32_t rank, uint32_t rope)
{
    const rmr_kv8 g = rmr_kv8_of(rank, rope);
    return RMR_KV8_HEADS * (rmr_kv8_query_cols(&g) + ((size_t)g.latent_blocks + 1) * 4);
}

/* ---- the families ---- */

/* Products with weights of the plain types and F8. */
typedef struct rmr_product_kernels {
    rmr_matmul_fn *matmul[RMR_ELEM_F8 + 1];
} rmr_product_kernels;

/* Products with weights of the integer types (rmr_elem_table[e].integer); for the other types
 * `matmul` has NULL. */
typedef struct rmr_integer_kernels {
    void (*quantize)(void *xq, const float *x, uint32_t k); /* x[k] to one quantised row */
    rmr_qmatmul_fn *matmul[RMR_ELEM_COUNT];
} rmr_integer_kernels;

/* Attention over a cache of bf16 or floats. */
typedef struct rmr_attention_kernels {
    /* Of each RMR_PAIRS of the n columns of x first the even ones, then the odd ones. `to` has
     * rmr_pairs_room(n); a last part of RMR_PAIRS has its odd columns as far behind, and gaps. */
    void (*pairs)(float *to, const float *x, uint32_t n);
    rmr_scores_fn *scores_bf16, *scores_f32;
    rmr_wsum_fn *wsum_bf16, *wsum_f32;
} rmr_attention_kernels;

/* The 8-bit latent cache, and attention over it. */
typedef struct rmr_kv8_kernels {
    void (*put)(void *layer, uint32_t t, const float *x, uint32_t rank, uint32_t rope);
    void (*get)(float *out, size_t ld, const void *layer, uint32_t n, uint32_t rank, uint32_t rope);
    void (*query)(void *to, const float *q, size_t ld, uint32_t n_heads, uint32_t rank,
                  uint32_t rope, float scale);
    void (*attend)(float *z, size_t ld, float *max, float *sum, const void *query, uint32_t n_heads,
                   const void *const *pages, uint32_t n, uint32_t rank, uint32_t rope);
} rmr_kv8_kernels;

/* Kernels that go over the elements of a row. */
typedef struct rmr_elementwise_kernels {
    /* RMSNorm: r = 1 / sqrtf(dot16(x, x) / n + eps); y[i] = (x[i] * r) * w[i]. y may be x. */
    void (*norm)(float *y, const float *x, const float *w, uint32_t n, float eps);
    /* Interleaved rope in place: (u, v) = (x[2i], x[2i+1]), (c, s) = (cs[2i], cs[2i+1]):
     * x[2i] = fmaf(u, c, -(v * s)); x[2i+1] = fmaf(u, s, v * c). */
    void (*rope)(float *x, const float *cs, uint32_t n_pairs);
    /* Half-split rope in place: the same of (u, v) = (x[i], x[n_pairs + i]). */
    void (*rope_half)(float *x, const float *cs, uint32_t n_pairs);
    /* y[i] = (g[i] / (1 + exp(-g[i]))) * u[i]. y may be g or u. */
    void (*silu_mul)(float *y, const float *g, const float *u, uint32_t n);
    void (*sigmoid)(float *y, const float *x, uint32_t n); /* 1 / (1 + exp(-x)) */
    /* n >= 1; lanes and tree as in sum16. Lanes start at -inf and take x > lane ? x : lane; the
     * tree takes a > b ? a : b with a = lane[i], b = lane[i + s]. NaN inputs are passed over. */
    float (*max)(const float *x, uint32_t n);
    /* x[i] = exp(x[i] - shift); returns sum16 of the results. */
    float (*exp_sum)(float *x, uint32_t n, float shift);
    void (*scale)(float *x, uint32_t n, float s);                /* x *= s */
    void (*add)(float *y, const float *x, uint32_t n);           /* y += x */
    void (*madd)(float *y, const float *x, uint32_t n, float w); /* y = fmaf(w, x, y) */
    void (*merge)(float *z, const float *p, uint32_t n, float a,
                  float b);                                   /* z = fmaf(p, b, z * a) */
    void (*to_bf16)(uint16_t *y, const float *x, uint32_t n); /* nearest even, NaN quiet (half.h) */
    void (*from_bf16)(float *y, const uint16_t *x, uint32_t n);
    void (*from_f16)(float *y, const uint16_t *x, uint32_t n);
} rmr_elementwise_kernels;

/* ---- sets ---- */

typedef struct rmr_kernels {
    const char *name; /* "ref", "avx2", ...: kernels_pick.c has them all */
    const rmr_product_kernels *product;
    const rmr_integer_kernels *integer;
    const rmr_attention_kernels *attention;
    const rmr_kv8_kernels *kv8;
    const rmr_elementwise_kernels *elementwise;
} rmr_kernels;

/* The best set this processor can run, or the one named by `force` (NULL: best). NULL when it is
 * unknown or cannot run here. rmr_kernels_at lists the sets built in, slowest first; `usable` says
 * whether this processor runs it: 0, 1, or RMR_KERNELS_BY_NAME when it is never the best one and
 * the operating system still may refuse it to those who name it. */
enum { RMR_KERNELS_BY_NAME = 2 };
const rmr_kernels *rmr_kernels_pick(const char *force);
const rmr_kernels *rmr_kernels_at(uint32_t i, int *usable);

/* The sets themselves, for kernels_pick.c; each is there only in builds for its processor family,
 * by compilers that know its instructions.
 */
extern const rmr_kernels rmr_kernels_ref, rmr_kernels_avx2, rmr_kernels_avxvnni, rmr_kernels_avx512,
    rmr_kernels_avx512vnni, rmr_kernels_amx, rmr_kernels_neon, rmr_kernels_neon_dotprod,
    rmr_kernels_neon_i8mm;

/* Families that sets share with those that are built on them: all but the integer products. */
extern const rmr_product_kernels rmr_product_avx2, rmr_product_avx512, rmr_product_neon;
extern const rmr_attention_kernels rmr_attention_avx2, rmr_attention_avx512, rmr_attention_neon;
extern const rmr_elementwise_kernels rmr_elementwise_avx2, rmr_elementwise_avx512,
    rmr_elementwise_neon;

#endif
