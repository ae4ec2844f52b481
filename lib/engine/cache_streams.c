/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_streams.h"

static rmr_cache_stream stream_of(const rmr_shape *s, uint32_t layer)
{
    if (s->attention == RMR_ATTENTION_GQA)
        return (rmr_cache_stream){.name = RMR_STREAM_KEYS_VALUES,
                                  .layer = layer,
                                  .rows = RMR_CACHE_KEYS_VALUES,
                                  .width = 2 * s->gqa.kv_heads * s->gqa.head_dim};
    return (rmr_cache_stream){.name = RMR_STREAM_LATENT,
                              .layer = layer,
                              .rows = RMR_CACHE_LATENT,
                              .width = s->mla.rank + s->mla.rope,
                              .rope = s->mla.rope};
}

remora_status rmr_cache_streams_make(rmr_mem *mem, const rmr_shape *s, rmr_cache_layout *out,
                                     remora_error *err)
{
    const uint32_t n = rmr_shape_all_layers(s);
    rmr_cache_stream *streams = rmr_calloc(mem, n, sizeof *streams);
    if (streams == NULL) return rmr_error_nomem(err, "streams of the cache", n * sizeof *streams);
    for (uint32_t i = 0; i < n; i++) streams[i] = stream_of(s, i);
    *out = rmr_cache_layout_of(streams, n);
    out->n_apart = s->n_predict;
    return REMORA_OK;
}

void rmr_cache_streams_free(rmr_mem *mem, const rmr_cache_layout *l)
{
    rmr_free(mem, (rmr_cache_stream *)(uintptr_t)l->streams, l->n_streams * sizeof *l->streams);
}
