/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors checkpoints: one file, or an index with shards. Opening reads and checks headers
 * only. The rules are listed in docs/formats.md. */
#ifndef RMR_SAFETENSORS_H
#define RMR_SAFETENSORS_H

#include "checkpoint.h"

/* "model.safetensors.index.json" with its shards or, where there is no index, "model.safetensors";
 * E_NOT_FOUND when there is neither, or a shard is missing. Every rule of the format is checked,
 * and that the index and the shards name the same tensors. Keeps its files open (one descriptor
 * each); `src` may be freed. With `name` that file alone. With `keep` (else NULL) shards that are
 * not there or not whole and dtypes that are not read are kept, and the rest is given: for listing
 * alone. A tensor of the index that no shard was found to have is of dtype COUNT. */
remora_status rmr_safetensors_open(rmr_mem *mem, rmr_source *src, const char *name,
                                   rmr_refusals *keep, rmr_checkpoint **out, remora_error *err);

#endif
