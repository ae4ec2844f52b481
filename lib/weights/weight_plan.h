/* The plan: which tensors of the checkpoint become which weights, and what that costs. Open and
 * estimate use the same plan, so they cannot drift apart (P23). */
#ifndef RMR_WEIGHT_PLAN_H
#define RMR_WEIGHT_PLAN_H

#include "checkpoint.h"
#include "pack.h"
#include "weights.h"

/* How the rows of a matrix lie in the checkpoint. */
typedef enum rmr_coding {
    RMR_CODING_PLAIN,   /* canonical rows (quant.h), one after another */
    RMR_CODING_F8,      /* e4m3 codes; `scale` has one value for each 128 x 128 block */
    RMR_CODING_F8_ONE,  /* the same with one value */
    RMR_CODING_F8_ROWS, /* the same with one value for each row */
    RMR_CODING_I4,      /* compressed-tensors: 8 codes to an I32; `scale` [rows, cols / 32] */
    RMR_CODING_MXFP4    /* two E2M1 codes to a byte; `scale` [rows, cols / 32] of E8M0 */
} rmr_coding;

/* One matrix: rows of a tensor from row0 on. */
typedef struct rmr_piece {
    const rmr_tensor *data;
    const rmr_tensor *scale; /* NULL for plain rows */
    uint64_t row0;
} rmr_piece;

typedef struct rmr_weight_plan_item {
    char name[96];       /* of the weight: as Hugging Face names it, without ".weight" */
    rmr_weight **weight; /* where the loaded weight goes */
    rmr_weight_desc desc;
    rmr_coding coding;
    rmr_elem stored; /* of the canonical rows; desc.elem is F32 where they are decoded */
    int transpose;   /* the pieces are [cols, rows] */
    size_t piece;    /* the first of desc.count pieces in the plan's table */
    int adopt;       /* it can be used where it lies in the source's memory */
    const rmr_pack_tensor *packed; /* of a pack: no pieces, no coding */
} rmr_weight_plan_item;

typedef struct rmr_weight_plan {
    rmr_weight_plan_item *items;
    size_t n, cap;
    rmr_piece *pieces;
    size_t n_pieces, cap_pieces;
    uint8_t *used; /* one for each tensor of the checkpoint or pack */
    size_t n_used;
    rmr_bytes weight_bytes; /* of the backend's, bookkeeping of the adopted ones too */
    uint64_t mapped_bytes;  /* adopted */
    uint64_t n_params, n_params_active;
    uint64_t n_other;  /* tensors of parts of the model that are not for text */
    const char *other; /* the first of them */
} rmr_weight_plan;

/* Bind every weight of the shape to tensors of the checkpoint or of the pack, whichever is not
 * NULL. E_FORMAT names a missing tensor or a wrong shape, E_UNSUPPORTED a dtype or a tensor this
 * build knows nothing of. Items point into w, which rmr_weights_make() has made. With `keep` (else
 * NULL) what is missing or wrong is kept and the rest looked at; the plan is then of no other use.
 */
remora_status rmr_weight_plan_make(rmr_weights *w, const rmr_shape *s, const rmr_checkpoint *ck,
                                   const rmr_pack *pack, rmr_refusals *keep, rmr_weight_plan *plan,
                                   remora_error *err);
void rmr_weight_plan_free(rmr_mem *mem, rmr_weight_plan *plan);

#endif
