/* The plan: which tensors of the checkpoint become which weights, and what that costs. Open and
 * estimate use the same plan, so they cannot drift apart (P23). */
#ifndef RMR_PLAN_H
#define RMR_PLAN_H

#include "model.h"

/* How a weight's rows come from tensors. */
typedef enum rmr_take {
    RMR_TAKE_WHOLE,    /* one tensor of the weight's own shape */
    RMR_TAKE_STACK,    /* matrix i is the tensor of expert i */
    RMR_TAKE_KV_KEY,   /* kv_b_proj: matrix h = rows h*(nope+v) .. +nope */
    RMR_TAKE_KV_KEY_T, /* the same, transposed */
    RMR_TAKE_KV_VALUE  /* kv_b_proj: matrix h = rows h*(nope+v)+nope .. +v */
} rmr_take;

typedef struct rmr_plan_item {
    rmr_weight **weight; /* where the loaded weight goes */
    rmr_weight_desc desc;
    rmr_take take;
    const rmr_tensor *tensor;       /* WHOLE and KV: the tensor */
    const rmr_tensor *const *stack; /* STACK: one for each matrix, in the plan's table */
    int adopt;                      /* the table can be used where it lies in the source's memory */
} rmr_plan_item;

typedef struct rmr_plan {
    rmr_plan_item *items;
    size_t n, cap;
    const rmr_tensor **stacks;
    size_t n_stacks, cap_stacks;
    uint8_t *used;         /* one for each tensor of the checkpoint */
    uint64_t weight_bytes; /* on the backend */
    uint64_t mapped_bytes; /* adopted */
    uint64_t n_params, n_params_active;
} rmr_plan;

/* Bind every weight of the shape to tensors: E_FORMAT names a missing tensor or a wrong shape,
 * E_UNSUPPORTED a dtype or a tensor this build knows nothing of. The model's layers must be
 * allocated: items point into them. */
remora_status rmr_plan_make(remora_model *m, const rmr_checkpoint *ck, rmr_plan *plan,
                            remora_error *err);
void rmr_plan_free(rmr_mem *mem, const rmr_checkpoint *ck, rmr_plan *plan);

#endif
