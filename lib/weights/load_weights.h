/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the planned weights to the backend, in parallel, with progress and cancel. */
#ifndef RMR_LOAD_WEIGHTS_H
#define RMR_LOAD_WEIGHTS_H

#include "job.h"
#include "weight_plan.h"

/* Adopt, or create and fill, every weight of the plan. On failure the weights made so far stay in
 * w, to be freed with it. Adopted ones lie in the origin's files. */
remora_status rmr_load_weights(rmr_weights *w, rmr_origin *from, const rmr_weight_plan *plan,
                               const rmr_job_host *host, remora_error *err);

/* Every weight without content: a model that is only asked about, and takes as much beside its
 * weights as one that has them. */
remora_status rmr_load_nothing(rmr_weights *w, rmr_origin *from, const rmr_weight_plan *plan,
                               remora_error *err);

#endif
