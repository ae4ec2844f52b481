/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention as attend_latent.cuh, over the 8-bit cache (kv8.h). Codes become bf16, which has
 * all of them; scales stay outside of the products. A score is the sum of four chains, of the two
 * blocks of the latent and of the rope key's high and low part, each times the position's scale.
 * Value sums of a block of columns have exponentials times the position's scale, rounded to bf16.
 */
#ifndef RMR_CUDA_ATTEND_LATENT8_CUH
#define RMR_CUDA_ATTEND_LATENT8_CUH

#include "attend_latent.cuh"

enum {
    LATENT8_BLOCKS = 4,
    LATENT8_COLUMNS = LATENT_WIDTH + 64, /* of codes: the rope key is there twice */
    LATENT8_LD = LATENT8_COLUMNS + 8,
    LATENT8_UNITS = LATENT_TILE * LATENT8_COLUMNS / 16 / 256 /* times 16 bytes, of a thread */
};

typedef struct latent8_shared {
    latent_state s;
    uint16_t tile[LATENT_TILE * LATENT8_LD];
    float scale[LATENT8_BLOCKS][LATENT_TILE];
} latent8_shared;
static_assert(sizeof(latent8_shared) <= RMR_GPU_LATENT8_SHARED, "shared memory of a block");

/* A thread's part of a tile before it is decoded. 16 bytes are four positions of four columns. */
typedef struct latent8_tile {
    word4 codes[LATENT8_UNITS];
    float scale;
} latent8_tile;

/* Positions [p, p + 64): two pages. Scales from `end` on are zero. */
DEV void load_tile8(latent8_tile *to, const rmr_gpu_attend &a, const rmr_run *run, uint32_t p,
                    uint32_t end)
{
    enum { OF_PAGE = RMR_PAGE_TOKENS * LATENT8_COLUMNS / 16 };
    const uint8_t *const page[2] = {
        p < end ? cache_part(a.in, run, a.stream, p) : NULL,
        p + RMR_PAGE_TOKENS < end ? cache_part(a.in, run, a.stream, p + RMR_PAGE_TOKENS) : NULL};
#pragma unroll
    for (uint32_t i = 0; i < LATENT8_UNITS; i++) {
        const uint32_t u = i * 256 + thread_of();
        const uint8_t *const from = u < OF_PAGE ? page[0] : page[1];
        to->codes[i] = word4{{0, 0, 0, 0}};
        if (from != NULL) to->codes[i] = load_weights(from + (size_t)(u % OF_PAGE) * 16);
    }
    const uint32_t b = thread_of() / LATENT_TILE, t = thread_of() % LATENT_TILE;
    const uint8_t *const from = t < RMR_PAGE_TOKENS ? page[0] : page[1];
    const rmr_kv8 g = rmr_kv8_of(LATENT, LATENT_WIDTH - LATENT);
    to->scale = 0;
    if (from != NULL && p + t < end) to->scale = rmr_kv8_scale(&g, from, b)[t % RMR_PAGE_TOKENS];
}

/* Two codes, the first in the lowest byte, as bf16. */
DEV uint32_t codes_pair(uint32_t w)
{
    return bf16_pair((float)(int8_t)w, (float)(int8_t)(w >> 8));
}

DEV void decode_tile8(latent8_shared *s, const latent8_tile &of)
{
    enum { OF_PAGE = RMR_PAGE_TOKENS * LATENT8_COLUMNS / 16 };
#pragma unroll
    for (uint32_t i = 0; i < LATENT8_UNITS; i++) {
        const uint32_t u = i * 256 + thread_of(), v = u % OF_PAGE;
        const uint32_t c = v / 32 * 16 + v % 4 * 4, t = u / OF_PAGE * 32 + v / 4 % 8 * 4;
#pragma unroll
        for (uint32_t r = 0; r < 4; r++) {
            uint32_t *const to = (uint32_t *)(void *)(s->tile + (t + r) * LATENT8_LD + c);
            to[0] = codes_pair(of.codes[i].w[r]);
            to[1] = codes_pair(of.codes[i].w[r] >> 16);
        }
    }
    s->scale[thread_of() / LATENT_TILE][thread_of() % LATENT_TILE] = of.scale;
}

/* Scores of the warp's 8 positions; -inf from position n of the tile on. */
DEV void tile_scores8(latent8_shared *s, uint32_t n, float scale)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, p0 = warp_of() * 8;
    float acc[LATENT8_BLOCKS][4] = {};
#pragma unroll
    for (uint32_t b = 0; b < LATENT8_BLOCKS; b++) {
        const uint32_t first = b < 2 ? b * 256 : 512 + (b - 2) * 64, width = b < 2 ? 256 : 64,
                       query = b < 2 ? b * 256 : 512;
#pragma unroll 4
        for (uint32_t c = 0; c < width; c += 16) {
            uint32_t v[4], k[2];
            const uint16_t *const key = s->tile + (p0 + g) * LATENT8_LD + first + c + 2 * t;
            rows_fragment(v, s->s.query, LATENT_LD, query + c);
            k[0] = word_at(key);
            k[1] = word_at(key + 8);
            mma_bf16(acc[b], v, k);
        }
    }
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t p = p0 + 2 * t + k % 2;
        float sum = acc[0][k] * s->scale[0][p];
#pragma unroll
        for (uint32_t b = 1; b < LATENT8_BLOCKS; b++) sum = fmaf(acc[b][k], s->scale[b][p], sum);
        s->s.score[(g + k / 2 * 8) * SCORE_LD + p] = p < n ? sum * scale : -INFINITY;
    }
}

/* Exponentials of the scores, and their sums. */
DEV void tile_weights8(latent8_shared *s)
{
    latent_state *const l = &s->s;
    const uint32_t h0 = 2 * warp_of(), p = 2 * lane_of();
    const float *const score = l->score + h0 * SCORE_LD + p;
    two_heads y = tile_max(l, score);
#pragma unroll
    for (uint32_t i = 0; i < 2; i++) {
        const float *const at = score + i * SCORE_LD;
        const float e0 = rmr_expf(at[0] - y.max[i]), e1 = rmr_expf(at[1] - y.max[i]);
        y.sum[i] = e0 + e1;
        for (uint32_t b = 0; b < 2; b++)
            *(uint32_t *)(void *)(l->weight[b] + (h0 + i) * WEIGHT_LD + p) =
                bf16_pair(e0 * s->scale[b][p], e1 * s->scale[b][p + 1]);
    }
    tile_softmax(l, y);
}

/* Grid: units, groups of 16 heads, rows. */
KERNEL(attend_latent_int8, rmr_gpu_attend, 256, 1)
{
    latent8_shared *const s = (latent8_shared *)(void *)shared_memory();
    const uint32_t h0 = blockIdx.y * RMR_GPU_HEADS;
    for (uint32_t i = blockIdx.z; i < a.n_rows; i += gridDim.z) {
        const unit_job j = unit_of(a, blockIdx.x, a.row0 + i);
        if (j.n == 0) continue;
        const rmr_run *const run = run_of(a.in, j.row);
        const uint32_t end = j.p0 + j.n;
        float acc[8][4] = {};
        latent8_tile next;
        load_tile8(&next, a, run, j.p0, end);
        place_queries(a, &s->s, j.row, h0);
        for (uint32_t p = j.p0; p < end; p += LATENT_TILE) {
            decode_tile8(s, next);
            __syncthreads();
            if (p + LATENT_TILE < end) load_tile8(&next, a, run, p + LATENT_TILE, end);
            tile_scores8(s, end - p, a.scale);
            __syncthreads();
            tile_weights8(s);
            __syncthreads();
            tile_values<LATENT8_LD>(acc, &s->s, s->s.weight[warp_of() / 4], s->tile);
            __syncthreads();
        }
        store_unit(a, &s->s, (float *)(void *)s->tile, acc, j.row, h0, blockIdx.x);
        __syncthreads();
    }
}

#endif
