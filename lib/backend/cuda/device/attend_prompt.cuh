/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention of prompts on Hopper, over a bf16 cache with a latent of 512 and a rope key of
 * 64 columns: a block has 16 heads of four rows, which see a tile of 64 positions that was copied
 * once. The bits are those of attend_latent.cuh and attend_merge for units of one tile: a unit's
 * chains, exponentials and sums are the same, and it is merged as soon as it is there.
 *
 * A warp of each of two groups has the heads of one row. Scores: a group has half of the tile's
 * positions. Values: it has half of the latent's columns. */
#ifndef RMR_CUDA_ATTEND_PROMPT_CUH
#define RMR_CUDA_ATTEND_PROMPT_CUH

#include "attend_latent.cuh"

#ifdef RMR_HAS_WARPGROUPS

enum {
    PROMPT_ROWS = 4,
    PROMPT_STEPS = LATENT_WIDTH / 16, /* instructions of a chain of scores */
    PROMPT_BLOCK = LATENT_TILE * 128, /* bytes of 64 columns of a tile */
    PROMPT_CHUNKS = LATENT / 64 / 2   /* times 64 columns that a group has */
};

typedef struct prompt_shared {
    uint8_t tile[2][LATENT_WIDTH / 64][PROMPT_BLOCK]; /* rows of 128 bytes, swizzled */
    uint32_t query[PROMPT_ROWS][PROMPT_STEPS][32][4]; /* as the instruction has its operand */
    uint32_t weight[2][2][PROMPT_ROWS][32][4];        /* of groups, steps, rows: likewise */
    float max[2][PROMPT_ROWS * RMR_GPU_HEADS];        /* of groups */
} prompt_shared;

/* Four rows of the step, or those of them from `first` on that are of one run and that this kernel
 * is for: n. */
typedef struct prompt_rows {
    uint32_t first, n;
    const rmr_run *run;
} prompt_rows;

DEV bool prompt_has(const rmr_gpu_attend &a, uint32_t row)
{
    return row < a.row0 + a.n_rows && row < a.in.n_rows && row_is(a.in, row, a.only) &&
           run_of(a.in, row)->kv == a.kv;
}

DEV prompt_rows prompt_part(const rmr_gpu_attend &a, uint32_t first, uint32_t end)
{
    prompt_rows p = {first, 0, NULL};
    while (p.first < end && !prompt_has(a, p.first)) p.first++;
    if (p.first >= end) return p;
    p.run = run_of(a.in, p.first);
    for (p.n = 1; p.first + p.n < end && prompt_has(a, p.first + p.n); p.n++)
        if (run_of(a.in, p.first + p.n) != p.run) break;
    return p;
}

/* The row of the position of [p, p + 64) that this thread copies; NULL: there is none. */
DEV const uint8_t *prompt_row(const rmr_gpu_attend &a, const rmr_run *run, uint32_t p, uint32_t end)
{
    const uint32_t at = p + thread_of() / 4;
    const uint8_t *const part = at < end ? cache_part(a.in, run, a.stream, at) : NULL;
    return part == NULL ? NULL : part + (size_t)(at % RMR_PAGE_TOKENS) * LATENT_WIDTH * 2;
}

/* Begin to copy 64 positions. */
DEV void prompt_fetch(const rmr_gpu_attend &a, uint8_t (*tile)[PROMPT_BLOCK], const uint8_t *row)
{
    const uint32_t r = thread_of() / 4;
#pragma unroll 6
    for (uint32_t c = thread_of() % 4; c < LATENT_WIDTH / 8; c += 4)
        copy_async(tile[c / 8] + r * 128 + (c % 8 ^ r % 8) * 16,
                   row != NULL ? row + c * 16 : (const uint8_t *)a.q.at, row != NULL ? 16 : 0);
    copy_commit();
}

/* Queries in bf16; of rows and heads that there are not, zero. */
DEV void prompt_queries(const rmr_gpu_attend &a, prompt_shared *s, const prompt_rows &rows,
                        uint32_t h0)
{
    enum { PAIRS = LATENT_WIDTH / 2, ALL = PROMPT_ROWS * RMR_GPU_HEADS * PAIRS };
#pragma unroll 8
    for (uint32_t i = thread_of(); i < ALL; i += 256) {
        const uint32_t c = i % PAIRS * 2, h = i / PAIRS % RMR_GPU_HEADS,
                       r = i / PAIRS / RMR_GPU_HEADS;
        float v[2] = {0, 0};
        if (r < rows.n && h0 + h < a.heads) {
            const float *const q =
                a.q.at + (rows.first + r) * a.q.ld + (size_t)(h0 + h) * LATENT_WIDTH + c;
            v[0] = q[0];
            v[1] = q[1];
        }
        s->query[r][c / 16][h % 8 * 4 + c % 8 / 2][c % 16 / 8 * 2 + h / 8] = bf16_pair(v[0], v[1]);
    }
}

/* Scores of this group's 32 positions: a lane has those of heads g and g + 8 at the columns of the
 * instruction. */
DEV void prompt_scores(float *acc, const prompt_shared *s, uint32_t buffer, uint32_t group,
                       uint32_t r)
{
    enum { AT_ONCE = 6 };
#pragma unroll
    for (int i = 0; i < 16; i++) acc[i] = 0;
#pragma unroll 1
    for (uint32_t k0 = 0; k0 < PROMPT_STEPS; k0 += AT_ONCE) {
        word4 v[AT_ONCE];
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++) v[k] = load_words(s->query[r][k0 + k][lane_of()]);
        warpgroup_begin();
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++)
            warpgroup_bf16<32>(
                acc, v[k].w,
                swizzled_rows(s->tile[buffer][(k0 + k) / 4] + group * 32 * 128, (k0 + k) % 4 * 32),
                1);
        warpgroup_end();
    }
}

/* A lane's state of its two heads. */
typedef struct prompt_state {
    float max[2], sum[2]; /* of the units so far */
    float by[2], unit[2]; /* the factors of the sums before the last unit, and of its own */
} prompt_state;

/* Exponentials of a unit, as the operand of the products with values; to the state. */
DEV void prompt_weights(uint32_t (*weight)[4], prompt_state *of, prompt_shared *s, float *score,
                        uint32_t group, uint32_t r, uint32_t n, float scale)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
    float max[2] = {-0x1p120f, -0x1p120f}, sum[2];
#pragma unroll
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t p = group * 32 + i / 4 * 8 + 2 * t + i % 2;
        score[i] = p < n ? score[i] * scale : -INFINITY;
        max[i / 2 % 2] = score[i] > max[i / 2 % 2] ? score[i] : max[i / 2 % 2];
    }
#pragma unroll
    for (int k = 0; k < 2; k++) {
        max[k] = lanes_max(max[k]);
        if (t == 0) s->max[group][r * RMR_GPU_HEADS + g + 8 * k] = max[k];
    }
    __syncthreads();
    uint32_t own[2][4]; /* operands of two steps of the products with values */
#pragma unroll
    for (int k = 0; k < 2; k++) {
        const float other = s->max[1 - group][r * RMR_GPU_HEADS + g + 8 * k];
        max[k] = other > max[k] ? other : max[k];
        float part[4]; /* of 8 positions */
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t pair = bf16_pair(rmr_expf(score[4 * i + 2 * k] - max[k]),
                                            rmr_expf(score[4 * i + 2 * k + 1] - max[k]));
            own[i / 2][i % 2 * 2 + k] = pair;
            part[i] = lanes_sum(rmr_float_of(pair << 16) + rmr_float_of(pair & 0xffff0000u));
        }
        sum[k] = (part[0] + part[1]) + (part[2] + part[3]);
    }
    __syncthreads(); /* all maxima were read: sums take their place */
#pragma unroll
    for (int k = 0; k < 2; k++)
        if (t == 0) s->max[group][r * RMR_GPU_HEADS + g + 8 * k] = sum[k];
#pragma unroll
    for (int k = 0; k < 2; k++) store_words(s->weight[group][k][r][lane_of()], own[k]);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 2; k++) {
        const word4 v = load_words(s->weight[1 - group][k][r][lane_of()]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            weight[k][i] = group == 0 ? own[k][i] : v.w[i];
            weight[2 + k][i] = group == 0 ? v.w[i] : own[k][i];
        }
        const float unit = sum[k] + s->max[1 - group][r * RMR_GPU_HEADS + g + 8 * k],
                    top = max[k] > of->max[k] ? max[k] : of->max[k];
        of->by[k] = rmr_expf(of->max[k] - top);
        of->unit[k] = rmr_expf(max[k] - top);
        of->sum[k] = fmaf(unit, of->unit[k], of->sum[k] * of->by[k]);
        of->max[k] = top;
    }
}

/* 64 columns of a group: a unit's value sums join those so far. */
DEV void prompt_values(float *sum, uint32_t (*weight)[4], const prompt_state &of,
                       const uint8_t *block)
{
    float z[32] = {};
    warpgroup_begin();
#pragma unroll
    for (uint32_t k = 0; k < 4; k++)
        warpgroup_bf16_columns(z, weight[k], swizzled_rows(block + k * 16 * 128, 0));
    warpgroup_end();
#pragma unroll
    for (int i = 0; i < 32; i++) sum[i] = fmaf(z[i], of.unit[i / 2 % 2], sum[i] * of.by[i / 2 % 2]);
}

DEV void prompt_store(const rmr_gpu_attend &a, const float *sum, const prompt_state &of,
                      uint32_t row, uint32_t h0, uint32_t group)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t h = h0 + g + 8 * k;
        const float by = 1.0f / of.sum[k];
        if (h >= a.heads) continue;
        float *const out =
            a.out.at + row * a.out.ld + (size_t)h * LATENT + group * PROMPT_CHUNKS * 64 + 2 * t;
#pragma unroll
        for (uint32_t i = 0; i < PROMPT_CHUNKS * 8; i++) {
            out[i * 8] = sum[i * 4 + 2 * k] * by;
            out[i * 8 + 1] = sum[i * 4 + 2 * k + 1] * by;
        }
    }
}

DEV void prompt_attend(const rmr_gpu_attend &a, prompt_shared *s, const prompt_rows &rows,
                       uint32_t h0)
{
    const uint32_t group = warp_of() / 4, r = warp_of() % 4;
    const uint32_t seen = r < rows.n ? a.in.pos[rows.first + r] + 1 : 0,
                   end = a.in.pos[rows.first + rows.n - 1] + 1;
    prompt_state of = {{-0x1p120f, -0x1p120f}, {0, 0}, {0, 0}, {0, 0}};
    float sum[PROMPT_CHUNKS * 32] = {};
    prompt_fetch(a, s->tile[0], prompt_row(a, rows.run, 0, end));
    const uint8_t *row = prompt_row(a, rows.run, LATENT_TILE, end); /* of the next tile */
    prompt_queries(a, s, rows, h0);
#pragma unroll 1
    for (uint32_t p = 0, buffer = 0; p < end; p += LATENT_TILE, buffer ^= 1) {
        uint32_t weight[4][4];
        float score[16];
        copy_wait<0>();
        fence_copies();
        __syncthreads();
        if (p + LATENT_TILE < end) {
            prompt_fetch(a, s->tile[buffer ^ 1], row);
            row = prompt_row(a, rows.run, p + 2 * LATENT_TILE, end);
        }
        prompt_scores(score, s, buffer, group, r);
        prompt_weights(weight, &of, s, score, group, r, seen > p ? seen - p : 0, a.scale);
#pragma unroll
        for (uint32_t c = 0; c < PROMPT_CHUNKS; c++)
            prompt_values(sum + c * 32, weight, of, s->tile[buffer][group * PROMPT_CHUNKS + c]);
    }
    if (r < rows.n) prompt_store(a, sum, of, rows.first + r, h0, group);
    __syncthreads();
}

/* Grid: groups of four rows, groups of 16 heads. The last rows, which see most, come first. */
DEV void attend_prompt_all(const rmr_gpu_attend &a)
{
    uint8_t *const shared = shared_memory();
    prompt_shared *const s =
        (prompt_shared *)(void *)(shared + (1024 - (uintptr_t)shared % 1024) % 1024);
    static_assert(sizeof *s + 1024 <= RMR_GPU_PROMPT_SHARED, "shared memory of a block");
    const uint32_t first = a.row0 + (gridDim.x - 1 - blockIdx.x) * PROMPT_ROWS,
                   end = first + PROMPT_ROWS;
    for (prompt_rows rows = prompt_part(a, first, end); rows.n > 0;
         rows = prompt_part(a, rows.first + rows.n, end))
        prompt_attend(a, s, rows, blockIdx.y * RMR_GPU_HEADS);
}

KERNEL(attend_prompt, rmr_gpu_attend, 256, 1)
{
    attend_prompt_all(a);
}
#else /* another kind of GPU, on which the host does not ask for it */
KERNEL(attend_prompt, rmr_gpu_attend, 256, 1)
{
    (void)a;
}
#endif

#endif
