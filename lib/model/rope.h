/* Rotary frequencies, YaRN (facts section 3) and Llama-3's scaling (section 11.3). */
#ifndef RMR_ROPE_H
#define RMR_ROPE_H

#include "shape.h"

/* Fill inv_freq, rope_amp, rope_pairs and the softmax scale from rope_theta, rope_interleave and
 * rope_scaling / rope_parameters. */
remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s,
                            remora_error *err);

#endif
