/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include "arena.h"

typedef struct walker {
    const rmr_walk *w;
    uint64_t *first;     /* [n items + 1] first portion of an item */
    atomic_uint *left;   /* [n items] portions of an item that are still to come */
    rmr_reader *readers; /* [n_workers] */
    uint32_t n_workers;
    rmr_job job;
} walker;

static remora_status one_portion(walker *l, size_t item, uint64_t portion, uint32_t worker,
                                 remora_error *err)
{
    const rmr_walk *w = l->w;
    const rmr_weight_plan_item *it = &w->plan->items[item];
    rmr_portion got = {0};
    RMR_TRY(w->from->format->read(&l->readers[worker], it, portion, &got, err));
    RMR_TRY(w->portion(w->user, it, &got, worker, err));
    if (atomic_fetch_sub_explicit(&l->left[item], 1, memory_order_acq_rel) == 1 && w->done != NULL)
        RMR_TRY(w->done(w->user, it, err));
    (void)rmr_job_step(&l->job, got.bytes); /* its failure is the job's */
    return REMORA_OK;
}

static void walk_portion(void *arg, uint32_t portion, uint32_t worker)
{
    walker *l = arg;
    remora_error e = {.struct_size = sizeof e};
    size_t lo = 0, hi = l->w->plan->n;
    if (rmr_job_step(&l->job, 0) < 0) return;
    /* the last item that begins here or before: items in front of it may have no portions */
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (l->first[mid] <= portion)
            lo = mid;
        else
            hi = mid;
    }
    RMR_ASSERT(l->first[lo] <= portion && portion < l->first[lo + 1]);
    const remora_status st = one_portion(l, lo, portion - l->first[lo], worker, &e);
    if (st < 0) rmr_job_fail(&l->job, st, &e);
}

static void lay_out(walker *l, rmr_arena *a)
{
    const size_t n = l->w->plan->n;
    l->first = rmr_arena_take(a, n + 1, sizeof *l->first);
    l->left = rmr_arena_take(a, n, sizeof *l->left);
    l->readers = rmr_arena_take(a, l->n_workers, sizeof *l->readers);
}

/* Number the portions; *bytes are those of all of them. */
static remora_status count_portions(walker *l, uint64_t *bytes, remora_error *err)
{
    const rmr_walk *w = l->w;
    uint64_t portions = 0;
    *bytes = 0;
    for (size_t i = 0; i < w->plan->n; i++) {
        const rmr_span s = w->from->format->span(&w->plan->items[i]);
        l->first[i] = portions;
        atomic_init(&l->left[i], (unsigned)s.portions); /* all together fit 32 bits, or it fails */
        portions += s.portions;
        *bytes += s.bytes;
    }
    l->first[w->plan->n] = portions;
    if (portions > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "checkpoint: it has too many parts to load");
    return REMORA_OK;
}

static remora_status walk(walker *l, remora_error *err)
{
    const rmr_walk *w = l->w;
    uint64_t bytes;
    RMR_TRY(count_portions(l, &bytes, err));
    for (uint32_t i = 0; i < l->n_workers; i++) l->readers[i] = (rmr_reader){.from = w->from};
    rmr_job_begin(&l->job, &w->host, w->what, bytes, err);
    rmr_pool_run_hooks(w->host.pool, (uint32_t)l->first[w->plan->n], walk_portion, l);
    for (uint32_t i = 0; i < l->n_workers; i++) rmr_reader_end(&l->readers[i]);
    return rmr_job_end(&l->job);
}

remora_status rmr_walk_weights(const rmr_walk *w, remora_error *err)
{
    walker l = {.w = w, .n_workers = rmr_pool_width(w->host.pool)};
    rmr_arena a = {0};
    lay_out(&l, &a);
    RMR_TRY(rmr_arena_make(&a, w->from->mem, "load table", err));
    lay_out(&l, &a);
    const remora_status st = walk(&l, err);
    rmr_arena_free(w->from->mem, a.base, a.size);
    return st;
}
