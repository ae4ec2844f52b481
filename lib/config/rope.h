/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary frequencies, YaRN and Llama-3's scaling. */
#ifndef RMR_ROPE_H
#define RMR_ROPE_H

#include "shape.h"

/* Fill inv_freq, rope_amp, rope_pairs, the softmax scale and, where scaling is by YaRN, max_context
 * from rope_theta, rope_interleave and rope_scaling / rope_parameters. */
remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s,
                            remora_error *err);

#endif
