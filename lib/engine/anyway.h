/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what can be read of a model that cannot run (REMORA_MODEL_ANYWAY). */
#ifndef RMR_ANYWAY_H
#define RMR_ANYWAY_H

#include "open_model.h"

/* The vocabulary where no vocab_size is known, which is above any that there is. */
enum { RMR_ANYWAY_VOCAB = 1 << 20 };

/* The configuration was refused with st: keep that, and the refusals of its other fields, and put
 * what it says plainly into the model's shape. Without o->keep, st. */
remora_status rmr_anyway_config(rmr_opening *o, remora_status st);

/* "missing.0", "missing.1", ... into the metadata. */
remora_status rmr_anyway_missing(rmr_opening *o);

#endif
