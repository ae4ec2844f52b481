/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as a tree for the schema front end: keys in their order, numbers as exact decimals.
 *
 * Everything is taken from one pool, and goes with it. When memory is short the pool gives NULL. */
#ifndef RMR_SCHEMA_JSON_H
#define RMR_SCHEMA_JSON_H

#include "mem.h"

typedef struct rmr_pool_block rmr_pool_block;
typedef struct rmr_bump {
    rmr_mem *mem;
    rmr_pool_block *blocks; /* the newest first */
} rmr_bump;

void *rmr_bump_take(rmr_bump *b, size_t n, size_t size); /* zeroed */
/* The status of so many bytes that it did not give: E_LIMIT when a budget ended. */
remora_status rmr_bump_lack(const rmr_bump *b, uint64_t want, remora_error *err);
void rmr_bump_free(rmr_bump *b);

typedef enum rmr_json_kind {
    RMR_JSON_NULL,
    RMR_JSON_FALSE,
    RMR_JSON_TRUE,
    RMR_JSON_NUMBER,
    RMR_JSON_STRING,
    RMR_JSON_ARRAY,
    RMR_JSON_OBJECT,
} rmr_json_kind;

/* A number in the form digits * 10^-scale: no zeros lead the digits, none end them when the scale
 * is above 0. Zero is "0". */
typedef struct rmr_exact {
    const char *digits;
    uint32_t n;
    uint32_t scale;
    int negative;
} rmr_exact;

typedef struct rmr_node {
    rmr_json_kind kind;
    const char *text; /* of a string, as UTF-8, not terminated */
    size_t n;         /* bytes of the text; elements of an array or object */
    rmr_exact num;
    const char *key; /* as a member of an object */
    size_t key_n;
    struct rmr_node *first, *last, *next, *up;
    uint32_t number; /* nodes are numbered from 1 in the order of the text */
} rmr_node;

/* Read one JSON value, nested at most so deep. `count` goes on from the last number given. E_FORMAT
 * with the byte; E_LIMIT; E_NOMEM. */
remora_status rmr_node_read(rmr_bump *b, const char *text, size_t n, uint32_t nesting,
                            uint32_t *count, rmr_node **out, remora_error *err);

/* The member of that name; NULL: none, or no object. The last one counts, as readers have it. */
const rmr_node *rmr_node_get(const rmr_node *o, const char *key);
const rmr_node *rmr_node_get_n(const rmr_node *o, const char *key, size_t n);
int rmr_node_is(const rmr_node *v, const char *text); /* a string with this text */
/* A whole number of 0 .. max as its value; 0: it is none. */
int rmr_node_count(const rmr_node *v, uint32_t *out);

#endif
