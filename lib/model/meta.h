/* The model's metadata as text: the scalar fields of config.json. */
#ifndef RMR_META_H
#define RMR_META_H

#include <jansson.h>

#include "mem.h"

typedef struct rmr_meta_item {
    char *key, *value;
} rmr_meta_item;

typedef struct rmr_meta {
    rmr_meta_item *items;
    size_t n, cap;
} rmr_meta;

/* Add "config.<field>" for every number, boolean and string of the object. */
remora_status rmr_meta_add_json(rmr_mem *mem, rmr_meta *meta, const json_t *config,
                                remora_error *err);
remora_status rmr_meta_add(rmr_mem *mem, rmr_meta *meta, const char *key, const char *value,
                           remora_error *err);
void rmr_meta_free(rmr_mem *mem, rmr_meta *meta);

#endif
