/* SPDX-License-Identifier: Apache-2.0 */
#include "json_files.h"

#include <string.h>

static struct rmr_json_file *place_of(rmr_json_files *f, const char *name)
{
    struct rmr_json_file *at = f->file;
    while (at->name != NULL && strcmp(at->name, name) != 0) {
        at++;
        RMR_ASSERT(at < f->file + RMR_JSON_FILES);
    }
    return at;
}

/* *root is NULL where there is no such file. */
static remora_status read_file(const rmr_json_files *f, const char *name, uint64_t limit,
                               json_t **root, remora_error *err)
{
    char *text;
    uint64_t size;
    const remora_status found = rmr_file_load(f->src, name, limit, &text, &size, err);
    if (found == REMORA_E_NOT_FOUND) return REMORA_OK;
    RMR_TRY(found);
    const remora_status st = rmr_json_parse(name, text, (size_t)size, root, err);
    rmr_free(f->mem, text, (size_t)size + 1);
    return st;
}

remora_status rmr_json_files_get(rmr_json_files *f, const char *name, uint64_t limit, json_t **root,
                                 remora_error *err)
{
    struct rmr_json_file *const at = place_of(f, name);
    *root = NULL;
    if (at->name == NULL) {
        RMR_TRY(read_file(f, name, limit, &at->root, err));
        at->name = name;
    }
    *root = at->root;
    return REMORA_OK;
}

void rmr_json_files_drop(rmr_json_files *f)
{
    for (int i = 0; i < RMR_JSON_FILES; i++) {
        json_decref(f->file[i].root);
        f->file[i] = (struct rmr_json_file){NULL, NULL};
    }
}
