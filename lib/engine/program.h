/* SPDX-License-Identifier: Apache-2.0 */
/* A model's computation as data: operations, the slots they work on, and programs made of slices of
 * them. */
#ifndef RMR_PROGRAM_H
#define RMR_PROGRAM_H

#include "backend.h"

/* Activation slots, in floats a row. */
typedef enum rmr_slot_id {
    RMR_SLOT_X,      /* residual stream [hidden] */
    RMR_SLOT_H,      /* normed input of a sub-layer [hidden] */
    RMR_SLOT_QA,     /* low-rank query [q_rank] */
    RMR_SLOT_Q,      /* queries [heads][nope + rope], or [heads][head_dim] */
    RMR_SLOT_KV,     /* [latent | rope key], or [keys of all heads | values of all heads] */
    RMR_SLOT_QL,     /* absorbed queries [heads][rank + rope] */
    RMR_SLOT_Z,      /* attention over latents [heads][rank] */
    RMR_SLOT_O,      /* attention output [heads][v], or [heads][head_dim] */
    RMR_SLOT_FF,     /* SwiGLU: dense [inner], or [used experts][inner] and [shared inner] */
    RMR_SLOT_ROUTER, /* router logits [experts] */
    RMR_SLOT_IDS,    /* chosen experts [used] */
    RMR_SLOT_WEIGHTS,
    RMR_SLOT_COUNTS, /* chosen experts of this step [layers][experts], one row */
    RMR_SLOT_ROPE,   /* cos, sin [rope] */
    RMR_SLOT_OUT,    /* rows of the head, normed [hidden] */
    RMR_SLOT_LOGITS, /* [vocab] */
    RMR_SLOT_EH,     /* of a prediction layer: embedding and hidden state [2 * hidden] */
    RMR_SLOT_COUNT
} rmr_slot_id;

typedef struct rmr_slot_info {
    const char *name; /* for people: "router" */
    rmr_row_set rows;
    int integers; /* it holds int32, not floats */
} rmr_slot_info;

extern const rmr_slot_info rmr_slot_infos[RMR_SLOT_COUNT];

/* The rows that a slice works on, and so how often it runs. */
typedef enum rmr_slice_kind {
    RMR_SLICE_LAYER, /* all rows of the step: once */
    RMR_SLICE_HEAD,  /* wanted rows: RMR_HEAD_ROWS at a time, until all are done */
    RMR_SLICE_FINISH /* once, when the step is complete: nothing can stop it any more */
} rmr_slice_kind;

/* A piece of the list that is submitted at once. The host may look between slices (cancel, budget,
 * results), and only there: to let it look inside a layer is to end a slice there. */
typedef struct rmr_program_slice {
    rmr_slice_kind kind;
    uint32_t layer;    /* LAYER: a part of which layer */
    uint32_t first, n; /* operations */
} rmr_program_slice;

typedef enum rmr_program_id {
    RMR_PROGRAM_MAIN,    /* the next token's logits: all layers, the head, finishing */
    RMR_PROGRAM_PREDICT, /* the logits of the token behind the next one, by the prediction layer.
                            Tokens are the next ones, whose embeddings it takes; the hidden states
                            are written into the second half of EH before. Empty where the model
                            has no such layer */
    RMR_PROGRAM_COUNT
} rmr_program_id;

/* The slices that one kind of evaluation runs, in this order. */
typedef struct rmr_program {
    const rmr_program_slice *slices;
    uint32_t n_slices;
} rmr_program;

/* The operations of all programs of a model in one list over one set of slots, so that a context is
 * prepared for all of them and one program finds what another has left in a slot. */
typedef struct rmr_programs {
    rmr_op *ops;
    uint32_t n_ops, cap_ops;
    rmr_program_slice *slices; /* of all programs */
    uint32_t n_slices, cap_slices;
    rmr_slot slots[RMR_SLOT_COUNT];
    const rmr_cache_layout *cache; /* whose streams the operations name */
    rmr_program program[RMR_PROGRAM_COUNT];
} rmr_programs;

/* Build the programs from the model's shape, cache, weights and counters. */
remora_status rmr_programs_make(const remora_model *m, rmr_mem *mem, rmr_programs *out,
                                remora_error *err);
void rmr_programs_free(rmr_mem *mem, rmr_programs *p); /* a zeroed struct is fine too */

#endif
