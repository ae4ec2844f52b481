/* SPDX-License-Identifier: Apache-2.0 */
/* Added tokens found in text: leftmost first, the longest of those that start there.
 *
 * A set lies in a compiled tokenizer (compiled.c), whose contents nobody has checked: every place
 * is checked when it is used. A set that is not in order finds too little, never too much. */
#ifndef RMR_ADDED_H
#define RMR_ADDED_H

#include "mem.h"

enum { RMR_ADDED_MAX = 512 }; /* bytes of one token: bounds the work per byte of text */

enum { RMR_ADDED_FIRST = 257 };

typedef struct rmr_added {
    uint32_t text; /* offset in the arena */
    uint32_t len, id;
} rmr_added;

typedef struct rmr_added_set {
    const char *arena;
    uint32_t arena_size, n;
    const rmr_added *items; /* sorted by text, which is unique and not empty */
    const uint32_t *first;  /* items that begin with byte b: first[b] .. first[b + 1] */
    const uint8_t *flags;   /* by id, n_ids of them */
    uint32_t n_ids;
} rmr_added_set;

/* Sorts items[0..n), whose texts lie in the arena and are not empty, and fills
 * first[RMR_ADDED_FIRST]. */
remora_status rmr_added_index(rmr_mem *mem, const char *arena, rmr_added *items, uint32_t n,
                              uint32_t *first, remora_error *err);

/* The first added token at or after `from`; *at is its place. NULL when there is none. With a
 * `mask` only tokens that have a flag of it count; 0: all. */
const rmr_added *rmr_added_find(const rmr_added_set *set, uint8_t mask, const char *s, size_t n,
                                size_t from, size_t *at);

/* The token with exactly this text, or NULL. */
const rmr_added *rmr_added_get(const rmr_added_set *set, const char *s, size_t n);

#endif
