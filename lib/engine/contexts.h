/* The model's layer sequence as data, and contexts that run it.
 *
 * rmr_exec builds the list of operations of a model once: one slice for each layer, then the head.
 * A context is a prepared step with its host inputs. Contexts belong to the model and are taken for
 * one step at a time, so sessions own no activations (fork is cheap) and as many evals as there are
 * contexts run side by side. */
#ifndef RMR_EXEC_H
#define RMR_EXEC_H

#include "model.h"

enum {
    RMR_HEAD_ROWS = 32,   /* wanted rows that one pass of the head computes */
    RMR_MIN_PAGES = 16384 /* page table entries that every context has room for */
};

/* One session's part of a step. Only lib/session reads it; it travels in the context. */
typedef struct rmr_part {
    remora_session *session;
    uint64_t serial, epoch; /* to recognise that it is still the same, untouched, session */
    uint32_t row0, n_rows;
    uint32_t n_out;    /* output rows delivered so far */
    uint64_t last_out; /* position of the last row delivered */
} rmr_part;

typedef struct rmr_context {
    struct rmr_context *next; /* in the list of all contexts of the model */
    int taken;
    rmr_step *step;
    rmr_inputs in;   /* filled by the caller */
    rmr_part *parts; /* [max_rows], the caller's */
    uint64_t mark;   /* the mark of the last slice submitted */
    uint32_t max_rows, max_pages;
} rmr_context;

/* Build the list and hang it on the model. */
remora_status rmr_exec_attach(remora_model *m, remora_error *err);

/* What a page of the model's cache holds. */
const rmr_cache_layout *rmr_exec_cache(const remora_model *m);

/* Make sure that there is a context of at least these maxima, in use or not. */
remora_status rmr_exec_reserve(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                               remora_error *err);

/* Take a context of at least these maxima, making one when all are in use. */
remora_status rmr_exec_take(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                            rmr_context **out, remora_error *err);
void rmr_exec_give(remora_model *m, rmr_context *c);

/* Bytes of all contexts of the model. */
uint64_t rmr_exec_bytes(const remora_model *m);

/* Bytes of one context, exactly: the memory estimate adds them. */
uint64_t rmr_exec_context_bytes(const remora_model *m, uint32_t max_rows, uint32_t max_pages);

/* A step: inputs, slices 0 .. count-1 in order, head passes over the wanted rows, finish. A slice
 * call returns when the backend has started it and, but for the few it may run ahead, done it. */
uint32_t rmr_exec_slices(const remora_model *m);
remora_status rmr_exec_begin(remora_model *m, rmr_context *c, remora_error *err);
remora_status rmr_exec_slice(remora_model *m, rmr_context *c, uint32_t slice, remora_error *err);

/* The head over the wanted rows [first, first + n), n <= RMR_HEAD_ROWS, to the end; then its rows:
 * row i of the pass onwards as logits [n, n_vocab] and, where not NULL, final-norm hidden states
 * [n, n_hidden]. */
remora_status rmr_exec_head(remora_model *m, rmr_context *c, uint32_t first, uint32_t n,
                            remora_error *err);
remora_status rmr_exec_read(remora_model *m, rmr_context *c, uint32_t i, uint32_t n, float *logits,
                            float *hidden, remora_error *err);

/* Finish a complete step: its counts become visible. */
remora_status rmr_exec_finish(remora_model *m, rmr_context *c, remora_error *err);

#endif
