/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: which tensors of the checkpoint become which weights, and what that costs. Open and
 * estimate use the same plan, so they cannot drift apart (P23). */
#ifndef RMR_WEIGHT_PLAN_H
#define RMR_WEIGHT_PLAN_H

#include "format.h"
#include "weights.h"

typedef struct rmr_weight_plan {
    rmr_weight_plan_item *items;
    size_t n, cap;
    size_t n_main; /* the first ones: all but those of layers that predict */
    rmr_bytes weight_bytes; /* of the backend's, bookkeeping of the adopted ones too */
    uint64_t mapped_bytes;  /* adopted */
    uint64_t n_params, n_params_active;
    uint64_t n_other;  /* tensors of parts of the model that are not for text */
    const char *other; /* the first of them */
} rmr_weight_plan;

/* Find every weight of the shape in the origin's tensors. E_FORMAT names a missing tensor or a
 * wrong shape, E_UNSUPPORTED a dtype or a tensor this build knows nothing of. Items point into w,
 * which rmr_weights_make() has made. With `keep` (else NULL) what is missing or wrong is kept and
 * the rest looked at; the plan is then of no other use. */
remora_status rmr_weight_plan_make(rmr_weights *w, const rmr_shape *s, rmr_origin *from,
                                   rmr_refusals *keep, rmr_weight_plan *plan, remora_error *err);
void rmr_weight_plan_free(rmr_mem *mem, rmr_weight_plan *plan);

#endif
