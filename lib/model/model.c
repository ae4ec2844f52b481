/* Opening a Hugging Face folder or a GGUF file: config, tokenizer, checkpoint headers, plan,
 * weights. */
#include "model.h"

#include <string.h>

#include "cancel.h"
#include "fingerprint.h"
#include "gguf_config.h"
#include "json.h"
#include "load.h"
#include "plan.h"
#include "safetensors.h"

#define CONFIG "config.json"

enum { MAX_CONFIG = 64 << 20 };

/* What opening needs and drops again. */
typedef struct opening {
    remora_model *m;
    rmr_source *src;
    const remora_model_opts *opts;
    rmr_gguf *gguf; /* NULL: a Hugging Face folder */
    rmr_checkpoint *ck;
    rmr_plan plan;
    remora_error *err;
} opening;

/* A GGUF file is opened first: it is config, tokenizer and checkpoint. */
static remora_status find_gguf(opening *o)
{
    char name[RMR_MAX_NAME + 1];
    RMR_TRY(rmr_gguf_choose(o->src, name, o->err));
    if (name[0] == 0) return REMORA_OK;
    return rmr_gguf_open(&o->m->mem, o->src, name, &o->gguf, &o->ck, o->err);
}

static remora_status parse_config(opening *o, json_t **root)
{
    rmr_mem *mem = &o->m->mem;
    char *text;
    uint64_t size;
    RMR_TRY(rmr_file_load(o->src, CONFIG, MAX_CONFIG, &text, &size, o->err));
    const remora_status st = rmr_json_parse(CONFIG, text, (size_t)size, root, o->err);
    rmr_free(mem, text, (size_t)size + 1);
    return st;
}

static remora_status read_config(opening *o)
{
    rmr_mem *mem = &o->m->mem;
    json_t *root = NULL;
    const char *file = o->gguf != NULL ? rmr_gguf_name(o->gguf) : CONFIG;
    RMR_TRY(o->gguf != NULL ? rmr_gguf_config(o->gguf, o->ck, &root, o->err)
                            : parse_config(o, &root));
    remora_status st = rmr_shape_read(file, root, &o->m->shape, o->err);
    if (st >= 0) st = rmr_meta_add_json(mem, &o->m->meta, root, o->err);
    if (st >= 0 && o->gguf != NULL) st = rmr_meta_add_gguf(mem, &o->m->meta, o->gguf, o->err);
    if (st >= 0) st = rmr_meta_add(mem, &o->m->meta, "source", rmr_source_where(o->src), o->err);
    if (st >= 0) {
        const char *name = json_string_value(json_object_get(root, "_name_or_path"));
        const rmr_shown shown = rmr_show(name != NULL ? name : o->m->shape.family);
        memcpy(o->m->name, shown.text, strlen(shown.text) + 1);
    }
    json_decref(root);
    return st;
}

static remora_status read_tokenizer(opening *o)
{
    rmr_mem *mem = &o->m->mem;
    const uint32_t n = o->m->shape.n_vocab;
    const remora_status st = o->gguf != NULL
                                 ? rmr_tokenizer_open_gguf(mem, o->gguf, n, &o->m->tok, o->err)
                                 : rmr_tokenizer_open(mem, o->src, n, &o->m->tok, o->err);
    if (st != REMORA_E_NOT_FOUND) return st;
    rmr_log_write(&o->m->rt->ctx.log, REMORA_LOG_INFO,
                  "no tokenizer: the model takes token ids only");
    return REMORA_OK;
}

static remora_status cancelled(const opening *o)
{
    if (!rmr_cancelled(o->opts->cancel)) return REMORA_OK;
    RMR_FAIL(o->err, REMORA_E_CANCELLED, "opening was cancelled");
}

static remora_status make_constants(opening *o)
{
    remora_model *m = o->m;
    const rmr_weight_desc d = {RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, rmr_shape_rope(&m->shape) / 2};
    RMR_TRY(m->be->ops->weight_create(m->be, &d, &m->inv_freq, o->err));
    RMR_TRY(m->be->ops->weight_upload(m->be, m->inv_freq, 0, 0, 1, m->shape.inv_freq, o->err));
    const uint64_t counters =
        (uint64_t)m->shape.n_layers * m->shape.moe.n_experts * sizeof(uint64_t);
    if (counters == 0) return REMORA_OK;
    RMR_TRY(m->be->ops->buffer_create(m->be, counters, &m->routing, o->err));
    return m->be->ops->buffer_zero(m->be, m->routing, 0, counters, o->err);
}

static remora_status make_plan(opening *o)
{
    remora_model *m = o->m;
    const uint64_t budget = o->opts->host_budget;
    m->layers = rmr_calloc(&m->mem, m->shape.n_layers, sizeof *m->layers);
    if (m->layers == NULL)
        return rmr_error_nomem(o->err, "layers", m->shape.n_layers * sizeof *m->layers);
    RMR_TRY(rmr_plan_make(m, o->ck, &o->plan, o->err));
    m->n_params = o->plan.n_params;
    m->n_params_active = o->plan.n_params_active;
    if (budget > 0 && o->plan.weight_bytes > budget)
        RMR_FAIL(o->err, REMORA_E_NOMEM, "weights take %llu bytes, host_budget is %llu",
                 (unsigned long long)o->plan.weight_bytes, (unsigned long long)budget);
    return REMORA_OK;
}

static remora_status make_weights(opening *o)
{
    remora_model *m = o->m;
    if (o->opts->flags & REMORA_MODEL_NO_WEIGHTS) {
        m->weight_bytes = o->plan.weight_bytes;
        m->mapped_bytes = o->plan.mapped_bytes;
        RMR_TRY(rmr_load_nothing(m, &o->plan, o->err));
        if (o->opts->flags & RMR_MODEL_NO_TENSORS) return REMORA_OK;
        return rmr_meta_add_tensors(&m->mem, &m->meta, o->ck, o->err);
    }
    RMR_TRY(rmr_load_weights(m, o->src, &o->plan, o->opts, o->err));
    m->has_weights = 1;
    return REMORA_OK;
}

static remora_status open_checkpoint(opening *o)
{
    if (o->gguf != NULL) return REMORA_OK;
    return rmr_safetensors_open(&o->m->mem, o->src, &o->ck, o->err);
}

static remora_status make_fingerprint(opening *o)
{
    return rmr_fingerprint(&o->m->shape, o->ck, o->m->fingerprint, o->err);
}

/* In this order; the cancel word is read before each. */
static remora_status open_steps(opening *o)
{
    static remora_status (*const steps[])(opening * o) = {
        find_gguf, read_config,      read_tokenizer, open_checkpoint,
        make_plan, make_fingerprint, make_constants, make_weights};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        RMR_TRY(cancelled(o));
        RMR_TRY(steps[i](o));
    }
    return REMORA_OK;
}

remora_status rmr_model_open(remora_runtime *rt, const remora_source *src,
                             const remora_model_opts *opts, remora_model **out, remora_error *err)
{
    opening o = {.opts = opts, .err = err};
    *out = NULL;
    remora_model *m = rmr_calloc(&rt->ctx.mem, 1, sizeof *m);
    if (m == NULL) return rmr_error_nomem(err, "model", sizeof *m);
    m->rt = rt;
    m->be = rt->cpu;
    atomic_init(&m->refs, 1);
    rmr_runtime_ref(rt);
    o.m = m;
    rmr_mem_share(&m->mem, &rt->ctx.mem);
    rmr_mem_share(&m->session_mem, &rt->ctx.mem);
    remora_status st =
        rmr_source_open(&m->mem, src, !(opts->flags & REMORA_MODEL_NO_MMAP), &o.src, err);
    if (st >= 0) st = open_steps(&o);
    if (o.ck != NULL) {
        rmr_plan_free(&m->mem, o.ck, &o.plan);
        rmr_checkpoint_free(o.ck);
    }
    rmr_gguf_free(o.gguf);
    rmr_source_free(o.src);
    if (st < 0) {
        rmr_model_unref(m);
        return st;
    }
    *out = m;
    return REMORA_OK;
}

void rmr_model_ref(remora_model *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

static void free_layer(rmr_backend *be, rmr_layer *l)
{
    rmr_weight *const all[] = {
        l->attn_norm, l->q_a,    l->q_a_norm, l->q,           l->kv_a,  l->kv_norm, l->absorb,
        l->value_up,  l->out,    l->ffn_norm, l->gate,        l->up,    l->down,    l->s_gate,
        l->s_up,      l->s_down, l->router,   l->router_bias, l->k,     l->v,       l->q_bias,
        l->k_bias,    l->v_bias, l->out_bias, l->q_norm,      l->k_norm};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) be->ops->weight_free(be, all[i]);
}

void rmr_model_unref(remora_model *m)
{
    if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    remora_runtime *rt = m->rt;
    rmr_mem *mem = &m->mem;
    if (m->exec_free != NULL) m->exec_free(m->exec);
    for (uint32_t i = 0; m->layers != NULL && i < m->shape.n_layers; i++)
        free_layer(m->be, &m->layers[i]);
    rmr_free(mem, m->layers, m->shape.n_layers * sizeof *m->layers);
    m->be->ops->weight_free(m->be, m->embed);
    m->be->ops->weight_free(m->be, m->norm);
    m->be->ops->weight_free(m->be, m->head);
    m->be->ops->weight_free(m->be, m->inv_freq);
    m->be->ops->buffer_free(m->be, m->routing);
    rmr_file_close(m->mapped);
    rmr_tokenizer_free(m->tok);
    rmr_meta_free(mem, &m->meta);
    rmr_free(&rt->ctx.mem, m, sizeof *m);
    rmr_runtime_unref(rt);
}
