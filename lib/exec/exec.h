/* The model's layer sequence as data, and contexts that run it.
 *
 * rmr_exec builds the list of operations of a model once: one slice for each layer, then the head.
 * A context is a prepared step with its host inputs; contexts live in a pool of the model and are
 * taken for one step at a time, so sessions own no activations (fork is cheap) and as many evals as
 * there are contexts run side by side. */
#ifndef RMR_EXEC_H
#define RMR_EXEC_H

#include "model.h"

enum {
    RMR_HEAD_ROWS = 32,   /* rows that one pass of the head computes */
    RMR_MIN_PAGES = 16384 /* page table entries that every context has room for */
};

typedef struct rmr_context {
    struct rmr_context *next; /* in the pool */
    rmr_step *step;
    rmr_inputs in;  /* host copies, filled by the caller */
    uint32_t *want; /* [max_rows] rows of the step whose logits are wanted, n_want of them */
    uint32_t n_want;
    uint32_t max_rows, max_pages;
} rmr_context;

/* Build the list and hang it on the model. */
remora_status rmr_exec_attach(remora_model *m, remora_error *err);

/* Make sure that the pool has a context of at least these maxima. */
remora_status rmr_exec_reserve(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                               remora_error *err);

/* Take a context of at least these maxima out of the pool, making one when all are in use. */
remora_status rmr_exec_take(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                            rmr_context **out, remora_error *err);
void rmr_exec_give(remora_model *m, rmr_context *c);

/* Bytes of all contexts there are. */
uint64_t rmr_exec_bytes(const remora_model *m);

/* Host bytes of one context, exactly: what the estimate adds. */
uint64_t rmr_exec_context_bytes(remora_model *m, uint32_t max_rows, uint32_t max_pages);

/* A step: inputs, then slices 0 .. count-1 in order, each to the end. */
uint32_t rmr_exec_slices(const remora_model *m);
remora_status rmr_exec_begin(remora_model *m, rmr_context *c, remora_error *err);
remora_status rmr_exec_slice(remora_model *m, rmr_context *c, uint32_t slice, remora_error *err);

/* The head over want[first .. first + n), n <= RMR_HEAD_ROWS: logits [n, n_vocab] and, where not
 * NULL, the final-norm hidden states [n, n_hidden]. After all slices. */
remora_status rmr_exec_head(remora_model *m, rmr_context *c, uint32_t first, uint32_t n,
                            float *logits, float *hidden, remora_error *err);

#endif
