/* Rotary frequencies and YaRN (facts section 3). */
#ifndef RMR_ROPE_H
#define RMR_ROPE_H

#include "shape.h"

/* Fill inv_freq, rope_amp and mla.scale from rope_theta and rope_scaling / rope_parameters. */
remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s,
                            remora_error *err);

#endif
