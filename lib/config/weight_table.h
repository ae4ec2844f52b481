/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of a layer, in one table: what each is called, its size, and which layers have it.
 * The plan, the names in GGUF files, importance and freeing follow the table; a new weight is an
 * id, a row and its use in the program. */
#ifndef RMR_WEIGHT_TABLE_H
#define RMR_WEIGHT_TABLE_H

#include "shape.h"

/* In the order in which weights are planned, which is also the order of weights in packs. */
typedef enum rmr_weight_id {
    RMR_W_ATTN_NORM,
    RMR_W_Q_A, /* latent attention with a query bottleneck: the way down, its norm, the way up */
    RMR_W_Q_A_NORM,
    RMR_W_Q_B,
    RMR_W_Q,    /* queries without a bottleneck, of both kinds of attention */
    RMR_W_KV_A, /* latent attention: to the latent and the rope key */
    RMR_W_KV_NORM,
    RMR_W_ABSORB,   /* heads x [rank, nope]: W_UK transposed */
    RMR_W_VALUE_UP, /* heads x [v, rank]: W_UV */
    RMR_W_K,        /* grouped attention */
    RMR_W_V,
    RMR_W_Q_BIAS,
    RMR_W_K_BIAS,
    RMR_W_V_BIAS,
    RMR_W_Q_NORM, /* over each head */
    RMR_W_K_NORM,
    RMR_W_OUT_BIAS,
    RMR_W_OUT,
    RMR_W_FFN_NORM,
    RMR_W_GATE, /* a dense SwiGLU */
    RMR_W_UP,
    RMR_W_DOWN,
    RMR_W_ROUTER,
    RMR_W_ROUTER_BIAS,
    RMR_W_E_GATE, /* routed experts, one matrix each */
    RMR_W_E_UP,
    RMR_W_E_DOWN,
    RMR_W_S_GATE, /* shared experts, side by side in one */
    RMR_W_S_UP,
    RMR_W_S_DOWN,
    RMR_W_E_NORM, /* a prediction layer: norms of the embedding and of the hidden state, */
    RMR_W_H_NORM,
    RMR_W_EH_PROJ,   /* the way from both to the layer, [hidden, 2 * hidden], */
    RMR_W_HEAD_NORM, /* and the norm before the head */
    RMR_W_COUNT
} rmr_weight_id;

typedef struct rmr_layer {
    rmr_weight *w[RMR_W_COUNT]; /* NULL: the layer has none of it */
} rmr_layer;

typedef enum rmr_weight_form {
    RMR_WEIGHT_MATRIX,
    RMR_WEIGHT_VECTOR,
    RMR_WEIGHT_EXPERTS,   /* a matrix for each routed expert */
    RMR_WEIGHT_KV_ABSORB, /* for each head the half of kv_b_proj that makes keys, transposed */
    RMR_WEIGHT_KV_VALUE   /* for each head the half that makes values */
} rmr_weight_form;

/* Whose inputs are summed up where a model collects importance. */
typedef enum rmr_weight_sums {
    RMR_SUMS_NONE,
    RMR_SUMS_OWN,
    RMR_SUMS_BEFORE /* the weight has the same input as the one before it, and shares its sums */
} rmr_weight_sums;

/* The way in which devices share a weight. Small weights are whole on every device: a share would
 * not be worth the exchange of its results. */
typedef enum rmr_weight_shared {
    RMR_SHARED_NOT,
    RMR_SHARED_BY_ROWS,
    RMR_SHARED_BY_HEADS /* so that a head's way through attention stays on one device */
} rmr_weight_shared;

typedef struct rmr_weight_info {
    const char *name; /* behind "model.layers.N.", without ".weight" */
    const char *gguf; /* behind "blk.N." */
    rmr_weight_form form;
    rmr_weight_sums sums;
    rmr_weight_shared shared;
} rmr_weight_info;

extern const rmr_weight_info rmr_weight_infos[RMR_W_COUNT];

/* The matrix of which KV_ABSORB and KV_VALUE are the halves, by head: [heads * (cols of the first +
 * rows of the second), rank]. It is no weight; formats have it, or the halves. */
#define RMR_KV_B "self_attn.kv_b_proj"
#define RMR_KV_B_GGUF "attn_kv_b.weight"

/* Does a layer have the weight? */
int rmr_weight_present(const rmr_shape *s, uint32_t layer, rmr_weight_id id);

/* The size of a matrix, of each where there are several; a vector has one row. */
typedef struct rmr_weight_size {
    uint64_t rows, cols;
} rmr_weight_size;

rmr_weight_size rmr_weight_size_of(const rmr_shape *s, rmr_weight_id id);
rmr_share rmr_weight_share_of(const rmr_shape *s, rmr_weight_id id);

#endif
