/* Filling is cut into the pack's chunks, which is how they are compressed: all threads read, each
 * with a few megabytes of memory. */
#include "load_pack.h"

#include <string.h>

typedef struct worker {
    rmr_pack_reader *reader;
    unsigned char *chunk;
} worker;

typedef struct filler {
    rmr_weights *w;
    const rmr_pack *pack;
    const rmr_weight_plan *plan;
    uint64_t *first;   /* [n items + 1] first chunk of an item */
    atomic_uint *left; /* [n items] chunks of an item that are still to come */
    worker *workers;
    uint32_t n_workers;
    rmr_job job;
} filler;

static remora_status prepare(const filler *f, worker *w, remora_error *err)
{
    rmr_mem *mem = f->w->mem;
    if (w->chunk == NULL) {
        w->chunk = rmr_alloc(mem, RMR_PACK_CHUNK);
        if (w->chunk == NULL) return rmr_error_nomem(err, "load staging", RMR_PACK_CHUNK);
    }
    return w->reader != NULL ? REMORA_OK : rmr_pack_reader_create(f->pack, mem, &w->reader, err);
}

static remora_status fill(filler *f, size_t item, uint64_t chunk, worker *w, remora_error *err)
{
    rmr_backend *be = f->w->be;
    const rmr_weight_plan_item *it = &f->plan->items[item];
    RMR_ASSERT(!it->adopt);
    const uint32_t n = rmr_pack_chunk_bytes(it->place, chunk);
    RMR_TRY(prepare(f, w, err));
    RMR_TRY(rmr_pack_read_chunk(w->reader, it->place, chunk, w->chunk, err));
    RMR_TRY(be->ops->weight_fill(be, *it->weight, chunk * RMR_PACK_CHUNK, n, w->chunk, err));
    if (atomic_fetch_sub_explicit(&f->left[item], 1, memory_order_acq_rel) == 1)
        RMR_TRY(be->ops->weight_done(be, *it->weight, err));
    return rmr_job_step(&f->job, n);
}

static void fill_chunk(void *arg, uint32_t chunk, uint32_t index)
{
    filler *f = arg;
    remora_error e = {.struct_size = sizeof e};
    size_t lo = 0, hi = f->plan->n;
    if (rmr_job_step(&f->job, 0) < 0) return;
    while (hi - lo > 1) { /* the item that owns this chunk: items in use have one at least */
        const size_t mid = (lo + hi) / 2;
        if (f->first[mid] <= chunk)
            lo = mid;
        else
            hi = mid;
    }
    RMR_ASSERT(f->first[lo] <= chunk && chunk < f->first[lo + 1]);
    const remora_status st = fill(f, lo, chunk - f->first[lo], &f->workers[index], &e);
    if (st < 0) rmr_job_fail(&f->job, st, &e);
}

/* Adopts or creates every weight, and counts the chunks to be filled. */
static remora_status make(filler *f, uint64_t *bytes, remora_error *err)
{
    rmr_backend *be = f->w->be;
    uint64_t chunks = 0;
    *bytes = 0;
    for (size_t i = 0; i < f->plan->n; i++) {
        const rmr_weight_plan_item *it = &f->plan->items[i];
        f->first[i] = chunks;
        if (it->adopt) {
            RMR_TRY(be->ops->weight_adopt(be, &it->desc, rmr_pack_data(f->pack, it->place),
                                          it->weight, err));
            continue;
        }
        RMR_TRY(be->ops->weight_create(be, &it->desc, it->weight, err));
        chunks += rmr_pack_chunks(it->place);
        atomic_init(&f->left[i], (unsigned)rmr_pack_chunks(it->place)); /* or it fails below */
        *bytes += ((const rmr_pack_tensor *)it->place)->bytes;
    }
    f->first[f->plan->n] = chunks;
    if (chunks > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "pack: it has too many chunks to load");
    return REMORA_OK;
}

static remora_status load(filler *f, const rmr_job_host *host, remora_error *err)
{
    uint64_t bytes;
    RMR_TRY(rmr_pack_check(f->pack, err));
    RMR_TRY(make(f, &bytes, err));
    rmr_job_begin(&f->job, host, "opening", bytes, err);
    rmr_pool_run(host->pool, (uint32_t)f->first[f->plan->n], fill_chunk, f);
    return rmr_job_end(&f->job);
}

remora_status rmr_load_pack(rmr_weights *w, const rmr_pack *pack, const rmr_weight_plan *plan,
                            const rmr_job_host *host, remora_error *err)
{
    rmr_mem *mem = w->mem;
    filler f = {.w = w, .pack = pack, .plan = plan, .n_workers = rmr_pool_width(host->pool)};
    const size_t first_bytes = (plan->n + 1) * sizeof *f.first,
                 left_bytes = plan->n * sizeof *f.left;
    remora_status st = REMORA_OK;
    f.first = rmr_alloc(mem, first_bytes);
    f.left = rmr_alloc(mem, left_bytes);
    f.workers = rmr_calloc(mem, f.n_workers, sizeof *f.workers);
    if (f.first == NULL || f.left == NULL || f.workers == NULL)
        st = rmr_error_nomem(err, "load table", first_bytes);
    if (st >= 0) st = load(&f, host, err);
    for (uint32_t i = 0; f.workers != NULL && i < f.n_workers; i++) {
        rmr_pack_reader_free(f.workers[i].reader);
        rmr_free(mem, f.workers[i].chunk, RMR_PACK_CHUNK);
    }
    rmr_free(mem, f.workers, f.n_workers * sizeof *f.workers);
    rmr_free(mem, f.left, left_bytes);
    rmr_free(mem, f.first, first_bytes);
    w->weight_bytes = plan->weight_bytes;
    w->mapped_bytes = plan->mapped_bytes;
    return st;
}
