/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face's folders: config.json, safetensors files, and files of the tokenizer. A source that
 * is of no other format is taken for one, so that the message says what a model needs. */
#include <stdio.h>
#include <string.h>

#include "hf.h"
#include "instead.h"
#include "read_rows.h"
#include "safetensors.h"
#include "textconfig.h"

#define CONFIG "config.json"

enum { MAX_CONFIG = 64 << 20 };

static remora_status probe(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err)
{
    (void)src, (void)err;
    memcpy(name, CONFIG, sizeof CONFIG);
    return REMORA_OK;
}

/* Files are opened where they are needed. */
static remora_status open_folder(rmr_origin *o, const char *name, remora_error *err)
{
    (void)err;
    snprintf(o->file, sizeof o->file, "%s", name);
    ((rmr_hf_origin *)o)->tensors.means = CONFIG " means";
    return REMORA_OK;
}

/* Refuse a folder without a configuration, by the file that is there instead or by its place. */
static remora_status no_config(rmr_origin *o, remora_error *err)
{
    if (rmr_source_can_list(o->src)) /* else the message is that of reading */
        (void)rmr_error_set(err, REMORA_E_NOT_FOUND, 0,
                            "%s: has no " CONFIG
                            "; supported are a folder with one, a .remora pack and a GGUF file",
                            rmr_show(rmr_source_where(o->src)).text);
    return rmr_instead_source(o->src, CONFIG, err);
}

/* The text model's configuration, whose object is then named in messages. */
static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    const char *key = NULL;
    json_t *root;
    RMR_TRY(rmr_json_files_get(&o->json, CONFIG, MAX_CONFIG, &root, err));
    if (root == NULL) return no_config(o, err);
    *out = json_incref(root);
    const remora_status st = rmr_textconfig(CONFIG, out, &key, err);
    if (key != NULL) snprintf(o->file, sizeof o->file, CONFIG ": %s", key);
    return st;
}

static remora_status tokenizer(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err)
{
    return rmr_tokenizer_open(&o->json, n_vocab, out, err);
}

static remora_status open_tensors(rmr_origin *o, remora_error *err)
{
    rmr_hf_origin *h = (rmr_hf_origin *)o;
    RMR_TRY(rmr_safetensors_open(o->mem, o->src, NULL, o->keep, &h->tensors.ck, err));
    h->names = rmr_hf_names_of(h->tensors.ck);
    return rmr_checkpoint_origin_begin(&h->tensors, err);
}

const rmr_format rmr_format_hf = {.name = "folder",
                                  .bytes = sizeof(rmr_hf_origin),
                                  .probe = probe,
                                  .open = open_folder,
                                  .free = rmr_checkpoint_origin_free,
                                  .config = config,
                                  .metadata = rmr_hf_metadata,
                                  .tokenizer = tokenizer,
                                  .open_tensors = open_tensors,
                                  .list_tensors = rmr_checkpoint_origin_list,
                                  .has = rmr_hf_has,
                                  .find = rmr_hf_find,
                                  .find_stack = rmr_hf_find_stack,
                                  .tensor = rmr_hf_tensor,
                                  .data = rmr_checkpoint_origin_data,
                                  .hold = rmr_checkpoint_origin_hold,
                                  .unchanged = rmr_checkpoint_origin_unchanged,
                                  .span = rmr_read_rows_span,
                                  .read = rmr_read_rows_portion,
                                  .read_rows = rmr_read_rows,
                                  .settle = rmr_checkpoint_origin_settle};
