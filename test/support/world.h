/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model that is open over memory which is counted, with more tokens in its tokenizer: the
 * markers of chat formats, say. */
#ifndef WORLD_H
#define WORLD_H

#include "host.h"
#include "tiny.h"

typedef struct world {
    tiny t;
    tmem mem;
    char *json; /* the tokenizer with the added tokens; NULL: there are none */
    remora_blob blobs[5];
    remora_runtime *rt;
    remora_model *m;
    uint32_t warnings; /* of the log */
    char warned[600];  /* ... one behind the other, with a newline each */
} world;

typedef struct world_opts {
    tiny_opts model; /* vocab: room for the added tokens, whose first is TINY_TEXT_VOCAB */
    const char *const *added;
    size_t n_added, n_plain; /* the first n_plain are not special */
} world_opts;

/* o may be NULL. */
void world_begin(world *w, const world_opts *o);
/* Everything is freed then, or the program ends. */
void world_end(world *w);

#endif
