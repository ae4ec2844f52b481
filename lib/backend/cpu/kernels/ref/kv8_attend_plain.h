/* SPDX-License-Identifier: Apache-2.0 */
/* The integer products of the 8-bit cache by definition: plain C. */
#include "kv8_cache.h"

static void kv8_scores(float *out, const kv8_segment *s, uint32_t i)
{
    const uint8_t *const layer = s->pages[i];
    const rmr_kv8 *const g = &s->g;
    const uint32_t n = s->n - i * KV8_PAGE < KV8_PAGE ? s->n - i * KV8_PAGE : KV8_PAGE;
    memset(out, 0, sizeof *out * n * KV8_HEADS);
    for (uint32_t b = 0; b < g->blocks; b++) {
        const uint32_t c0 = rmr_kv8_start(g, b), end = rmr_kv8_start(g, b + 1);
        const uint32_t q0 = b < g->latent_blocks ? c0 : g->latent_cols;
        const float *const scale = rmr_kv8_scale(g, layer, b);
        const float *const qs =
            s->query_scale + (b < g->latent_blocks ? b : g->latent_blocks) * KV8_HEADS;
        for (uint32_t t = 0; t < n; t++)
            for (uint32_t h = 0; h < KV8_HEADS; h++) {
                int32_t dot = 0;
                for (uint32_t c = c0; c < end; c++)
                    dot += (int8_t)layer[rmr_kv8_at(t, c)] *
                           s->query[(size_t)(q0 + c - c0) / 4 * 4 * KV8_HEADS + h * 4 + c % 4];
                out[t * KV8_HEADS + h] =
                    rmr_fmaf((float)dot, qs[h] * scale[t], out[t * KV8_HEADS + h]);
            }
    }
}

static void kv8_mix(kv8_tile *tile, const kv8_segment *s, uint32_t heads, const uint8_t *p,
                    const float *scale)
{
    for (uint32_t h = 0; h < heads; h++)
        for (uint32_t c = 0; c < tile->n; c++) {
            float sum = 0;
            for (uint32_t i = 0; i * KV8_PAGE < s->n; i++) {
                int32_t part = 0;
                for (uint32_t t = 0; t < KV8_PAGE && i * KV8_PAGE + t < s->n; t++)
                    part += p[(size_t)((i * KV8_PAGE + t) / 4 * KV8_HEADS + h) * 4 + t % 4] *
                            (int8_t)s->pages[i][rmr_kv8_at(t, tile->c0 + c)];
                sum = rmr_fmaf((float)part, scale[i * KV8_HEADS + h], sum);
            }
            tile->sum[h][c] = sum;
        }
}
