/* SPDX-License-Identifier: Apache-2.0 */
/* The public handle of a sampler. */
#ifndef RMR_SAMPLER_HANDLE_H
#define RMR_SAMPLER_HANDLE_H

#include "model.h"
#include "sampler.h"
#include "use.h"

struct remora_sampler {
    remora_model *model; /* counted */
    rmr_sampler *sampler;
    rmr_use use;
};

/* Exclusive use for the length of one call, which ends with rmr_use_end(): E_BUSY when another call
 * is inside. */
remora_status rmr_sampler_enter(remora_sampler *p, remora_error *err);

/* E_MISMATCH unless the model of a session has a vocabulary of the sampler's size. */
remora_status rmr_sampler_check_vocabulary(const remora_sampler *p, const remora_model *m,
                                           remora_error *err);

#endif
