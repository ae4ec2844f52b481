/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file's metadata as the config.json that shape.h reads. */
#ifndef RMR_GGUF_CONFIG_H
#define RMR_GGUF_CONFIG_H

#include <jansson.h>

#include "gguf.h"

/* A new object, released with json_decref. What is missing or wrong among the keys is E_FORMAT
 * naming file and key; an architecture or option this build does not do E_UNSUPPORTED. What the
 * fields may be is not looked at here. */
remora_status rmr_gguf_config(const rmr_gguf *g, const rmr_checkpoint *ck, json_t **out,
                              remora_error *err);

/* The known part of a configuration that is refused: its architecture as model_type, and the fields
 * whose keys it has. */
remora_status rmr_gguf_known(const rmr_gguf *g, const rmr_checkpoint *ck, json_t **out,
                             remora_error *err);

#endif
