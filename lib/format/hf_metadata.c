/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of a folder beside config.json: the generation that its makers advise, and the
 * templates of its conversations. Nothing here is needed to run the model, so a file that is
 * damaged gives no metadata; opening the tokenizer refuses it where it has to. */
#include <string.h>

#include "hf.h"

#define TEMPLATE "chat_template.jinja"

enum { LIMIT = 4 << 20 };

static int is_about_the_file(remora_status st)
{
    return st == REMORA_E_NOT_FOUND || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED;
}

/* *text is NULL where there is no such file, or none that is text. */
static remora_status load_text(rmr_origin *o, const char *name, char **text, uint64_t *size,
                               remora_error *err)
{
    remora_error why = {.struct_size = sizeof why};
    *text = NULL;
    *size = 0;
    const remora_status st = rmr_file_load(o->src, name, LIMIT, text, size, &why);
    if (st >= 0 || is_about_the_file(st)) return REMORA_OK;
    return rmr_error_set(err, st, why.os_code, "%s", why.message);
}

/* The object in the file, which stays the origin's; NULL as above. */
static remora_status load_object(rmr_origin *o, const char *name, json_t **out, remora_error *err)
{
    remora_error why = {.struct_size = sizeof why};
    const remora_status st = rmr_json_files_get(&o->json, name, LIMIT, out, &why);
    if (st >= 0 || is_about_the_file(st)) return REMORA_OK;
    return rmr_error_set(err, st, why.os_code, "%s", why.message);
}

static remora_status add_generation(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    json_t *root;
    RMR_TRY(load_object(o, "generation_config.json", &root, err));
    if (root == NULL) return REMORA_OK;
    return rmr_metadata_add_json(o->mem, meta, "generation", root, err);
}

static remora_status add_template(rmr_origin *o, rmr_metadata *meta, const char *name,
                                  const json_t *v, remora_error *err)
{
    const char *text = rmr_json_text(v);
    return text != NULL ? rmr_metadata_add_template(o->mem, meta, name, text, err) : REMORA_OK;
}

/* "chat_template": a text, or a list of {name, template}. */
static remora_status add_templates(rmr_origin *o, rmr_metadata *meta, const json_t *v,
                                   remora_error *err)
{
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *each = json_array_get(v, i);
        const char *name = json_string_value(json_object_get(each, "name"));
        if (name != NULL)
            RMR_TRY(add_template(o, meta, name, json_object_get(each, "template"), err));
    }
    return add_template(o, meta, NULL, v, err);
}

/* A file of its own counts before the field of tokenizer_config.json. */
static remora_status add_chat(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    char *text;
    uint64_t size;
    json_t *root;
    remora_status st = REMORA_OK;
    RMR_TRY(load_text(o, TEMPLATE, &text, &size, err));
    if (text != NULL && strlen(text) == size)
        st = rmr_metadata_add_template(o->mem, meta, NULL, text, err);
    if (text != NULL) rmr_free(o->mem, text, (size_t)size + 1);
    RMR_TRY(st);
    RMR_TRY(load_object(o, "tokenizer_config.json", &root, err));
    return add_templates(o, meta, json_object_get(root, "chat_template"), err);
}

remora_status rmr_hf_metadata(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    RMR_TRY(add_generation(o, meta, err));
    return add_chat(o, meta, err);
}
