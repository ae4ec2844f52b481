/* SPDX-License-Identifier: Apache-2.0 */
/* The model's metadata as text: the scalar fields of config.json and, for inspection, the tensors.
 */
#ifndef RMR_METADATA_H
#define RMR_METADATA_H

#include <jansson.h>

#include "gguf.h"
#include "pack.h"

typedef struct rmr_metadata_item {
    char *key, *value;
} rmr_metadata_item;

typedef struct rmr_metadata {
    rmr_metadata_item *items;
    size_t n, cap;
    size_t sorted_from; /* items from here on are in the order of their keys */
} rmr_metadata;

/* Add "<group>.<field>" for every number, boolean and string of the object. */
remora_status rmr_metadata_add_json(rmr_mem *mem, rmr_metadata *meta, const char *group,
                                    const json_t *object, remora_error *err);
/* Add a template of the model's conversations: "chat_template", and "chat_template.<name>" for one
 * with another name than NULL, "" and "default". */
remora_status rmr_metadata_add_template(rmr_mem *mem, rmr_metadata *meta, const char *name,
                                        const char *text, remora_error *err);
/* "gguf.<key>" for every number, bool and string of the file, and its templates of conversations.
 */
remora_status rmr_metadata_add_gguf(rmr_mem *mem, rmr_metadata *meta, const rmr_gguf *g,
                                    remora_error *err);
remora_status rmr_metadata_add(rmr_mem *mem, rmr_metadata *meta, const char *key, const char *value,
                               remora_error *err);
/* "tensor.<name>" for every tensor of the checkpoint: "BF16 [512, 256]". The last items to be
 * added. */
remora_status rmr_metadata_add_tensors(rmr_mem *mem, rmr_metadata *meta, const rmr_checkpoint *ck,
                                       remora_error *err);

/* The same for a pack: "Q4_K [64, 1408, 2048]"; the second use of a name is "tensor.<name>#table".
 */
remora_status rmr_metadata_add_packed(rmr_mem *mem, rmr_metadata *meta, const rmr_pack *p,
                                      remora_error *err);

/* NULL when there is no such key. */
const char *rmr_metadata_find(const rmr_metadata *meta, const char *key);
void rmr_metadata_free(rmr_mem *mem, rmr_metadata *meta);

#endif
