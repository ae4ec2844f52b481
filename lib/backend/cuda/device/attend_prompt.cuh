/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention of prompts on Hopper, over a bf16 cache with a latent of 512 and a rope key of
 * 64 columns: a block has 16 heads of four rows, which see a tile of 64 positions that was copied
 * once. The bits are those of attend_latent.cuh and attend_merge for units of one tile: a unit's
 * chains, exponentials and sums are the same, and it is merged as soon as it is there.
 *
 * Two groups of four warps take turns: scores and exponentials of a tile are one group's, those of
 * the next one the other's. Each has half of the latent's columns of the value sums. A warp of each
 * has the heads of one row. A third group copies tiles, two of its warps for each of two places. */
#ifndef RMR_CUDA_ATTEND_PROMPT_CUH
#define RMR_CUDA_ATTEND_PROMPT_CUH

#include "attend_latent.cuh"

#ifdef RMR_HAS_WARPGROUPS

enum {
    PROMPT_ROWS = 4,
    PROMPT_STEPS = LATENT_WIDTH / 16, /* instructions of a chain of scores */
    PROMPT_BLOCKS = LATENT_WIDTH / 64,
    PROMPT_BLOCK = LATENT_TILE * 128, /* bytes of 64 columns of a tile, or of all queries */
    PROMPT_CHUNKS = LATENT / 64 / 2   /* times 64 columns of value sums that a group has */
};

typedef struct prompt_shared {
    uint8_t tile[2][PROMPT_BLOCKS][PROMPT_BLOCK]; /* rows of 128 bytes, swizzled */
    uint8_t query[PROMPT_BLOCKS][PROMPT_BLOCK];   /* rows: heads of the first row, and so on */
    uint32_t weight[PROMPT_ROWS][4][32][4];       /* as the instruction has its operand */
    float max[PROMPT_ROWS * RMR_GPU_HEADS], sum[PROMPT_ROWS * RMR_GPU_HEADS]; /* of a unit */
    uint64_t full[2], empty[2]; /* tiles: barriers of 64 threads, of 8 warps */
    uint64_t weighed, asked;    /* `weight`, `max`, `sum`: of 4 warps; queries: of 256 threads */
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

/* Tiles of the positions below `end`, as far as they go to this warp's place: a thread copies 16
 * bytes of every 64 columns of every eighth row. */
DEV void prompt_fetch(const rmr_gpu_attend &a, prompt_shared *s, const rmr_run *run, uint32_t end,
                      uint32_t count)
{
    enum { EACH = LATENT_TILE / 8 };
    const uint32_t place = warp_of() / 2 % 2, row0 = thread_of() % 64 / 8, c = thread_of() % 8,
                   in_page = row0 * LATENT_WIDTH * 2 + c * 16;
    uint8_t *const to = s->tile[place][0] + row0 * 128 + (c ^ row0) * 16;
#pragma unroll 1
    for (uint32_t p = 0; p < end; p += LATENT_TILE, count++) {
        if (count % 2 != place) continue;
        const uint8_t *page[2];
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t at = p + i * RMR_PAGE_TOKENS;
            page[i] = at < end ? cache_part(a.in, run, a.stream, at) : NULL;
        }
        barrier_wait(&s->empty[place], (count / 2 + 1) % 2);
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) {
            const uint32_t row = row0 + 8 * j, at = row / RMR_PAGE_TOKENS;
            const bool there = p + row < end && page[at] != NULL;
            const uint8_t *const from =
                there ? page[at] + in_page + 8 * j % RMR_PAGE_TOKENS * LATENT_WIDTH * 2
                      : (const uint8_t *)a.q.at;
#pragma unroll
            for (uint32_t b = 0; b < PROMPT_BLOCKS; b++)
                copy_async(to + b * PROMPT_BLOCK + j * 1024, from + (there ? b * 128 : 0),
                           there ? 16 : 0);
        }
        copy_commit();
        copy_wait<0>();
        fence_copies();
        barrier_arrive(&s->full[place]);
    }
}

/* Queries in bf16, by those that multiply; of rows and heads that there are not, zero. Rows of
 * queries lie at multiples of 16 bytes (fits_latent). */
DEV void prompt_queries(const rmr_gpu_attend &a, prompt_shared *s, const prompt_rows &rows,
                        uint32_t h0)
{
    enum { FOURS = LATENT_WIDTH / 4, TURNS = PROMPT_ROWS * RMR_GPU_HEADS * FOURS / 256 };
#pragma unroll 12
    for (uint32_t k = 0; k < TURNS; k++) {
        const uint32_t i = k * 256 + thread_of(), m = i / FOURS, c = i % FOURS * 4,
                       r = m / RMR_GPU_HEADS, h = h0 + m % RMR_GPU_HEADS;
        float4 v = {0, 0, 0, 0};
        if (r < rows.n && h < a.heads)
            v = load_float4(a.q.at + (rows.first + r) * a.q.ld + (size_t)h * LATENT_WIDTH + c);
        uint32_t *const to = (uint32_t *)(void *)(s->query[c / 64] + m * 128 +
                                                  (c % 64 / 8 ^ m % 8) * 16 + c % 8 * 2);
        to[0] = bf16_pair(v.x, v.y);
        to[1] = bf16_pair(v.z, v.w);
    }
    fence_copies();
    barrier_arrive(&s->asked);
}

/* Scores of a tile: a lane has those of heads g and g + 8 at the columns of the instruction. */
DEV void prompt_scores(float *acc, const prompt_shared *s, uint32_t place)
{
    const uint64_t query = swizzled_rows(s->query, 0), tile = swizzled_rows(s->tile[place], 0);
    warpgroup_begin();
#pragma unroll
    for (uint32_t k = 0; k < PROMPT_STEPS; k++) {
        const uint32_t at = k / 4 * PROMPT_BLOCK + k % 4 * 32;
        warpgroup_bf16_shared(acc, swizzled_further(query, at), swizzled_further(tile, at), k);
    }
    warpgroup_end();
    warpgroup_results(acc);
}

/* Of a lane's two heads. */
typedef struct prompt_state {
    float max[2], sum[2]; /* of the units so far */
    float unit[2];        /* the factor of the last unit's sums */
} prompt_state;

/* Exponentials of a unit, as the operand of the products with values, its maxima and sums; also to
 * the other group. Row r of the block sees the first n positions of the tile. */
DEV void prompt_weights(uint32_t (*weight)[4], float *max, float *sum, prompt_shared *s,
                        float *score, uint32_t r, uint32_t n, float scale)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
#pragma unroll
    for (uint32_t i = 0; i < 32; i++) score[i] = score[i] * scale;
    if (n < LATENT_TILE)
#pragma unroll
        for (uint32_t i = 0; i < 32; i++)
            score[i] = i / 4 * 8 + 2 * t + i % 2 < n ? score[i] : -INFINITY;
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        float m[2] = {-0x1p120f, -0x1p120f}, part[8]; /* of 8 positions */
#pragma unroll
        for (uint32_t j = 0; j < 16; j++)
            m[j % 2] = fmaxf(m[j % 2], score[j / 2 * 4 + 2 * k + j % 2]);
        max[k] = lanes_max(fmaxf(m[0], m[1]));
#pragma unroll
        for (uint32_t j = 0; j < 8; j++) {
            const float *const at = score + 4 * j + 2 * k;
            const uint32_t pair = bf16_pair(rmr_expf(at[0] - max[k]), rmr_expf(at[1] - max[k]));
            weight[j / 2][j % 2 * 2 + k] = pair;
            part[j] = lanes_sum(rmr_float_of(pair << 16) + rmr_float_of(pair & 0xffff0000u));
        }
        sum[k] = ((part[0] + part[1]) + (part[2] + part[3])) +
                 ((part[4] + part[5]) + (part[6] + part[7]));
        if (t > 0) continue;
        s->max[r * RMR_GPU_HEADS + g + 8 * k] = max[k];
        s->sum[r * RMR_GPU_HEADS + g + 8 * k] = sum[k];
    }
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) store_words(s->weight[r][k][lane_of()], weight[k]);
    __syncwarp();
    if (lane_of() == 0) barrier_arrive(&s->weighed);
}

/* The same from the other group. */
DEV void prompt_weighed(uint32_t (*weight)[4], float *max, float *sum, prompt_shared *s, uint32_t r,
                        uint32_t count)
{
    barrier_wait(&s->weighed, count % 2);
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) {
        const word4 v = load_words(s->weight[r][k][lane_of()]);
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) weight[k][i] = v.w[i];
    }
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        max[k] = s->max[r * RMR_GPU_HEADS + lane_of() / 4 + 8 * k];
        sum[k] = s->sum[r * RMR_GPU_HEADS + lane_of() / 4 + 8 * k];
    }
    __syncwarp(); /* before these lanes write the next ones */
}

/* A unit joins the state; the value sums so far are multiplied where it has raised a maximum. */
DEV void prompt_merge(prompt_state *of, float *total, const float *max, const float *sum)
{
    float by[2];
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        const float top = max[k] > of->max[k] ? max[k] : of->max[k];
        by[k] = rmr_expf(of->max[k] - top);
        of->unit[k] = rmr_expf(max[k] - top);
        of->sum[k] = fmaf(sum[k], of->unit[k], of->sum[k] * by[k]);
        of->max[k] = top;
    }
    if (!warp_most(by[0] != 1 || by[1] != 1)) return;
#pragma unroll
    for (uint32_t i = 0; i < PROMPT_CHUNKS * 32; i++) total[i] *= by[i / 2 % 2];
}

/* Begin to multiply with 64 columns of values. */
DEV void prompt_begin(float *z, uint32_t (*weight)[4], uint64_t block)
{
    warpgroup_begin();
#pragma unroll
    for (uint32_t k = 0; k < 4; k++)
        warpgroup_bf16_columns(z, weight[k], swizzled_further(block, k * 16 * 128), k);
    warpgroup_commit();
}

/* The value sums of a unit join those so far, which have their factors. */
DEV void prompt_values(float *total, uint32_t (*weight)[4], const prompt_state &of,
                       const uint8_t (*block)[PROMPT_BLOCK])
{
    const uint64_t rows = swizzled_rows(block, 0);
    float z[2][32];
    prompt_begin(z[0], weight, rows);
#pragma unroll
    for (uint32_t c = 0; c < PROMPT_CHUNKS; c++) {
        float *const done = z[c % 2];
        if (c + 1 < PROMPT_CHUNKS) {
            prompt_begin(z[(c + 1) % 2], weight, swizzled_further(rows, (c + 1) * PROMPT_BLOCK));
            warpgroup_wait<1>();
        } else {
            warpgroup_wait<0>();
        }
        warpgroup_results(done);
#pragma unroll
        for (uint32_t i = 0; i < 32; i++)
            total[c * 32 + i] = fmaf(done[i], of.unit[i / 2 % 2], total[c * 32 + i]);
    }
}

DEV void prompt_store(const rmr_gpu_attend &a, const float *total, const prompt_state &of,
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
        for (uint32_t i = 0; i < PROMPT_CHUNKS * 8; i++)
            store_floats(out + i * 8, total[i * 4 + 2 * k] * by, total[i * 4 + 2 * k + 1] * by);
    }
}

/* By those that multiply; tile number `count` is the first. */
DEV void prompt_attend(const rmr_gpu_attend &a, prompt_shared *s, const prompt_rows &rows,
                       uint32_t end, uint32_t h0, uint32_t count)
{
    const uint32_t group = warp_of() / 4, r = warp_of() % 4,
                   seen = r < rows.n ? a.in.pos[rows.first + r] + 1 : 0;
    prompt_state of = {{-0x1p120f, -0x1p120f}, {0, 0}, {0, 0}};
    float total[PROMPT_CHUNKS * 32] = {};
#pragma unroll 1
    for (uint32_t p = 0; p < end; p += LATENT_TILE, count++) {
        const uint32_t place = count % 2;
        uint32_t weight[4][4];
        float max[2], sum[2];
        barrier_wait(&s->full[place], count / 2 % 2);
        if (place == group) {
            float score[32];
            prompt_scores(score, s, place);
            prompt_weights(weight, max, sum, s, score, r, seen > p ? seen - p : 0, a.scale);
        } else {
            prompt_weighed(weight, max, sum, s, r, count);
        }
        prompt_merge(&of, total, max, sum);
        prompt_values(total, weight, of, s->tile[place] + group * PROMPT_CHUNKS);
        __syncwarp();
        if (lane_of() == 0) barrier_arrive(&s->empty[place]);
    }
    if (r < rows.n) prompt_store(a, total, of, rows.first + r, h0, group);
}

DEV uint32_t prompt_end(const rmr_gpu_attend &a, const prompt_rows &rows)
{
    return a.in.pos[rows.first + rows.n - 1] + 1;
}

DEV void prompt_copier(const rmr_gpu_attend &a, prompt_shared *s, uint32_t first, uint32_t last)
{
    uint32_t count = 0;
    for (prompt_rows rows = prompt_part(a, first, last); rows.n > 0;
         rows = prompt_part(a, rows.first + rows.n, last)) {
        const uint32_t end = prompt_end(a, rows);
        prompt_fetch(a, s, rows.run, end, count);
        count += (end + LATENT_TILE - 1) / LATENT_TILE;
    }
}

DEV void prompt_multiplier(const rmr_gpu_attend &a, prompt_shared *s, uint32_t first, uint32_t last)
{
    const uint32_t h0 = blockIdx.y * RMR_GPU_HEADS;
    uint32_t count = 0, parts = 0;
    for (prompt_rows rows = prompt_part(a, first, last); rows.n > 0;
         rows = prompt_part(a, rows.first + rows.n, last), parts++) {
        const uint32_t end = prompt_end(a, rows);
        prompt_queries(a, s, rows, h0);
        barrier_wait(&s->asked, parts % 2);
        prompt_attend(a, s, rows, end, h0, count);
        count += (end + LATENT_TILE - 1) / LATENT_TILE;
    }
}

/* Grid: groups of four rows, groups of 16 heads. The last rows, which see most, come first. */
DEV void attend_prompt_all(const rmr_gpu_attend &a)
{
    uint8_t *const shared = shared_memory();
    prompt_shared *const s =
        (prompt_shared *)(void *)(shared + (1024 - (uintptr_t)shared % 1024) % 1024);
    static_assert(sizeof *s + 1024 <= RMR_GPU_PROMPT_SHARED, "shared memory of a block");
    const uint32_t first = a.row0 + (gridDim.x - 1 - blockIdx.x) * PROMPT_ROWS,
                   last = first + PROMPT_ROWS;
    if (thread_of() < 2) {
        barrier_make(&s->full[thread_of()], 64);
        barrier_make(&s->empty[thread_of()], 8);
    }
    if (thread_of() == 0) {
        barrier_make(&s->weighed, 4);
        barrier_make(&s->asked, 256);
    }
    fence_copies();
    __syncthreads();
    if (warp_of() >= 8) {
        fewer_registers();
        prompt_copier(a, s, first, last);
    } else {
        more_registers();
        prompt_multiplier(a, s, first, last);
    }
}

KERNEL(attend_prompt, rmr_gpu_attend, 384, 1)
{
    attend_prompt_all(a);
}
#else /* another kind of GPU, on which the host does not ask for it */
KERNEL(attend_prompt, rmr_gpu_attend, 384, 1)
{
    (void)a;
}
#endif

#endif
