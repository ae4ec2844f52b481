/* SPDX-License-Identifier: Apache-2.0 */
/* The integer products of the 8-bit cache, over vectors.
 *
 * Scores: the lanes are heads and 4 codes of a token are spread over all of them, so the cache is
 * read once for all heads. Value sums: the lanes are columns and 4 weights of a head are spread.
 *
 * The pages to come are fetched evenly over the work, a line at a time: the latent with the value
 * sums, the rest with the scores. */
#include "kv8_cache.h"
#include "vec.h"

#ifndef KV8_DOT
FORCE ivec kv8_dot(ivec sum, ivec code, const int8_t *p)
{
    return iv_dot(RMR_ELEM_Q8_0, &code, 1, p, sum);
}
#endif

FORCE const int32_t *kv8_starts(int32_t *to, const int32_t *sum)
{
    for (int t = 0; t < KV8_ROWS; t++)
        to[t] = (int32_t)(-128u * (uint32_t)sum[t]); /* unsigned: tokens that are not there yet
                                                        have any sum */
    return to;
}

/* The cache lines of the pages to come, to be fetched. */
typedef struct kv8_ahead {
    const uint8_t *at, *end;
} kv8_ahead;

FORCE void kv8_fetch(kv8_ahead *a)
{
    if (a->at < a->end) __builtin_prefetch(a->at, 0, 2);
    a->at += 64;
}

/* Tokens [t0, t0 + KV8_ROWS) of a page, vector v of the heads. */
FORCE void kv8_scores_rows(float *out, const kv8_segment *s, const uint8_t *layer, uint32_t t0,
                           const int v, kv8_ahead *ahead)
{
    const rmr_kv8 *const g = &s->g;
    const int8_t *const query = s->query + (size_t)v * (64 / NV);
    for (uint32_t b = 0; b < g->blocks; b++) {
        const uint32_t is_latent = b < g->latent_blocks;
        const uint32_t c0 = rmr_kv8_start(g, b), n = rmr_kv8_start(g, b + 1) - c0;
        const float *const scale = rmr_kv8_scale(g, layer, b) + t0;
        const vec qs = vec_load(s->query_scale + (is_latent ? b : g->latent_blocks) * KV8_HEADS +
                                v * VEC_LANES);
        const int8_t *q = query + (size_t)(is_latent ? c0 : g->latent_cols) * KV8_HEADS;
        const uint8_t *k = layer + rmr_kv8_at(t0, c0);
        ivec sum[KV8_ROWS];
        int32_t start[KV8_ROWS];
        if (!CODES_SIGNED(RMR_ELEM_Q8_0)) kv8_starts(start, rmr_kv8_sum(g, layer, b) + t0);
        UNROLL for (int t = 0; t < KV8_ROWS; t++) sum[t] =
            CODES_SIGNED(RMR_ELEM_Q8_0) ? iv_zero() : iv_start(start[t]);
        for (uint32_t c = 0; c < n; c += 16, k += 16 * KV8_PAGE) {
            kv8_fetch(ahead);
            for (const uint8_t *four = k; four < k + 64; four += 16, q += 64) {
                const ivec code = q_finish(RMR_ELEM_Q8_0, iv_load(q));
                UNROLL for (int t = 0; t < KV8_ROWS; t++) sum[t] =
                    kv8_dot(sum[t], code, (const int8_t *)four + (ptrdiff_t)t / 4 * 64 + t % 4 * 4);
            }
        }
        UNROLL for (int t = 0; t < KV8_ROWS; t++)
        {
            float *const o = out + ((size_t)t0 + (size_t)t) * KV8_HEADS + v * VEC_LANES;
            vec_store(o, vec_fma(iv_float(sum[t]), vec_mul(qs, vec_set1(scale[t])),
                                 b == 0 ? vec_zero() : vec_load(o)));
        }
    }
}

static void kv8_scores(float *out, const kv8_segment *s, uint32_t i)
{
    const uint32_t left = s->n - i * KV8_PAGE, n = left < KV8_PAGE ? left : KV8_PAGE;
    kv8_ahead ahead = {s->next[i] + (size_t)s->g.latent_cols * KV8_PAGE,
                       s->next[i] + rmr_kv8_bytes(&s->g)};
    for (uint32_t t = 0; t < n; t += KV8_ROWS)
        UNROLL for (int v = 0; v < NV; v++) kv8_scores_rows(out, s, s->pages[i], t, v, &ahead);
}

/* Bytes from the first vector of a tile's columns to vector v. */
FORCE size_t kv8_vector(uint32_t v)
{
    return (size_t)(v / NV) * (16 * KV8_PAGE) + (size_t)(v % NV) * (64 / NV);
}

/* Heads [h, h + H) by W vectors of a tile's columns from vector v on. Of every page to come it
 * fetches the 16 columns from `fetch` on, if they are in the tile. */
FORCE void kv8_mix_rows(const int H, const int W, kv8_tile *tile, const kv8_segment *s, uint32_t h,
                        uint32_t v, const uint8_t *p, const float *scale, uint32_t fetch)
{
    const int most = H * W;
    const size_t lines = fetch < tile->c0 + tile->n ? 16 * KV8_PAGE : 0;
    for (uint32_t i = 0; i * KV8_PAGE < s->n; i++, scale += KV8_HEADS, p += KV8_PAGE * KV8_HEADS) {
        const uint32_t left = s->n - i * KV8_PAGE, fours = left < KV8_PAGE ? (left + 3) / 4 : 8;
        const uint8_t *const code = s->pages[i] + rmr_kv8_at(0, tile->c0);
        const uint8_t *const next = s->next[i] + rmr_kv8_at(0, fetch);
        kv8_ahead ahead = {next, next + lines};
        ivec sum[KV8_COLS * KV8_VECS];
        UNROLL for (int k = 0; k < most; k++) sum[k] = iv_zero();
        for (uint32_t t = 0; t < fours; t++) {
            kv8_val val[KV8_VECS];
            UNROLL for (int w = 0; w < W; w++) val[w] =
                kv8_value(code + (size_t)t * 64 + kv8_vector(v + (uint32_t)w));
            kv8_fetch(&ahead);
            UNROLL for (int k = 0; k < most; k += W)
            {
                const kv8_by by = kv8_weight(p + ((size_t)t * KV8_HEADS + h + (size_t)(k / W)) * 4);
                UNROLL for (int w = 0; w < W; w++) sum[k + w] = kv8_add(sum[k + w], by, val[w]);
            }
        }
        UNROLL for (int k = 0; k < most; k++)
        {
            float *const to =
                tile->sum[h + (uint32_t)(k / W)] + (v + (uint32_t)(k % W)) * VEC_LANES;
            vec_store(to, vec_fma(iv_float(sum[k]), vec_set1(scale[h + (uint32_t)(k / W)]),
                                  i == 0 ? vec_zero() : vec_load(to)));
        }
    }
}

static void kv8_mix(kv8_tile *tile, const kv8_segment *s, uint32_t heads, const uint8_t *p,
                    const float *scale)
{
    const uint32_t vecs = tile->n / VEC_LANES;
    uint32_t fetch = tile->c0;
    for (uint32_t h = 0; h < heads; h += KV8_COLS)
        for (uint32_t v = 0; v < vecs; v += KV8_VECS, fetch += 16)
            if (vecs - v < KV8_VECS)
                kv8_mix_rows(KV8_COLS, 1, tile, s, h, v, p, scale, fetch);
            else if (heads - h > KV8_COLS / 2)
                kv8_mix_rows(KV8_COLS, KV8_VECS, tile, s, h, v, p, scale, fetch);
            else
                kv8_mix_rows(KV8_COLS / 2, KV8_VECS, tile, s, h, v, p, scale, fetch);
}
