/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_layout.h"

#include <string.h>

#include "le.h"
#include "sha256.h"

static void add_number(rmr_sha256 *h, uint32_t n)
{
    const uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                              (uint8_t)(n >> 24)};
    rmr_sha256_add(h, bytes, sizeof bytes);
}

static uint64_t id_of(const rmr_cache_stream *streams, uint32_t n)
{
    rmr_sha256 h;
    uint8_t hash[32];
    rmr_sha256_init(&h);
    add_number(&h, RMR_PAGE_TOKENS);
    for (uint32_t i = 0; i < n; i++) {
        const rmr_cache_stream *s = &streams[i];
        add_number(&h, s->layer);
        rmr_sha256_add(&h, s->name, strlen(s->name) + 1);
        add_number(&h, s->rows);
        add_number(&h, s->width);
        add_number(&h, s->rope);
    }
    rmr_sha256_end(&h, hash);
    return rmr_le64(hash);
}

rmr_cache_layout rmr_cache_layout_of(const rmr_cache_stream *streams, uint32_t n)
{
    rmr_cache_layout l = {
        .id = id_of(streams, n), .version = RMR_CACHE_VERSION, .n_streams = n, .streams = streams};
    for (uint32_t i = 0; i < n; i++)
        if (streams[i].layer >= l.n_layers) l.n_layers = streams[i].layer + 1;
    return l;
}

uint32_t rmr_cache_find(const rmr_cache_layout *l, uint32_t layer, const char *name)
{
    uint32_t i = 0;
    while (i < l->n_streams &&
           (l->streams[i].layer != layer || strcmp(l->streams[i].name, name) != 0))
        i++;
    return i;
}

static int stores(rmr_cache_rows rows, rmr_kv_type type)
{
    return type != RMR_KV_INT8 || rows == RMR_CACHE_LATENT;
}

int rmr_cache_stores(const rmr_cache_layout *l, rmr_kv_type type)
{
    for (uint32_t i = 0; i < l->n_streams; i++)
        if (!stores(l->streams[i].rows, type)) return 0;
    return 1;
}

uint64_t rmr_cache_part_bytes(const rmr_cache_stream *s, rmr_kv_type type)
{
    const rmr_kv8 g = rmr_kv8_of(s->width - s->rope, s->rope);
    if (type == RMR_KV_INT8) return rmr_kv8_bytes(&g);
    return (uint64_t)RMR_PAGE_TOKENS * s->width * rmr_kv_bytes_of(type);
}

/* Of the streams [from, to), which lie in pages together. */
static uint64_t offsets(const rmr_cache_layout *l, rmr_kv_type type, uint32_t from, uint32_t to,
                        uint64_t *at)
{
    uint64_t bytes = 0;
    for (uint32_t i = from; i < to; i++) {
        if (at != NULL) at[i] = bytes;
        bytes += rmr_cache_part_bytes(&l->streams[i], type);
    }
    return bytes;
}

uint64_t rmr_cache_offsets(const rmr_cache_layout *l, rmr_kv_type type, uint64_t *at)
{
    const uint32_t together = l->n_streams - l->n_apart;
    offsets(l, type, together, l->n_streams, at);
    return offsets(l, type, 0, together, at);
}

uint64_t rmr_cache_apart_bytes(const rmr_cache_layout *l, rmr_kv_type type)
{
    return offsets(l, type, l->n_streams - l->n_apart, l->n_streams, NULL);
}
