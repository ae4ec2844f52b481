/* Sums of squared inputs, which a model opened with REMORA_MODEL_IMPORTANCE keeps for each of its
 * weights that quantisation may change, in one buffer of the backend. Weights that share an input
 * (gate and up projections) share their sums. */
#ifndef RMR_IMPORTANCE_H
#define RMR_IMPORTANCE_H

#include "weight_plan.h"

/* List what is kept, in the order of the layers, and, unless the model has no weights, make the
 * buffer. The plan's weights need not exist yet. */
remora_status rmr_importance_make(remora_model *m, const rmr_weight_plan *plan, remora_error *err);
void rmr_importance_free(remora_model *m);

/* Bytes of the buffer, whether it exists or not; the list is in the model's own memory. */
uint64_t rmr_importance_bytes(const remora_model *m);

/* Where the inputs of a weight of the model are summed up: for its operation. Nowhere when the
 * weight is NULL or nothing is kept. */
rmr_sums rmr_importance_of(const remora_model *m, const rmr_weight *w);

/* Item i, or NULL: behind the last one, or nothing is kept. */
const rmr_importance_item *rmr_importance_at(const remora_model *m, uint32_t i);

#endif
