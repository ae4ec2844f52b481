/* SPDX-License-Identifier: Apache-2.0 */
/* The streams that the layers of a model keep in the cache (docs/models.md). */
#ifndef RMR_CACHE_STREAMS_H
#define RMR_CACHE_STREAMS_H

#include "shape.h"

/* The layout owns its list of streams. */
remora_status rmr_cache_streams_make(rmr_mem *mem, const rmr_shape *s, rmr_cache_layout *out,
                                     remora_error *err);
void rmr_cache_streams_free(rmr_mem *mem, const rmr_cache_layout *l);

#endif
