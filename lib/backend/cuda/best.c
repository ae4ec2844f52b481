/* SPDX-License-Identifier: Apache-2.0 */
/* The largest numbers of a row (device/best.cuh): asking for them, and what comes back. */
#include "cuda.h"

#include "dexp.h"

/* A row of `width` columns in parts, each of which names so many numbers. */
typedef struct asked {
    uint32_t width, parts, each;
} asked;

/* Numbers that every part names so that `want` of all are most likely among them: columns fall into
 * parts as balls into bins. */
static asked ask(uint32_t width, uint32_t want)
{
    const uint32_t least = (width + RMR_GPU_BEST_PART - 1) / RMR_GPU_BEST_PART,
                   parts = (uint32_t)rmr_round_up(least, RMR_GPU_WARPS), all = width / parts;
    uint32_t each = want > 1 ? 2 * ((want - 1) / parts + 1) + 3 : 1;
    if (each > RMR_GPU_BEST_EACH) each = RMR_GPU_BEST_EACH;
    return (asked){width, parts, each < all ? each : all};
}

/* Bytes of the answer to a question for the best: numbers, their columns, the rest of each part. */
static uint64_t answer_bytes(const asked *a)
{
    return (uint64_t)a->parts * (8 * a->each + sizeof(rmr_gpu_rest));
}

/* Bytes of the answer to one for masses: a mass and a number of each run. There are as many runs as
 * parts. */
static uint64_t masses_bytes(const asked *a)
{
    return (uint64_t)a->parts * (sizeof(double) + sizeof(float));
}

uint64_t rmr_cuda_best_bytes(const rmr_step_desc *d)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < d->n_slots; i++) {
        if (d->slots[i].rows != RMR_ROWS_OUT || d->slots[i].width == 0) continue;
        const asked a = ask(d->slots[i].width, UINT32_MAX);
        if (answer_bytes(&a) > most) most = answer_bytes(&a);
        if (masses_bytes(&a) > most) most = masses_bytes(&a);
    }
    return most;
}

static const float *row_of(const rmr_step *s, uint32_t slot, uint32_t row)
{
    return (const float *)(const void *)(uintptr_t)(s->memory + s->l.slot[slot]) +
           (size_t)row * s->desc.slots[slot].width;
}

remora_status rmr_cuda_find_best(rmr_step *s, uint32_t slot, uint32_t row,
                                 const rmr_best_wish *wish, remora_error *err)
{
    const asked of = ask(s->desc.slots[slot].width, wish->n);
    const size_t n = (size_t)of.parts * of.each;
    const rmr_cu_address at = s->memory + s->l.best;
    float *const value = (float *)(void *)(uintptr_t)at;
    int32_t *const col = (int32_t *)(void *)(value + n);
    rmr_gpu_best a = {.x = row_of(s, slot, row),
                      .n = of.width,
                      .parts = of.parts,
                      .each = of.each,
                      .scale = wish->scale,
                      .value = value,
                      .col = col,
                      .rest = (rmr_gpu_rest *)(void *)(col + n)};
    const uint32_t grid[3] = {of.parts / RMR_GPU_WARPS, 1, 1};
    RMR_TRY(
        rmr_cuda_launch(s->c, s->stream, RMR_K_find_best, grid, 32 * RMR_GPU_WARPS, 0, &a, err));
    return rmr_cuda_check(s->c, s->c->d.copy_out(s->best, at, answer_bytes(&of), s->stream),
                          "copying the best of a row", err);
}

/* The parts' masses as one. */
static double mass_of(const rmr_gpu_rest *part, uint32_t parts, float rest, float scale)
{
    double mass = 0;
    for (uint32_t i = 0; i < parts; i++)
        if (part[i].mass > 0)
            mass += (double)part[i].mass *
                    rmr_dexp((double)scale * ((double)rmr_gpu_number(part[i].key) - (double)rest));
    return mass;
}

void rmr_cuda_read_best(const rmr_step *s, uint32_t slot, const rmr_best_wish *wish, rmr_best *out)
{
    const asked of = ask(s->desc.slots[slot].width, wish->n);
    const uint32_t n = of.parts * of.each;
    const float *const value = s->best;
    const int32_t *const col = (const int32_t *)(const void *)(value + n);
    const rmr_gpu_rest *const part = (const rmr_gpu_rest *)(const void *)(col + n);
    uint32_t rest = RMR_GPU_NO_KEY, least = ~0u;
    for (uint32_t i = 0; i < of.parts; i++) {
        if (part[i].key > rest) rest = part[i].key;
        if (part[i].least < least) least = part[i].least;
    }
    *out = (rmr_best){value, col, n, rmr_gpu_number(rest), 0, 0};
    if (!(wish->scale > 0) || rest == RMR_GPU_NO_KEY) return;
    out->least = rmr_gpu_number(least);
    out->mass = mass_of(part, of.parts, out->rest, wish->scale);
}

remora_status rmr_cuda_find_masses(rmr_step *s, uint32_t slot, uint32_t row, double divisor,
                                   remora_error *err)
{
    const asked of = ask(s->desc.slots[slot].width, 1);
    const rmr_cu_address at = s->memory + s->l.best;
    double *const mass = (double *)(void *)(uintptr_t)at;
    rmr_gpu_masses a = {.x = row_of(s, slot, row),
                        .n = of.width,
                        .runs = of.parts,
                        .divisor = divisor,
                        .mass = mass,
                        .top = (float *)(void *)(mass + of.parts)};
    const uint32_t grid[3] = {of.parts / RMR_GPU_WARPS, 1, 1};
    RMR_TRY(
        rmr_cuda_launch(s->c, s->stream, RMR_K_run_masses, grid, 32 * RMR_GPU_WARPS, 0, &a, err));
    return rmr_cuda_check(s->c, s->c->d.copy_out(s->best, at, masses_bytes(&of), s->stream),
                          "copying the masses of a row", err);
}

/* Runs behind the row's end have no mass. */
void rmr_cuda_read_masses(const rmr_step *s, uint32_t slot, rmr_masses *out)
{
    const uint32_t parts = ask(s->desc.slots[slot].width, 1).parts;
    const double *const mass = s->best;
    *out =
        (rmr_masses){(const float *)(const void *)(mass + parts), mass, parts, RMR_GPU_BEST_PART};
}
