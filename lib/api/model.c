/* SPDX-License-Identifier: Apache-2.0 */
/* Models: open, estimate, info, metadata, routing counters. */
#include <string.h>

#include "checks.h"
#include "session.h"

remora_status rmr_api_runtime(remora_runtime *given, remora_runtime **out, remora_error *err)
{
    if (given == NULL) return remora_runtime_create(NULL, out, err);
    rmr_runtime_ref(given);
    *out = given;
    return REMORA_OK;
}

remora_status rmr_api_source(const remora_source *given, remora_source *s, remora_error *err)
{
    memset(s, 0, sizeof *s);
    RMR_NEED(given != NULL, err, "source is NULL");
    RMR_TRY(RMR_READ(remora_source, *s, given, err));
    if ((s->flags & ~(uint32_t)REMORA_SOURCE_READ_LATER) != 0 || s->reserved != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "source flags 0x%x or reserved %u are not known", s->flags,
                 s->reserved);
    if (s->flags & REMORA_SOURCE_READ_LATER)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "source: READ_LATER is set, but this build reads while a model is opened only");
    return REMORA_OK;
}

static remora_status check_opts(const remora_model_opts *o, remora_error *err)
{
    if (o->flags & ~(uint32_t)(REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_NO_MMAP |
                               REMORA_MODEL_IMPORTANCE | REMORA_MODEL_ANYWAY |
                               REMORA_MODEL_NO_PREDICTION))
        RMR_FAIL(err, REMORA_E_STRUCT, "model flags 0x%x are not known", o->flags);
    if ((o->flags & REMORA_MODEL_ANYWAY) && !(o->flags & REMORA_MODEL_NO_WEIGHTS))
        RMR_FAIL(err, REMORA_E_ARG, "REMORA_MODEL_ANYWAY needs REMORA_MODEL_NO_WEIGHTS beside it");
    return REMORA_OK;
}

static remora_status open_model(remora_runtime *rt, const remora_source *src,
                                const remora_model_opts *o, remora_model **out, remora_error *err)
{
    remora_model *m;
    remora_runtime *own;
    RMR_TRY(rmr_api_runtime(rt, &own, err));
    const remora_status st = rmr_model_open(own, src, o, &m, err);
    rmr_runtime_unref(own); /* the model holds its own count */
    if (st >= 0) *out = m;
    return st;
}

static remora_status open_whole(remora_runtime *rt, const remora_source *src,
                                const remora_model_opts *opts, remora_model **out,
                                remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    RMR_IN(remora_model_opts, o, opts, err);
    RMR_TRY(check_opts(&o, err));
    return open_model(rt, src, &o, out, err);
}

remora_status remora_model_open(remora_runtime *rt, const remora_source *src,
                                const remora_model_opts *opts, remora_model **out,
                                remora_error *err)
{
    remora_source s;
    if (out != NULL) *out = NULL;
    remora_status st = rmr_api_source(src, &s, err);
    if (st >= 0) st = open_whole(rt, &s, opts, out, err);
    if (st >= 0)
        (*out)->source = rmr_api_source_release(&s);
    else
        rmr_release_call(rmr_api_source_release(&s));
    return st;
}

remora_status remora_model_set_budget(remora_model *m, uint64_t host, uint64_t device,
                                      remora_error *err)
{
    RMR_NEED(m != NULL, err, "model is NULL");
    return rmr_model_set_budget(m, host, device, err);
}

void remora_model_free(remora_model *m)
{
    rmr_model_unref(m);
}

/* Estimate by the code of opening: the plan without its weights, and the sizes that sessions would
 * take. */
static remora_status estimate(remora_runtime *rt, const remora_source *src,
                              const remora_model_opts *opts, const remora_session_opts *sopts,
                              uint32_t n_sessions, remora_memory *out, remora_error *err)
{
    remora_model *m;
    remora_memory e;
    RMR_NEED(out != NULL, err, "out is NULL");
    RMR_IN(remora_model_opts, o, opts, err);
    RMR_IN(remora_session_opts, so, sopts, err);
    RMR_TRY(check_opts(&o, err));
    o.flags |= REMORA_MODEL_NO_WEIGHTS | RMR_MODEL_NO_TENSORS;
    o.flags &= ~(uint32_t)REMORA_MODEL_ANYWAY; /* a model that cannot run has no sessions */
    o.host_budget = o.device_budget = 0;
    o.cancel = NULL;
    o.progress = NULL;
    RMR_TRY(open_model(rt, src, &o, &m, err));
    const remora_status st = rmr_session_estimate(m, &so, n_sessions, &e, err);
    rmr_model_unref(m);
    RMR_TRY(st);
    return RMR_OUT(remora_memory, out, e, err);
}

remora_status remora_model_estimate(remora_runtime *rt, const remora_source *src,
                                    const remora_model_opts *opts, const remora_session_opts *sopts,
                                    uint32_t n_sessions, remora_memory *out, remora_error *err)
{
    remora_source s;
    remora_status st = rmr_api_source(src, &s, err);
    if (st >= 0) st = estimate(rt, &s, opts, sopts, n_sessions, out, err);
    rmr_release_call(rmr_api_source_release(&s));
    return st;
}

remora_status remora_model_get_info(const remora_model *m, remora_model_info *out,
                                    remora_error *err)
{
    RMR_NEED(m != NULL && out != NULL, err, "model or out is NULL");
    const rmr_shape *s = &m->shape;
    remora_model_info i = {.struct_size = sizeof i,
                           .n_layers = s->n_layers,
                           .n_vocab = s->n_vocab,
                           .n_hidden = s->n_hidden,
                           .n_heads = rmr_shape_heads(s),
                           .kv_lora_rank = s->mla.rank,
                           .rope_dim = rmr_shape_rope(s),
                           .n_experts = s->moe.n_experts,
                           .n_experts_used = s->moe.n_used,
                           .n_shared_experts = s->n_shared,
                           .n_dense_layers = s->moe.n_experts > 0 ? s->n_dense : s->n_layers,
                           .max_context = s->max_context,
                           .has_tokenizer = m->tok != NULL,
                           .n_prediction_layers = s->n_predict,
                           .n_params = m->n_params,
                           .n_params_active = m->n_params_active,
                           .weight_bytes = m->weights.weight_bytes.host +
                                           m->weights.weight_bytes.device + m->weights.mapped_bytes,
                           .n_kv_heads = s->gqa.kv_heads,
                           .head_dim = s->gqa.head_dim};
    memcpy(i.fingerprint, m->fingerprint, sizeof i.fingerprint);
    memcpy(i.family, s->family, sizeof i.family);
    memcpy(i.name, m->name, sizeof i.name);
    remora_device d = {.struct_size = sizeof d};
    m->be->ops->describe(m->be, &d);
    memcpy(i.device, d.id, sizeof i.device);
    return RMR_OUT(remora_model_info, out, i, err);
}

remora_runtime *remora_model_runtime(const remora_model *m)
{
    return m != NULL ? m->rt : NULL;
}

remora_status remora_model_get_memory(const remora_model *m, remora_memory *out, remora_error *err)
{
    remora_memory e;
    RMR_NEED(m != NULL && out != NULL, err, "model or out is NULL");
    rmr_model_memory((remora_model *)(uintptr_t)m, &e);
    return RMR_OUT(remora_memory, out, e, err);
}

/* Two-call text: *n counts the bytes without the terminator; cap must hold them and it. */
static remora_status give_text(const char *text, char *buf, size_t cap, size_t *n,
                               remora_error *err)
{
    const size_t len = strlen(text);
    if (n != NULL) *n = len;
    RMR_TRY(rmr_api_room("buf", buf != NULL ? cap : 0, len + 1, err));
    memcpy(buf, text, len + 1);
    return REMORA_OK;
}

remora_status remora_model_meta(const remora_model *m, const char *key, char *buf, size_t cap,
                                size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL && key != NULL, err, "model or key is NULL");
    const char *value = rmr_metadata_find(&m->meta, key);
    if (value != NULL) return give_text(value, buf, cap, n, err);
    RMR_FAIL(err, REMORA_E_NOT_FOUND, "the metadata has no \"%s\"; remora_model_meta_key lists %zu",
             rmr_show(key).text, m->meta.n);
}

remora_status remora_model_meta_key(const remora_model *m, uint32_t i, char *buf, size_t cap,
                                    size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL, err, "model is NULL");
    if (i >= m->meta.n)
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "key %u is not one of the metadata's %zu", i, m->meta.n);
    return give_text(m->meta.items[i].key, buf, cap, n, err);
}

remora_status remora_routing_enable(remora_model *m, int32_t on, remora_error *err)
{
    RMR_NEED(m != NULL, err, "model is NULL");
    if (on < 0 || on > 1) RMR_FAIL(err, REMORA_E_ARG, "on is %d; supported are 0 and 1", on);
    atomic_store_explicit(&m->count_routing, on != 0, memory_order_relaxed);
    return REMORA_OK;
}

remora_status remora_routing_read(remora_model *m, uint32_t layer, int32_t reset, uint64_t *counts,
                                  size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL && n != NULL, err, "model or n is NULL");
    if (m->refused) RMR_FAIL(err, REMORA_E_NOT_FOUND, "the model cannot run, it has no counts");
    if (layer >= m->shape.n_layers || !rmr_shape_is_moe(&m->shape, layer))
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "layer %u of %u has no experts", layer,
                 m->shape.n_layers);
    const uint32_t experts = m->shape.moe.n_experts;
    const uint64_t off = (uint64_t)layer * experts * sizeof *counts;
    *n = experts;
    RMR_TRY(rmr_api_room("counts", counts != NULL ? cap : 0, experts, err));
    return m->be->ops->counters_read(m->be, m->routing, off, counts, experts, reset != 0, err);
}

/* The i-th weight that has sums. */
static remora_status find_sums(const remora_model *m, uint32_t i, const rmr_importance_item **out,
                               remora_error *err)
{
    *out = rmr_importance_at(&m->importance, i);
    if (*out == NULL)
        RMR_FAIL(err, REMORA_E_NOT_FOUND,
                 "there are no sums of weight %u: it is past the last one, or the model was opened "
                 "without REMORA_MODEL_IMPORTANCE",
                 i);
    return REMORA_OK;
}

remora_status remora_importance_get(const remora_model *m, uint32_t i, remora_importance *out,
                                    remora_error *err)
{
    const rmr_importance_item *it;
    RMR_NEED(m != NULL && out != NULL, err, "model or out is NULL");
    RMR_TRY(find_sums(m, i, &it, err));
    remora_importance x = {.struct_size = sizeof x, .n_matrices = it->count, .n_cols = it->cols};
    memcpy(x.name, it->name, sizeof x.name);
    return RMR_OUT(remora_importance, out, x, err);
}

remora_status remora_importance_read(const remora_model *m, uint32_t i, uint32_t matrix,
                                     uint64_t *count, double *sums, size_t cap, size_t *n,
                                     remora_error *err)
{
    const rmr_importance_item *it;
    RMR_NEED(m != NULL && count != NULL && n != NULL, err, "model, count or n is NULL");
    RMR_TRY(find_sums(m, i, &it, err));
    if (matrix >= it->count)
        RMR_FAIL(err, REMORA_E_ARG, "matrix %u is not one of the %u of %s", matrix, it->count,
                 it->name);
    *n = it->cols;
    RMR_TRY(rmr_api_room("sums", sums != NULL ? cap : 0, it->cols, err));
    const rmr_backend_ops *be = m->be->ops;
    rmr_buffer *b = m->importance.buffer;
    const uint64_t first = it->at + (uint64_t)matrix * it->cols * sizeof *sums;
    const uint64_t counts = it->at + (uint64_t)it->count * it->cols * sizeof *sums;
    uint64_t rows;
    /* the sums are doubles, whose bits are read as counters are: whole, whatever runs */
    RMR_TRY(be->counters_read(m->be, b, counts + matrix * sizeof rows, &rows, 1, 0, err));
    RMR_TRY(be->counters_read(m->be, b, first, (uint64_t *)(void *)sums, it->cols, 0, err));
    *count = rows;
    return REMORA_OK;
}
