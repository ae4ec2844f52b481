/* SPDX-License-Identifier: Apache-2.0 */
/* The fingerprint tells models apart. It is of the numbers of the shape, the types and sizes of all
 * weights, and rows of some of them in canonical form (quant.h). Files, their format, and what else
 * is in them do not count, so a pack that keeps every weight has the fingerprint of its source. It
 * is no proof against a forger. */
#ifndef RMR_FINGERPRINT_H
#define RMR_FINGERPRINT_H

#include "weight_plan.h"

/* Reads a row or two of up to 64 weights: may return what reading them returns. */
remora_status rmr_fingerprint(rmr_origin *from, const rmr_shape *s, const rmr_weight_plan *plan,
                              uint8_t out[32], remora_error *err);

#endif
