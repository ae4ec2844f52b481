/* SPDX-License-Identifier: Apache-2.0 */
/* The largest numbers of a row (device/best.cuh): asking for them, and what comes back. */
#include "cuda.h"

static uint32_t parts_of(uint32_t width)
{
    const uint32_t parts = (width + RMR_GPU_BEST_PART - 1) / RMR_GPU_BEST_PART;
    return (uint32_t)rmr_round_up(parts, RMR_GPU_WARPS);
}

/* Numbers that every part names so that `want` of all are most likely among them: columns fall into
 * parts as balls into bins. */
static uint32_t each_of(uint32_t want, uint32_t width)
{
    const uint32_t parts = parts_of(width), all = width / parts;
    uint32_t each = want > 1 ? 2 * ((want - 1) / parts + 1) + 3 : 1;
    if (each > RMR_GPU_BEST_EACH) each = RMR_GPU_BEST_EACH;
    return each < all ? each : all;
}

uint64_t rmr_cuda_best_bytes(const rmr_step_desc *d)
{
    uint32_t parts = 0;
    for (uint32_t i = 0; i < d->n_slots; i++)
        if (d->slots[i].rows == RMR_ROWS_OUT && parts_of(d->slots[i].width) > parts)
            parts = parts_of(d->slots[i].width);
    return (uint64_t)parts * (2 * RMR_GPU_BEST_EACH + 1) * 4;
}

remora_status rmr_cuda_find_best(rmr_step *s, uint32_t slot, uint32_t row, uint32_t want,
                                 remora_error *err)
{
    const uint32_t width = s->desc.slots[slot].width, parts = parts_of(width),
                   each = each_of(want, width);
    const rmr_cu_address at = s->memory + s->l.best,
                         x = s->memory + s->l.slot[slot] + (uint64_t)row * width * 4;
    float *const value = (float *)(void *)(uintptr_t)at;
    int32_t *const col = (int32_t *)(void *)(value + (size_t)parts * each);
    rmr_gpu_best a = {.x = (const float *)(const void *)(uintptr_t)x,
                      .n = width,
                      .parts = parts,
                      .each = each,
                      .value = value,
                      .col = col,
                      .rest = (uint32_t *)(void *)(col + (size_t)parts * each)};
    const uint32_t grid[3] = {parts / RMR_GPU_WARPS, 1, 1};
    RMR_TRY(
        rmr_cuda_launch(s->c, s->stream, RMR_K_find_best, grid, 32 * RMR_GPU_WARPS, 0, &a, err));
    return rmr_cuda_check(
        s->c, s->c->d.copy_out(s->best, at, (uint64_t)parts * (2 * each + 1) * 4, s->stream),
        "copying the best of a row", err);
}

void rmr_cuda_read_best(const rmr_step *s, uint32_t slot, uint32_t want, rmr_best *out)
{
    const uint32_t width = s->desc.slots[slot].width, parts = parts_of(width),
                   n = parts * each_of(want, width);
    const float *const value = s->best;
    const int32_t *const col = (const int32_t *)(const void *)(value + n);
    const uint32_t *const left = (const uint32_t *)(const void *)(col + n);
    uint32_t rest = RMR_GPU_NO_KEY;
    for (uint32_t i = 0; i < parts; i++) rest = left[i] > rest ? left[i] : rest;
    *out = (rmr_best){value, col, n, rmr_gpu_number(rest)};
}
