/* SPDX-License-Identifier: Apache-2.0 */
/* What the public handle of a sampler points to. */
#ifndef RMR_SAMPLER_HANDLE_H
#define RMR_SAMPLER_HANDLE_H

#include "model.h"
#include "sampler.h"

struct remora_sampler {
    remora_model *model; /* counted */
    rmr_sampler *sampler;
};

#endif
