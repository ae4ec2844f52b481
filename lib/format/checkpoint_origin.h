/* SPDX-License-Identifier: Apache-2.0 */
/* Origins whose tensors are a checkpoint: the part that their formats have in common. */
#ifndef RMR_CHECKPOINT_ORIGIN_H
#define RMR_CHECKPOINT_ORIGIN_H

#include "format.h"

typedef struct rmr_checkpoint_origin {
    rmr_origin origin;
    const char *means;  /* for messages about shapes: "config.json means" */
    rmr_checkpoint *ck; /* NULL: not open */
    uint8_t *used;      /* [n_used], by rmr_checkpoint_index: tensors that are of a weight */
    size_t n_used;
    const rmr_file *table; /* in whose mapping the embedding table lies, or NULL */
    rmr_file *held;        /* the same, kept open for the weight that lies there */
} rmr_checkpoint_origin;

/* The table of tensors is there: make room for the marks. */
remora_status rmr_checkpoint_origin_begin(rmr_checkpoint_origin *c, remora_error *err);
void rmr_checkpoint_origin_mark(rmr_checkpoint_origin *c, const rmr_tensor *t);

/* Functions of rmr_format. */
int rmr_checkpoint_origin_tensor(rmr_origin *o, const rmr_shape *s, uint64_t i,
                                 rmr_listed_tensor *out); /* its role is USED or EXTRA */
void rmr_checkpoint_origin_free(rmr_origin *o);
remora_status rmr_checkpoint_origin_list(rmr_origin *o, rmr_metadata *meta, remora_error *err);
const void *rmr_checkpoint_origin_data(rmr_origin *o, const rmr_weight_plan_item *it);
remora_status rmr_checkpoint_origin_hold(rmr_origin *o, remora_error *err);
remora_status rmr_checkpoint_origin_unchanged(const rmr_origin *o, remora_error *err);
void rmr_checkpoint_origin_settle(rmr_origin *o);

#endif
