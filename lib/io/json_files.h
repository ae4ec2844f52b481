/* SPDX-License-Identifier: Apache-2.0 */
/* The small JSON files of a model, each read once: its configuration, its metadata and its
 * tokenizer read the same ones. */
#ifndef RMR_JSON_FILES_H
#define RMR_JSON_FILES_H

#include "json.h"
#include "source.h"

enum { RMR_JSON_FILES = 4 };

/* Begins with mem and src, which are borrowed; the rest is zero. For one thread. */
typedef struct rmr_json_files {
    rmr_mem *mem;
    rmr_source *src;
    struct rmr_json_file {
        const char *name; /* a string that lives longer; NULL: a free place */
        json_t *root;     /* NULL: there is no such file */
    } file[RMR_JSON_FILES];
} rmr_json_files;

/* The object in a file of at most `limit` bytes, which stays ours; NULL where there is no such
 * file. A file that could not be read or parsed is read again the next time, for it may be passed
 * over by one reader and refused by the next. */
remora_status rmr_json_files_get(rmr_json_files *f, const char *name, uint64_t limit, json_t **root,
                                 remora_error *err);

void rmr_json_files_drop(rmr_json_files *f); /* it is empty afterwards */

#endif
