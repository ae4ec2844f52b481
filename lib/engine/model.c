/* SPDX-License-Identifier: Apache-2.0 */
/* A model: from files to weights, and to its end. */
#include "model.h"

#include "anyway.h"
#include "cache_streams.h"
#include "cancel.h"
#include "load_weights.h"
#include "open_model.h"
#include "process.h"

/* Files that could not be opened have no tensors to be listed. */
static remora_status add_tensors(rmr_opening *o)
{
    remora_model *m = o->m;
    if (m->origin == NULL) return REMORA_OK;
    return m->origin->format->list_tensors(m->origin, &m->meta, o->err);
}

static void say_pages(const remora_model *m)
{
    const rmr_log *log = &m->rt->ctx.log;
    if (m->weights.pages == RMR_FILE_PAGES_DROPPED)
        rmr_log_write(log, REMORA_LOG_INFO,
                      "%s: the system had it in small pages, as it was written; it is read from "
                      "disk again, into large ones",
                      m->origin->file);
    if (m->weights.pages == RMR_FILE_PAGES_SMALL)
        rmr_log_write(log, REMORA_LOG_INFO,
                      "%s: the system keeps it in small pages, from which decoding is slower; "
                      "REMORA_MODEL_NO_MMAP copies it into large ones",
                      m->origin->file);
}

static remora_status make_weights(rmr_opening *o)
{
    remora_model *m = o->m;
    if (o->refusals.total > 0) {
        m->refused = 1;
        RMR_TRY(rmr_anyway_missing(o));
        return add_tensors(o);
    }
    if (o->opts->flags & REMORA_MODEL_NO_WEIGHTS) {
        RMR_TRY(rmr_load_nothing(&m->weights, m->origin, &o->plan, o->err));
        if (o->opts->flags & RMR_MODEL_NO_TENSORS) return REMORA_OK;
        return add_tensors(o);
    }
    const rmr_job_host host = {m->rt->ctx.pool, o->opts->cancel, o->opts->progress_user,
                               o->opts->progress};
    RMR_TRY(rmr_load_weights(&m->weights, m->origin, &o->plan, &host, o->err));
    m->has_weights = 1;
    say_pages(m);
    return REMORA_OK;
}

/* After the weights, so that it is known whether there are any. */
static remora_status make_importance(rmr_opening *o)
{
    if (!(o->opts->flags & REMORA_MODEL_IMPORTANCE) || o->m->refused) return REMORA_OK;
    return rmr_importance_make(&o->m->importance, &o->m->weights, o->m->shape.n_layers, &o->plan,
                               o->m->has_weights, o->err);
}

/* After the weights, the counters and the sums, for operations point to them. */
static remora_status make_programs(rmr_opening *o)
{
    remora_model *m = o->m;
    if (m->refused) return REMORA_OK;
    RMR_TRY(rmr_cache_streams_make(&m->mem, &m->shape, &m->cache, o->err));
    return rmr_programs_make(m, &m->mem, &m->programs, o->err);
}

/* A model without weights has no steps to show. */
static remora_status make_dump(rmr_opening *o, const rmr_dump_spec *spec)
{
    remora_model *m = o->m;
    if (!spec->wanted || !m->has_weights) return REMORA_OK;
    return rmr_dump_create(&m->mem, spec, m->programs.slots, &m->dump, o->err);
}

/* The host's bytes beside the weights that are not of the model's own counts and never change. */
static uint64_t fixed_bytes(const remora_model *m)
{
    return sizeof *m + m->weights.constant_bytes.host + m->routing_bytes.host +
           rmr_importance_bytes(&m->importance).host + m->rt->own_bytes;
}

/* The same of the device's, with what opening the device took. */
static uint64_t fixed_device_bytes(const remora_model *m)
{
    return m->weights.constant_bytes.device + m->routing_bytes.device +
           rmr_importance_bytes(&m->importance).device +
           atomic_load_explicit(&m->be->opened_bytes, memory_order_relaxed);
}

/* The ceilings hold from here on: opening takes more for a while, which it gives back when it ends.
 */
static remora_status begin_budget(rmr_opening *o)
{
    remora_model *m = o->m;
    const rmr_bytes weights = m->has_weights ? m->weights.weight_bytes : (rmr_bytes){0};
    rmr_opening_drop(o);
    if (!rmr_budget_take(&m->budget, fixed_bytes(m)) ||
        !rmr_budget_take(&m->budget, weights.host) ||
        !rmr_budget_take(&m->device_budget, fixed_device_bytes(m)) ||
        !rmr_budget_take(&m->device_budget, weights.device))
        return rmr_error_nomem(o->err, "the model", weights.host);
    return rmr_model_set_budget(m, o->opts->host_budget, o->opts->device_budget, o->err);
}

remora_status rmr_model_open(remora_runtime *rt, const remora_source *src,
                             const remora_model_opts *opts, remora_model **out, remora_error *err)
{
    remora_error why = {.struct_size = sizeof why}; /* refusals are kept from whole messages */
    const int anyway = (opts->flags & REMORA_MODEL_ANYWAY) != 0;
    rmr_opening o = {.rt = rt, .desc = src, .opts = opts, .err = anyway ? &why : err};
    rmr_dump_spec dump;
    *out = NULL;
    RMR_TRY(rmr_dump_spec_read(opts, &dump, err));
    remora_status st = rmr_opening_begin(&o);
    if (st >= 0) st = make_weights(&o);
    if (st >= 0) st = make_importance(&o);
    if (st >= 0) st = make_programs(&o);
    if (st >= 0) st = make_dump(&o, &dump);
    if (st >= 0) st = begin_budget(&o);
    rmr_opening_end(&o, st >= 0);
    if (st >= 0) *out = o.m;
    if (st < 0 && anyway) (void)rmr_error_set(err, st, why.os_code, "%s", why.message);
    return st;
}

void rmr_model_ref(remora_model *m)
{
    RMR_ASSERT(atomic_load(&m->refs) > 0);
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void rmr_model_unref(remora_model *m)
{
    if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    remora_runtime *rt = m->rt;
    rmr_mem *mem = &m->mem;
    const rmr_release source = m->source;
    rmr_contexts_end(m);
    rmr_dump_free(m->dump);
    rmr_programs_free(mem, &m->programs);
    rmr_cache_streams_free(mem, &m->cache);
    m->be->ops->buffer_free(m->be, m->routing);
    rmr_importance_free(&m->importance);
    rmr_weights_free(&m->weights);
    rmr_vocabulary_free(m->vocab);
    rmr_tokenizer_free(m->tok);
    rmr_origin_free(m->origin);
    rmr_metadata_free(mem, &m->meta);
    rmr_pages_end(&m->pages);
    rmr_pages_end(&m->predict_pages);
    RMR_ASSERT((atomic_load(&m->session_mem.bytes) == 0 && atomic_load(&mem->bytes) == 0) ||
               m->process != rmr_process());
    rmr_free(&rt->ctx.mem, m, sizeof *m);
    rmr_release_call(source);
    rmr_runtime_unref(rt);
}

remora_status rmr_model_files_unchanged(remora_model *m, remora_error *err)
{
    if (atomic_load_explicit(&m->files_changed, memory_order_relaxed))
        RMR_FAIL(err, REMORA_E_IO, "%s: a file of the model has changed while it was open",
                 rmr_show(rmr_metadata_find(&m->meta, "source")).text);
    const remora_status st = m->origin->format->unchanged(m->origin, err);
    if (st < 0) atomic_store_explicit(&m->files_changed, 1, memory_order_relaxed);
    return st;
}

remora_status rmr_model_set_budget(remora_model *m, uint64_t host, uint64_t device,
                                   remora_error *err)
{
    RMR_TRY(rmr_check_device_budget(m->be, device, err));
    const rmr_bytes limit = {host > 0 ? host : UINT64_MAX, device > 0 ? device : UINT64_MAX};
    return rmr_contexts_set_limit(m, limit, err);
}

void rmr_model_memory(remora_model *m, remora_memory *out)
{
    *out = (remora_memory){.struct_size = sizeof *out,
                           .host_weights = m->weights.weight_bytes.host,
                           .host_mapped = m->weights.mapped_bytes};
    out->host_kv = rmr_pages_bytes(&m->pages).host + rmr_pages_bytes(&m->predict_pages).host;
    out->host_scratch = atomic_load_explicit(&m->session_mem.bytes, memory_order_relaxed) +
                        rmr_contexts_bytes(m).host;
    out->host_other = atomic_load_explicit(&m->mem.bytes, memory_order_relaxed) + fixed_bytes(m);
    out->device_weights = m->weights.weight_bytes.device;
    out->device_kv = rmr_pages_bytes(&m->pages).device + rmr_pages_bytes(&m->predict_pages).device;
    out->device_scratch = rmr_contexts_bytes(m).device;
    out->device_context = atomic_load_explicit(&m->be->opened_bytes, memory_order_relaxed);
    out->device_other = fixed_device_bytes(m) - out->device_context;
    out->kv_bytes_per_token = rmr_cache_page_bytes(&m->cache, RMR_KV_BF16) / RMR_PAGE_TOKENS;
}
