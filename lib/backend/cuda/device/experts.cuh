/* SPDX-License-Identifier: Apache-2.0 */
/* The gate, the sorting of rows by expert, and the sum over a row's experts (docs/models.md,
 * "Gate"). The sums of the gate have the order of lib/backend/cpu/op_gate.c, so that equal router
 * logits choose equal experts. */
#ifndef RMR_CUDA_EXPERTS_CUH
#define RMR_CUDA_EXPERTS_CUH

#include "prelude.cuh"

/* Of all lanes the largest value that is a number, and the lowest index that has it; index n - 1
 * where nothing is a number. */
DEV uint32_t best_of(const float *x, uint32_t n)
{
    float value = 0;
    uint32_t at = ~0u;
    for (uint32_t i = lane_of(); i < n; i += 32)
        if (x[i] == x[i] && (at == ~0u || x[i] > value)) {
            value = x[i];
            at = i;
        }
    for (int o = 16; o > 0; o /= 2) {
        const float v = __shfl_xor_sync(~0u, value, o);
        const uint32_t i = __shfl_xor_sync(~0u, at, o);
        if (i != ~0u && (at == ~0u || v > value || (v == value && i < at))) {
            value = v;
            at = i;
        }
    }
    return at == ~0u ? n - 1 : at;
}

DEV void softmax_scores(float *score, const float *logit, uint32_t n)
{
    float most = -INFINITY, sum = 0;
    for (uint32_t i = lane_of(); i < n; i += 32) most = logit[i] > most ? logit[i] : most;
    most = warp_max(most);
    if (lane_of() < 16) /* sum16 of kernels.h */
        for (uint32_t i = lane_of(); i < n; i += 16) {
            score[i] = rmr_expf(logit[i] - most);
            sum += score[i];
        }
    for (int o = 8; o > 0; o /= 2) sum += __shfl_down_sync(~0u, sum, o, 32);
    sum = __shfl_sync(~0u, sum, 0);
    __syncwarp();
    for (uint32_t i = lane_of(); i < n; i += 32) score[i] = score[i] / sum;
    __syncwarp();
}

DEV void limit_groups(const rmr_moe &m, float *pick, float *group)
{
    const uint32_t size = m.n_experts / m.n_group;
    for (uint32_t g = lane_of(); g < m.n_group; g += 32)
        group[g] = rmr_group_score(pick + (size_t)g * size, size, m.gate);
    __syncwarp();
    for (uint32_t kept = 0; kept < m.topk_group; kept++) {
        const uint32_t g = best_of(group, m.n_group);
        __syncwarp();
        if (lane_of() == 0) group[g] = NAN;
        __syncwarp();
    }
    for (uint32_t i = lane_of(); i < m.n_group * size; i += 32)
        if (group[i / size] == group[i / size]) pick[i] = -INFINITY;
    __syncwarp();
}

DEV void choose(const rmr_moe &m, const float *score, float *pick, uint32_t *ids, float *weights)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < m.n_used; i++) {
        const uint32_t at = best_of(pick, m.n_experts);
        __syncwarp();
        if (lane_of() == 0) {
            ids[i] = at;
            weights[i] = score[at];
            pick[at] = NAN;
        }
        sum += score[at];
        __syncwarp();
    }
    const bool normalise = m.norm_topk && m.n_used > 1;
    for (uint32_t i = lane_of(); i < m.n_used; i += 32) {
        float w = weights[i];
        if (normalise) w = w / (sum + 1e-20f);
        if (!normalise || m.gate == RMR_GATE_SIGMOID) w = w * m.scale;
        weights[i] = w;
    }
    __syncwarp();
}

/* Rows from `first` on, `step` apart, a warp each; scratch: scores, picks, groups of this warp. */
DEV void gate_rows(const rmr_gpu_gate &a, float *score, uint32_t first, uint32_t step)
{
    const rmr_moe &m = a.moe;
    float *const pick = score + m.n_experts, *const group = pick + m.n_experts;
    for (uint32_t r = first; r < a.in.n_rows; r += step) {
        const float *const logit = a.x.at + r * a.x.ld;
        uint32_t *const ids = (uint32_t *)(void *)(a.ids.at + r * a.ids.ld);
        if (m.gate == RMR_GATE_SIGMOID)
            for (uint32_t i = lane_of(); i < m.n_experts; i += 32)
                score[i] = rmr_sigmoidf(logit[i]);
        else
            softmax_scores(score, logit, m.n_experts);
        __syncwarp();
        for (uint32_t i = lane_of(); i < m.n_experts; i += 32)
            pick[i] = a.bias != NULL ? score[i] + a.bias[i] : score[i];
        __syncwarp();
        if (m.gate != RMR_GATE_SOFTMAX && m.n_group > 1) limit_groups(m, pick, group);
        choose(m, score, pick, ids, a.weights.at + r * a.weights.ld);
        if (a.in.counts->count_routing)
            for (uint32_t i = lane_of(); i < m.n_used; i += 32) atomicAdd(&a.counts[ids[i]], 1u);
    }
}

DEV uint32_t gate_floats(const rmr_moe &m)
{
    return 2 * m.n_experts + m.n_group;
}

KERNEL(gate, rmr_gpu_gate, 128, 1)
{
    float *const shared = (float *)(void *)shared_memory();
    gate_rows(a, shared + warp_of() * gate_floats(a.moe), blockIdx.x * 4 + warp_of(),
              gridDim.x * 4);
}

/* The experts of all choices: in shared memory where there is room, else as the slot has them. */
typedef struct choices {
    const uint32_t *near;
    rmr_gpu_view view;
    uint32_t n, used;
} choices;

DEV uint32_t chosen(const choices &c, uint32_t i)
{
    return c.near != NULL
               ? c.near[i]
               : ((const uint32_t *)(const void *)(c.view.at + i / c.used * c.view.ld))[i % c.used];
}

DEV choices choices_of(const rmr_gpu_sort &a, uint32_t *near)
{
    choices c = {NULL, a.ids, a.in.n_rows * a.lists.n_used, a.lists.n_used};
    if (c.n > RMR_GPU_IDS) return c;
    for (uint32_t i = thread_of(); i < c.n; i += 256) near[i] = chosen(c, i);
    __syncthreads();
    c.near = near;
    return c;
}

/* The sum of v over the lanes up to this one. */
DEV uint32_t sum_up_to(uint32_t v)
{
    for (uint32_t o = 1; o < 32; o *= 2) {
        const uint32_t w = __shfl_sync(~0u, v, (int)((lane_of() - o) % 32));
        if (lane_of() >= o) v += w;
    }
    return v;
}

/* Lists from the number of choices of each expert, by one warp; at[x] is then where expert x
 * begins. */
DEV void make_lists(const rmr_gpu_sort &a, uint32_t *at)
{
    uint32_t sum = 0, lists = 0; /* of the experts before */
    for (uint32_t x0 = 0; x0 < a.n_experts; x0 += 32) {
        const uint32_t x = x0 + lane_of(), count = x < a.n_experts ? at[x] : 0;
        const uint32_t some = count > 0, sums = sum_up_to(count), which = sum_up_to(some);
        if (some) {
            a.lists.expert[lists + which - 1] = x;
            a.lists.first[lists + which - 1] = sum + sums - count;
        }
        if (x < a.n_experts) at[x] = sum + sums - count;
        sum += __shfl_sync(~0u, sums, 31);
        lists += __shfl_sync(~0u, which, 31);
    }
    if (lane_of() == 0) {
        a.lists.first[lists] = sum;
        *a.lists.n = lists;
    }
}

/* By one block of 256 threads. Entries go by expert, then by row, then by place. `at`: a count for
 * each expert, and RMR_GPU_IDS experts. */
DEV void sort_choices(const rmr_gpu_sort &a, uint32_t *at)
{
    const choices c = choices_of(a, at + a.n_experts);
    for (uint32_t x = thread_of(); x < a.n_experts; x += 256) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < c.n; i++) count += chosen(c, i) == x;
        at[x] = count;
    }
    __syncthreads();
    if (warp_of() == 0) make_lists(a, at);
    __syncthreads();
    for (uint32_t x = thread_of(); x < a.n_experts; x += 256) {
        uint32_t to = at[x];
        for (uint32_t i = 0; i < c.n; i++)
            if (chosen(c, i) == x) a.lists.choice[to++] = i;
    }
    for (uint32_t i = thread_of(); i < c.n; i += 256) {
        const uint32_t r0 = i / c.used * c.used, mine = chosen(c, i);
        uint32_t place = 0; /* among the row's experts, in ascending order */
        for (uint32_t k = 0; k < c.used; k++) {
            const uint32_t x = chosen(c, r0 + k);
            place += x < mine || (x == mine && r0 + k < i);
        }
        a.lists.order[r0 + place] = i - r0;
    }
}

KERNEL(sort_rows, rmr_gpu_sort, 256, 1)
{
    sort_choices(a, (uint32_t *)(void *)shared_memory());
}

/* One block. */
KERNEL(gate_sort, rmr_gpu_gate_sort, 256, 1)
{
    float *const shared = (float *)(void *)shared_memory();
    gate_rows(a.gate, shared + warp_of() * gate_floats(a.gate.moe), warp_of(), 8);
    __syncthreads();
    sort_choices(a.sort, (uint32_t *)(void *)(shared + 8 * gate_floats(a.gate.moe)));
}

KERNEL(combine, rmr_gpu_combine, 256, 1)
{
    for (uint32_t r = blockIdx.y; r < a.in.n_rows; r += gridDim.y)
        for (uint32_t c = blockIdx.x * 256 + thread_of(); c < a.n; c += gridDim.x * 256) {
            float y = a.out.at[r * a.out.ld + c];
            for (uint32_t k = 0; k < a.lists.n_used; k++) {
                const uint32_t i = a.lists.order[r * a.lists.n_used + k] % a.lists.n_used;
                y = fmaf(a.weights.at[r * a.weights.ld + i],
                         a.routed[((size_t)r * a.lists.n_used + i) * a.n + c], y);
            }
            if (a.shared != NULL) y = y + a.shared[(size_t)r * a.n + c];
            a.out.at[r * a.out.ld + c] = y;
        }
}

#endif
