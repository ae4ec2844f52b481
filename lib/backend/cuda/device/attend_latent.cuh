/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention over a bf16 cache with a latent of 512 and a rope key of 64 columns, 16 heads a
 * block: units and merging as in attend.cuh. A unit is walked in tiles of 64 positions, which lie
 * in shared memory while both products use them; queries and exponentials are rounded to bf16.
 *
 * Scores: warp w has positions 8 w .. 8 w + 7 of a tile, one chain of 36 matrix instructions.
 * Values: warp w has columns 64 w .. 64 w + 63, chains over the positions in order, which are
 * multiplied by e^(m - m') where a tile raises the maximum from m to m'. */
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

/* Of a tile, the positions that the step before has left, which can be copied before the last
 * kernel is done; or those of this step, and what there is not. */
enum { POSITIONS_OLD = 1, POSITIONS_NEW = 2 };

/* Copy positions [p, p + 64) of which those below `end` exist. Four threads have a position, so
 * each asks for one page. */
DEV void copy_tile(const rmr_gpu_attend &a, const rmr_run *run, uint16_t *to, uint32_t p,
                   uint32_t end, uint32_t which)
{
    const uint32_t t = thread_of() / 4, c0 = thread_of() % 4 * 8;
    if (!(which & (p + t < end && p + t < run->pos0 ? POSITIONS_OLD : POSITIONS_NEW))) return;
    const uint8_t *const part = p + t < end ? cache_part(a.in, run, a.stream, p + t) : NULL;
    const uint8_t *const row = part + (size_t)((p + t) % RMR_PAGE_TOKENS) * LATENT_WIDTH * 2;
    for (uint32_t c = c0; c < LATENT_WIDTH; c += 32)
        copy_async(to + t * LATENT_LD + c, part != NULL ? row + c * 2 : (const uint8_t *)a.part,
                   part != NULL ? 16 : 0);
}

DEV void fetch_tile(const rmr_gpu_attend &a, const rmr_run *run, uint16_t *to, uint32_t p,
                    uint32_t end)
{
    copy_tile(a, run, to, p, end, POSITIONS_OLD | POSITIONS_NEW);
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

/* Scores of the warp's 8 positions; -inf from position n of the tile on. */
DEV void tile_scores(latent_state *s, const uint16_t *tile, uint32_t n, float scale)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, p0 = warp_of() * 8;
    float acc[4] = {};
#pragma unroll 6
    for (uint32_t c = 0; c < LATENT_WIDTH; c += 16) {
        uint32_t v[4], b[2];
        const uint16_t *const key = tile + (p0 + g) * LATENT_LD + c + 2 * t;
        rows_fragment(v, s->query, LATENT_LD, c);
        b[0] = word_at(key);
        b[1] = word_at(key + 8);
        mma_bf16(acc, v, b);
    }
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t p = p0 + 2 * t + k % 2;
        s->score[(g + k / 2 * 8) * SCORE_LD + p] = p < n ? acc[k] * scale : -INFINITY;
    }
}

/* Over all lanes, neighbours first (attend_prompt.cuh). */
DEV float sum_upwards(float v)
{
    for (int o = 1; o < 32; o *= 2) v += __shfl_xor_sync(~0u, v, o);
    return v;
}

/* Head h goes on with a tile whose exponentials are relative to `max` and have that sum. The warp's
 * lanes have read the old maximum. */
DEV void tile_softmax(latent_state *s, uint32_t h, float old, float max, float sum)
{
    __syncwarp();
    if (lane_of() != 0) return;
    const float by = rmr_expf(old - max);
    s->by[h] = by;
    s->max[h] = max;
    s->sum[h] = fmaf(s->sum[h], by, sum);
}

/* Exponentials of the scores of heads 2 w and 2 w + 1, and their sums. */
DEV void tile_weights(latent_state *s)
{
    for (uint32_t h = 2 * warp_of(); h < 2 * warp_of() + 2; h++) {
        const float *const score = s->score + h * SCORE_LD + 2 * lane_of();
        const float old = s->max[h], top = warp_max(score[0] > score[1] ? score[0] : score[1]);
        const float max = top > old ? top : old;
        const uint16_t p0 = rmr_f32_to_bf16(rmr_expf(score[0] - max)),
                       p1 = rmr_f32_to_bf16(rmr_expf(score[1] - max));
        const float sum = sum_upwards(rmr_bf16_to_f32(p0) + rmr_bf16_to_f32(p1));
        *(uint32_t *)(void *)(s->weight[0] + h * WEIGHT_LD + 2 * lane_of()) =
            (uint32_t)p0 | (uint32_t)p1 << 16;
        tile_softmax(s, h, old, max, sum);
    }
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

DEV void place_queries(const rmr_gpu_attend &a, latent_state *s, uint32_t row, uint32_t h0)
{
    enum { TURN = 12 }; /* loads under way; three turns are all of them */
    for (uint32_t i0 = thread_of(); i0 < RMR_GPU_HEADS * LATENT_WIDTH; i0 += TURN * 256) {
        float v[TURN];
#pragma unroll
        for (uint32_t k = 0; k < TURN; k++) {
            const uint32_t i = i0 + k * 256, h = i / LATENT_WIDTH, c = i % LATENT_WIDTH;
            v[k] = h0 + h < a.heads ? a.q.at[row * a.q.ld + (size_t)(h0 + h) * LATENT_WIDTH + c]
                                    : 0.0f;
        }
#pragma unroll
        for (uint32_t k = 0; k < TURN; k++) {
            const uint32_t i = i0 + k * 256, h = i / LATENT_WIDTH, c = i % LATENT_WIDTH;
            s->query[h * LATENT_LD + c] = rmr_f32_to_bf16(v[k]);
        }
    }
    if (thread_of() < RMR_GPU_HEADS) {
        s->max[thread_of()] = -0x1p120f; /* e^(this - a score) is 0, and of itself 1 */
        s->sum[thread_of()] = 0;
    }
}

DEV void store_unit(const rmr_gpu_attend &a, const latent_state *s, float (*acc)[4], uint32_t row,
                    uint32_t h0, uint32_t u)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, c0 = warp_of() * 64;
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t h = g + 8 * half;
        if (h0 + h >= a.heads) continue;
        const float by = a.direct ? 1.0f / s->sum[h] : 1.0f;
        float *const part = a.direct ? a.out.at + row * a.out.ld + (size_t)(h0 + h) * LATENT
                                     : part_of(a, row, h0 + h, u);
#pragma unroll
        for (uint32_t i = 0; i < 8; i++)
            for (uint32_t k = 0; k < 2; k++)
                part[c0 + 8 * i + 2 * t + k] = acc[i][2 * half + k] * by;
        if (warp_of() == 0 && t == 0 && !a.direct) {
            part[LATENT] = s->max[h];
            part[LATENT + 1] = s->sum[h];
        }
    }
}

/* Grid: units, groups of 16 heads, rows. */
KERNEL_WAITS(attend_latent_bf16, rmr_gpu_attend, 256, 1)
{
    latent_shared *const all = (latent_shared *)(void *)shared_memory();
    latent_state *const s = &all->s;
    const uint32_t h0 = blockIdx.y * RMR_GPU_HEADS;
    const unit_job early = unit_of(a, blockIdx.x, a.row0 + blockIdx.z);
    if (early.n > 0)
        copy_tile(a, run_of(a.in, early.row), all->tile[0], early.p0, early.p0 + early.n,
                  POSITIONS_OLD);
    wait_for_last();
    for (uint32_t i = blockIdx.z; i < a.n_rows; i += gridDim.z) {
        const unit_job j = unit_of(a, blockIdx.x, a.row0 + i);
        if (j.n == 0) continue;
        const rmr_run *const run = run_of(a.in, j.row);
        const uint32_t tiles = (j.n + LATENT_TILE - 1) / LATENT_TILE, end = j.p0 + j.n;
        float acc[8][4] = {};
        copy_tile(a, run, all->tile[0], j.p0, end,
                  i == blockIdx.z ? POSITIONS_NEW : POSITIONS_OLD | POSITIONS_NEW);
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
        store_unit(a, s, acc, j.row, h0, blockIdx.x);
        __syncthreads();
    }
}

#endif
