/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of a page of the cache, as data: a list of streams.
 *
 * A stream is one kind of row that a layer keeps of each token: latents with their rope keys, or
 * keys and values. A layer may have several streams of different widths, layers may differ, and
 * there may be more cache layers than layers of the model (a prediction layer has its own). A page
 * holds RMR_PAGE_TOKENS tokens of all streams, a part for each stream, in the order of the list:
 *
 *     page    | layer 0: latent | layer 1: latent | layer 1: .. | layer 2: latent | ..
 *     a part  | 32 rows, or codes, scales and sums as kv8.h has them |
 *
 * A stream's index in the list is its number, by which operations name it. Where a part begins in a
 * page is computed here alone. */
#ifndef RMR_CACHE_LAYOUT_H
#define RMR_CACHE_LAYOUT_H

#include "kv8.h"

enum {
    RMR_PAGE_TOKENS = RMR_KV8_TOKENS, /* tokens of one page */
    RMR_SEG_TOKENS = RMR_KV8_SEG      /* attention accumulates over segments of this many positions,
                                         in order (docs/numerics.md) */
};

/* The form in which the numbers of a session's cache are stored. */
typedef enum rmr_kv_type { RMR_KV_BF16, RMR_KV_F32, RMR_KV_INT8, RMR_KV_TYPES } rmr_kv_type;

/* The contents of a stream's rows. */
typedef enum rmr_cache_rows {
    RMR_CACHE_LATENT,      /* [normalised latent | rotated rope key] */
    RMR_CACHE_KEYS_VALUES, /* [rotated keys of all heads | values of all heads]; not INT8 */
    RMR_CACHE_ROWS_COUNT
} rmr_cache_rows;

/* Names of streams. */
#define RMR_STREAM_LATENT "latent"
#define RMR_STREAM_KEYS_VALUES "keys_values"

typedef struct rmr_cache_stream {
    const char *name; /* one of its layer's; a string that is never freed */
    uint32_t layer;   /* of the cache */
    rmr_cache_rows rows;
    uint32_t width; /* numbers of a row */
    uint32_t rope;  /* LATENT: how many numbers at its end are the rope key */
} rmr_cache_stream;

/* Raised when the bytes of a part mean something else than before, for the same stream and type. */
enum { RMR_CACHE_VERSION = 1 };

/* Saved pages belong to a layout of the same id and version, or are read stream by stream: a layer
 * and a name find the stream, and its rows and widths have to be the same. */
typedef struct rmr_cache_layout {
    uint64_t id; /* of the list of streams: the same on every machine */
    uint32_t version;
    uint32_t n_layers; /* of the cache: one above the highest layer of a stream */
    uint32_t n_streams;
    uint32_t n_apart; /* of the streams, the last ones: they lie in pages of their own, which a
                         session has or not */
    const rmr_cache_stream *streams; /* [n_streams], borrowed; those of a layer follow each other */
} rmr_cache_layout;

rmr_cache_layout rmr_cache_layout_of(const rmr_cache_stream *streams, uint32_t n);

/* The number of a layer's stream; n_streams when it has none of that name. */
uint32_t rmr_cache_find(const rmr_cache_layout *l, uint32_t layer, const char *name);

/* Can all streams be stored in this way? */
int rmr_cache_stores(const rmr_cache_layout *l, rmr_kv_type type);

/* Bytes of a stream's part of a page: a multiple of 64. */
uint64_t rmr_cache_part_bytes(const rmr_cache_stream *s, rmr_kv_type type);

/* Put the offset at which each stream's part of a page begins into `at` (or NULL). Returns the
 * bytes of a page, without the streams that are apart; of those, the other function. */
uint64_t rmr_cache_offsets(const rmr_cache_layout *l, rmr_kv_type type, uint64_t *at);

uint64_t rmr_cache_apart_bytes(const rmr_cache_layout *l, rmr_kv_type type);

static inline uint64_t rmr_cache_page_bytes(const rmr_cache_layout *l, rmr_kv_type type)
{
    return rmr_cache_offsets(l, type, NULL);
}

/* Bytes of a number of the plain types. */
static inline uint32_t rmr_kv_bytes_of(rmr_kv_type type)
{
    return type == RMR_KV_BF16 ? 2 : 4;
}

#endif
