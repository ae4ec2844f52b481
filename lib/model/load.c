/* Bringing the planned weights to the backend. The work is cut into blocks of rows of a few
 * megabytes, so that it spreads over the threads, needs bounded staging memory and can be cancelled
 * soon. Tensor bytes are read, never looked at through a mapping: a file that shrinks meanwhile is
 * a status. */
#include "load.h"

#include <string.h>

#include "cancel.h"

enum { BLOCK_BYTES = 4 << 20 };

typedef struct loader {
    remora_model *m;
    const rmr_plan *plan;
    const remora_model_opts *opts;
    uint64_t *first; /* [n items + 1] first block of an item */
    unsigned char *staging;
    uint64_t staging_bytes; /* of one worker */
    uint64_t total_bytes;
    _Atomic uint64_t done_bytes;
    atomic_int status; /* the first failure; later ones are dropped */
    remora_error *err;
    pthread_t caller; /* the only thread that may run the progress hook */
} loader;

static int is_kv(rmr_take t)
{
    return t == RMR_TAKE_KV_KEY || t == RMR_TAKE_KV_KEY_T || t == RMR_TAKE_KV_VALUE;
}

static uint64_t row_bytes(const rmr_weight_desc *d)
{
    return (uint64_t)d->cols * rmr_elem_size(d->elem);
}

/* Rows of one block: whole heads for the kv views, which are small, else about BLOCK_BYTES in whole
 * tiles. */
static uint32_t block_rows(const rmr_plan_item *it)
{
    const uint64_t bytes = row_bytes(&it->desc);
    uint64_t n =
        bytes > 0 ? BLOCK_BYTES / bytes / RMR_ROW_GRANULE * RMR_ROW_GRANULE : it->desc.rows;
    if (is_kv(it->take)) return it->desc.rows;
    if (n < RMR_ROW_GRANULE) n = RMR_ROW_GRANULE;
    return n < it->desc.rows ? (uint32_t)n : it->desc.rows;
}

static uint64_t block_count(const rmr_plan_item *it)
{
    const uint32_t n = block_rows(it);
    return (uint64_t)it->desc.count * ((it->desc.rows + n - 1) / n);
}

/* Staging of one block: its rows, and a second copy where they are transposed. */
static uint64_t block_staging(const rmr_plan_item *it)
{
    return block_rows(it) * row_bytes(&it->desc) * (it->take == RMR_TAKE_KV_KEY_T ? 2 : 1);
}

static void fail(loader *l, remora_status st, const remora_error *e)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&l->status, &none, st)) return;
    if (l->err != NULL && e->code != 0) rmr_error_set(l->err, st, e->os_code, "%s", e->message);
}

static void transpose(unsigned char *dst, const unsigned char *src, uint32_t rows, uint32_t cols,
                      uint32_t size)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < cols; c++)
            memcpy(dst + ((size_t)c * rows + r) * size, src + ((size_t)r * cols + c) * size, size);
}

static remora_status load_block(loader *l, const rmr_plan_item *it, uint64_t block,
                                unsigned char *staging, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    const rmr_mla *a = &l->m->shape.mla;
    const uint32_t per = block_rows(it), per_matrix = (d->rows + per - 1) / per;
    const uint32_t index = (uint32_t)(block / per_matrix),
                   row0 = (uint32_t)(block % per_matrix) * per;
    const uint32_t n = d->rows - row0 < per ? d->rows - row0 : per;
    const rmr_tensor *t = it->take == RMR_TAKE_STACK ? it->stack[index] : it->tensor;
    const unsigned char *rows = staging;
    uint64_t src_row = row0, bytes = n * row_bytes(d), src_row_bytes = row_bytes(d);
    if (is_kv(it->take)) {
        src_row_bytes = (uint64_t)a->rank * rmr_elem_size(d->elem);
        src_row =
            (uint64_t)index * (a->nope + a->v) + (it->take == RMR_TAKE_KV_VALUE ? a->nope : 0);
    }
    RMR_TRY(rmr_file_read(t->file, t->offset + src_row * src_row_bytes, staging, bytes, err));
    if (it->take == RMR_TAKE_KV_KEY_T) {
        transpose(staging + bytes, staging, a->nope, a->rank, rmr_elem_size(d->elem));
        rows = staging + bytes;
    }
    RMR_TRY(l->m->be->ops->weight_upload(l->m->be, *it->weight, index, row0, n, rows, err));
    atomic_fetch_add_explicit(&l->done_bytes, bytes, memory_order_relaxed);
    return REMORA_OK;
}

static remora_status check_host(loader *l)
{
    const remora_model_opts *o = l->opts;
    if (rmr_cancelled(o->cancel)) return REMORA_E_CANCELLED;
    if (o->progress == NULL || !pthread_equal(pthread_self(), l->caller)) return REMORA_OK;
    const uint64_t done = atomic_load_explicit(&l->done_bytes, memory_order_relaxed);
    return o->progress(o->progress_user, done, l->total_bytes) != 0 ? REMORA_E_CANCELLED
                                                                    : REMORA_OK;
}

static void load_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    loader *l = arg;
    remora_error e = {.struct_size = sizeof e};
    size_t lo = 0, hi = l->plan->n;
    if (atomic_load_explicit(&l->status, memory_order_relaxed) != 0) return;
    while (hi - lo > 1) { /* the item that owns this block */
        const size_t mid = (lo + hi) / 2;
        if (l->first[mid] <= chunk)
            lo = mid;
        else
            hi = mid;
    }
    remora_status st = check_host(l);
    if (st < 0) rmr_error_set(&e, st, 0, "opening was cancelled");
    if (st >= 0)
        st = load_block(l, &l->plan->items[lo], chunk - l->first[lo],
                        l->staging + worker * l->staging_bytes, &e);
    if (st < 0) fail(l, st, &e);
}

/* The embedding table stays where it lies when the source is memory or mapped: rows are looked up,
 * not multiplied. The file is opened once more so that its mapping outlives the checkpoint. */
static remora_status adopt_table(remora_model *m, rmr_source *src, const rmr_plan_item *it,
                                 remora_error *err)
{
    RMR_TRY(rmr_file_open(src, rmr_file_name(it->tensor->file), &m->mapped, err));
    RMR_TRY(rmr_file_check(m->mapped, err));
    const unsigned char *data = rmr_file_data(m->mapped);
    remora_status st = REMORA_E_UNSUPPORTED;
    if (data != NULL && rmr_file_size(m->mapped) >= it->tensor->offset + it->tensor->bytes)
        st = m->be->ops->weight_adopt(m->be, &it->desc, data + it->tensor->offset, it->weight, err);
    if (st == REMORA_OK) {
        m->mapped_bytes = it->tensor->bytes;
        return REMORA_OK;
    }
    rmr_file_close(m->mapped);
    m->mapped = NULL;
    return st == REMORA_E_UNSUPPORTED ? m->be->ops->weight_create(m->be, &it->desc, it->weight, err)
                                      : st;
}

static remora_status create_weights(loader *l, rmr_source *src)
{
    remora_model *m = l->m;
    uint64_t blocks = 0;
    for (size_t i = 0; i < l->plan->n; i++) {
        const rmr_plan_item *it = &l->plan->items[i];
        if (it->adopt)
            RMR_TRY(adopt_table(m, src, it, l->err));
        else
            RMR_TRY(m->be->ops->weight_create(m->be, &it->desc, it->weight, l->err));
        l->first[i] = blocks;
        if (it->adopt && m->mapped != NULL) continue;
        m->weight_bytes += m->be->ops->weight_bytes(m->be, &it->desc);
        blocks += block_count(it);
        l->total_bytes += (uint64_t)it->desc.count * it->desc.rows * row_bytes(&it->desc);
        if (block_staging(it) > l->staging_bytes) l->staging_bytes = block_staging(it);
    }
    l->first[l->plan->n] = blocks;
    if (blocks > UINT32_MAX)
        RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "checkpoint: too many blocks to load");
    return REMORA_OK;
}

remora_status rmr_load_weights(remora_model *m, rmr_source *src, const rmr_plan *plan,
                               const remora_model_opts *opts, remora_error *err)
{
    rmr_mem *mem = &m->mem;
    loader l = {.m = m, .plan = plan, .opts = opts, .err = err, .caller = pthread_self()};
    const size_t first_bytes = (plan->n + 1) * sizeof *l.first;
    uint64_t staging_total = 0;
    remora_status st;
    l.first = rmr_alloc(mem, first_bytes);
    if (l.first == NULL) return rmr_error_nomem(err, "load table", first_bytes);
    st = create_weights(&l, src);
    if (st < 0) goto out;
    l.staging_bytes = rmr_round_up(l.staging_bytes, RMR_ALIGN);
    staging_total = l.staging_bytes * rmr_pool_width(m->rt->ctx.pool);
    l.staging = rmr_alloc(mem, (size_t)staging_total);
    if (l.staging == NULL) {
        st = rmr_error_nomem(err, "load staging", staging_total);
        goto out;
    }
    rmr_pool_run(m->rt->ctx.pool, (uint32_t)l.first[plan->n], load_chunk, &l);
    st = atomic_load(&l.status);
    if (st >= 0)
        st = check_host(&l); /* a last word: all done, and a cancel that came late still counts */
    if (st == REMORA_E_CANCELLED) rmr_error_set(err, st, 0, "opening was cancelled");
out:
    rmr_free(mem, l.staging, (size_t)staging_total);
    rmr_free(mem, l.first, first_bytes);
    return st;
}
