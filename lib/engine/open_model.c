/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: files, configuration, tokenizer, tensors, plan. */
#include "open_model.h"

#include <stdio.h>
#include <string.h>

#include "anyway.h"
#include "cancel.h"
#include "fingerprint.h"
#include "fpenv.h"
#include "process.h"

static remora_status open_files(rmr_opening *o)
{
    remora_model *m = o->m;
    const rmr_format *const *formats = m->rt->formats != NULL ? m->rt->formats : rmr_formats;
    return rmr_origin_open(formats, &m->mem, o->src, o->keep, &m->origin, o->err);
}

static const char *model_name(const rmr_opening *o)
{
    const char *name = o->m->origin->name;
    if (name == NULL) name = json_string_value(json_object_get(o->config, "_name_or_path"));
    return name != NULL ? name : o->m->shape.family;
}

static remora_status add_metadata(rmr_opening *o)
{
    remora_model *m = o->m;
    const rmr_format *f = m->origin->format;
    RMR_TRY(rmr_metadata_add_json(&m->mem, &m->meta, "config", o->config, o->err));
    if (f->metadata != NULL) RMR_TRY(f->metadata(m->origin, &m->meta, o->err));
    return rmr_metadata_add(&m->mem, &m->meta, "source", rmr_source_where(o->src), o->err);
}

/* Frequencies and scales are computed here. */
static remora_status read_shape(const char *file, const json_t *config, rmr_shape *out,
                                remora_error *err)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const remora_status st = rmr_shape_read(file, config, out, err);
    rmr_fpenv_leave(own);
    return st;
}

static remora_status read_config(rmr_opening *o)
{
    remora_model *m = o->m;
    rmr_origin *from = m->origin;
    remora_status st = from->format->config(from, &o->config, o->err);
    if (st >= 0) st = read_shape(from->file, o->config, &m->shape, o->err);
    if (st < 0) RMR_TRY(rmr_anyway_config(o, st));
    if (m->shape.rope_dynamic)
        rmr_log_write(
            &m->rt->ctx.log, REMORA_LOG_WARN,
            "%s: rope_type dynamic is not done beyond max_position_embeddings: max_context is %u",
            from->file, m->shape.max_context);
    RMR_TRY(add_metadata(o));
    const rmr_shown shown = rmr_show(model_name(o));
    memcpy(m->name, shown.text, strlen(shown.text) + 1);
    return REMORA_OK;
}

/* Why the model may see other ids than in training. */
static void warn_of_tokenizer(const rmr_opening *o)
{
    const rmr_log *log = &o->m->rt->ctx.log;
    const uint32_t rowless = rmr_tokenizer_rowless(o->m->tok);
    const uint32_t nameless = rmr_tokenizer_nameless(o->m->tok);
    const rmr_origin *from = o->m->origin;
    if (from->doubt != NULL) rmr_log_write(log, REMORA_LOG_WARN, "%s: %s", from->file, from->doubt);
    if (rowless > 0)
        rmr_log_write(log, REMORA_LOG_WARN,
                      "the tokenizer has %u added tokens with ids that the model has no rows for "
                      "(%u rows): they are left out, and their names in a text are plain text",
                      rowless, o->m->shape.n_vocab);
    if (nameless > 0)
        rmr_log_write(log, REMORA_LOG_WARN,
                      "tiktoken.model ends %u ids before the first special token that "
                      "tokenizer_config.json names: it may have lost its last lines",
                      nameless);
}

/* A tokenizer of a kind that we do not do leaves the model its token ids; a damaged one is an
 * error. */
static remora_status read_tokenizer(rmr_opening *o)
{
    remora_model *m = o->m;
    const rmr_log *log = &m->rt->ctx.log;
    const uint32_t n = m->shape.n_vocab > 0 ? m->shape.n_vocab : RMR_ANYWAY_VOCAB;
    remora_error why = {.struct_size = sizeof why};
    const remora_status st = m->origin->format->tokenizer(m->origin, n, &m->tok, &why);
    switch (st) {
    case REMORA_E_NOT_FOUND:
        rmr_log_write(log, REMORA_LOG_INFO, "no tokenizer: the model takes token ids only");
        return REMORA_OK;
    case REMORA_E_UNSUPPORTED:
        rmr_log_write(log, REMORA_LOG_WARN, "%s: the model takes token ids only", why.message);
        return rmr_metadata_add(&m->mem, &m->meta, "tokenizer", why.message, o->err);
    default: break;
    }
    if (st < 0) return rmr_error_set(o->err, st, why.os_code, "%s", why.message);
    warn_of_tokenizer(o);
    return st;
}

static remora_status cancelled(const rmr_opening *o)
{
    if (!rmr_cancelled(o->opts->cancel)) return REMORA_OK;
    RMR_FAIL(o->err, REMORA_E_CANCELLED, "opening was cancelled");
}

static remora_status make_constants(rmr_opening *o)
{
    return rmr_weights_add_constants(&o->m->weights, &o->m->shape, o->err);
}

static remora_status make_routing(rmr_opening *o)
{
    remora_model *m = o->m;
    const uint64_t bytes =
        (uint64_t)rmr_shape_all_layers(&m->shape) * m->shape.moe.n_experts * sizeof(uint64_t);
    if (bytes == 0) return REMORA_OK;
    RMR_TRY(m->be->ops->buffer_create(m->be, bytes, &m->routing, o->err));
    m->routing_bytes = m->be->ops->buffer_bytes(m->be, bytes);
    return m->be->ops->buffer_zero(m->be, m->routing, 0, bytes, o->err);
}

/* Before a weight is read. */
static remora_status check_room(const rmr_opening *o)
{
    const rmr_bytes need = o->plan.weight_bytes;
    const uint64_t host = o->opts->host_budget, device = o->opts->device_budget;
    if (o->opts->flags & REMORA_MODEL_NO_WEIGHTS) return REMORA_OK;
    if (host > 0 && need.host > host)
        RMR_FAIL(o->err, REMORA_E_NOMEM, "weights take %llu bytes, host_budget is %llu",
                 (unsigned long long)need.host, (unsigned long long)host);
    if (device > 0 && need.device > device)
        RMR_FAIL(o->err, REMORA_E_DEVICE_MEM,
                 "weights take %llu bytes of the device's, device_budget is %llu",
                 (unsigned long long)need.device, (unsigned long long)device);
    return REMORA_OK;
}

static int has_weight(const rmr_opening *o, uint32_t layer, rmr_weight_id id)
{
    rmr_origin *from = o->m->origin;
    char name[64];
    snprintf(name, sizeof name, "model.layers.%u.%s", layer, rmr_weight_infos[id].name);
    return from->format->has(from, name);
}

/* The first layer that predicts is used, where the files have it: configurations count layers that
 * were left out when the weights were saved. */
static void find_prediction_layer(rmr_opening *o)
{
    rmr_shape *s = &o->m->shape;
    if ((o->opts->flags & REMORA_MODEL_NO_PREDICTION) || s->n_mtp == 0) return;
    s->n_predict =
        has_weight(o, s->n_layers, RMR_W_EH_PROJ) && has_weight(o, s->n_layers, RMR_W_OUT);
}

static remora_status make_plan(rmr_opening *o)
{
    remora_model *m = o->m;
    find_prediction_layer(o);
    RMR_TRY(rmr_weights_make(&m->weights, m->be, &m->mem, rmr_shape_all_layers(&m->shape), o->err));
    RMR_TRY(rmr_weight_plan_make(&m->weights, &m->shape, m->origin, o->keep, &o->plan, o->err));
    if (o->plan.n_other > 0)
        rmr_log_write(&o->rt->ctx.log, REMORA_LOG_WARN,
                      "the model takes text only: %llu tensors of its other parts are passed over "
                      "(the first is %s)",
                      (unsigned long long)o->plan.n_other, rmr_show(o->plan.other).text);
    m->n_params = m->origin->n_params > 0 ? m->origin->n_params : o->plan.n_params;
    m->n_params_active = o->plan.n_params_active;
    return check_room(o);
}

static remora_status open_tensors(rmr_opening *o)
{
    return o->m->origin->format->open_tensors(o->m->origin, o->err);
}

static remora_status make_fingerprint(rmr_opening *o)
{
    remora_model *m = o->m;
    return rmr_fingerprint(m->origin, &m->shape, &o->plan, m->fingerprint, o->err);
}

/* In this order; the cancel word is read before each. A step is left out when something that it
 * needs was refused. It is refused itself when it fails, or when it goes on over refusals. */
enum { FILES = 1, SHAPE = 2, TENSORS = 4, TEXT = 8, PLAN = 16, ALL = 31 };

static remora_status steps_of(rmr_opening *o)
{
    static const struct step {
        remora_status (*run)(rmr_opening *o);
        unsigned needs, fails, /* what is refused when it fails, */ goes_on;
    } steps[] = {{open_files, 0, FILES, TENSORS},
                 {read_config, FILES, SHAPE, SHAPE},
                 {read_tokenizer, FILES, TEXT, TEXT},
                 {open_tensors, FILES, TENSORS, TENSORS},
                 {make_plan, FILES | SHAPE | TENSORS, PLAN, PLAN},
                 {make_fingerprint, ALL, PLAN, PLAN},
                 {make_constants, ALL, PLAN, PLAN},
                 {make_routing, ALL, PLAN, PLAN}};
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *s = &steps[i];
        const uint64_t before = o->refusals.total;
        RMR_TRY(cancelled(o));
        if (s->needs & refused) continue;
        const remora_status st = s->run(o);
        RMR_TRY(rmr_refusals_keep(o->keep, st, o->err));
        if (o->refusals.total != before) refused |= st < 0 ? s->fails : s->goes_on;
    }
    return REMORA_OK;
}

remora_status rmr_check_device_budget(rmr_backend *be, uint64_t bytes, remora_error *err)
{
    remora_device d = {.struct_size = sizeof d};
    if (bytes == 0) return REMORA_OK;
    be->ops->describe(be, &d);
    if (d.kind == REMORA_DEVICE_CPU)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "device_budget is %llu, but the CPU has no memory of its own: supported is 0",
                 (unsigned long long)bytes);
    return REMORA_OK;
}

remora_status rmr_opening_begin(rmr_opening *o)
{
    remora_runtime *rt = o->rt;
    rmr_backend *be;
    RMR_TRY(rmr_runtime_backend(rt, o->opts->device, &be, o->err));
    RMR_TRY(rmr_check_device_budget(be, o->opts->device_budget, o->err));
    remora_model *m = rmr_calloc(&rt->ctx.mem, 1, sizeof *m);
    if (m == NULL) return rmr_error_nomem(o->err, "model", sizeof *m);
    m->rt = rt;
    m->be = be;
    atomic_init(&m->refs, 1);
    m->process = rmr_process();
    rmr_runtime_ref(rt);
    o->m = m;
    rmr_budget_init(&m->budget);
    rmr_budget_init(&m->device_budget);
    rmr_mem_share(&m->mem, &rt->ctx.mem, &m->budget);
    rmr_mem_share(&m->session_mem, &rt->ctx.mem, &m->budget);
    rmr_pages_init(&m->pages, &m->session_mem, &m->device_budget, be);
    rmr_pages_init(&m->predict_pages, &m->session_mem, &m->device_budget, be);
    rmr_contexts_init(m);
    o->refusals.mem = &m->mem;
    if (o->opts->flags & REMORA_MODEL_ANYWAY) o->keep = &o->refusals;
    RMR_TRY(rmr_source_open(&m->mem, o->desc, !(o->opts->flags & REMORA_MODEL_NO_MMAP), &o->src,
                            o->err));
    return steps_of(o);
}

void rmr_opening_drop(rmr_opening *o)
{
    if (o->m != NULL) rmr_weight_plan_free(&o->m->mem, &o->plan);
    if (o->m != NULL) rmr_refusals_free(&o->refusals);
    if (o->m != NULL && o->m->origin != NULL) rmr_origin_settle(o->m->origin);
    rmr_source_free(o->src);
    json_decref(o->config);
    o->src = NULL;
    o->config = NULL;
}

void rmr_opening_end(rmr_opening *o, int keep)
{
    rmr_opening_drop(o);
    if (!keep) rmr_model_unref(o->m);
}
