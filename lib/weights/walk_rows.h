/* A walk over all rows of planned weights: cut into blocks of a few megabytes, so that it spreads
 * over the threads, needs bounded staging memory and can be cancelled soon. Tensor bytes are read,
 * never looked at through a mapping: a file that shrinks meanwhile is a status. */
#ifndef RMR_WALK_ROWS_H
#define RMR_WALK_ROWS_H

#include "job.h"
#include "weight_plan.h"

/* Rows [row0, row0 + n) of matrix `index` of an item, in canonical form. From any worker; each row
 * once. row0 is a multiple of 128, n too but at the end of a matrix. */
typedef remora_status rmr_block_fn(void *user, const rmr_weight_plan_item *it, uint32_t index,
                                   uint32_t row0, uint32_t n, const void *rows, uint32_t worker,
                                   remora_error *err);

/* All rows of an item were given to the function above. From any worker; once for each item. */
typedef remora_status rmr_item_fn(void *user, const rmr_weight_plan_item *it, remora_error *err);

typedef struct rmr_walk {
    rmr_mem *mem;
    const rmr_weight_plan *plan;
    rmr_block_fn *block;
    rmr_item_fn *done; /* or NULL */
    void *user;
    const char *what;  /* for messages: "opening" */
    rmr_job_host host; /* progress is in bytes of rows */
} rmr_walk;

/* Every item, an adopted one too: it is read to be checked. The first failure of a block ends it;
 * E_CANCELLED by the cancel word or progress. */
remora_status rmr_walk_rows(const rmr_walk *w, remora_error *err);

#endif
