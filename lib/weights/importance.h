/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of squared inputs, which a model opened with REMORA_MODEL_IMPORTANCE keeps for each of its
 * weights that quantisation may change, in one buffer of the backend. Weights that share an input
 * (gate and up projections) share their sums. */
#ifndef RMR_IMPORTANCE_H
#define RMR_IMPORTANCE_H

#include "weight_plan.h"

/* The sums of one weight. */
typedef struct rmr_importance_item {
    char name[96]; /* as in the plan: "model.layers.3.mlp.experts.gate_proj" */
    rmr_weight *const *weight;
    uint32_t count, cols; /* of the weight */
    uint64_t at;          /* in the buffer */
} rmr_importance_item;

typedef struct rmr_importance {
    rmr_backend *be; /* NULL: nothing is collected */
    rmr_mem *mem;    /* of the list */
    rmr_importance_item *items;
    size_t n, cap;
    uint64_t bytes;     /* that the buffer has or would have */
    rmr_buffer *buffer; /* rmr_sums, one after another; NULL: the weights have no content */
} rmr_importance;

/* List what is kept, in the order of the first n_layers layers (drafts of those behind them are no
 * text), and make the buffer when the weights are filled. They are remembered by their places in w.
 */
remora_status rmr_importance_make(rmr_importance *x, const rmr_weights *w, uint32_t n_layers,
                                  const rmr_weight_plan *plan, int filled, remora_error *err);
void rmr_importance_free(rmr_importance *x); /* of a zeroed struct too */

/* Bytes of the buffer, whether it exists or not; without the list. */
rmr_bytes rmr_importance_bytes(const rmr_importance *x);

/* The place at which the inputs of a weight are summed up, for the weight's operation. It has no
 * buffer when the weight is NULL or nothing is kept. */
rmr_sums rmr_importance_of(const rmr_importance *x, const rmr_weight *w);

/* Item i, or NULL: behind the last one, or nothing is kept. */
const rmr_importance_item *rmr_importance_at(const rmr_importance *x, uint32_t i);

#endif
