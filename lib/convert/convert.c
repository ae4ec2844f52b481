/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of opening, walked row by row into a pack. Every model that opens can be converted,
 * because the same plan is used, and memory is bounded by the blocks of rows under way. */
#include "convert.h"

#include <stdio.h>
#include <string.h>

#include "base_pack.h"
#include "cancel.h"
#include "encode_blocks.h"
#include "open_model.h"
#include "pack_writer.h"
#include "recipe.h"
#include "safetensors.h"
#include "selftest.h"
#include "version.h"

enum { SPARE = 4096 /* bytes that the self-test may add to the manifest */ };

typedef struct conversion {
    rmr_opening open;
    const char *path;
    const remora_convert_opts *opts;
    rmr_recipe recipe;
    rmr_source *importance_src;
    rmr_checkpoint *importance;
    rmr_pack *base;       /* or NULL */
    rmr_copy *copies;     /* [n_copies]: weights that the base has */
    rmr_weight_plan made; /* the items of the others; `cap` of them, borrowed from open.plan */
    rmr_target *targets;  /* [made.cap], one for each of them */
    uint32_t n_copies;
    rmr_pack_writer *out;
    rmr_encoder *encoder;
    uint64_t copied, walked, sealed; /* bytes of the long parts of the work */
    remora_error *err;
} conversion;

static rmr_mem *mem_of(const conversion *c)
{
    return &c->open.m->mem;
}

typedef int32_t REMORA_CALL progress_fn(void *user, uint64_t done, uint64_t total);

/* ---- progress: reading and encoding, copying, then sealing ---- */

static int32_t REMORA_CALL walk_progress(void *user, uint64_t done, uint64_t total)
{
    conversion *c = user;
    c->walked = total;
    return c->opts->progress(c->opts->progress_user, done, total + c->copied + c->sealed);
}

static int32_t REMORA_CALL copy_progress(void *user, uint64_t done, uint64_t total)
{
    conversion *c = user;
    return c->opts->progress(c->opts->progress_user, c->walked + done,
                             c->walked + total + c->sealed);
}

static int32_t REMORA_CALL seal_progress(void *user, uint64_t done, uint64_t total)
{
    conversion *c = user;
    const uint64_t before = c->walked + c->copied;
    return c->opts->progress(c->opts->progress_user, before + done, before + total);
}

static rmr_job_host host_of(conversion *c, progress_fn *progress)
{
    return (rmr_job_host){c->open.m->rt->ctx.pool, c->opts->cancel, c,
                          c->opts->progress != NULL ? progress : NULL};
}

/* ---- targets ---- */

static remora_status open_importance(conversion *c)
{
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = c->opts->importance};
    if (c->opts->importance == NULL) return REMORA_OK;
    RMR_TRY(rmr_source_open(mem_of(c), &src, 0, &c->importance_src, c->err));
    const char *slash = strrchr(c->opts->importance, '/');
    return rmr_safetensors_open(mem_of(c), c->importance_src,
                                slash != NULL ? slash + 1 : c->opts->importance, NULL,
                                &c->importance, c->err);
}

/* The importance of the columns of an item; left out when it was not collected. */
static remora_status find_importance(const conversion *c, const rmr_weight_plan_item *it,
                                     rmr_target *t)
{
    char name[128];
    const rmr_weight_desc *d = &it->desc;
    if (c->importance == NULL || d->use != RMR_USE_MATRIX) return REMORA_OK;
    snprintf(name, sizeof name, "%s.count", it->name);
    const rmr_tensor *v = rmr_checkpoint_find(c->importance, it->name),
                     *n = rmr_checkpoint_find(c->importance, name);
    if (v == NULL) return REMORA_OK;
    const int fits = v->dtype == RMR_DTYPE_F32 &&
                     ((v->n_dims == 1 && v->dims[0] == d->cols) ||
                      (v->n_dims == 2 && v->dims[0] == d->count && v->dims[1] == d->cols));
    const int counts =
        n == NULL || (n->dtype == RMR_DTYPE_I64 && n->n_dims == 1 && n->dims[0] == d->count);
    if (!fits || !counts)
        RMR_FAIL(
            c->err, REMORA_E_MISMATCH, "%s: %s is not F32 of [%u] or [%u,%u] with %u counts of I64",
            rmr_show(rmr_file_name(v->file)).text, it->name, d->cols, d->count, d->cols, d->count);
    t->importance = v;
    t->tokens = n;
    return REMORA_OK;
}

static remora_status open_base(conversion *c)
{
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = c->opts->base};
    if (c->opts->base == NULL) return REMORA_OK;
    return rmr_pack_open_source(mem_of(c), &src, &c->base, c->err);
}

static remora_status make_lists(conversion *c)
{
    const size_t n = c->open.plan.n, each = sizeof *c->made.items + sizeof *c->targets;
    c->made.cap = n;
    c->made.items = rmr_calloc(mem_of(c), n, sizeof *c->made.items);
    c->targets = rmr_calloc(mem_of(c), n, sizeof *c->targets);
    c->copies = rmr_calloc(mem_of(c), n, sizeof *c->copies);
    if (c->made.items == NULL || c->targets == NULL || c->copies == NULL)
        return rmr_error_nomem(c->err, "conversion", n * (each + sizeof *c->copies));
    return REMORA_OK;
}

static void free_lists(conversion *c)
{
    const size_t n = c->made.cap;
    if (n == 0) return;
    rmr_free(mem_of(c), c->made.items, n * sizeof *c->made.items);
    rmr_free(mem_of(c), c->targets, n * sizeof *c->targets);
    rmr_free(mem_of(c), c->copies, n * sizeof *c->copies);
}

static remora_status add_weight(conversion *c, const rmr_weight_plan_item *it, rmr_elem elem,
                                uint32_t *number)
{
    const rmr_weight_desc *d = &it->desc;
    RMR_TRY(rmr_pack_writer_add(c->out, it->name, d->use, elem, d->count, d->rows, d->cols, number,
                                c->err));
    c->sealed += rmr_pack_writer_at(c->out, *number)->bytes;
    return REMORA_OK;
}

static remora_status add_copy(conversion *c, const rmr_weight_plan_item *it,
                              const rmr_pack_tensor *t)
{
    rmr_copy *copy = &c->copies[c->n_copies++];
    rmr_reader r = {.from = c->open.m->origin};
    const remora_status st = rmr_base_pack_check(c->base, t, &r, it, c->err);
    rmr_reader_end(&r);
    if (st < 0) return st;
    copy->from = t;
    c->copied += t->bytes;
    return add_weight(c, it, t->elem, &copy->to);
}

static remora_status add_targets(conversion *c)
{
    const rmr_weight_plan *plan = &c->open.plan;
    RMR_TRY(make_lists(c));
    for (size_t i = 0; i < plan->n; i++) {
        const rmr_weight_plan_item *it = &plan->items[i];
        const rmr_pack_tensor *had =
            c->base != NULL ? rmr_pack_find(c->base, it->name, it->desc.use) : NULL;
        rmr_target *t = &c->targets[c->made.n];
        if (had != NULL) {
            RMR_TRY(add_copy(c, it, had));
            continue;
        }
        c->made.items[c->made.n] = *it;
        c->made.items[c->made.n++].adopt = 0; /* everything is read */
        t->elem = rmr_recipe_elem(&c->recipe, it);
        RMR_TRY(find_importance(c, it, t));
        RMR_TRY(add_weight(c, it, t->elem, &t->tensor));
    }
    if (c->base != NULL && c->n_copies == 0)
        RMR_FAIL(c->err, REMORA_E_MISMATCH, "%s has no weight of this model",
                 rmr_show(rmr_pack_file(c->base)).text);
    return REMORA_OK;
}

/* ---- the manifest ---- */

static remora_status section(conversion *c, const char *key, json_t *value)
{
    if (value == NULL) return rmr_error_nomem(c->err, "manifest", 0);
    return rmr_pack_writer_section(c->out, key, value, c->err);
}

/* The chat format that the special tokens are made for. */
static const char *chat_family(const rmr_tokenizer *t)
{
    const char *user = NULL;
    size_t n = 0;
    const remora_token id =
        t != NULL ? rmr_tokenizer_special(t, REMORA_SPECIAL_USER) : REMORA_TOKEN_NONE;
    if (id == REMORA_TOKEN_NONE || rmr_tokenizer_bytes(t, id, &user, &n, NULL) < 0) return "none";
    return n > 2 && user[1] == '|' ? "glm" : "deepseek";
}

/* The name that the configuration gives, or the name of the folder or file. */
static json_t *pack_name(const conversion *c)
{
    const remora_model *m = c->open.m;
    const char *where = rmr_source_where(c->open.src), *slash = strrchr(where, '/');
    if (strcmp(m->name, m->shape.family) != 0 || c->open.desc->kind != REMORA_SOURCE_PATH)
        return json_string(m->name);
    const char *base = slash != NULL ? slash + 1 : where, *dot = strrchr(base, '.');
    return json_stringn(base, dot != NULL && dot > base ? (size_t)(dot - base) : strlen(base));
}

/* The metadata whose keys begin with `group` and a dot, or for `own` are the group itself. */
static json_t *group_of(const rmr_metadata *meta, const char *group, const char *own)
{
    const size_t n = strlen(group);
    json_t *found = json_object();
    for (size_t i = 0; found != NULL && i < meta->n; i++) {
        const char *key = meta->items[i].key, *field = NULL;
        if (strncmp(key, group, n) != 0) continue;
        if (key[n] == '.') field = key + n + 1;
        if (key[n] == 0) field = own;
        if (field != NULL && json_object_set_new(found, field, json_string(meta->items[i].value))) {
            json_decref(found);
            found = NULL;
        }
    }
    return found;
}

/* The advice for generation and the templates, as text, where there are any. */
static remora_status describe_use(conversion *c)
{
    const remora_model *m = c->open.m;
    json_t *chat = json_pack("{s:s}", "family", chat_family(m->tok));
    json_t *templates = group_of(&m->meta, "chat_template", "default");
    json_t *generation = group_of(&m->meta, "generation", NULL);
    int whole = chat != NULL && templates != NULL && generation != NULL;
    if (whole && json_object_size(templates) > 0)
        whole = json_object_set(chat, "templates", templates) == 0;
    remora_status st =
        whole ? section(c, "chat", json_incref(chat)) : rmr_error_nomem(c->err, "manifest", 0);
    if (st >= 0 && json_object_size(generation) > 0)
        st = section(c, "generation", json_incref(generation));
    json_decref(chat);
    json_decref(templates);
    json_decref(generation);
    return st;
}

/* What the base says of itself, or NULL; *whole is 0 where there was no memory for it. */
static json_t *base_origin(const conversion *c, int *whole)
{
    *whole = 1;
    if (c->base == NULL) return NULL;
    const json_t *manifest = rmr_pack_manifest(c->base);
    json_t *of = json_pack("{s:O*, s:O*}", "provenance", json_object_get(manifest, "provenance"),
                           "recipe", json_object_get(manifest, "recipe"));
    *whole = of != NULL;
    return of;
}

static remora_status describe_origin(conversion *c)
{
    const remora_model *m = c->open.m;
    char fingerprint[65];
    int whole;
    rmr_pack_hex(m->fingerprint, fingerprint);
    json_t *base = base_origin(c, &whole);
    if (!whole) return rmr_error_nomem(c->err, "manifest", 0);
    json_t *made = json_pack("{s:s, s:s, s:I, s:I, s:s?, s:O*}", "converter", RMR_VERSION,
                             "source_fingerprint", fingerprint, "params", (json_int_t)m->n_params,
                             "params_active", (json_int_t)m->n_params_active, "importance",
                             c->importance != NULL ? "yes" : NULL, "base", base);
    json_decref(base);
    return section(c, "provenance", made);
}

static remora_status describe(conversion *c)
{
    const remora_model *m = c->open.m;
    size_t n = 0;
    RMR_TRY(section(c, "name", pack_name(c)));
    RMR_TRY(section(c, "config", json_incref(c->open.config)));
    RMR_TRY(describe_use(c));
    RMR_TRY(describe_origin(c));
    RMR_TRY(section(c, "recipe", json_incref(c->recipe.root)));
    if (m->tok == NULL) return REMORA_OK;
    const void *blob = rmr_tokenizer_compiled(m->tok, &n);
    return rmr_pack_writer_blob(c->out, "tokenizer", blob, n, c->err);
}

/* ---- the work ---- */

static remora_status put(void *user, uint32_t tensor, uint64_t off, const void *data, size_t n,
                         remora_error *err)
{
    return rmr_pack_writer_write(user, tensor, off, data, n, err);
}

static remora_status write_weights(conversion *c)
{
    rmr_origin *from = c->open.m->origin;
    if (from->format->laid_out)
        RMR_FAIL(c->err, REMORA_E_UNSUPPORTED,
                 "converting: a %s has no rows of tensors: start from its source",
                 from->format->name);
    if (c->made.n == 0) return REMORA_OK;
    RMR_TRY(rmr_encoder_create(mem_of(c), &c->made, c->targets,
                               rmr_pool_width(c->open.m->rt->ctx.pool), put, c->out, &c->encoder,
                               c->err));
    const rmr_walk w = {.from = from,
                        .plan = &c->made,
                        .portion = rmr_encode_portion,
                        .user = c->encoder,
                        .what = "converting",
                        .host = host_of(c, walk_progress)};
    return rmr_walk_weights(&w, c->err);
}

static remora_status copy_weights(conversion *c)
{
    const rmr_job_host host = host_of(c, copy_progress);
    if (c->base == NULL) return REMORA_OK;
    return rmr_base_pack_copy(c->base, c->copies, c->n_copies, mem_of(c), c->out, &host, c->err);
}

static remora_status seal(conversion *c, int told)
{
    const rmr_job_host host = host_of(c, told ? seal_progress : NULL);
    return rmr_pack_writer_seal(c->out, c->opts->zstd_level, &host, c->err);
}

/* Open the new pack and run the self-test; the answer goes into the manifest. A model that is too
 * large to be opened here gets none. */
static remora_status self_test(conversion *c)
{
    remora_runtime *rt = c->open.m->rt;
    const remora_source src = {.struct_size = sizeof src,
                               .kind = REMORA_SOURCE_PATH,
                               .path = rmr_pack_writer_path(c->out)};
    const remora_model_opts opts = {.struct_size = sizeof opts, .cancel = c->opts->cancel};
    remora_error why = {.struct_size = sizeof why};
    remora_model *m = NULL;
    rmr_selftest answer;
    if (c->opts->flags & REMORA_CONVERT_NO_SELF_TEST) return REMORA_OK;
    remora_status st = rmr_model_open(rt, &src, &opts, &m, &why);
    if (st >= 0) st = rmr_selftest_run(m, NULL, c->opts->cancel, &answer, &why);
    rmr_model_unref(m);
    if (st == REMORA_E_NOMEM) {
        rmr_log_write(&rt->ctx.log, REMORA_LOG_WARN,
                      "the pack gets no self-test: it does not fit the memory here");
        return REMORA_OK;
    }
    if (st < 0) return rmr_error_set(c->err, st, why.os_code, "%s", why.message);
    RMR_TRY(section(c, "self_test", rmr_selftest_json(&answer)));
    return seal(c, 0); /* only the header is written again */
}

static remora_status work(conversion *c)
{
    RMR_TRY(
        rmr_recipe_open(c->opts->recipe != NULL ? c->opts->recipe : "keep", &c->recipe, c->err));
    RMR_TRY(rmr_opening_begin(&c->open));
    RMR_TRY(open_importance(c));
    RMR_TRY(open_base(c));
    RMR_TRY(rmr_pack_writer_begin(mem_of(c), c->path, &c->out, c->err));
    RMR_TRY(describe(c));
    RMR_TRY(add_targets(c));
    RMR_TRY(rmr_pack_writer_lay_out(c->out, SPARE, c->err));
    RMR_TRY(write_weights(c));
    RMR_TRY(copy_weights(c));
    RMR_TRY(seal(c, 1));
    RMR_TRY(self_test(c));
    if (rmr_cancelled(c->opts->cancel))
        RMR_FAIL(c->err, REMORA_E_CANCELLED, "converting was cancelled");
    return rmr_pack_writer_publish(c->out, c->err);
}

remora_status rmr_convert(remora_runtime *rt, const remora_source *src, const char *path,
                          const remora_convert_opts *o, remora_error *err)
{
    /* Files are read, not mapped: a checkpoint may be larger than the address space we may use. */
    const remora_model_opts opts = {.struct_size = sizeof opts,
                                    .flags = REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_NO_MMAP,
                                    .cancel = o->cancel};
    conversion c = {.open = {.rt = rt, .desc = src, .opts = &opts, .err = err},
                    .path = path,
                    .opts = o,
                    .err = err};
    const remora_status st = work(&c);
    rmr_encoder_free(c.encoder);
    rmr_pack_writer_free(c.out);
    rmr_checkpoint_free(c.importance);
    rmr_source_free(c.importance_src);
    rmr_pack_free(c.base);
    free_lists(&c);
    rmr_opening_end(&c.open, 0);
    rmr_recipe_free(&c.recipe);
    return st;
}
