/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over all portions of planned weights: they are spread over the threads, need bounded
 * memory, and it can be cancelled soon. */
#ifndef RMR_WALK_H
#define RMR_WALK_H

#include "job.h"
#include "weight_plan.h"

/* A portion of an item. From any worker; each portion once. */
typedef remora_status rmr_portion_fn(void *user, const rmr_weight_plan_item *it,
                                     const rmr_portion *b, uint32_t worker, remora_error *err);

/* All portions of an item were given to the function above. From any worker; once for each item
 * that has portions. */
typedef remora_status rmr_item_fn(void *user, const rmr_weight_plan_item *it, remora_error *err);

typedef struct rmr_walk {
    rmr_origin *from;
    const rmr_weight_plan *plan;
    rmr_portion_fn *portion;
    rmr_item_fn *done; /* or NULL */
    void *user;
    const char *what;  /* for messages: "opening" */
    rmr_job_host host; /* progress is in bytes of portions */
} rmr_walk;

/* The first failure of a portion ends the walk; E_CANCELLED by the cancel word or progress. */
remora_status rmr_walk_weights(const rmr_walk *w, remora_error *err);

#endif
