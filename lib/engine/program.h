/* The operation list of a model. */
#ifndef RMR_PROGRAM_H
#define RMR_PROGRAM_H

#include "model.h"

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
    RMR_SLOT_COUNT
} rmr_slot_id;

typedef struct rmr_program {
    rmr_op *ops;
    uint32_t n_ops, cap_ops;
    rmr_slice *slices; /* one for each layer */
    uint32_t n_slices;
    rmr_slice head;
    rmr_slice finish; /* when the step is complete */
    rmr_slot slots[RMR_SLOT_COUNT];
    const rmr_cache_layout *cache; /* whose streams the operations name */
} rmr_program;

/* The layout of the cache is borrowed. */
remora_status rmr_program_make(const remora_model *m, const rmr_cache_layout *cache, rmr_mem *mem,
                               rmr_program *out, remora_error *err);
void rmr_program_free(rmr_mem *mem, rmr_program *l);

#endif
