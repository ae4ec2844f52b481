#include "walk_rows.h"

#include "read_rows.h"

enum {
    BLOCK_BYTES = 4 << 20,
    BLOCK_ROWS = RMR_F8_RUN /* a block is a multiple of this, so that runs of rows stay whole */
};

typedef struct walker {
    const rmr_walk *w;
    uint64_t *first;   /* [n items + 1] first block of an item */
    atomic_uint *left; /* [n items] blocks of an item that are still to come */
    unsigned char *staging;
    uint64_t staging_bytes; /* of one worker */
    rmr_job job;
} walker;

static uint64_t matrix_bytes(const rmr_weight_desc *d)
{
    return d->rows * rmr_row_bytes(d->elem, d->cols);
}

/* Rows of one block: whole matrices where they are transposed (heads, which are small), else about
 * BLOCK_BYTES. */
static uint32_t block_rows(const rmr_weight_plan_item *it)
{
    const uint64_t bytes = rmr_row_bytes(it->desc.elem, it->desc.cols);
    uint64_t n = bytes > 0 ? BLOCK_BYTES / bytes / BLOCK_ROWS * BLOCK_ROWS : it->desc.rows;
    if (it->transpose) return it->desc.rows;
    if (n < BLOCK_ROWS) n = BLOCK_ROWS;
    return n < it->desc.rows ? (uint32_t)n : it->desc.rows;
}

static uint64_t block_count(const rmr_weight_plan_item *it)
{
    const uint32_t n = block_rows(it);
    return (uint64_t)it->desc.count * ((it->desc.rows + n - 1) / n);
}

static remora_status one_block(walker *l, size_t item, uint64_t block, uint32_t worker,
                               remora_error *err)
{
    const rmr_weight_plan_item *it = &l->w->plan->items[item];
    const rmr_weight_desc *d = &it->desc;
    const uint32_t per = block_rows(it), per_matrix = (d->rows + per - 1) / per;
    const uint32_t index = (uint32_t)(block / per_matrix),
                   row0 = (uint32_t)(block % per_matrix) * per;
    const uint32_t n = d->rows - row0 < per ? d->rows - row0 : per;
    RMR_ASSERT(index < d->count);
    const void *rows;
    RMR_TRY(rmr_read_rows(it, index, row0, n, l->staging + worker * l->staging_bytes, &rows, err));
    RMR_TRY(l->w->block(l->w->user, it, index, row0, n, rows, worker, err));
    if (atomic_fetch_sub_explicit(&l->left[item], 1, memory_order_acq_rel) == 1 &&
        l->w->done != NULL)
        RMR_TRY(l->w->done(l->w->user, it, err));
    (void)rmr_job_step(&l->job, n * rmr_row_bytes(d->elem, d->cols)); /* its failure is the job's */
    return REMORA_OK;
}

static void walk_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    walker *l = arg;
    remora_error e = {.struct_size = sizeof e};
    size_t lo = 0, hi = l->w->plan->n;
    if (rmr_job_step(&l->job, 0) < 0) return;
    while (hi - lo > 1) { /* the item that owns this block */
        const size_t mid = (lo + hi) / 2;
        if (l->first[mid] <= chunk)
            lo = mid;
        else
            hi = mid;
    }
    RMR_ASSERT(l->first[lo] <= chunk && chunk < l->first[lo + 1]);
    const remora_status st = one_block(l, lo, chunk - l->first[lo], worker, &e);
    if (st < 0) rmr_job_fail(&l->job, st, &e);
}

static remora_status cut(walker *l, uint64_t *total, remora_error *err)
{
    const rmr_weight_plan *plan = l->w->plan;
    uint64_t blocks = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const rmr_weight_plan_item *it = &plan->items[i];
        l->first[i] = blocks;
        blocks += block_count(it);
        atomic_init(&l->left[i], (unsigned)block_count(it)); /* all together fit 32 bits, or fail */
        *total += it->desc.count * matrix_bytes(&it->desc);
        const uint64_t staging = rmr_read_rows_staging(it, block_rows(it));
        if (staging > l->staging_bytes) l->staging_bytes = staging;
    }
    l->first[plan->n] = blocks;
    l->staging_bytes = rmr_round_up(l->staging_bytes, RMR_ALIGN);
    if (blocks > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "checkpoint: it has too many blocks to load");
    return REMORA_OK;
}

remora_status rmr_walk_rows(const rmr_walk *w, remora_error *err)
{
    if (w->plan->n > 0 && w->plan->items[0].place != NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: a pack has no rows of tensors: start from its source", w->what);
    rmr_pool *pool = w->host.pool;
    walker l = {.w = w};
    uint64_t total = 0;
    const size_t first_bytes = (w->plan->n + 1) * sizeof *l.first,
                 left_bytes = w->plan->n * sizeof *l.left;
    uint64_t staging_total = 0;
    remora_status st = REMORA_OK;
    l.first = rmr_alloc(w->mem, first_bytes);
    l.left = rmr_alloc(w->mem, left_bytes);
    if (l.first == NULL || l.left == NULL) st = rmr_error_nomem(err, "load table", first_bytes);
    if (st >= 0) st = cut(&l, &total, err);
    if (st < 0) goto out;
    staging_total = l.staging_bytes * rmr_pool_width(pool);
    l.staging = rmr_alloc(w->mem, (size_t)staging_total);
    if (l.staging == NULL) {
        st = rmr_error_nomem(err, "load staging", staging_total);
        goto out;
    }
    rmr_job_begin(&l.job, &w->host, w->what, total, err);
    rmr_pool_run(pool, (uint32_t)l.first[w->plan->n], walk_chunk, &l);
    st = rmr_job_end(&l.job);
out:
    rmr_free(w->mem, l.staging, (size_t)staging_total);
    rmr_free(w->mem, l.left, left_bytes);
    rmr_free(w->mem, l.first, first_bytes);
    return st;
}
