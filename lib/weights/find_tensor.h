/* Finding a matrix in a checkpoint: its tensor, the tensor of its scales, and the form they are in
 * (docs/formats.md, "How weights may be stored"). */
#ifndef RMR_FIND_TENSOR_H
#define RMR_FIND_TENSOR_H

#include "weight_names.h"
#include "weight_plan.h"

/* Where to look. */
typedef struct rmr_tensor_finder {
    const rmr_checkpoint *ck;
    rmr_names names;
    uint8_t *used; /* by rmr_checkpoint_index: tensors that were found are marked */
    remora_error *err;
} rmr_tensor_finder;

/* The tensors that a name stands for. */
typedef struct rmr_found_tensor {
    rmr_piece piece;
    rmr_coding coding;
    rmr_elem elem; /* of its canonical rows */
    rmr_elem keep; /* in which they are computed: F32 where kernels cannot take them so */
} rmr_found_tensor;

/* The matrix (or vector, rows = 1) of this name (weight_names.h) and shape; its tensors are marked
 * as used. E_FORMAT: missing, another shape, a scale that is missing or of another shape or type.
 * E_UNSUPPORTED: a dtype that is none of ours. */
remora_status rmr_find_tensor(const rmr_tensor_finder *b, const char *name, uint64_t rows,
                              uint64_t cols, int vector, rmr_found_tensor *out);

/* The same for count x parts matrices that are one tensor, [count, parts * rows, cols] or [count *
 * parts * rows, cols]: matrix i begins at row i * rows. The scales of FP8 are for blocks. */
remora_status rmr_find_tensor_stack(const rmr_tensor_finder *b, const char *name, uint64_t count,
                                    uint64_t parts, uint64_t rows, uint64_t cols,
                                    rmr_found_tensor *out);

/* Is there such a weight? */
int rmr_find_tensor_has(const rmr_tensor_finder *b, const char *name);

/* There may be a tensor that says what others say: it is not looked at. */
void rmr_find_tensor_ignore(const rmr_tensor_finder *b, const char *name);

#endif
