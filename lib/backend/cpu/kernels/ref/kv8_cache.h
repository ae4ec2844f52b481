/* SPDX-License-Identifier: Apache-2.0 */
/* The 8-bit latent cache (kernels.h, kv8.h): everything but the integer products. It is the
 * definition, which sets compile with their own instruction flags. The including file defines
 * kv8_scores and kv8_mix. */
#include "quantize.h"

enum {
    KV8_HEADS = RMR_KV8_HEADS,
    KV8_SEG = RMR_KV8_SEG,
    KV8_PAGE = RMR_KV8_TOKENS,
    CHUNK = RMR_KV8_BLOCK, /* values that are rounded together */
    KV8_TILE = 32          /* columns of value sums at a time: two of kv8.h's groups */
};

typedef struct kv8_segment {
    rmr_kv8 g;
    const uint8_t *const *pages, *const *next; /* then pages that will be read soon */
    uint32_t n;                                /* positions */
    const int8_t *query;
    const float *query_scale;
} kv8_segment;

/* out[t][head] of the tokens of page i: its scores (kernels.h); may write all 32. */
static void kv8_scores(float *out, const kv8_segment *s, uint32_t i);

/* Value sums of heads over n columns from c0 on; n is 16 or KV8_TILE. */
typedef struct kv8_tile {
    _Alignas(64) float sum[KV8_HEADS][KV8_TILE];
    uint32_t c0, n;
} kv8_tile;

/* The sums of the first heads of a tile (it may write all), of weights p (as kv8_weights makes
 * them, page by page) and their scales. */
static void kv8_mix(kv8_tile *tile, const kv8_segment *s, uint32_t heads, const uint8_t *p,
                    const float *scale);

/* n (1 to CHUNK) values to integers, padded with zeros to a multiple of 16, whose number is
 * returned. The magic addend leaves the rounded integer in the low bits (quantize.h). */
static inline uint32_t kv8_round(int16_t *to, const float *x, uint32_t n, const quantum *u)
{
    const uint32_t keep = u->finite ? 0xffff : 0, padded = (n + 15) / 16 * 16;
    for (uint32_t i = 0; i < n; i++)
        to[i] = (int16_t)(rmr_bits_of(x[i] * u->inverse + 0x1.8p23f) & keep);
    for (uint32_t i = n; i < padded; i++) to[i] = 0;
    return padded;
}

/* Store n codes of token t from column c on, a multiple of 16 both; returns their sum. */
static inline int32_t kv8_store(uint8_t *layer, uint32_t t, uint32_t c, const int8_t *code,
                                uint32_t n)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i += 4) memcpy(layer + rmr_kv8_at(t, c + i), code + i, 4);
    for (uint32_t i = 0; i < n; i++) sum += code[i];
    return sum;
}

static void kv8_put(void *to, uint32_t t, const float *x, uint32_t rank, uint32_t rope)
{
    const rmr_kv8 g = rmr_kv8_of(rank, rope);
    uint8_t *const layer = to;
    float *const scale = (float *)(void *)(layer + rmr_kv8_codes(&g)) + t;
    int32_t *const sum = (int32_t *)(void *)(scale + (size_t)g.blocks * KV8_PAGE);
    const uint32_t high = g.latent_blocks;
    int16_t v[CHUNK];
    int8_t code[2][CHUNK];
    for (uint32_t b = 0; b < high; b++) {
        const uint32_t c = b * CHUNK, n = rank - c < CHUNK ? rank - c : CHUNK;
        const quantum u = quantum_of(top_bits(x + c, n), 127.0f);
        const uint32_t padded = kv8_round(v, x + c, n, &u);
        for (uint32_t i = 0; i < padded; i++) code[0][i] = (int8_t)v[i];
        scale[(size_t)b * KV8_PAGE] = u.scale;
        sum[(size_t)b * KV8_PAGE] = kv8_store(layer, t, c, code[0], padded);
    }
    const quantum u = quantum_of(top_bits(x + rank, rope), 127.0f * RMR_KV8_LOW);
    int32_t total[2] = {0, 0};
    for (uint32_t c = 0; c < rope; c += CHUNK) {
        const uint32_t n = rope - c < CHUNK ? rope - c : CHUNK;
        const uint32_t padded = kv8_round(v, x + rank + c, n, &u);
        for (uint32_t i = 0; i < padded; i++) { /* the nearest multiple, as a whole number */
            const int32_t h =
                (v[i] + RMR_KV8_LOW / 2 + 0x8000) / RMR_KV8_LOW - 0x8000 / RMR_KV8_LOW;
            code[0][i] = (int8_t)h;
            code[1][i] = (int8_t)(v[i] - h * RMR_KV8_LOW);
        }
        for (uint32_t i = 0; i < 2; i++)
            total[i] += kv8_store(layer, t, rmr_kv8_start(&g, high + i) + c, code[i], padded);
    }
    scale[(size_t)high * KV8_PAGE] = u.scale * RMR_KV8_LOW;
    scale[(size_t)(high + 1) * KV8_PAGE] = u.scale;
    for (uint32_t i = 0; i < 2; i++) sum[(size_t)(high + i) * KV8_PAGE] = total[i];
}

static void kv8_get(float *out, size_t ld, const void *from, uint32_t n, uint32_t rank,
                    uint32_t rope)
{
    const rmr_kv8 g = rmr_kv8_of(rank, rope);
    const uint8_t *const layer = from;
    const uint32_t high = rmr_kv8_start(&g, g.latent_blocks),
                   low = rmr_kv8_start(&g, g.latent_blocks + 1);
    for (uint32_t t = 0; t < n; t++, out += ld) {
        for (uint32_t c = 0; c < rank; c += 16) {
            const float scale = rmr_kv8_scale(&g, layer, c / RMR_KV8_BLOCK)[t];
            const uint32_t m = rank - c < 16 ? rank - c : 16;
            int8_t code[16];
            for (uint32_t i = 0; i < 16; i += 4) memcpy(code + i, layer + rmr_kv8_at(t, c + i), 4);
            for (uint32_t i = 0; i < m; i++) out[c + i] = (float)code[i] * scale;
        }
        const float scale = rmr_kv8_scale(&g, layer, g.latent_blocks + 1)[t];
        for (uint32_t c = 0; c < rope; c++) {
            const int32_t v = (int8_t)layer[rmr_kv8_at(t, high + c)] * RMR_KV8_LOW +
                              (int8_t)layer[rmr_kv8_at(t, low + c)];
            out[rank + c] = (float)v * scale;
        }
    }
}

/* One part of a head's query into its lane of the group. */
static inline void kv8_query_part(int8_t *to, float *to_scale, const float *q, uint32_t n,
                                  float scale)
{
    const quantum u = quantum_of(top_bits(q, n), 127.0f);
    for (uint32_t at = 0; at < n; at += CHUNK) {
        int16_t v[CHUNK];
        int8_t code[CHUNK];
        const uint32_t padded = kv8_round(v, q + at, n - at < CHUNK ? n - at : CHUNK, &u);
        for (uint32_t i = 0; i < padded; i++) code[i] = (int8_t)v[i];
        for (uint32_t i = 0; i < padded; i += 4)
            memcpy(to + (size_t)(at + i) * KV8_HEADS, code + i, 4);
    }
    *to_scale = u.scale * scale;
}

static void kv8_query(void *to, const float *q, size_t ld, uint32_t n_heads, uint32_t rank,
                      uint32_t rope, float scale)
{
    const rmr_kv8 g = rmr_kv8_of(rank, rope);
    int8_t *const code = to;
    float *const to_scale = (float *)(void *)(code + (size_t)rmr_kv8_query_cols(&g) * KV8_HEADS);
    memset(to, 0, rmr_kv8_query_bytes(rank, rope));
    for (uint32_t h = 0; h < n_heads; h++, q += ld) {
        for (uint32_t b = 0; b < g.latent_blocks; b++) {
            const uint32_t c = b * RMR_KV8_BLOCK;
            kv8_query_part(code + (size_t)c * KV8_HEADS + (size_t)h * 4,
                           to_scale + b * KV8_HEADS + h, q + c,
                           rank - c < RMR_KV8_BLOCK ? rank - c : RMR_KV8_BLOCK, scale);
        }
        kv8_query_part(code + (size_t)g.latent_cols * KV8_HEADS + (size_t)h * 4,
                       to_scale + g.latent_blocks * KV8_HEADS + h, q + rank, rope, scale);
    }
}

/* ---- one segment ---- */

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Maxima of the n scores of each head, exponentials in place, their sums: max and exp_sum of
 * kernels.h, with the heads side by side. Exponentials of positions from n to the end of the page
 * are zero, so that everything after counts in whole pages. Loops over heads have several positions
 * in each turn, or GCC takes them apart into single heads. */
static void kv8_softmax(float (*s)[KV8_HEADS], uint32_t n, float *max, float *sum)
{
    const uint32_t all = (n + KV8_PAGE - 1) / KV8_PAGE * KV8_PAGE;
    float lane[LANES][KV8_HEADS];
    for (uint32_t i = n; i < all; i++)
        for (uint32_t h = 0; h < KV8_HEADS; h++) s[i][h] = -__builtin_inff();
    for (uint32_t h = 0; h < KV8_HEADS; h++) max[h] = -__builtin_inff();
    for (uint32_t i = 0; i < all; i += 8)
        for (uint32_t h = 0; h < KV8_HEADS; h++)
            max[h] = larger(
                larger(larger(larger(s[i][h], s[i + 1][h]), larger(s[i + 2][h], s[i + 3][h])),
                       larger(larger(s[i + 4][h], s[i + 5][h]), larger(s[i + 6][h], s[i + 7][h]))),
                max[h]);
    memset(lane, 0, sizeof lane);
    for (uint32_t i = 0; i < all; i++)
        for (uint32_t h = 0; h < KV8_HEADS; h++) {
            s[i][h] = rmr_expf(s[i][h] - max[h]);
            lane[i % LANES][h] += s[i][h];
        }
    for (uint32_t half = LANES / 2; half > 0; half /= 2)
        for (uint32_t i = 0; i < half; i++)
            for (uint32_t h = 0; h < KV8_HEADS; h++) lane[i][h] += lane[i + half][h];
    memcpy(sum, lane[0], sizeof lane[0]);
}

/* The weights of one page of n positions for a block of the latent: e times the tokens' scales, in
 * units of the largest one's 255th part; p[4 tokens][head][4], zero from token n on. */
static void kv8_weights(uint8_t *p, float *unit, float (*e)[KV8_HEADS], const float *scale,
                        uint32_t n)
{
    uint32_t top[KV8_HEADS] = {0}, keep[KV8_HEADS];
    float inverse[KV8_HEADS], w[KV8_PAGE][KV8_HEADS];
    float by[KV8_PAGE] = {0}; /* tokens that are not there yet have any scale */
    memcpy(by, scale, n * sizeof *by);
    for (uint32_t t = 0; t < KV8_PAGE; t += 4)
        for (uint32_t h = 0; h < KV8_HEADS; h++) {
            uint32_t u[4];
            for (uint32_t i = 0; i < 4; i++) {
                w[t + i][h] = e[t + i][h] * by[t + i];
                u[i] = rmr_bits_of(w[t + i][h]) & 0x7fffffff;
            }
            u[0] = u[0] > u[1] ? u[0] : u[1];
            u[2] = u[2] > u[3] ? u[2] : u[3];
            u[0] = u[0] > u[2] ? u[0] : u[2];
            top[h] = u[0] > top[h] ? u[0] : top[h];
        }
    for (uint32_t h = 0; h < KV8_HEADS; h++) { /* quantum_of, so that it vectorises */
        const float amax = rmr_float_of(top[h]), least = RMR_LEAST;
        const uint32_t finite = top[h] < 0x7f800000;
        const float small = finite ? 0.0f : rmr_float_of(0x7fc00000);
        unit[h] = (finite & (amax >= least)) ? amax / 255.0f : small;
        inverse[h] = (finite & (amax >= least)) ? 255.0f / amax : 0.0f;
        keep[h] = finite ? 255 : 0;
    }
    for (uint32_t t = 0; t < KV8_PAGE; t += 4, p += 4 * KV8_HEADS) {
        uint32_t four[KV8_HEADS];
        for (uint32_t h = 0; h < KV8_HEADS; h++) {
            const uint32_t a = rmr_bits_of(w[t][h] * inverse[h] + 0x1.8p23f) & keep[h],
                           b = rmr_bits_of(w[t + 1][h] * inverse[h] + 0x1.8p23f) & keep[h],
                           c = rmr_bits_of(w[t + 2][h] * inverse[h] + 0x1.8p23f) & keep[h],
                           d = rmr_bits_of(w[t + 3][h] * inverse[h] + 0x1.8p23f) & keep[h];
            four[h] = a | b << 8 | c << 16 | d << 24;
        }
        memcpy(p, four, sizeof four);
    }
}

static void kv8_attend(float *z, size_t ld, float *max, float *sum, const void *query,
                       uint32_t n_heads, const void *const *pages, uint32_t n, uint32_t rank,
                       uint32_t rope)
{
    _Alignas(64) float e[KV8_SEG][KV8_HEADS];
    _Alignas(64) uint8_t p[KV8_SEG * KV8_HEADS];
    _Alignas(64) float unit[KV8_SEG / KV8_PAGE * KV8_HEADS];
    kv8_tile tile;
    float m[KV8_HEADS], l[KV8_HEADS];
    kv8_segment s = {.g = rmr_kv8_of(rank, rope), .pages = (const uint8_t *const *)pages, .n = n};
    s.query = query;
    s.query_scale =
        (const float *)(const void *)(s.query + (size_t)rmr_kv8_query_cols(&s.g) * KV8_HEADS);
    const uint32_t n_pages = (n + KV8_PAGE - 1) / KV8_PAGE;
    s.next = s.pages + n_pages;
    for (uint32_t i = 0; i < n_pages; i++) kv8_scores(e[i * KV8_PAGE], &s, i);
    kv8_softmax(e, n, m, l);
    memcpy(max, m, n_heads * sizeof *max);
    memcpy(sum, l, n_heads * sizeof *sum);
    for (uint32_t b = 0; b < s.g.latent_blocks; b++) {
        for (uint32_t i = 0; i < n_pages; i++)
            kv8_weights(p + (size_t)i * KV8_PAGE * KV8_HEADS, unit + i * KV8_HEADS,
                        e + (size_t)i * KV8_PAGE, rmr_kv8_scale(&s.g, s.pages[i], b),
                        n - i * KV8_PAGE < KV8_PAGE ? n - i * KV8_PAGE : KV8_PAGE);
        for (uint32_t c = b * RMR_KV8_BLOCK; c < rank && c < (b + 1) * RMR_KV8_BLOCK;
             c += KV8_TILE) {
            tile.c0 = c;
            tile.n = s.g.latent_cols - c < KV8_TILE ? 16 : KV8_TILE;
            kv8_mix(&tile, &s, n_heads, p, unit);
            if (rank - c >= KV8_TILE)
                for (uint32_t h = 0; h < n_heads; h++)
                    memcpy(z + h * ld + c, tile.sum[h], sizeof tile.sum[h]);
            else
                for (uint32_t h = 0; h < n_heads; h++)
                    memcpy(z + h * ld + c, tile.sum[h], (rank - c) * sizeof *z);
        }
    }
}
