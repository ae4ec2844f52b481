/* SPDX-License-Identifier: Apache-2.0 */
/* A model on its way from files to weights: what opening needs and drops again. Converting goes the
 * same way and then to a pack. */
#ifndef RMR_OPEN_MODEL_H
#define RMR_OPEN_MODEL_H

#include <jansson.h>

#include "gguf.h"
#include "model.h"

typedef struct rmr_opening {
    /* given */
    remora_runtime *rt;
    const remora_source *desc;
    const remora_model_opts *opts;
    remora_error *err;
    /* found */
    remora_model *m; /* with everything but weights */
    rmr_source *src;
    json_t *config; /* as config.json has it, whatever the format */
    rmr_weight_plan plan;
    rmr_refusals refusals;
    rmr_refusals *keep; /* these, or NULL: the first refusal ends the opening */
} rmr_opening;

/* Everything before the first byte of a weight. On failure too rmr_opening_end is needed. With
 * REMORA_MODEL_ANYWAY refusals are no failure: they are in o->refusals, and what depends on what
 * was refused is not there. */
remora_status rmr_opening_begin(rmr_opening *o);
/* E_UNSUPPORTED: a ceiling, not 0, for a device that has no memory of its own. */
remora_status rmr_check_device_budget(rmr_backend *be, uint64_t bytes, remora_error *err);

/* Free what the model does not need; again is fine. */
void rmr_opening_drop(rmr_opening *o);

/* Frees all but the model when `keep`. */
void rmr_opening_end(rmr_opening *o, int keep);

#endif
