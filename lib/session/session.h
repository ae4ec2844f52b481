/* SPDX-License-Identifier: Apache-2.0 */
/* A session: one timeline of tokens over its own cache, the rows of logits it holds, and the
 * step it may be in the middle of. One thread at a time. */
#ifndef RMR_SESSION_H
#define RMR_SESSION_H

#include "ahead.h"
#include "generation.h"
#include "arena.h"
#include "model.h"
#include "page_table.h"
#include "predict.h"
#include "use.h"

enum {
    RMR_PROMPT_TOKENS = 32, /* an append of at least this many takes the expanded attention form
                               (docs/numerics.md) */
    RMR_DEFAULT_CAPACITY = 4096,
    RMR_DEFAULT_CHUNK = 512,
    RMR_MAX_CHUNK = 1 << 16
};

/* Flags of a token of the timeline. */
enum { RMR_TOKEN_EXPANDED = 1, RMR_TOKEN_WANT = 2, RMR_TOKEN_WANT_HIDDEN = 4 };

/* Output rows: room is made when tokens are appended, so that eval never allocates. */
typedef struct rmr_output_rows {
    float *logits;       /* [cap][n_vocab] */
    float *hidden;       /* [cap][n_hidden], or NULL */
    uint8_t *has_hidden; /* [flags_cap] */
    size_t cap, hidden_cap, flags_cap;
    uint32_t n_wanted, n_ready;
    uint64_t last; /* position of row n_ready - 1 */
    rmr_context
        *left; /* the step whose result the last ready row still is; NULL: it lies in `logits` */
    uint32_t left_row;
} rmr_output_rows;

/* One session's part of a step. */
typedef struct rmr_part {
    remora_session *session;
    uint64_t serial, epoch; /* to recognise that it is still the same, untouched, session */
    uint32_t row0, n_rows;
    uint32_t n_drafts; /* of the rows, the last ones */
    uint32_t n_out;    /* output rows delivered so far */
    uint64_t last_out; /* position of the last row delivered */
} rmr_part;

/* A step under way. Kept by the first session of the batch between evals that a budget or a cancel
 * word has stopped. */
typedef struct rmr_step_in_progress {
    rmr_context *ctx; /* NULL: none */
    rmr_part *parts;  /* [n_parts], in the context's memory */
    uint32_t *want;   /* [n_want] rows whose logits are wanted, ascending, there too */
    size_t n_parts;
    uint32_t n_want;
    uint32_t n_drafts; /* of its rows */
    const rmr_program *program;
    uint32_t next_slice; /* of the program */
    uint32_t next_want;  /* rows of the head already delivered */
    int leaves;          /* the last one was left in the step: */
    uint32_t left_row;   /* of the last pass of the head */
    int told;            /* the rows of the head's next pass have been told */
    uint64_t us;         /* time spent */
    int prefill;
} rmr_step_in_progress;

/* Another source of drafts than the library's, for tests and measurements: it writes at most `most`
 * tokens of the vocabulary and returns how many. And another clock than the machine's, for what
 * steps of so many rows, and with 0 rows a draft of the prediction layer, are held to have taken.
 * Either may be NULL. */
typedef struct rmr_drafter {
    void *user;
    uint32_t (*draft)(void *user, const remora_session *s, remora_token *out, uint32_t most);
    uint64_t (*us)(void *user, uint32_t rows);
} rmr_drafter;

struct remora_session {
    remora_model *model;
    rmr_mem *mem;
    rmr_use use;
    uint64_t serial;
    uint64_t epoch;   /* counts changes that invalidate a step under way */
    uint64_t in_step; /* steps under way, of whichever session, have pending tokens before this
                         position at most; 0: none since the epoch began */
    uint32_t capacity, chunk;
    rmr_page_table cache;
    remora_token *tokens; /* [capacity], behind the struct in its block */
    uint8_t *flags;       /* [capacity], the same */
    uint64_t block_bytes;
    uint64_t n_tokens, committed;
    rmr_output_rows rows;
    rmr_ahead ahead;
    rmr_predictor predictor;
    rmr_worth worth;
    const rmr_drafter *drafter; /* NULL: the library's */
    rmr_step_in_progress in_progress;
    int has_context; /* one is reserved for it */
    rmr_gen gen;
    remora_stats stats;
};

/* Exclusive use for the length of one call: E_BUSY when another thread is inside. */
remora_status rmr_session_enter(remora_session *s, remora_error *err);

void rmr_session_leave(remora_session *s);
/* For calls that only read it: E_BUSY when it is lost (use.h). */
remora_status rmr_session_look(const remora_session *s, remora_error *err);

/* The functions below expect the caller to be inside. Structs are full structs of this version. */
remora_status rmr_session_create(remora_model *m, const remora_session_opts *o,
                                 remora_session **out, remora_error *err);
remora_status rmr_session_fork(remora_session *s, remora_session **out, remora_error *err);
void rmr_session_free(remora_session *s);
remora_status rmr_session_append(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                                 remora_error *err);
remora_status rmr_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                               size_t *reused, remora_error *err);
remora_status rmr_session_trim(remora_session *s, uint64_t keep, remora_error *err);

/* Estimate the memory that n sessions of these options take when full, one evaluated at a time and
 * one row wanted, with the model's own. It is made of the numbers that the allocations use (P23).
 */
remora_status rmr_session_estimate(remora_model *m, const remora_session_opts *o, uint32_t n,
                                   remora_memory *out, remora_error *err);

/* See to it that the last token has an output row, or will have one after the next eval, its hidden
 * state too when `hidden`: a token that was evaluated without is evaluated again, in the form it
 * had. Nothing is lost on failure. */
remora_status rmr_session_want_last(remora_session *s, int hidden, remora_error *err);
/* The row of a token is wanted no more, unless it was evaluated. */
void rmr_session_unwant(remora_session *s, uint64_t position);

/* output_rows.c */
/* Bytes of room for one row of logits. */
uint64_t rmr_output_rows_bytes(const remora_model *m);
remora_status rmr_output_rows_make_room(remora_session *s, uint32_t n_more, int hidden,
                                        remora_error *err);
void rmr_output_rows_clear(rmr_output_rows *r);
/* The place of the last ready row's logits, whether they are in it or left in their step. */
float *rmr_output_rows_last(const remora_session *s);
/* A row that was left in its step is read, if it is one of the session's still, and the step ends.
 * A failure leaves its token evaluated and without a row. */
remora_status rmr_output_rows_settle(remora_session *s, remora_error *err);
/* The rows of tokens from position `keep` on go, ready or to come. */
void rmr_output_rows_trim(remora_session *s, uint64_t keep);
/* Give back room that one great prompt left behind; cannot fail. */
void rmr_output_rows_give_back(remora_session *s);
void rmr_output_rows_free(remora_session *s);
remora_status rmr_output_rows_copy(remora_session *dst, const remora_session *src,
                                   remora_error *err);

/* eval.c: evaluate everything pending in n distinct sessions of one model, all entered. */
remora_status rmr_eval(remora_session *const *s, size_t n, const remora_eval_opts *o,
                       remora_error *err);
/* The same for one session, with at most so many drafts. With `leave` the logits of the last token
 * may stay in its step until rmr_output_rows_settle(). */
remora_status rmr_eval_last(remora_session *s, const remora_eval_opts *o, uint64_t most_drafts,
                            int leave, remora_error *err);
void rmr_step_in_progress_drop(remora_session *lead);
/* A token at `position` or behind it goes, or changes: steps under way that have one are dropped,
 * whichever session holds them. */
void rmr_session_touch(remora_session *s, uint64_t position);

/* A context for steps of up to `chunk` rows. */
rmr_context_size rmr_session_context_size(uint32_t chunk, uint64_t pages);

#endif
