/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention over a bf16 cache with a latent of 512 and a rope key of 64 columns, 16 heads a
 * block: units and merging as in attend.cuh. A unit is walked in tiles of 64 positions, which lie
 * in shared memory while both products use them; queries and exponentials are rounded to bf16.
 *
 * Scores: warps 0 to 3 have 16 positions of a tile each, two chains of 36 matrix instructions, so
 * that queries are read from shared memory four times and not eight. Values: warp w has columns 64
 * w .. 64 w + 63, chains over the positions in order, which are multiplied by e^(m - m') where a
 * tile raises the maximum from m to m'. */
#ifndef RMR_CUDA_ATTEND_LATENT_CUH
#define RMR_CUDA_ATTEND_LATENT_CUH

#include "attend.cuh"

enum {
    LATENT = 512,
    LATENT_WIDTH = 576,
    LATENT_LD = LATENT_WIDTH + 8, /* of a row in shared memory: rows fall on different banks */
    LATENT_TILE = 64,
    WEIGHT_LD = LATENT_TILE + 8,
    SCORE_LD = LATENT_TILE + 4
};

/* Shared memory of a block but for the tiles. The second weights are for a cache of 8 bits. */
typedef struct latent_state {
    uint16_t query[RMR_GPU_HEADS * LATENT_LD];
    float score[RMR_GPU_HEADS * SCORE_LD];
    uint16_t weight[2][RMR_GPU_HEADS * WEIGHT_LD];
    float max[RMR_GPU_HEADS], sum[RMR_GPU_HEADS], by[RMR_GPU_HEADS];
} latent_state;

typedef struct latent_shared {
    latent_state s;
    uint16_t tile[2][LATENT_TILE * LATENT_LD];
} latent_shared;
static_assert(sizeof(latent_shared) <= RMR_GPU_LATENT_SHARED, "shared memory of a block");

/* Where this thread's position of a tile is in the cache: four threads have a position, so each
 * asks for one page. NULL: there is no such position. */
DEV const uint8_t *tile_row(const rmr_gpu_attend &a, const rmr_run *run, uint32_t p, uint32_t end)
{
    const uint32_t at = p + thread_of() / 4;
    const uint8_t *const part = at < end ? cache_part(a.in, run, a.stream, at) : NULL;
    return part == NULL ? NULL : part + (size_t)(at % RMR_PAGE_TOKENS) * LATENT_WIDTH * 2;
}

DEV void copy_row(const rmr_gpu_attend &a, uint16_t *tile, const uint8_t *row)
{
    uint16_t *const to = tile + thread_of() / 4 * LATENT_LD;
#pragma unroll 6
    for (uint32_t c = thread_of() % 4 * 8; c < LATENT_WIDTH; c += 32)
        copy_async(to + c, row != NULL ? row + c * 2 : (const uint8_t *)a.part,
                   row != NULL ? 16 : 0);
}

/* Positions [p, p + 64) of which those below `end` exist. */
DEV void fetch_tile(const rmr_gpu_attend &a, const rmr_run *run, uint16_t *to, uint32_t p,
                    uint32_t end)
{
    copy_row(a, to, tile_row(a, run, p, end));
    copy_commit();
}

DEV uint32_t word_at(const uint16_t *p)
{
    return *(const uint32_t *)(const void *)p;
}

/* Four registers of a 16 by 16 tile of rows from column c on. */
DEV void rows_fragment(uint32_t *v, const uint16_t *rows, uint32_t ld, uint32_t c)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
    const uint16_t *const at = rows + g * ld + c + 2 * t;
    v[0] = word_at(at);
    v[1] = word_at(at + 8 * ld);
    v[2] = word_at(at + 8);
    v[3] = word_at(at + 8 * ld + 8);
}

/* Scores; -inf from position n of the tile on. */
DEV void tile_scores(latent_state *s, const uint16_t *tile, uint32_t n, float scale)
{
    enum { SCORING = LATENT_TILE / 16 };
    if (warp_of() >= SCORING) return;
    /* matrices: rows 0.. and 8.. of columns c.., then of c + 8..; of positions the other way */
    const uint32_t m = lane_of() / 8, r = lane_of() % 8, p0 = warp_of() * 16;
    const uint16_t *const query = s->query + (m % 2 * 8 + r) * LATENT_LD + m / 2 * 8,
                          *const key = tile + (p0 + m / 2 * 8 + r) * LATENT_LD + m % 2 * 8;
    float acc[2][4] = {};
#pragma unroll 6
    for (uint32_t c = 0; c < LATENT_WIDTH; c += 16) {
        const word4 v = load_matrices(query + c), b = load_matrices(key + c);
        mma_bf16(acc[0], v.w, b.w);
        mma_bf16(acc[1], v.w, b.w + 2);
    }
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
#pragma unroll
    for (uint32_t k = 0; k < 8; k++) {
        const uint32_t p = p0 + k / 4 * 8 + 2 * t + k % 2;
        s->score[(g + k % 4 / 2 * 8) * SCORE_LD + p] =
            p < n ? acc[k / 4][k % 4] * scale : -INFINITY;
    }
}

/* Heads 2 w and 2 w + 1 of a tile: both at once, for each exchange between lanes takes its time. */
typedef struct two_heads {
    float old[2], max[2], sum[2];
} two_heads;

/* The maximum before and with this tile; a lane has scores 2 l and 2 l + 1 of both heads. */
DEV two_heads tile_max(const latent_state *s, const float *score)
{
    two_heads y = {};
#pragma unroll
    for (uint32_t i = 0; i < 2; i++) {
        const float *const at = score + i * SCORE_LD;
        y.old[i] = s->max[2 * warp_of() + i];
        y.max[i] = at[0] > at[1] ? at[0] : at[1];
    }
    for (int o = 16; o > 0; o /= 2)
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const float w = __shfl_xor_sync(~0u, y.max[i], o);
            y.max[i] = w > y.max[i] ? w : y.max[i];
        }
#pragma unroll
    for (uint32_t i = 0; i < 2; i++) y.max[i] = y.max[i] > y.old[i] ? y.max[i] : y.old[i];
    return y;
}

/* The heads go on with a tile of whose exponentials a lane has the sum of two. Over all lanes,
 * neighbours first (attend_prompt.cuh). */
DEV void tile_softmax(latent_state *s, two_heads y)
{
    for (int o = 1; o < 32; o *= 2)
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) y.sum[i] += __shfl_xor_sync(~0u, y.sum[i], o);
    __syncwarp(); /* lanes have read the old maximum */
    if (lane_of() > 1) return;
    const uint32_t i = lane_of(), h = 2 * warp_of() + i;
    const float max = i ? y.max[1] : y.max[0], by = rmr_expf((i ? y.old[1] : y.old[0]) - max);
    s->by[h] = by;
    s->max[h] = max;
    s->sum[h] = fmaf(s->sum[h], by, i ? y.sum[1] : y.sum[0]);
}

/* Exponentials of the scores, and their sums. */
DEV void tile_weights(latent_state *s)
{
    const uint32_t h0 = 2 * warp_of(), p = 2 * lane_of();
    const float *const score = s->score + h0 * SCORE_LD + p;
    two_heads y = tile_max(s, score);
#pragma unroll
    for (uint32_t i = 0; i < 2; i++) {
        const float *const at = score + i * SCORE_LD;
        const uint32_t w = bf16_pair(rmr_expf(at[0] - y.max[i]), rmr_expf(at[1] - y.max[i]));
        y.sum[i] = rmr_float_of(w << 16) + rmr_float_of(w & 0xffff0000u);
        *(uint32_t *)(void *)(s->weight[0] + (h0 + i) * WEIGHT_LD + p) = w;
    }
    tile_softmax(s, y);
}

/* Columns 64 w .. of the value sums go on with a tile, whose rows are LD apart. */
template <uint32_t LD>
DEV void tile_values(float (*acc)[4], const latent_state *s, const uint16_t *weight,
                     const uint16_t *tile)
{
    const uint32_t g = lane_of() / 4, c0 = warp_of() * 64;
    const float by[2] = {s->by[g], s->by[g + 8]};
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) acc[i][k] *= by[k / 2];
#pragma unroll
    for (uint32_t p = 0; p < LATENT_TILE; p += 16) {
        uint32_t v[4];
        rows_fragment(v, weight, WEIGHT_LD, p);
#pragma unroll
        for (uint32_t i = 0; i < 8; i += 2) {
            /* matrices: positions p.. and p + 8.. of columns 8 i.., then of the next 8 */
            const uint32_t m = lane_of() / 8, r = lane_of() % 8;
            const word4 b =
                load_transposed(tile + (p + m % 2 * 8 + r) * LD + c0 + 8 * i + m / 2 * 8);
            mma_bf16(acc[i], v, b.w);
            mma_bf16(acc[i + 1], v, b.w + 2);
        }
    }
}

/* Queries of 16 heads, whose rows lie at multiples of 16 bytes (fits_latent). All loads are under
 * way at a time. */
DEV void place_queries(const rmr_gpu_attend &a, latent_state *s, uint32_t row, uint32_t h0)
{
    enum { FOURS = LATENT_WIDTH / 4, TURNS = RMR_GPU_HEADS * FOURS / 256 };
    float4 v[TURNS];
    const float *const q = a.q.at + row * a.q.ld + (size_t)h0 * LATENT_WIDTH;
    const uint32_t end = (a.heads - h0) * FOURS;
#pragma unroll
    for (uint32_t k = 0; k < TURNS; k++) {
        const uint32_t i = k * 256 + thread_of();
        v[k] = i < end ? load_float4(q + 4 * i) : float4{0, 0, 0, 0};
    }
#pragma unroll
    for (uint32_t k = 0; k < TURNS; k++) {
        const uint32_t i = k * 256 + thread_of(), h = i / FOURS, c = i % FOURS * 4;
        uint32_t *const to = (uint32_t *)(void *)(s->query + h * LATENT_LD + c);
        to[0] = bf16_pair(v[k].x, v[k].y);
        to[1] = bf16_pair(v[k].z, v[k].w);
    }
    if (thread_of() < RMR_GPU_HEADS) {
        s->max[thread_of()] = -0x1p120f; /* e^(this - a score) is 0, and of itself 1 */
        s->sum[thread_of()] = 0;
    }
}

/* Of a unit, or of a row that has one. By way of shared memory, so that a warp writes what lies
 * together. */
DEV void store_unit(const rmr_gpu_attend &a, const latent_state *s, float *stage, float (*acc)[4],
                    uint32_t row, uint32_t h0, uint32_t u)
{
    enum { LD = LATENT + 8, PAIRS = LATENT / 2 };
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, c0 = warp_of() * 64 + 2 * t;
#pragma unroll
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t h = g + 8 * half;
        const float by = a.direct ? 1.0f / s->sum[h] : 1.0f;
#pragma unroll
        for (uint32_t i = 0; i < 8; i++)
            store_floats(stage + h * LD + c0 + 8 * i, acc[i][2 * half] * by,
                         acc[i][2 * half + 1] * by);
    }
    __syncthreads();
    const uint32_t heads = a.heads - h0 < RMR_GPU_HEADS ? a.heads - h0 : RMR_GPU_HEADS;
#pragma unroll 4
    for (uint32_t i = thread_of(); i < heads * PAIRS; i += 256) {
        const uint32_t h = i / PAIRS, c = i % PAIRS * 2;
        float *const to = a.direct ? a.out.at + row * a.out.ld + (size_t)(h0 + h) * LATENT
                                   : part_of(a, row, h0 + h, u);
        store_floats(to + c, stage[h * LD + c], stage[h * LD + c + 1]);
    }
    if (a.direct || thread_of() >= heads) return;
    float *const part = part_of(a, row, h0 + thread_of(), u);
    part[LATENT] = s->max[thread_of()];
    part[LATENT + 1] = s->sum[thread_of()];
}

/* Grid: units, groups of 16 heads, rows. Of the first row's first tile, positions that the step
 * before has left are copied before the last kernel is done. */
KERNEL_WAITS(attend_latent_bf16, rmr_gpu_attend, 256, 1)
{
    latent_shared *const all = (latent_shared *)(void *)shared_memory();
    latent_state *const s = &all->s;
    const uint32_t h0 = blockIdx.y * RMR_GPU_HEADS;
    unit_job j = unit_of(a, blockIdx.x, a.row0 + blockIdx.z);
    const rmr_run *run = j.n > 0 ? run_of(a.in, j.row) : NULL;
    const uint8_t *const first = j.n > 0 ? tile_row(a, run, j.p0, j.p0 + j.n) : NULL;
    const bool old = first != NULL && j.p0 + thread_of() / 4 < run->pos0;
    if (old) copy_row(a, all->tile[0], first);
    wait_for_last();
    for (uint32_t i = blockIdx.z; i < a.n_rows; i += gridDim.z) {
        const bool begins = i == blockIdx.z;
        if (!begins) j = unit_of(a, blockIdx.x, a.row0 + i);
        if (j.n == 0) continue;
        if (!begins) run = run_of(a.in, j.row);
        const uint32_t tiles = (j.n + LATENT_TILE - 1) / LATENT_TILE, end = j.p0 + j.n;
        float acc[8][4] = {};
        if (!begins || !old)
            copy_row(a, all->tile[0], begins ? first : tile_row(a, run, j.p0, end));
        copy_commit();
        place_queries(a, s, j.row, h0);
        for (uint32_t k = 0; k < tiles; k++) {
            const uint16_t *const tile = all->tile[k % 2];
            const uint32_t p = j.p0 + k * LATENT_TILE;
            if (k + 1 < tiles) {
                fetch_tile(a, run, all->tile[(k + 1) % 2], p + LATENT_TILE, end);
                copy_wait<1>();
            } else {
                copy_wait<0>();
            }
            __syncthreads();
            tile_scores(s, tile, end - p, a.scale);
            __syncthreads();
            tile_weights(s);
            __syncthreads();
            tile_values<LATENT_LD>(acc, s, s->weight[0], tile);
            __syncthreads();
        }
        store_unit(a, s, (float *)(void *)all->tile[0], acc, j.row, h0, blockIdx.x);
        __syncthreads();
    }
}

#endif
