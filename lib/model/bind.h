/* Finding a matrix in a checkpoint: its tensor, the tensor of its scales, and the form they are in
 * (facts section 6). */
#ifndef RMR_BIND_H
#define RMR_BIND_H

#include "plan.h"

/* What a name stands for. */
typedef struct rmr_bound {
    rmr_piece piece;
    rmr_coding coding;
    rmr_elem elem; /* of its canonical rows */
} rmr_bound;

/* The matrix (or vector, rows = 1) `name`, without ".weight", of this shape; its tensors are marked
 * in `used`. E_FORMAT: missing, another shape, a scale that is missing or of another shape or type.
 * E_UNSUPPORTED: a dtype that is none of ours. */
remora_status rmr_bind(const rmr_checkpoint *ck, uint8_t *used, const char *name, uint64_t rows,
                       uint64_t cols, int vector, rmr_bound *out, remora_error *err);

#endif
