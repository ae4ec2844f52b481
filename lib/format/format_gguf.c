/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF (gguf.h): one file, or a file in parts, is configuration, tokenizer and checkpoint. */
#include <stdio.h>
#include <string.h>

#include "find_tensor.h"
#include "gguf_config.h"
#include "gguf_names.h"
#include "read_rows.h"
#include "weight_table.h"

typedef struct gguf_origin {
    rmr_checkpoint_origin tensors;
    rmr_gguf *gguf;
} gguf_origin;

static rmr_gguf *gguf_of(const rmr_origin *o)
{
    return ((const gguf_origin *)o)->gguf;
}

static rmr_checkpoint_origin *tensors_of(rmr_origin *o)
{
    return &((gguf_origin *)o)->tensors;
}

static remora_status open_gguf(rmr_origin *o, const char *name, remora_error *err)
{
    gguf_origin *g = (gguf_origin *)o;
    RMR_TRY(rmr_gguf_open(o->mem, o->src, name, o->keep, &g->gguf, &g->tensors.ck, err));
    snprintf(o->file, sizeof o->file, "%s", rmr_gguf_name(g->gguf));
    if (rmr_tokenizer_gguf_guess(g->gguf))
        o->doubt = "tokenizer.ggml.pre does not say how the model splits text: ids may differ from "
                   "those it was trained with";
    g->tensors.means = "the file's keys mean";
    return REMORA_OK;
}

static void free_gguf(rmr_origin *o)
{
    rmr_gguf_free(gguf_of(o));
    rmr_checkpoint_origin_free(o);
}

static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    return rmr_gguf_config(gguf_of(o), tensors_of(o)->ck, out, err);
}

static remora_status known_config(rmr_origin *o, json_t **out, remora_error *err)
{
    return rmr_gguf_known(gguf_of(o), tensors_of(o)->ck, out, err);
}

static remora_status metadata(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    return rmr_metadata_add_gguf(o->mem, meta, gguf_of(o), err);
}

static remora_status tokenizer(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err)
{
    return rmr_tokenizer_open_gguf(o->mem, gguf_of(o), n_vocab, out, err);
}

/* The header, which is read already, has the table. */
static remora_status open_tensors(rmr_origin *o, remora_error *err)
{
    return rmr_checkpoint_origin_begin(tensors_of(o), err);
}

/* The tensor of a weight, or NULL; its name in the file. */
static const rmr_tensor *look(rmr_origin *o, const char *name, char full[RMR_NAMES_MAX])
{
    rmr_gguf_names_full(name, full, RMR_NAMES_MAX);
    return rmr_checkpoint_find(tensors_of(o)->ck, full);
}

static int has(rmr_origin *o, const char *name)
{
    char full[RMR_NAMES_MAX];
    return look(o, name, full) != NULL;
}

/* New files have the halves as tensors, some beside the whole (docs/models.md T20). */
static int has_halves(rmr_origin *o, const char *name)
{
    char half[RMR_NAMES_MAX], full[RMR_NAMES_MAX];
    snprintf(half, sizeof half, "%s.absorb", name);
    if (!has(o, half)) return 0;
    const rmr_tensor *whole = look(o, name, full);
    if (whole != NULL) rmr_checkpoint_origin_mark(tensors_of(o), whole);
    return 1;
}

static remora_status find(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    char full[RMR_NAMES_MAX];
    const rmr_tensor *t = look(o, it->name, full);
    if (t == NULL) return rmr_find_missing(it->name, full, err);
    return rmr_find_plain(tensors_of(o), t, it, err);
}

/* Matrices of experts and heads are always one tensor. */
static remora_status find_stack(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    char full[RMR_NAMES_MAX];
    const rmr_weight_desc *d = &it->desc;
    const rmr_tensor *t = look(o, it->name, full);
    if (t == NULL) return rmr_find_missing(it->name, full, err);
    RMR_TRY(rmr_find_stack_shape(tensors_of(o), t, d->count, d->rows, d->cols, err));
    return rmr_find_set_plain(t, it, err);
}

/* Whether the parameters of a tensor of a layer are in the halves beside it, too. */
static int is_whole_of_halves(rmr_origin *o, long layer, const char *file_name)
{
    char name[64], full[RMR_NAMES_MAX];
    snprintf(name, sizeof name, "model.layers.%ld." RMR_KV_B, layer);
    rmr_gguf_names_full(name, full, sizeof full);
    return strcmp(full, file_name) == 0 && has_halves(o, name);
}

static int tensor(rmr_origin *o, const rmr_shape *s, uint64_t i, rmr_listed_tensor *out)
{
    if (!rmr_checkpoint_origin_tensor(o, s, i, out)) return 0;
    const long layer = rmr_gguf_names_layer(out->name);
    if (out->role == RMR_TENSOR_EXTRA && layer >= (long)s->n_layers &&
        layer < (long)s->n_layers + (long)s->n_mtp) {
        out->role = RMR_TENSOR_PREDICTION;
        if (is_whole_of_halves(o, layer, out->name)) out->n_params = 0;
    }
    return 1;
}

static void settle(rmr_origin *o)
{
    rmr_gguf_free(gguf_of(o));
    ((gguf_origin *)o)->gguf = NULL;
    rmr_checkpoint_origin_settle(o);
}

const rmr_format rmr_format_gguf = {.name = "GGUF file",
                                    .bytes = sizeof(gguf_origin),
                                    .probe = rmr_find_gguf_file,
                                    .open = open_gguf,
                                    .free = free_gguf,
                                    .config = config,
                                    .known_config = known_config,
                                    .metadata = metadata,
                                    .tokenizer = tokenizer,
                                    .open_tensors = open_tensors,
                                    .list_tensors = rmr_checkpoint_origin_list,
                                    .has = has,
                                    .has_halves = has_halves,
                                    .find = find,
                                    .find_stack = find_stack,
                                    .tensor = tensor,
                                    .data = rmr_checkpoint_origin_data,
                                    .hold = rmr_checkpoint_origin_hold,
                                    .unchanged = rmr_checkpoint_origin_unchanged,
                                    .span = rmr_read_rows_span,
                                    .read = rmr_read_rows_portion,
                                    .read_rows = rmr_read_rows,
                                    .settle = settle};
