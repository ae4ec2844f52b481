/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over a cache of bf16 or floats, over vectors.
 *
 * A line of bf16 is widened by one instruction for its even and one for its odd columns.
 *
 * Scores are dot products of their own: SCORE_Q queries by SCORE_K keys at a time have their sums
 * in registers. Value sums are chains over the positions: WSUM_Q queries by WSUM_PAIRS pairs of
 * vectors of columns stay in registers. Loops are few and long, because the end of each costs as
 * much as ten multiply-adds and is guessed wrong. */
#include "vec.h"

enum {
    WSUM_VALS = 128,      /* positions whose 64 bytes each stay in the first cache */
    WIDE_COLS = 640,      /* columns of SCORE_K keys that, as floats, stay in the first cache */
    PAIR = 2 * VEC_LANES, /* columns */
    WSUM_VECS = 2 * WSUM_Q * WSUM_PAIRS
};

FORCE size_t elem_bytes(const int is_bf16)
{
    return is_bf16 ? 2 : 4;
}

FORCE float row_value(const int is_bf16, const void *row, size_t i)
{
    return is_bf16 ? rmr_bf16_to_f32(((const uint16_t *)row)[i]) : ((const float *)row)[i];
}

/* ---- scores ---- */

/* Scores over the positions of one page. */
typedef struct score_job {
    float *out;
    const float *q;
    size_t ld_q;
    const uint8_t *keys, *next; /* rows of the page, and of the one after it */
    size_t row_bytes;
    uint32_t n_keys, width;
    float scale;
} score_job;

/* Key j of the page. Behind the last one it is the last again, whose scores are not stored. */
FORCE const uint8_t *key_row(const score_job *s, uint32_t j)
{
    return s->keys + (j < s->n_keys ? j : s->n_keys - 1) * s->row_bytes;
}

/* The number of columns in 64 bytes of a key. */
FORCE uint32_t step_of(const int is_bf16)
{
    return is_bf16 ? RMR_PAIRS : RMR_TILE;
}

/* Columns from `at` on, fewer than a step. Rare: model widths are multiples of it. */
static __attribute__((noinline)) void dot_tail(const int is_bf16, vec *acc, const float *q,
                                               const void *key, uint32_t at, uint32_t width)
{
    float lane[RMR_TILE];
    for (int v = 0; v < NV; v++) vec_store(lane + v * VEC_LANES, acc[v]);
    for (uint32_t k = at; k < width; k++) {
        const uint32_t l = is_bf16 ? (k - at) / 2 : k - at, odd = is_bf16 ? k % 2 : 0;
        lane[l] = rmr_fmaf(q[at + odd * RMR_TILE + l], row_value(is_bf16, key, k), lane[l]);
    }
    for (int v = 0; v < NV; v++) acc[v] = vec_load(lane + v * VEC_LANES);
}

/* Vector n of a step of a key from column k on: of floats as they are, of bf16 first the even
 * columns, then the odd ones. */
FORCE vec key_load(const int is_bf16, const uint8_t *key, size_t k, const int n)
{
    const uint8_t *const line = key + k * elem_bytes(is_bf16);
    if (!is_bf16) return vec_load((const float *)(const void *)line + n * VEC_LANES);
    const uint8_t *const from = line + (size_t)(n % NV) * VEC_LANES * 4;
    return n < NV ? vec_even(from) : vec_odd(from);
}

/* `vecs` vectors of columns, from k on, of NQ by NK dot products; keys are kept in `wide` as they
 * are used (unless NULL). */
FORCE void dots_step(const int is_bf16, const int vecs, const int NQ, const int NK, const float *q,
                     size_t ld_q, const uint8_t *const *key, size_t k, vec *acc, float *wide)
{
    UNROLL for (int n = 0; n < vecs; n++)
    {
        vec kv[SCORE_Q * SCORE_K];
        UNROLL for (int j = 0; j < NK; j++) kv[j] = key_load(is_bf16, key[j], k, n);
        UNROLL for (int j = 0; wide != NULL && j < NK; j++)
            vec_store(wide + (size_t)j * WIDE_COLS + k + n * VEC_LANES, kv[j]);
        UNROLL for (int i = 0; i < NQ; i++)
        {
            const vec qv = vec_load(q + (size_t)i * ld_q + k + n * VEC_LANES);
            UNROLL for (int j = 0; j < NK; j++) acc[(i * NK + j) * NV + n % NV] =
                vec_fma(qv, kv[j], acc[(i * NK + j) * NV + n % NV]);
        }
    }
}

/* Store the scores of queries [i, i + NQ) with keys [j, j + NK), without keys behind the last. */
FORCE void scores_store(const int NQ, const int NK, const score_job *s, uint32_t i, uint32_t j,
                        const vec *acc)
{
    float sum[SCORE_Q * SCORE_K];
    float *to = s->out + i * RMR_KV8_SEG + j;
    sum_dots(acc, sum);
    UNROLL for (int n = 0; n < NQ * NK; n++) sum[n] *= s->scale;
    UNROLL for (int n = 0; n < NQ; n++, to += RMR_KV8_SEG)
    {
        if (s->n_keys - j >= (uint32_t)NK) /* a few stores */
            memcpy(to, sum + (ptrdiff_t)n * NK, (size_t)NK * sizeof *to);
        else
            memcpy(to, sum + (ptrdiff_t)n * NK, (s->n_keys - j) * sizeof *to);
    }
}

/* Queries [i, i + NQ) by all keys, NK at a time. The first queries fetch the keys of the next page.
 */
FORCE void scores_rows(const int is_bf16, const int NQ, const int NK, const score_job *s,
                       uint32_t i)
{
    const float *const q = s->q + i * s->ld_q;
    const uint32_t step = step_of(is_bf16), whole = s->width / step * step;
    const uint32_t fetch = i == 0 ? (uint32_t)NK : 0;
    for (uint32_t j = 0; j < s->n_keys; j += (uint32_t)NK) {
        const uint8_t *key[SCORE_Q * SCORE_K], *const next = s->next + j * s->row_bytes;
        vec acc[SCORE_Q * SCORE_K * NV];
        UNROLL for (uint32_t n = 0; n < (uint32_t)NK; n++) key[n] = key_row(s, j + n);
        UNROLL for (int n = 0; n < NQ * NK * NV; n++) acc[n] = vec_zero();
        for (size_t k = 0; k < whole; k += step) {
            for (uint32_t n = 0; n < fetch; n++)
                __builtin_prefetch(next + n * s->row_bytes + k * elem_bytes(is_bf16), 0, 2);
            dots_step(is_bf16, (int)step / VEC_LANES, NQ, NK, q, s->ld_q, key, k, acc, NULL);
        }
        for (int n = 0; whole < s->width && n < NQ * NK; n++)
            dot_tail(is_bf16, acc + (ptrdiff_t)n * NV, q + (size_t)(n / NK) * s->ld_q, key[n % NK],
                     whole, s->width);
        scores_store(NQ, NK, s, i, j, acc);
    }
}

/* SCORE_Q queries from i on by the SCORE_K keys of bf16 from j on: the first queries put these into
 * `wide` as floats, the others find them there. Fetches one of the next keys. */
FORCE void scores_wide_block(const int first, const score_job *s, uint32_t i, uint32_t j,
                             float *wide)
{
    const float *const q = s->q + i * s->ld_q;
    const uint8_t *const next = s->next + (j + i / SCORE_Q % SCORE_K) * s->row_bytes;
    const uint8_t *key[SCORE_K];
    vec acc[SCORE_Q * SCORE_K * NV];
    UNROLL for (int n = 0; n < SCORE_K; n++) key[n] =
        first ? key_row(s, j + (uint32_t)n) : (const uint8_t *)(wide + (size_t)n * WIDE_COLS);
    UNROLL for (int n = 0; n < SCORE_Q * SCORE_K * NV; n++) acc[n] = vec_zero();
    for (size_t k = 0, width = s->width; k < width; k += RMR_PAIRS) {
        __builtin_prefetch(next + 2 * k, 0, 2);
        dots_step(first, 2 * NV, SCORE_Q, SCORE_K, q, s->ld_q, key, k, acc, first ? wide : NULL);
    }
    scores_store(SCORE_Q, SCORE_K, s, i, j, acc);
}

/* Many queries over keys of bf16, which are widened once for all whole blocks of them. Returns how
 * many queries these are. */
static uint32_t scores_wide(const score_job *s, uint32_t n_q)
{
    _Alignas(64) float wide[SCORE_K * WIDE_COLS];
    uint32_t i = 0;
    for (uint32_t j = 0; j < s->n_keys; j += SCORE_K) {
        scores_wide_block(1, s, 0, j, wide);
        for (i = SCORE_Q; i + SCORE_Q <= n_q; i += SCORE_Q) scores_wide_block(0, s, i, j, wide);
    }
    return i;
}

FORCE void scores(const int is_bf16, float *out, const float *q, size_t ld_q, uint32_t n_q,
                  const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                  float scale)
{
    const int wide = is_bf16 && n_q >= 2 * SCORE_Q && width <= WIDE_COLS && width % RMR_PAIRS == 0;
    score_job s = {.q = q, .ld_q = ld_q, .width = width, .scale = scale};
    s.row_bytes = ld_key * elem_bytes(is_bf16);
    for (uint32_t at = 0; at < n_keys; at += RMR_KV8_TOKENS, pages++) {
        s.out = out + at;
        s.keys = pages[0];
        s.next = pages[1];
        s.n_keys = n_keys - at < RMR_KV8_TOKENS ? n_keys - at : RMR_KV8_TOKENS;
        uint32_t i = wide ? scores_wide(&s, n_q) : 0;
        for (; i + SCORE_Q <= n_q; i += SCORE_Q) scores_rows(is_bf16, SCORE_Q, SCORE_K, &s, i);
        for (; i < n_q; i++) scores_rows(is_bf16, 1, SCORE_Q * SCORE_K, &s, i);
    }
}

static void scores_bf16(float *out, const float *q, size_t ld_q, uint32_t n_q,
                        const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                        float scale)
{
    scores(1, out, q, ld_q, n_q, pages, ld_key, n_keys, width, scale);
}

static void scores_f32(float *out, const float *q, size_t ld_q, uint32_t n_q,
                       const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                       float scale)
{
    scores(0, out, q, ld_q, n_q, pages, ld_key, n_keys, width, scale);
}

/* ---- value sums ---- */

typedef struct wsum_job {
    float *z;
    size_t ld_z;
    const float *p;
    const uint8_t *const *row;
    uint32_t n_vals;
} wsum_job;

/* A pair of vectors of a row: bf16 are the even and the odd columns, widened by one instruction
 * each, floats the first and the second half. */
FORCE void pair_load(const int is_bf16, vec *to, const uint8_t *row)
{
    to[0] = is_bf16 ? vec_even(row) : vec_load((const float *)(const void *)row);
    to[1] = is_bf16 ? vec_odd(row) : vec_load((const float *)(const void *)row + VEC_LANES);
}

/* Columns [d, d + P * PAIR) of rows [i, i + Q), over all values. */
FORCE void wsum_block(const int is_bf16, const int Q, const int P, const wsum_job *s, uint32_t i,
                      uint32_t d)
{
    const int vecs = 2 * P;
    vec acc[WSUM_VECS];
    float *const z = s->z + i * s->ld_z + d;
    UNROLL for (int n = 0; n < Q * vecs; n += 2)
    {
        const float *const from = z + (size_t)(n / vecs) * s->ld_z + n % vecs * VEC_LANES;
        const vec low = vec_load(from), high = vec_load(from + VEC_LANES);
        acc[n] = is_bf16 ? vec_unzip_even(low, high) : low;
        acc[n + 1] = is_bf16 ? vec_unzip_odd(low, high) : high;
    }
    const float *p = s->p + i * RMR_KV8_SEG;
    for (size_t j = 0, n = s->n_vals; j < n; j++, p++) {
        const uint8_t *const val = s->row[j] + d * elem_bytes(is_bf16);
        vec v[WSUM_VECS];
        UNROLL for (int c = 0; c < P; c++)
            pair_load(is_bf16, v + 2 * c, val + (size_t)c * PAIR * elem_bytes(is_bf16));
        UNROLL for (int m = 0; m < Q; m++)
        {
            const vec pv = vec_set1(p[m * RMR_KV8_SEG]);
            UNROLL for (int c = 0; c < vecs; c++) acc[m * vecs + c] =
                vec_fma(pv, v[c], acc[m * vecs + c]);
        }
    }
    UNROLL for (int n = 0; n < Q * vecs; n += 2)
    {
        float *const to = z + (size_t)(n / vecs) * s->ld_z + n % vecs * VEC_LANES;
        vec_store(to, is_bf16 ? vec_zip_low(acc[n], acc[n + 1]) : acc[n]);
        vec_store(to + VEC_LANES, is_bf16 ? vec_zip_high(acc[n], acc[n + 1]) : acc[n + 1]);
    }
}

/* Columns from d on, fewer than a pair. */
static __attribute__((noinline)) void wsum_tail(const int is_bf16, const wsum_job *s, uint32_t i,
                                                uint32_t d, uint32_t width)
{
    for (; d < width; d++) {
        float *const z = s->z + i * s->ld_z + d;
        for (uint32_t j = 0; j < s->n_vals; j++)
            *z = rmr_fmaf(s->p[i * RMR_KV8_SEG + j], row_value(is_bf16, s->row[j], d), *z);
    }
}

/* All whole blocks of Q rows from row i on, P pairs of columns at a time, so that a column is read
 * once for all blocks. Returns the first row that is in none. */
FORCE uint32_t wsum_rows(const int is_bf16, const int Q, const int P, const wsum_job *s, uint32_t i,
                         uint32_t n_q, uint32_t width)
{
    const uint32_t end = n_q - n_q % (uint32_t)Q; /* i is a multiple of Q */
    uint32_t d = 0;
    for (; d + (uint32_t)P * PAIR <= width; d += (uint32_t)P * PAIR)
        for (uint32_t m = i; m < end; m += (uint32_t)Q) wsum_block(is_bf16, Q, P, s, m, d);
    for (; P > 1 && d + PAIR <= width; d += PAIR)
        for (uint32_t m = i; m < end; m += (uint32_t)Q) wsum_block(is_bf16, Q, 1, s, m, d);
    for (uint32_t m = i; d < width && m < end; m++) wsum_tail(is_bf16, s, m, d, width);
    return end;
}

FORCE void wsum(const int is_bf16, float *z, size_t ld_z, const float *p, uint32_t n_q,
                const void *const *pages, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    const size_t row_bytes = ld_val * elem_bytes(is_bf16);
    const uint8_t *row[WSUM_VALS];
    for (uint32_t at = 0; at < n_vals; at += WSUM_VALS) {
        const uint32_t n = n_vals - at < WSUM_VALS ? n_vals - at : WSUM_VALS;
        const wsum_job s = {z, ld_z, p + at, row, n};
        for (uint32_t j = 0; j < n; j++)
            row[j] =
                (const uint8_t *)pages[(at + j) / RMR_KV8_TOKENS] + j % RMR_KV8_TOKENS * row_bytes;
        uint32_t i = wsum_rows(is_bf16, WSUM_Q, WSUM_PAIRS, &s, 0, n_q, width);
        i = wsum_rows(is_bf16, WSUM_Q / 2, 2 * WSUM_PAIRS, &s, i, n_q, width);
        wsum_rows(is_bf16, 1, 4 * WSUM_PAIRS, &s, i, n_q, width);
    }
}

static void wsum_bf16(float *z, size_t ld_z, const float *p, uint32_t n_q, const void *const *pages,
                      size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(1, z, ld_z, p, n_q, pages, ld_val, n_vals, width);
}

static void wsum_f32(float *z, size_t ld_z, const float *p, uint32_t n_q, const void *const *pages,
                     size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(0, z, ld_z, p, n_q, pages, ld_val, n_vals, width);
}
