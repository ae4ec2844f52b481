/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on each row by itself, and the counters. */
#ifndef RMR_CUDA_ROWS_CUH
#define RMR_CUDA_ROWS_CUH

#include "prelude.cuh"

KERNEL(rope_table, rmr_gpu_rope_table, 128, 1)
{
    const uint32_t all = rows_of(a.in, a.rows) * a.n;
    for (uint32_t i = blockIdx.x * 128 + thread_of(); i < all; i += gridDim.x * 128) {
        const uint32_t r = i / a.n, k = i % a.n;
        float *const cs = a.y.at + r * a.y.ld + 2 * k;
        const float angle = (float)a.in.pos[r] * a.inv_freq[k];
        float c, s;
        rmr_sincos_poly((double)angle, &c, &s);
        cs[0] = c * a.amp;
        cs[1] = s * a.amp;
    }
}

/* The sum of a value of every thread of a block of 256, the same for all; two barriers. */
DEV float block_sum(float v, float *shared)
{
    v = warp_sum(v);
    if (lane_of() == 0) shared[warp_of()] = v;
    __syncthreads();
    v = ((shared[0] + shared[1]) + (shared[2] + shared[3])) +
        ((shared[4] + shared[5]) + (shared[6] + shared[7]));
    __syncthreads();
    return v;
}

/* 1 / the root of the mean square of x[n]. */
DEV float norm_factor(const float *x, uint32_t n, float eps, float *shared)
{
    float sum = 0;
    for (uint32_t i = thread_of(); i < n; i += 256) sum = fmaf(x[i], x[i], sum);
    return 1.0f / sqrtf(block_sum(sum, shared) / (float)n + eps);
}

enum { NORM_NEAR = 16 }; /* values that a thread keeps in registers at most */

/* Of a row that a thread's registers have room for: its values of w. */
DEV void norm_weights(float *by, const float *w, uint32_t n)
{
#pragma unroll
    for (uint32_t i = 0; i < NORM_NEAR; i++) {
        const uint32_t k = i * 256 + thread_of();
        by[i] = k < n && n <= NORM_NEAR * 256 ? w[k] : 0.0f;
    }
}

/* All is loaded before anything is added; the sums are those of norm_factor. */
DEV void norm_near(float *y, const float *x, const float *by, uint32_t n, float eps, float *shared)
{
    float v[NORM_NEAR], sum = 0;
#pragma unroll
    for (uint32_t i = 0; i < NORM_NEAR; i++) {
        const uint32_t k = i * 256 + thread_of();
        v[i] = k < n ? x[k] : 0.0f;
    }
#pragma unroll
    for (uint32_t i = 0; i < NORM_NEAR; i++)
        if (i * 256 + thread_of() < n) sum = fmaf(v[i], v[i], sum);
    const float f = 1.0f / sqrtf(block_sum(sum, shared) / (float)n + eps);
#pragma unroll
    for (uint32_t i = 0; i < NORM_NEAR; i++) {
        const uint32_t k = i * 256 + thread_of();
        if (k < n) y[k] = (v[i] * f) * by[i];
    }
}

/* Weights come from afar, and nobody writes them: they are asked for before the wait. */
KERNEL_WAITS(norm, rmr_gpu_norm, 256, 1)
{
    float by[NORM_NEAR];
    norm_weights(by, a.w, a.n);
    wait_for_last();
    const uint32_t all = rows_of(a.in, a.rows) * a.parts;
    float *const shared = (float *)(void *)shared_memory();
    for (uint32_t i = blockIdx.x; i < all; i += gridDim.x) {
        const uint32_t r = i / a.parts, part = i % a.parts * a.n;
        const float *const x = a.x.at + r * a.x.ld + part;
        float *const y = a.y.at + r * a.y.ld + part;
        if (a.n > NORM_NEAR * 256) {
            const float f = norm_factor(x, a.n, a.eps, shared);
            for (uint32_t k = thread_of(); k < a.n; k += 256) y[k] = (x[k] * f) * a.w[k];
        } else {
            norm_near(y, x, by, a.n, a.eps, shared);
        }
    }
}

KERNEL(pick_rows, rmr_gpu_pick, 256, 1)
{
    const uint32_t n = rows_of(a.in, a.rows);
    for (uint32_t i = blockIdx.y; i < n; i += gridDim.y) {
        const uint32_t r = a.in.want[i];
        const bool there = r < a.in.n_rows;
        for (uint32_t c = blockIdx.x * 256 + thread_of(); c < a.n; c += gridDim.x * 256)
            a.y.at[i * a.y.ld + c] = there ? a.x.at[r * a.x.ld + c] : 0.0f;
    }
}

/* The pair (u, v) turned by the angle of (c, s). */
DEV void turn(float *u, float *v, const float *cs)
{
    const float x = *u, y = *v, c = cs[0], s = cs[1];
    *u = fmaf(x, c, -(y * s));
    *v = fmaf(x, s, y * c);
}

/* The columns of pair k of a head. */
DEV void pair_columns(const rmr_rotary &o, uint32_t k, uint32_t *u, uint32_t *v)
{
    *u = o.pairs == RMR_ROPE_HALVES ? k : 2 * k;
    *v = o.pairs == RMR_ROPE_HALVES ? o.width / 2 + k : 2 * k + 1;
}

/* Pairs from `first` on, `step` apart. */
DEV void turn_pairs(const rmr_gpu_rope &a, uint32_t first, uint32_t step)
{
    const rmr_rotary &o = a.rotary;
    const uint32_t half = o.width / 2, of_row = o.heads * half;
    const uint32_t all = a.in.n_rows * of_row;
    for (uint32_t i = first; i < all; i += step) {
        const uint32_t r = i / of_row, h = i % of_row / half, k = i % half;
        float *const x = a.x.at + r * a.x.ld + h * o.stride + o.first;
        uint32_t u, v;
        pair_columns(o, k, &u, &v);
        turn(x + u, x + v, a.cs.at + r * a.cs.ld + 2 * k);
    }
}

KERNEL(rope, rmr_gpu_rope, 256, 1)
{
    turn_pairs(a, blockIdx.x * 256 + thread_of(), gridDim.x * 256);
}

/* ---- into the cache ---- */

/* Codes of columns of a token from a multiple of 4 on: four values at `most` at the most. */
DEV int32_t put_codes(uint8_t *layer, uint32_t t, uint32_t c, const int32_t *v)
{
    uint32_t w = 0;
    for (int i = 0; i < 4; i++) w |= (uint32_t)(v[i] & 0xff) << 8 * i;
    *(uint32_t *)(void *)(layer + rmr_kv8_at(t, c)) = w;
    return v[0] + v[1] + v[2] + v[3];
}

DEV int32_t warp_total(int32_t v)
{
    for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0u, v, o);
    return v;
}

/* n values from x to integers of at most `most`: the scale, and 1 / it as a factor. */
typedef struct quantum {
    float scale, inverse;
    bool finite;
} quantum;

DEV quantum quantum_of(const float *x, uint32_t n, float most)
{
    uint32_t top = 0;
    for (uint32_t i = lane_of(); i < n; i += 32) {
        const uint32_t u = rmr_bits_of(x[i]) & 0x7fffffff;
        top = u > top ? u : top;
    }
    for (int o = 16; o > 0; o /= 2) {
        const uint32_t u = __shfl_xor_sync(~0u, top, o);
        top = u > top ? u : top;
    }
    const float amax = rmr_float_of(top);
    const bool finite = top < 0x7f800000, some = finite && amax >= 0x1p-90f;
    return quantum{some     ? amax / most
                   : finite ? 0.0f
                            : rmr_float_of(0x7fc00000),
                   some ? most / amax : 0.0f, finite};
}

DEV int32_t code_of(const quantum &u, float x)
{
    return u.finite ? (int32_t)(int16_t)(rmr_bits_of(x * u.inverse + 0x1.8p23f) & 0xffff) : 0;
}

/* A token of the 8-bit cache (kernels.h, kv8_put), by one warp. */
DEV void put_kv8(uint8_t *layer, uint32_t t, const float *x, uint32_t rank, uint32_t rope)
{
    const rmr_kv8 g = rmr_kv8_of(rank, rope);
    float *const scale = (float *)(void *)(layer + rmr_kv8_codes(&g)) + t;
    int32_t *const sum = (int32_t *)(void *)(scale + (size_t)g.blocks * RMR_KV8_TOKENS);
    for (uint32_t b = 0; b < g.latent_blocks; b++) {
        const uint32_t c0 = b * RMR_KV8_BLOCK, end = rmr_kv8_start(&g, b + 1);
        const uint32_t n = rank - c0 < RMR_KV8_BLOCK ? rank - c0 : RMR_KV8_BLOCK;
        const quantum u = quantum_of(x + c0, n, 127.0f);
        int32_t total = 0;
        for (uint32_t c = c0 + lane_of() * 4; c < end && c < c0 + RMR_KV8_BLOCK; c += 128) {
            int32_t v[4];
            for (uint32_t i = 0; i < 4; i++) v[i] = c + i < rank ? code_of(u, x[c + i]) : 0;
            total += put_codes(layer, t, c, v);
        }
        total = warp_total(total);
        if (lane_of() == 0) {
            scale[(size_t)b * RMR_KV8_TOKENS] = u.scale;
            sum[(size_t)b * RMR_KV8_TOKENS] = total;
        }
    }
    const quantum u = quantum_of(x + rank, rope, 127.0f * RMR_KV8_LOW);
    int32_t total[2] = {0, 0};
    for (uint32_t c = lane_of() * 4; c < g.rope_cols; c += 128) {
        int32_t high[4], low[4];
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t v = c + i < rope ? code_of(u, x[rank + c + i]) : 0;
            high[i] = (v + RMR_KV8_LOW / 2 + 0x8000) / RMR_KV8_LOW - 0x8000 / RMR_KV8_LOW;
            low[i] = v - high[i] * RMR_KV8_LOW;
        }
        total[0] += put_codes(layer, t, g.latent_cols + c, high);
        total[1] += put_codes(layer, t, g.latent_cols + g.rope_cols + c, low);
    }
    for (uint32_t i = 0; i < 2; i++) {
        total[i] = warp_total(total[i]);
        if (lane_of() != 0) continue;
        scale[(size_t)(g.latent_blocks + i) * RMR_KV8_TOKENS] = i ? u.scale : u.scale * RMR_KV8_LOW;
        sum[(size_t)(g.latent_blocks + i) * RMR_KV8_TOKENS] = total[i];
    }
}

DEV void put_plain(const rmr_gpu_cache_write &a, const rmr_run *run, uint8_t *layer, uint32_t t,
                   const float *x)
{
    const size_t row = (size_t)t * a.stream.width;
    for (uint32_t i = thread_of(); i < a.stream.width; i += 256)
        if (run->kv == RMR_KV_BF16)
            ((uint16_t *)(void *)layer)[row + i] = rmr_f32_to_bf16(x[i]);
        else
            ((float *)(void *)layer)[row + i] = x[i];
}

/* Rows from `first` on, `step` apart, by one block. */
DEV void write_rows(const rmr_gpu_cache_write &a, uint32_t first, uint32_t step)
{
    float *const shared = (float *)(void *)shared_memory();
    for (uint32_t r = first; r < a.in.n_rows; r += step) {
        float *const x = a.x.at + r * a.x.ld;
        const uint32_t pos = a.in.pos[r], rope = a.stream.rope;
        if (a.rank > 0) {
            const float f = norm_factor(x, a.rank, a.eps, shared);
            for (uint32_t k = thread_of(); k < a.rank; k += 256) x[k] = (x[k] * f) * a.w[k];
            for (uint32_t k = thread_of(); k < rope / 2; k += 256)
                turn(x + a.rank + 2 * k, x + a.rank + 2 * k + 1, a.cs.at + r * a.cs.ld + 2 * k);
            __syncthreads();
        }
        const rmr_run *const run = run_of(a.in, r);
        uint8_t *const part = cache_part(a.in, run, a.stream, pos);
        if (part == NULL) continue;
        if (run->kv != RMR_KV_INT8)
            put_plain(a, run, part, pos % RMR_PAGE_TOKENS, x);
        else if (warp_of() == 0 && a.rank > 0)
            put_kv8(part, pos % RMR_PAGE_TOKENS, x, a.rank, rope);
    }
}

KERNEL(cache_write, rmr_gpu_cache_write, 256, 1)
{
    write_rows(a, blockIdx.x, gridDim.x);
}

/* Both, where neither touches what the other does. */
KERNEL(rope_write, rmr_gpu_rope_write, 256, 1)
{
    if (blockIdx.x < a.blocks)
        write_rows(a.write, blockIdx.x, a.blocks);
    else
        turn_pairs(a.rope, (blockIdx.x - a.blocks) * 256 + thread_of(),
                   (gridDim.x - a.blocks) * 256);
}

/* ---- counters ---- */

KERNEL(counters, rmr_gpu_counters, 256, 1)
{
    if (!a.in.counts->count_routing) return;
    for (uint32_t i = blockIdx.x * 256 + thread_of(); i < a.n; i += gridDim.x * 256) {
        if (a.total == NULL)
            a.counts[i] = 0;
        else if (a.counts[i] > 0) /* steps run side by side */
            atomicAdd((unsigned long long *)&a.total[i], (unsigned long long)a.counts[i]);
    }
}

KERNEL(counters_take, rmr_gpu_take, 256, 1)
{
    for (uint32_t i = blockIdx.x * 256 + thread_of(); i < a.n; i += gridDim.x * 256)
        a.to[i] = atomicExch((unsigned long long *)&a.total[i], 0ull);
}

/* A thread has a column; its sum goes on with the rows in order. */
KERNEL(square_sums, rmr_gpu_square_sums, 256, 1)
{
    const bool lists = a.lists.n != NULL;
    if (lists && blockIdx.y >= *a.lists.n) return;
    const uint32_t matrix = lists ? a.lists.expert[blockIdx.y] : 0,
                   first = lists ? a.lists.first[blockIdx.y] : 0,
                   n = lists ? a.lists.first[blockIdx.y + 1] - first : rows_of(a.in, a.rows);
    const uint32_t c = blockIdx.x * 256 + thread_of();
    if (c == 0) atomicAdd((unsigned long long *)&a.n[matrix], (unsigned long long)n);
    if (c >= a.cols) return;
    double sum = a.sum[(size_t)matrix * a.cols + c];
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t choice = lists ? a.lists.choice[first + i] : i,
                       used = lists ? a.lists.n_used : 1;
        const double x = (double)a.x.at[choice / used * a.x.ld + choice % used * a.step + c];
        sum += x * x;
    }
    a.sum[(size_t)matrix * a.cols + c] = sum;
}

#endif
