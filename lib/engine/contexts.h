/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: prepared steps of a model, each with its host inputs. They belong to the model and are
 * taken for one step at a time, so sessions own no activations (fork is cheap) and as many evals as
 * there are contexts run side by side. */
#ifndef RMR_CONTEXTS_H
#define RMR_CONTEXTS_H

#include "lock.h"
#include "program.h"

enum {
    RMR_HEAD_ROWS = 32,   /* wanted rows that one pass of the head computes */
    RMR_MIN_PAGES = 16384 /* page table entries that every context has room for */
};

/* The room of a context. */
typedef struct rmr_context_size {
    uint32_t rows, pages;
    size_t user_bytes; /* the caller's own */
} rmr_context_size;

typedef struct rmr_context {
    struct rmr_context *next; /* in the list of all contexts of the model */
    const void *holder;       /* who has taken it; NULL: nobody */
    rmr_step *step;
    rmr_inputs in; /* filled by the caller */
    void *user; /* [size.user_bytes], zeroed when it is made; only the caller knows its contents */
    uint64_t mark;          /* the mark of the last slice submitted */
    const uint32_t *wanted; /* [n_wanted] what rmr_context_want() told last, the caller's */
    uint32_t n_wanted;
    uint64_t number; /* of its step, where the model has a dump */
    rmr_context_size size;
    uint64_t block_bytes; /* of this struct and the memory behind it */
    rmr_bytes bytes;      /* of all of it, its step too */
} rmr_context;

typedef struct rmr_contexts {
    rmr_lock lock;
    rmr_context *all;  /* under the lock, as the next: */
    uint64_t reserved; /* reservations that hold */
    rmr_bytes leaving; /* of contexts that are in the list no more and not yet freed */
    uint32_t process;  /* that they leave in */
} rmr_contexts;

void rmr_contexts_init(remora_model *m); /* spare ones make room in its budgets */
/* None is taken; in a child of fork() but for those of evaluations that it does not have. */
void rmr_contexts_end(remora_model *m);

/* Make sure that there is a context of at least this size, in use or not, until it is released. */
remora_status rmr_contexts_reserve(remora_model *m, rmr_context_size size, remora_error *err);
void rmr_contexts_release(remora_model *m);

/* Lower or raise the limits of the model's budgets (rmr_model_set_budget). Spare contexts make
 * room: all of them when nothing is reserved, else those that another one covers. One in use goes
 * when it is given. They make room as well when something would be refused otherwise. */
remora_status rmr_contexts_set_limit(remora_model *m, rmr_bytes limit, remora_error *err);

/* Bytes of all contexts of the model; and of one, exactly: the memory estimate adds them. */
rmr_bytes rmr_contexts_bytes(remora_model *m);
rmr_bytes rmr_context_bytes(const remora_model *m, rmr_context_size size);

/* Take a context of at least this size for a holder, making one when all are in use. */
remora_status rmr_context_take(remora_model *m, rmr_context_size size, const void *holder,
                               rmr_context **out, remora_error *err);
void rmr_context_give(remora_model *m, rmr_context *c);
/* A child of fork() does not have the thread that was at work for this holder. What the holder has
 * taken goes, whatever was done on it. */
void rmr_contexts_forget(remora_model *m, const void *holder);

/* A step: its inputs; then the slices of one program in order, a head as often as there are wanted
 * rows, after telling at most RMR_HEAD_ROWS of them; then finishing, which runs the slices that are
 * for that and waits for everything. A layer's slice is done when this returns, but for the few
 * that the backend may run ahead; a head is done. The rows told stay where they are until it is.
 * REMORA_MORE: the slice was stopped (backend.h), and running it again goes on. */
remora_status rmr_context_begin(remora_model *m, rmr_context *c, remora_error *err);
remora_status rmr_context_want(remora_model *m, rmr_context *c, const uint32_t *rows, uint32_t n,
                               remora_error *err);
remora_status rmr_context_run(remora_model *m, rmr_context *c, const rmr_program_slice *slice,
                              rmr_halt *halt, remora_error *err);
/* The hidden states [n, n_hidden] that the prediction layer joins with the step's first n tokens.
 */
remora_status rmr_context_write(remora_model *m, rmr_context *c, uint32_t n, const float *hidden,
                                remora_error *err);
/* Everything that was submitted is done. */
remora_status rmr_context_wait(remora_model *m, rmr_context *c, remora_error *err);
remora_status rmr_context_finish(remora_model *m, rmr_context *c, const rmr_program *p,
                                 remora_error *err);

/* Row i of the last pass of the head onwards as logits [n, n_vocab] and as final-norm hidden states
 * [n, n_hidden]; either may be NULL. */
remora_status rmr_context_read(remora_model *m, rmr_context *c, uint32_t i, uint32_t n,
                               float *logits, float *hidden, remora_error *err);
/* The best logits of row i of it, where the backend has step_best. */
remora_status rmr_context_best(remora_model *m, rmr_context *c, uint32_t i,
                               const rmr_best_wish *wish, rmr_best *out, remora_error *err);
/* The same for its masses; and the logits [first, first + n) of it. */
remora_status rmr_context_masses(remora_model *m, rmr_context *c, uint32_t i, double divisor,
                                 rmr_masses *out, remora_error *err);
remora_status rmr_context_read_run(remora_model *m, rmr_context *c, uint32_t i, uint32_t first,
                                   uint32_t n, float *logits, remora_error *err);

#endif
