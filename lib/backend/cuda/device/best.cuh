/* SPDX-License-Identifier: Apache-2.0 */
/* The largest numbers of a row. A warp has a part of it, every parts-th column, so that columns
 * next to each other are of different parts: it holds them in registers, and takes the largest one
 * out as often as is asked for. Parts know nothing of each other; what is left of them bounds all
 * that is not named. */
#ifndef RMR_CUDA_BEST_CUH
#define RMR_CUDA_BEST_CUH

#include "prelude.cuh"

enum { BEST_NEAR = RMR_GPU_BEST_PART / 32 /* numbers of a lane */ };

DEV uint32_t largest_of(const uint32_t *key)
{
    uint32_t most = RMR_GPU_NO_KEY;
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++) most = key[i] > most ? key[i] : most;
    return most;
}

/* The sum of e^(scale * (x - top)) of a part; the float's roundings are below 1e-5 of it. */
DEV float mass_of(const uint32_t *key, float top, float scale)
{
    float sum = 0;
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++)
        if (key[i] != RMR_GPU_NO_KEY) sum += rmr_expf((rmr_gpu_number(key[i]) - top) * scale);
    return warp_sum(sum);
}

DEV uint32_t least_of(const uint32_t *key)
{
    uint32_t least = ~0u;
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++)
        if (key[i] != RMR_GPU_NO_KEY) least = key[i] < least ? key[i] : least;
    return warp_least(least);
}

KERNEL(find_best, rmr_gpu_best, 256, 1)
{
    const uint32_t part = blockIdx.x * RMR_GPU_WARPS + warp_of(), lane = lane_of();
    uint32_t key[BEST_NEAR];
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++) {
        const uint32_t c = (i * 32 + lane) * a.parts + part;
        key[i] = c < a.n ? rmr_gpu_key(load_word(a.x + c)) : RMR_GPU_NO_KEY;
    }
    rmr_gpu_rest rest = {RMR_GPU_NO_KEY, ~0u, 0};
    uint32_t mine = largest_of(key);
    if (a.scale > 0) rest.least = least_of(key);
    for (uint32_t k = 0; k < a.each; k++) {
        const uint32_t most = warp_most(mine);
        const uint32_t who = warp_least(mine == most ? lane : 32);
        if (lane != who) continue;
        uint32_t at = 0;
#pragma unroll
        for (uint32_t i = BEST_NEAR; i-- > 0;) at = key[i] == most ? i : at;
#pragma unroll
        for (uint32_t i = 0; i < BEST_NEAR; i++) key[i] = i == at ? RMR_GPU_NO_KEY : key[i];
        mine = largest_of(key);
        a.value[part * a.each + k] = rmr_gpu_number(most);
        a.col[part * a.each + k] = (int32_t)((at * 32 + lane) * a.parts + part);
    }
    rest.key = warp_most(mine);
    if (a.scale > 0) rest.mass = mass_of(key, rmr_gpu_number(rest.key), a.scale);
    if (lane == 0) a.rest[part] = rest;
}

/* ---- masses ---- */

DEV double warp_sum_double(double v)
{
    for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0u, v, o);
    return v;
}

/* A warp has a run of columns that follow each other. */
KERNEL(run_masses, rmr_gpu_masses, 256, 1)
{
    const uint32_t run = blockIdx.x * RMR_GPU_WARPS + warp_of(), lane = lane_of();
    uint32_t key[BEST_NEAR];
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++) {
        const uint32_t c = run * RMR_GPU_BEST_PART + i * 32 + lane;
        key[i] = c < a.n ? rmr_gpu_key(load_word(a.x + c)) : RMR_GPU_NO_KEY;
        if (key[i] != RMR_GPU_NO_KEY)
            key[i] = rmr_gpu_key(
                rmr_bits_of(rmr_finite_float((double)rmr_gpu_number(key[i]) / a.divisor)));
    }
    const float top = rmr_gpu_number(warp_most(largest_of(key)));
    double mass = 0;
#pragma unroll
    for (uint32_t i = 0; i < BEST_NEAR; i++)
        if (key[i] != RMR_GPU_NO_KEY)
            mass += rmr_dexp((double)rmr_gpu_number(key[i]) - (double)top);
    mass = warp_sum_double(mass);
    if (lane != 0 || run >= a.runs) return;
    a.mass[run] = mass;
    a.top[run] = top;
}

#endif
