/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of any dimensions over any cache, in floats: latent (every head against one key, the
 * value is the key's latent part) and grouped. The one kernel that is easy to be sure of; faster
 * ones for common dimensions are beside it.
 *
 * A row that sees n positions is cut into units of rmr_gpu_unit(n), whose borders are absolute, so
 * a result is a function of the query and the cache alone. Each unit has a maximum m, a sum l of
 * e^(score - m) and value sums z. They are merged in the order of positions: with M the largest m
 * so far, which was M' before, Z becomes Z e^(M' - M) + z e^(m - M), and L likewise. */
#ifndef RMR_CUDA_ATTEND_CUH
#define RMR_CUDA_ATTEND_CUH

#include "prelude.cuh"
#include "rows.cuh"

/* Number of column c of token t, whatever the type of the cache. */
DEV float cache_value(const uint8_t *layer, rmr_kv_type kv, const rmr_gpu_stream &stream,
                      uint32_t t, uint32_t c)
{
    const size_t at = (size_t)t * stream.width + c;
    if (kv == RMR_KV_BF16) return rmr_bf16_to_f32(((const uint16_t *)(const void *)layer)[at]);
    if (kv == RMR_KV_F32) return ((const float *)(const void *)layer)[at];
    const rmr_kv8 g = rmr_kv8_of(stream.width - stream.rope, stream.rope);
    if (c < g.rank)
        return (float)(int8_t)layer[rmr_kv8_at(t, c)] *
               rmr_kv8_scale(&g, layer, c / RMR_KV8_BLOCK)[t];
    const uint32_t k = g.latent_cols + (c - g.rank);
    const int32_t v = (int8_t)layer[rmr_kv8_at(t, k)] * RMR_KV8_LOW +
                      (int8_t)layer[rmr_kv8_at(t, k + g.rope_cols)];
    return (float)v * rmr_kv8_scale(&g, layer, g.latent_blocks + 1)[t];
}

/* The positions that a block of attention works on: unit `u` of a row. */
typedef struct unit_job {
    uint32_t row, p0, n; /* n positions from p0 on; 0: there is nothing to do */
} unit_job;

DEV unit_job unit_of(const rmr_gpu_attend &a, uint32_t u, uint32_t row)
{
    unit_job j = {row, 0, 0};
    if (row >= a.in.n_rows || !row_is(a.in, row, a.only) || run_of(a.in, row)->kv != a.kv) return j;
    const uint32_t seen = a.in.pos[row] + 1, size = rmr_gpu_unit(seen);
    j.p0 = u * size;
    if (u >= a.most_units || j.p0 >= seen) return j;
    j.n = seen - j.p0 < size ? seen - j.p0 : size;
    return j;
}

/* Results of a unit and head. */
DEV float *part_of(const rmr_gpu_attend &a, uint32_t row, uint32_t head, uint32_t u)
{
    return a.part + (((size_t)(row - a.row0) * a.heads + head) * a.most_units + u) * (a.value + 2);
}

/* A thread's share of e^(score - m) in place, and the sum of all; scores are in shared memory. */
DEV float exponentials(float *score, uint32_t n, float *shared, float *max)
{
    float m = -INFINITY, sum = 0;
    for (uint32_t i = thread_of(); i < n; i += 256) m = score[i] > m ? score[i] : m;
    m = warp_max(m);
    if (lane_of() == 0) shared[warp_of()] = m;
    __syncthreads();
    for (int w = 0; w < 8; w++) m = shared[w] > m ? shared[w] : m;
    __syncthreads();
    for (uint32_t i = thread_of(); i < n; i += 256) {
        score[i] = rmr_expf(score[i] - m);
        sum += score[i];
    }
    *max = m;
    return block_sum(sum, shared);
}

/* Grid: units, heads, rows. Shared: 8 floats, the query, scores of a unit. */
KERNEL(attend_any, rmr_gpu_attend, 256, 1)
{
    float *const shared = (float *)(void *)shared_memory(), *const query = shared + 8,
                 *const score = query + a.key;
    const uint32_t head = blockIdx.y, kv_head = head / a.group;
    for (uint32_t i = blockIdx.z; i < a.n_rows; i += gridDim.z) {
        const unit_job j = unit_of(a, blockIdx.x, a.row0 + i);
        if (j.n == 0) continue;
        const rmr_run *const run = run_of(a.in, j.row);
        const float *const q = a.q.at + j.row * a.q.ld + (size_t)head * a.key;
        for (uint32_t k = thread_of(); k < a.key; k += 256) query[k] = q[k];
        __syncthreads();
        for (uint32_t p = thread_of(); p < j.n; p += 256) {
            const uint8_t *const layer = cache_part(a.in, run, a.stream, j.p0 + p);
            float dot = 0;
            for (uint32_t k = 0; layer != NULL && k < a.key; k++)
                dot = fmaf(query[k],
                           cache_value(layer, run->kv, a.stream, (j.p0 + p) % RMR_PAGE_TOKENS,
                                       a.key0 + kv_head * a.key_step + k),
                           dot);
            score[p] = dot * a.scale;
        }
        __syncthreads();
        float max;
        const float sum = exponentials(score, j.n, shared, &max);
        float *const part = part_of(a, j.row, head, blockIdx.x);
        for (uint32_t c = thread_of(); c < a.value; c += 256) {
            float z = 0;
            for (uint32_t p = 0; p < j.n; p++) {
                const uint8_t *const layer = cache_part(a.in, run, a.stream, j.p0 + p);
                if (layer != NULL)
                    z = fmaf(score[p],
                             cache_value(layer, run->kv, a.stream, (j.p0 + p) % RMR_PAGE_TOKENS,
                                         a.value0 + kv_head * a.value_step + c),
                             z);
            }
            part[c] = z;
        }
        if (thread_of() == 0) {
            part[a.value] = max;
            part[a.value + 1] = sum;
        }
        __syncthreads();
    }
}

/* Of the row's n units, in shared memory behind 4 floats, e^(m - M) and, RMR_GPU_UNITS floats
 * behind it, e^(M' - M). A thread has a unit. */
DEV float *unit_weights(const float *part, uint32_t ld, uint32_t value, uint32_t n)
{
    float *const shared = (float *)(void *)shared_memory(), *const by = shared + 4;
    const uint32_t u = thread_of();
    const float m = u < n ? part[(size_t)u * ld + value] : -INFINITY;
    float most = m; /* of this warp's units up to this one */
    for (uint32_t o = 1; o < 32; o *= 2) {
        const float v = __shfl_sync(~0u, most, (int)((lane_of() - o) % 32));
        if (lane_of() >= o) most = v > most ? v : most;
    }
    float before = __shfl_sync(~0u, most, (int)((lane_of() + 31) % 32));
    if (lane_of() == 31) shared[warp_of()] = most;
    if (lane_of() == 0) before = -0x1p120f;
    __syncthreads();
    for (uint32_t w = 0; w < warp_of(); w++) {
        most = shared[w] > most ? shared[w] : most;
        before = shared[w] > before ? shared[w] : before;
    }
    by[u] = rmr_expf(m - most);
    by[RMR_GPU_UNITS + u] = rmr_expf(before - most);
    __syncthreads();
    return by;
}

/* Grid: blocks of 128 columns, heads, rows. Shared: 4 + 2 RMR_GPU_UNITS floats. */
KERNEL(attend_merge, rmr_gpu_attend, RMR_GPU_UNITS, 1)
{
    const uint32_t head = blockIdx.y, c = blockIdx.x * RMR_GPU_UNITS + thread_of();
    for (uint32_t i = blockIdx.z; i < a.n_rows; i += gridDim.z) {
        const uint32_t row = a.row0 + i;
        if (row >= a.in.n_rows || !row_is(a.in, row, a.only)) continue;
        const uint32_t seen = a.in.pos[row] + 1, size = rmr_gpu_unit(seen);
        const uint32_t all = (seen + size - 1) / size, n = all < a.most_units ? all : a.most_units;
        const uint32_t ld = a.value + 2, column = c < a.value ? c : 0;
        const float *const part = part_of(a, row, head, 0);
        const float *const by = unit_weights(part, ld, a.value, n);
        float l = 0, z = 0;
#pragma unroll 16
        for (uint32_t u = 0; u < n; u++) {
            const float old = by[RMR_GPU_UNITS + u];
            l = fmaf(part[(size_t)u * ld + a.value + 1], by[u], l * old);
            z = fmaf(part[(size_t)u * ld + column], by[u], z * old);
        }
        if (c < a.value) a.out.at[row * a.out.ld + (size_t)head * a.value + c] = z * (1.0f / l);
        __syncthreads();
    }
}

#endif
