/* SPDX-License-Identifier: Apache-2.0 */
/* The gate, the sorting of rows by expert, and the sum over a row's experts (docs/models.md,
 * "Gate"). The sums of the gate have the order of lib/backend/cpu/op_gate.c, so that equal router
 * logits choose equal experts. */
#ifndef RMR_CUDA_EXPERTS_CUH
#define RMR_CUDA_EXPERTS_CUH

#include "prelude.cuh"

/* Greater numbers have greater keys, and no number has 0. */
DEV uint32_t key_of(float v)
{
    const uint32_t u = rmr_bits_of(v + 0.0f); /* one zero */
    return u >> 31 ? ~u : u | 0x80000000u;
}

/* The lowest index of the largest value that is a number; n - 1 where nothing is a number. A lane
 * reads x[i] of those i that are its number modulo 32. */
DEV uint32_t best_of(const float *x, uint32_t n)
{
    float value = 0;
    uint32_t at = ~0u;
    for (uint32_t i = lane_of(); i < n; i += 32)
        if (x[i] == x[i] && (at == ~0u || x[i] > value)) {
            value = x[i];
            at = i;
        }
    const uint32_t key = at == ~0u ? 0 : key_of(value), top = warp_most(key),
                   best = warp_least(key == top ? at : ~0u);
    return best == ~0u ? n - 1 : best;
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
        if (g % 32 == lane_of()) group[g] = NAN;
    }
    __syncwarp();
    for (uint32_t i = lane_of(); i < m.n_group * size; i += 32)
        if (group[i / size] == group[i / size]) pick[i] = -INFINITY;
    __syncwarp();
}

/* The choices of a row, in shared memory. */
typedef struct kept_choices {
    uint32_t *id;
    float *weight;
} kept_choices;

DEV void choose(const rmr_moe &m, const float *score, float *pick, const kept_choices &kept)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < m.n_used; i++) {
        const uint32_t at = best_of(pick, m.n_experts);
        if (at % 32 == lane_of()) {
            kept.id[i] = at;
            kept.weight[i] = score[at];
            pick[at] = NAN;
        }
        sum += score[at];
    }
    __syncwarp();
    const bool normalise = m.norm_topk && m.n_used > 1;
    for (uint32_t i = lane_of(); i < m.n_used; i += 32) {
        float w = kept.weight[i];
        if (normalise) w = w / (sum + 1e-20f);
        if (!normalise || m.gate == RMR_GATE_SIGMOID) w = w * m.scale;
        kept.weight[i] = w;
    }
    __syncwarp();
}

/* A warp's scratch: scores, picks, groups, then what is chosen. */
DEV uint32_t gate_floats(const rmr_moe &m)
{
    return 2 * m.n_experts + m.n_group + 2 * m.n_used;
}

DEV kept_choices kept_of(const rmr_moe &m, float *score)
{
    float *const weight = score + 2 * m.n_experts + m.n_group;
    return kept_choices{(uint32_t *)(void *)(weight + m.n_used), weight};
}

/* Rows from `first` on, `step` apart, a warp each. */
DEV void gate_rows(const rmr_gpu_gate &a, float *score, uint32_t first, uint32_t step)
{
    const rmr_moe &m = a.moe;
    float *const pick = score + m.n_experts, *const group = pick + m.n_experts;
    const kept_choices kept = kept_of(m, score);
    const uint32_t counts = a.in.counts->count_routing;
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
        choose(m, score, pick, kept);
        for (uint32_t i = lane_of(); i < m.n_used; i += 32) {
            ids[i] = kept.id[i];
            a.weights.at[r * a.weights.ld + i] = kept.weight[i];
            if (counts) atomicAdd(&a.counts[kept.id[i]], 1u);
        }
        __syncwarp();
    }
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

enum { SORT_AT_ONCE = 8 };

/* A lane's choices: number i0 + lane and each 32 further on; ~0 from number `end` on. */
DEV void chosen_some(uint32_t *x, const choices &c, uint32_t i0, uint32_t end)
{
#pragma unroll
    for (uint32_t k = 0; k < SORT_AT_ONCE; k++) {
        const uint32_t i = i0 + k * 32 + lane_of();
        x[k] = i < end ? chosen(c, i) : ~0u;
    }
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
 * begins, and its places begin shift[x] later. */
DEV void make_lists(const rmr_gpu_sort &a, uint32_t *at, uint32_t *shift)
{
    uint32_t sum = 0, lists = 0, places = 0; /* of the experts before */
    for (uint32_t x0 = 0; x0 < a.n_experts; x0 += 32) {
        const uint32_t x = x0 + lane_of(), count = x < a.n_experts ? at[x] : 0,
                       room = (count + RMR_GPU_MANY_GROUP - 1) / RMR_GPU_MANY_GROUP *
                              RMR_GPU_MANY_GROUP;
        const uint32_t some = count > 0, sums = sum_up_to(count), which = sum_up_to(some),
                       rooms = sum_up_to(room);
        if (some) {
            a.lists.expert[lists + which - 1] = x;
            a.lists.first[lists + which - 1] = sum + sums - count;
            a.lists.place0[lists + which - 1] = places + rooms - room;
        }
        if (x < a.n_experts) {
            at[x] = sum + sums - count;
            shift[x] = places + rooms - room - at[x];
        }
        sum += __shfl_sync(~0u, sums, 31);
        places += __shfl_sync(~0u, rooms, 31);
        lists += __shfl_sync(~0u, which, 31);
    }
    if (lane_of() == 0) {
        a.lists.first[lists] = sum;
        *a.lists.n = lists;
    }
}

/* Counts of each expert for each of eight warps, which have choices one after the other; then where
 * they begin. */
DEV void count_choices(const choices &c, uint32_t n_experts, uint32_t *count, uint32_t first,
                       uint32_t end)
{
    for (uint32_t x = thread_of(); x < 8 * n_experts; x += 256) count[x] = 0;
    __syncthreads();
    for (uint32_t i0 = first; i0 < end; i0 += 32 * SORT_AT_ONCE) {
        uint32_t x[SORT_AT_ONCE];
        chosen_some(x, c, i0, end);
#pragma unroll
        for (uint32_t k = 0; k < SORT_AT_ONCE; k++)
            if (x[k] < n_experts) atomicAdd(&count[warp_of() * n_experts + x[k]], 1u);
    }
    __syncthreads();
}

/* 32 choices from i0 on to their places, in order. */
DEV void place_some(const rmr_gpu_sort &a, uint32_t *count, const uint32_t *shift, uint32_t i,
                    uint32_t x)
{
    const uint32_t same = lanes_with(x), before = same & ((1u << lane_of()) - 1),
                   at = x < a.n_experts ? count[x] + bits_in(before) : ~0u;
    if (x < a.n_experts) a.lists.choice[at] = i;
    if (i != ~0u) a.lists.place[i] = x < a.n_experts ? at + shift[x] : ~0u;
    __syncwarp();
    if (x < a.n_experts && before == 0) count[x] += bits_in(same);
    __syncwarp();
}

/* A warp's choices. */
DEV void place_choices(const rmr_gpu_sort &a, const choices &c, uint32_t *count,
                       const uint32_t *shift, uint32_t first, uint32_t end)
{
    for (uint32_t i0 = first; i0 < end; i0 += 32 * SORT_AT_ONCE) {
        uint32_t x[SORT_AT_ONCE];
        chosen_some(x, c, i0, end);
#pragma unroll
        for (uint32_t k = 0; k < SORT_AT_ONCE; k++) {
            const uint32_t i = i0 + k * 32 + lane_of();
            place_some(a, count, shift, i < end ? i : ~0u, x[k]);
        }
    }
}

/* By one block of 256 threads. Entries go by expert, then by row, then by place. `at`: two numbers
 * for each expert, and one for each warp; then RMR_GPU_IDS experts. */
DEV void sort_choices(const rmr_gpu_sort &a, uint32_t *at)
{
    uint32_t *const shift = at + a.n_experts, *const count = shift + a.n_experts;
    const choices c = choices_of(a, count + 8 * a.n_experts);
    const uint32_t of_warp = (c.n + 255) / 256 * 32, w0 = warp_of() * of_warp,
                   first = w0 < c.n ? w0 : c.n, end = c.n - first < of_warp ? c.n : first + of_warp;
    count_choices(c, a.n_experts, count, first, end);
    for (uint32_t x = thread_of(); x < a.n_experts; x += 256) {
        at[x] = 0;
        for (uint32_t w = 0; w < 8; w++) at[x] += count[w * a.n_experts + x];
    }
    __syncthreads();
    if (warp_of() == 0) make_lists(a, at, shift);
    __syncthreads();
    for (uint32_t x = thread_of(); x < a.n_experts; x += 256)
        for (uint32_t w = 0, to = at[x]; w < 8; w++) {
            const uint32_t n = count[w * a.n_experts + x];
            count[w * a.n_experts + x] = to;
            to += n;
        }
    __syncthreads();
    place_choices(a, c, count + warp_of() * a.n_experts, shift, first, end);
}

/* Of choices from `first` on, `step` apart: which of its row's it is in ascending order of experts.
 */
DEV void order_choices(const rmr_gpu_sort &a, uint32_t first, uint32_t step)
{
    const choices c = {NULL, a.ids, a.in.n_rows * a.lists.n_used, a.lists.n_used};
    for (uint32_t i = first; i < c.n; i += step) {
        const uint32_t r0 = i / c.used * c.used, mine = chosen(c, i);
        uint32_t place = 0;
        for (uint32_t k = 0; k < c.used; k++) {
            const uint32_t x = chosen(c, r0 + k);
            place += x < mine || (x == mine && r0 + k < i);
        }
        a.lists.order[r0 + place] = i - r0;
    }
}

/* The first block sorts. */
KERNEL(sort_rows, rmr_gpu_sort, 256, 1)
{
    if (blockIdx.x == 0)
        sort_choices(a, (uint32_t *)(void *)shared_memory());
    else
        order_choices(a, (blockIdx.x - 1) * 256 + thread_of(), (gridDim.x - 1) * 256);
}

/* The choices of one row by one warp, which has just made them: each is a list. */
DEV void sort_one(const rmr_gpu_lists &l, const kept_choices &kept)
{
    for (uint32_t i = lane_of(); i < l.n_used; i += 32) {
        uint32_t place = 0;
        for (uint32_t k = 0; k < l.n_used; k++)
            place += kept.id[k] < kept.id[i] || (kept.id[k] == kept.id[i] && k < i);
        l.order[place] = l.choice[place] = i;
        l.expert[place] = kept.id[i];
        l.first[i] = i;
    }
    if (lane_of() == 0) l.first[l.n_used] = *l.n = l.n_used;
}

/* ---- one row of at most 64 experts, in registers of one warp: lane i has experts i and i + 32
 * ----
 */

enum { NEAR_EXPERTS = 64, NEAR_CHOICES = 32 };

DEV bool is_near(const rmr_gpu_gate &a)
{
    return a.in.n_rows == 1 && a.moe.gate == RMR_GATE_SOFTMAX && a.moe.n_experts <= NEAR_EXPERTS &&
           a.moe.n_used <= NEAR_CHOICES;
}

/* softmax_scores: the same sums, of 16 lanes. */
DEV void softmax_near(float *score, const float *logit, uint32_t n)
{
    const uint32_t i = lane_of();
    const float x0 = i < n ? logit[i] : -INFINITY, x1 = i + 32 < n ? logit[i + 32] : -INFINITY;
    float most = x0 > -INFINITY ? x0 : -INFINITY;
    most = warp_max(x1 > most ? x1 : most);
    const float e0 = i < n ? rmr_expf(x0 - most) : 0.0f,
                e1 = i + 32 < n ? rmr_expf(x1 - most) : 0.0f;
    float sum = 0.0f + e0;
    sum += __shfl_xor_sync(~0u, e0, 16);
    sum += e1;
    sum += __shfl_xor_sync(~0u, e1, 16);
    for (int o = 8; o > 0; o /= 2) sum += __shfl_down_sync(~0u, sum, o, 32);
    sum = __shfl_sync(~0u, sum, 0);
    score[0] = e0 / sum;
    score[1] = e1 / sum;
}

/* best_of a lane's two. */
DEV uint32_t best_near(const float *x, uint32_t n)
{
    const bool has0 = x[0] == x[0], second = x[1] == x[1] && (!has0 || x[1] > x[0]);
    const uint32_t at = second ? lane_of() + 32 : lane_of(),
                   key = second ? key_of(x[1])
                         : has0 ? key_of(x[0])
                                : 0,
                   top = warp_most(key), best = warp_least(key > 0 && key == top ? at : ~0u);
    return best == ~0u ? n - 1 : best;
}

/* The choice of this lane, the i-th of the row where the lane is number i. */
typedef struct near_choice {
    uint32_t id;
    float weight;
} near_choice;

DEV near_choice choose_near(const rmr_moe &m, const float *score, const float *bias)
{
    float pick[2], sum = 0.0f;
    near_choice mine = {0, 0.0f};
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t i = k * 32 + lane_of();
        pick[k] = i >= m.n_experts ? NAN : bias != NULL ? score[k] + bias[i] : score[k];
    }
    for (uint32_t i = 0; i < m.n_used; i++) {
        const uint32_t at = best_near(pick, m.n_experts);
        const float v = __shfl_sync(~0u, at < 32 ? score[0] : score[1], (int)(at % 32));
        if (lane_of() == at) pick[0] = NAN;
        if (lane_of() + 32 == at) pick[1] = NAN;
        if (lane_of() == i) mine = near_choice{at, v};
        sum += v;
    }
    const bool normalise = m.norm_topk && m.n_used > 1;
    if (normalise) mine.weight = mine.weight / (sum + 1e-20f);
    if (!normalise) mine.weight = mine.weight * m.scale;
    return mine;
}

/* gate_rows and sort_one. */
DEV void gate_near(const rmr_gpu_gate &a, const rmr_gpu_lists &l)
{
    const uint32_t counts = a.in.counts->count_routing, i = lane_of(), n = a.moe.n_used;
    float score[2];
    softmax_near(score, a.x.at, a.moe.n_experts);
    const near_choice mine = choose_near(a.moe, score, a.bias);
    uint32_t place = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t id = __shfl_sync(~0u, mine.id, (int)k);
        place += id < mine.id || (id == mine.id && k < i);
    }
    if (i >= n) return;
    ((uint32_t *)(void *)a.ids.at)[i] = mine.id;
    a.weights.at[i] = mine.weight;
    l.order[place] = l.choice[place] = i;
    l.expert[place] = mine.id;
    l.first[i] = i;
    if (i == 0) l.first[n] = *l.n = n;
    if (counts) atomicAdd(&a.counts[mine.id], 1u);
}

/* One block. */
KERNEL(gate_sort, rmr_gpu_gate_sort, 256, 1)
{
    float *const shared = (float *)(void *)shared_memory();
    if (is_near(a.gate)) {
        if (warp_of() == 0) gate_near(a.gate, a.sort.lists);
        return;
    }
    if (a.gate.in.n_rows == 1) {
        if (warp_of() > 0) return;
        gate_rows(a.gate, shared, 0, 1);
        sort_one(a.sort.lists, kept_of(a.gate.moe, shared));
        return;
    }
    gate_rows(a.gate, shared + warp_of() * gate_floats(a.gate.moe), warp_of(), 8);
    __syncthreads();
    sort_choices(a.sort, (uint32_t *)(void *)(shared + 8 * gate_floats(a.gate.moe)));
    order_choices(a.sort, thread_of(), 256);
}

/* y plus the choices [k0, k0 + 8) of row r, one after another; all are asked for first. */
DEV float combine_some(const rmr_gpu_combine &a, float y, uint32_t r, uint32_t c, uint32_t k0)
{
    const uint32_t used = a.lists.n_used;
    float v[8], w[8];
#pragma unroll
    for (uint32_t k = 0; k < 8; k++) {
        v[k] = w[k] = 0;
        if (k0 + k >= used) continue;
        const uint32_t i = a.lists.order[r * used + k0 + k] % used;
        w[k] = a.weights.at[r * a.weights.ld + i];
        v[k] = load_fresh(a.routed + ((size_t)r * used + i) * a.n + c);
    }
#pragma unroll
    for (uint32_t k = 0; k < 8; k++)
        if (k0 + k < used) y = fmaf(w[k], v[k], y);
    return y;
}

DEV void combine_column(const rmr_gpu_combine &a, uint32_t r, uint32_t c)
{
    float y = a.out.at[r * a.out.ld + c];
    const float shared = a.shared != NULL ? load_fresh(a.shared + (size_t)r * a.n + c) : 0;
    for (uint32_t k = 0; k < a.lists.n_used; k += 8) y = combine_some(a, y, r, c, k);
    if (a.shared != NULL) y = y + shared;
    a.out.at[r * a.out.ld + c] = y;
}

DEV float4 load_four(const float *p)
{
    return load_fresh((const float4 *)(const void *)p);
}

/* The same of four columns, which lie at multiples of 16 bytes. */
DEV void combine_four(const rmr_gpu_combine &a, uint32_t r, uint32_t c)
{
    const uint32_t used = a.lists.n_used;
    float *const out = a.out.at + r * a.out.ld + c;
    const float4 old = load_float4(out);
    float4 shared = {0, 0, 0, 0};
    float y[4] = {old.x, old.y, old.z, old.w};
    if (a.shared != NULL) shared = load_four(a.shared + (size_t)r * a.n + c);
    for (uint32_t k0 = 0; k0 < used; k0 += 8) {
        float4 v[8];
        float w[8];
#pragma unroll
        for (uint32_t k = 0; k < 8; k++) {
            v[k] = float4{0, 0, 0, 0};
            w[k] = 0;
            if (k0 + k >= used) continue;
            const uint32_t i = a.lists.order[r * used + k0 + k] % used;
            w[k] = a.weights.at[r * a.weights.ld + i];
            v[k] = load_four(a.routed + ((size_t)r * used + i) * a.n + c);
        }
#pragma unroll
        for (uint32_t k = 0; k < 8; k++) {
            if (k0 + k >= used) continue;
            y[0] = fmaf(w[k], v[k].x, y[0]);
            y[1] = fmaf(w[k], v[k].y, y[1]);
            y[2] = fmaf(w[k], v[k].z, y[2]);
            y[3] = fmaf(w[k], v[k].w, y[3]);
        }
    }
    if (a.shared != NULL) {
        y[0] += shared.x;
        y[1] += shared.y;
        y[2] += shared.z;
        y[3] += shared.w;
    }
    store_floats(out, y[0], y[1]);
    store_floats(out + 2, y[2], y[3]);
}

/* Do four columns of all that is added lie at a multiple of 16 bytes? */
DEV bool combines_fours(const rmr_gpu_combine &a)
{
    return a.n % 4 == 0 && a.out.ld % 4 == 0 &&
           ((uintptr_t)a.out.at | (uintptr_t)a.routed | (uintptr_t)a.shared) % 16 == 0;
}

/* Grid: 1,024 columns, rows. */
KERNEL(combine, rmr_gpu_combine, 256, 1)
{
    const uint32_t first = blockIdx.x * 256 + thread_of(), step = gridDim.x * 256;
    for (uint32_t r = blockIdx.y; r < a.in.n_rows; r += gridDim.y)
        if (combines_fours(a))
            for (uint32_t c = first; c < a.n / 4; c += step) combine_four(a, r, 4 * c);
        else
            for (uint32_t c = first; c < a.n; c += step) combine_column(a, r, c);
}

#endif
