/* Opening a Hugging Face folder, a GGUF file or a pack: config, tokenizer, headers, plan. */
#include "open_model.h"

#include <stdio.h>
#include <string.h>

#include "anyway.h"
#include "cancel.h"
#include "fingerprint.h"
#include "gguf_config.h"
#include "instead.h"
#include "json.h"
#include "safetensors.h"
#include "textconfig.h"

#define CONFIG "config.json"

enum { MAX_CONFIG = 64 << 20 };

static remora_status find_pack(rmr_opening *o)
{
    char name[RMR_MAX_NAME + 1];
    RMR_TRY(rmr_find_pack_file(o->src, name, o->err));
    if (name[0] == 0) return REMORA_OK;
    return rmr_pack_open(&o->m->mem, o->src, name, &o->m->pack, o->err);
}

/* A GGUF file is opened first: it is config, tokenizer and checkpoint. */
static remora_status find_gguf(rmr_opening *o)
{
    char name[RMR_MAX_NAME + 1];
    if (o->m->pack != NULL) return REMORA_OK;
    RMR_TRY(rmr_find_gguf_file(o->src, name, o->err));
    if (name[0] == 0) return REMORA_OK;
    return rmr_gguf_open(&o->m->mem, o->src, name, o->keep, &o->gguf, &o->ck, o->err);
}

/* The text model's configuration; `where` names it in messages. */
static remora_status parse_config(rmr_opening *o, json_t **root, char *where, size_t cap)
{
    rmr_mem *mem = &o->m->mem;
    const char *key = NULL;
    char *text;
    uint64_t size;
    remora_status st = rmr_file_load(o->src, CONFIG, MAX_CONFIG, &text, &size, o->err);
    if (st == REMORA_E_NOT_FOUND) return rmr_instead_source(o->src, CONFIG, o->err);
    RMR_TRY(st);
    st = rmr_json_parse(CONFIG, text, (size_t)size, root, o->err);
    if (st >= 0) st = rmr_textconfig(CONFIG, root, &key, o->err);
    rmr_free(mem, text, (size_t)size + 1);
    snprintf(where, cap, CONFIG "%s%s", key != NULL ? ": " : "", key != NULL ? key : "");
    return st;
}

static remora_status packed_config(const rmr_opening *o, json_t **root)
{
    json_t *config = json_object_get(rmr_pack_manifest(o->m->pack), "config");
    if (!json_is_object(config))
        RMR_FAIL(o->err, REMORA_E_FORMAT, "%s: config is missing",
                 rmr_show(rmr_pack_file(o->m->pack)).text);
    *root = json_incref(config);
    return REMORA_OK;
}

static const char *model_name(const rmr_opening *o)
{
    const json_t *given = NULL;
    if (o->m->pack != NULL) given = json_object_get(rmr_pack_manifest(o->m->pack), "name");
    if (!json_is_string(given)) given = json_object_get(o->config, "_name_or_path");
    const char *name = json_string_value(given);
    return name != NULL ? name : o->m->shape.family;
}

static remora_status read_config(rmr_opening *o)
{
    rmr_mem *mem = &o->m->mem;
    const rmr_shown pack = rmr_show(o->m->pack != NULL ? rmr_pack_file(o->m->pack) : "");
    char folder[64] = CONFIG;
    const char *file = o->m->pack != NULL ? pack.text
                       : o->gguf != NULL  ? rmr_gguf_name(o->gguf)
                                          : folder;
    remora_status st = o->m->pack != NULL ? packed_config(o, &o->config)
                       : o->gguf != NULL  ? rmr_gguf_config(o->gguf, o->ck, &o->config, o->err)
                                          : parse_config(o, &o->config, folder, sizeof folder);
    if (st >= 0) st = rmr_shape_read(file, o->config, &o->m->shape, o->err);
    if (st < 0) st = rmr_anyway_config(o, file, st);
    if (st >= 0 && o->m->shape.rope_dynamic)
        rmr_log_write(
            &o->m->rt->ctx.log, REMORA_LOG_WARN,
            "%s: rope_type dynamic is not done beyond max_position_embeddings: max_context is %u",
            file, o->m->shape.max_context);
    if (st >= 0) st = rmr_metadata_add_json(mem, &o->m->meta, o->config, o->err);
    if (st >= 0 && o->gguf != NULL) st = rmr_metadata_add_gguf(mem, &o->m->meta, o->gguf, o->err);
    if (st >= 0)
        st = rmr_metadata_add(mem, &o->m->meta, "source", rmr_source_where(o->src), o->err);
    if (st >= 0) {
        const rmr_shown shown = rmr_show(model_name(o));
        memcpy(o->m->name, shown.text, strlen(shown.text) + 1);
    }
    return st;
}

/* The compiled tokenizer, where it lies or read. */
static remora_status packed_tokenizer(rmr_opening *o, uint32_t n_vocab, remora_error *err)
{
    remora_model *m = o->m;
    const rmr_pack_blob *b = rmr_pack_find_blob(m->pack, "tokenizer");
    if (b == NULL) return REMORA_E_NOT_FOUND;
    const void *data = rmr_pack_blob_data(m->pack, b);
    const int owned = data == NULL;
    if (b->bytes > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: its tokenizer has %llu bytes, above 4 GiB",
                 rmr_show(rmr_pack_file(m->pack)).text, (unsigned long long)b->bytes);
    RMR_TRY(rmr_pack_check(m->pack, err));
    if (owned) {
        void *copy = rmr_alloc(&m->mem, (size_t)b->bytes);
        if (copy == NULL) return rmr_error_nomem(err, "tokenizer", b->bytes);
        const remora_status st = rmr_pack_read_blob(m->pack, b, copy, err);
        if (st < 0) {
            rmr_free(&m->mem, copy, (size_t)b->bytes);
            return st;
        }
        data = copy;
    }
    return rmr_tokenizer_open_compiled(&m->mem, data, (size_t)b->bytes, owned, n_vocab, &m->tok,
                                       err);
}

static remora_status open_tokenizer(rmr_opening *o, remora_error *err)
{
    remora_model *m = o->m;
    const uint32_t n = m->shape.n_vocab > 0 ? m->shape.n_vocab : RMR_ANYWAY_VOCAB;
    if (m->pack != NULL) return packed_tokenizer(o, n, err);
    if (o->gguf == NULL) return rmr_tokenizer_open(&m->mem, o->src, n, &m->tok, err);
    return rmr_tokenizer_open_gguf(&m->mem, o->gguf, n, &m->tok, err);
}

/* What of its text the model may see otherwise than in training. */
static void warn_of_tokenizer(const rmr_opening *o)
{
    const rmr_log *log = &o->m->rt->ctx.log;
    const uint32_t rowless = rmr_tokenizer_rowless(o->m->tok);
    const uint32_t nameless = rmr_tokenizer_nameless(o->m->tok);
    if (o->gguf != NULL && rmr_tokenizer_gguf_guess(o->gguf))
        rmr_log_write(log, REMORA_LOG_WARN,
                      "%s: tokenizer.ggml.pre does not say how the model splits text: ids may "
                      "differ from those it was trained with",
                      rmr_gguf_name(o->gguf));
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
    const rmr_log *log = &o->m->rt->ctx.log;
    remora_error why = {.struct_size = sizeof why};
    const remora_status st = open_tokenizer(o, &why);
    switch (st) {
    case REMORA_E_NOT_FOUND:
        rmr_log_write(log, REMORA_LOG_INFO, "no tokenizer: the model takes token ids only");
        return REMORA_OK;
    case REMORA_E_UNSUPPORTED:
        rmr_log_write(log, REMORA_LOG_WARN, "%s: the model takes token ids only", why.message);
        return rmr_metadata_add(&o->m->mem, &o->m->meta, "tokenizer", why.message, o->err);
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
    const uint64_t bytes = (uint64_t)m->shape.n_layers * m->shape.moe.n_experts * sizeof(uint64_t);
    if (bytes == 0) return REMORA_OK;
    RMR_TRY(m->be->ops->buffer_create(m->be, bytes, &m->routing, o->err));
    m->routing_bytes = m->be->ops->buffer_bytes(m->be, bytes);
    return m->be->ops->buffer_zero(m->be, m->routing, 0, bytes, o->err);
}

/* All parameters of the checkpoint that a pack was made from, of what was left out too. */
static uint64_t packed_params(const rmr_pack *p, uint64_t planned)
{
    const json_t *provenance = json_object_get(rmr_pack_manifest(p), "provenance");
    const json_int_t n = json_integer_value(json_object_get(provenance, "params"));
    return n > 0 ? (uint64_t)n : planned;
}

static remora_status make_plan(rmr_opening *o)
{
    remora_model *m = o->m;
    const uint64_t budget = o->opts->host_budget;
    RMR_TRY(rmr_weights_make(&m->weights, m->be, &m->mem, m->shape.n_layers, o->err));
    RMR_TRY(
        rmr_weight_plan_make(&m->weights, &m->shape, o->ck, m->pack, o->keep, &o->plan, o->err));
    if (o->plan.n_other > 0)
        rmr_log_write(&o->rt->ctx.log, REMORA_LOG_WARN,
                      "the model takes text only: %llu tensors of its other parts are passed over "
                      "(the first is %s)",
                      (unsigned long long)o->plan.n_other, rmr_show(o->plan.other).text);
    m->n_params = m->pack != NULL ? packed_params(m->pack, o->plan.n_params) : o->plan.n_params;
    m->n_params_active = o->plan.n_params_active;
    if (budget > 0 && o->plan.weight_bytes > budget)
        RMR_FAIL(o->err, REMORA_E_NOMEM, "weights take %llu bytes, host_budget is %llu",
                 (unsigned long long)o->plan.weight_bytes, (unsigned long long)budget);
    return REMORA_OK;
}

static remora_status open_checkpoint(rmr_opening *o)
{
    if (o->gguf != NULL || o->m->pack != NULL) return REMORA_OK;
    return rmr_safetensors_open(&o->m->mem, o->src, NULL, o->keep, &o->ck, o->err);
}

static remora_status make_fingerprint(rmr_opening *o)
{
    remora_model *m = o->m;
    return rmr_fingerprint(&m->mem, &m->shape, &o->plan, m->pack, m->fingerprint, o->err);
}

/* In this order; the cancel word is read before each. A step is left out when something that it
 * needs was refused. It is refused itself when it fails, or when it goes on over refusals. */
enum { FILES = 1, SHAPE = 2, TENSORS = 4, TEXT = 8, PLAN = 16, ALL = 31 };

static remora_status steps_of(rmr_opening *o)
{
    static const struct step {
        remora_status (*run)(rmr_opening *o);
        unsigned needs, fails, /* what is refused when it fails, */ goes_on;
    } steps[] = {{find_pack, 0, FILES, FILES},
                 {find_gguf, FILES, FILES, TENSORS},
                 {read_config, FILES, SHAPE, SHAPE},
                 {read_tokenizer, FILES, TEXT, TEXT},
                 {open_checkpoint, FILES, TENSORS, TENSORS},
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

remora_status rmr_opening_begin(rmr_opening *o)
{
    remora_runtime *rt = o->rt;
    rmr_backend *be;
    RMR_TRY(rmr_runtime_backend(rt, o->opts->device, &be, o->err));
    remora_model *m = rmr_calloc(&rt->ctx.mem, 1, sizeof *m);
    if (m == NULL) return rmr_error_nomem(o->err, "model", sizeof *m);
    m->rt = rt;
    m->be = be;
    atomic_init(&m->refs, 1);
    rmr_runtime_ref(rt);
    o->m = m;
    rmr_mem_share(&m->mem, &rt->ctx.mem);
    rmr_mem_share(&m->session_mem, &rt->ctx.mem);
    rmr_pages_init(&m->pages, &m->session_mem, be);
    o->refusals.mem = &m->mem;
    if (o->opts->flags & REMORA_MODEL_ANYWAY) o->keep = &o->refusals;
    RMR_TRY(rmr_source_open(&m->mem, o->desc, !(o->opts->flags & REMORA_MODEL_NO_MMAP), &o->src,
                            o->err));
    return steps_of(o);
}

void rmr_opening_end(rmr_opening *o, int keep)
{
    if (o->m != NULL) rmr_weight_plan_free(&o->m->mem, &o->plan);
    if (o->m != NULL) rmr_refusals_free(&o->refusals);
    rmr_checkpoint_free(o->ck);
    if (o->m != NULL && o->m->pack != NULL) rmr_pack_drop_manifest(o->m->pack);
    rmr_gguf_free(o->gguf);
    rmr_source_free(o->src);
    json_decref(o->config);
    if (!keep) rmr_model_unref(o->m);
}
