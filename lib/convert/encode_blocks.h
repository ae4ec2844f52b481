/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a checkpoint to the bytes of a pack: decoded, encoded in another type where the recipe
 * says so, and laid out for computing. */
#ifndef RMR_ENCODE_BLOCKS_H
#define RMR_ENCODE_BLOCKS_H

#include "walk.h"

/* The target of one item of a plan: its type and place in the pack, and the importance of its
 * columns. */
typedef struct rmr_target {
    rmr_elem elem;
    uint32_t tensor;              /* the writer's number of it */
    const rmr_tensor *importance; /* [cols] or [count, cols] of F32; NULL: all columns alike */
    const rmr_tensor *tokens; /* [count] of I64: tokens that the importance is a mean of; or NULL */
} rmr_target;

/* Takes encoded bytes: `n` bytes at `off` of a tensor in its compute layout. Called by any worker.
 */
typedef remora_status rmr_put_fn(void *user, uint32_t tensor, uint64_t off, const void *data,
                                 size_t n, remora_error *err);

typedef struct rmr_encoder rmr_encoder;

/* Memory for n_workers, for the widest item. Borrows plan and targets (one for each item). */
remora_status rmr_encoder_create(rmr_mem *mem, const rmr_weight_plan *plan,
                                 const rmr_target *targets, uint32_t n_workers, rmr_put_fn *put,
                                 void *user, rmr_encoder **out, remora_error *err);
void rmr_encoder_free(rmr_encoder *e);

/* An rmr_portion_fn whose user is the encoder; the portions are rows. */
remora_status rmr_encode_portion(void *encoder, const rmr_weight_plan_item *it,
                                 const rmr_portion *p, uint32_t worker, remora_error *err);

#endif
