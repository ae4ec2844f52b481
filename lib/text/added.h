/* Added tokens found in text: leftmost first, the longest of those that start there. */
#ifndef RMR_ADDED_H
#define RMR_ADDED_H

#include "mem.h"

enum { RMR_ADDED_MAX = 512 }; /* bytes of one token: bounds the work per byte of text */

typedef struct rmr_added {
    const char *text;
    uint32_t len, id;
} rmr_added;

typedef struct rmr_added_set {
    rmr_added *items; /* sorted by text, which is unique and not empty */
    uint32_t n;
    uint32_t first[257]; /* items that begin with byte b: first[b] .. first[b + 1] */
} rmr_added_set;

/* Sorts items[0..n) (a block the set takes over) and indexes it. Scratch holds n pointers. */
remora_status rmr_added_index(rmr_mem *mem, rmr_added *items, uint32_t n, rmr_added_set *out,
                              remora_error *err);
void rmr_added_free(rmr_mem *mem, rmr_added_set *set);

/* The first added token at or after `from`, *at its place; NULL when there is none. */
const rmr_added *rmr_added_find(const rmr_added_set *set, const char *s, size_t n, size_t from,
                                size_t *at);

/* The token with exactly this text, or NULL. */
const rmr_added *rmr_added_get(const rmr_added_set *set, const char *s, size_t n);

#endif
