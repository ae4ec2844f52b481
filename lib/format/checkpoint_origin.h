/* Origins whose tensors are a checkpoint: what their formats have in common. */
#ifndef RMR_CHECKPOINT_ORIGIN_H
#define RMR_CHECKPOINT_ORIGIN_H

#include "format.h"

typedef struct rmr_checkpoint_origin {
    rmr_origin origin;
    rmr_checkpoint *ck; /* NULL: not open */
} rmr_checkpoint_origin;

/* Functions of rmr_format. */
void rmr_checkpoint_origin_free(rmr_origin *o);
remora_status rmr_checkpoint_origin_list(rmr_origin *o, rmr_metadata *meta, remora_error *err);
void rmr_checkpoint_origin_settle(rmr_origin *o);

#endif
