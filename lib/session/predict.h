/* SPDX-License-Identifier: Apache-2.0 */
/* The prediction layer of a model on the tokens of a session (docs/models.md, "Prediction layers
 * (MTP)"), and drafts made with it. What it says is a guess: no result of the library depends on
 * it.
 *
 * It reads the hidden state of a token together with the token behind it. Hidden states come from
 * steps that had a row for them, so it does not know a whole timeline: its cache, in pages of its
 * own, holds a window of successive positions, the first of which is at the cache's position 0.
 * Attention sees distances alone. Where a hidden state is missing an empty window begins. */
#ifndef RMR_PREDICT_H
#define RMR_PREDICT_H

#include "error.h"
#include "halt.h"
#include "page_table.h"

enum { RMR_PREDICT_WAITING = 32 }; /* most hidden states that wait for the layer */

typedef struct rmr_predictor {
    int on; /* the session was made for it; else the rest is 0 */
    rmr_page_table cache;
    uint64_t first, n;  /* the layer has had the positions [first, first + n) of the timeline */
    uint64_t at;        /* hidden states wait of the positions [at, at + n_waiting); */
    uint32_t n_waiting; /* those from `committed` on are of drafts that nobody has judged */
    float *waiting;     /* [RMR_PREDICT_WAITING][n_hidden] */
    float *own;         /* [n_hidden] the layer's last one */
    float *logits;      /* [n_vocab] where the backend does not find the best of them */
} rmr_predictor;

typedef struct rmr_prediction {
    uint64_t first;           /* position in the layer's cache */
    uint32_t n;               /* so many tokens, at most the session's chunk */
    const float *hidden;      /* [n][hidden] their hidden states, behind the last norm */
    const remora_token *next; /* [n] the tokens that follow them */
    uint32_t n_out;           /* of the last ones: */
    float *logits;            /* [n_out][vocab] of the tokens behind those; or NULL */
    remora_token *best;       /* where n_out is 1: the most likely of those tokens; or NULL */
    float *own;               /* [n_out][hidden] the layer's hidden states; or NULL */
} rmr_prediction;

/* Write the rows of these tokens to the layer's cache, whose rows before them are looked at, and
 * fill in what is asked for. MORE: it was stopped; its rows of the cache are worth nothing.
 * E_UNSUPPORTED: the session is not made for it, or the model has no such layer. */
remora_status rmr_predict(remora_session *s, const rmr_prediction *p, rmr_halt *halt,
                          remora_error *err);

remora_status rmr_predictor_make(remora_session *s, uint32_t capacity, int as_needed,
                                 remora_error *err);
void rmr_predictor_free(remora_session *s);
/* Bytes that it takes besides its pages. */
uint64_t rmr_predictor_bytes(const remora_model *m, uint32_t capacity);

/* The place for the hidden states of n positions from `position` on, which a step has made; NULL
 * where nobody asks for them. */
float *rmr_predictor_place(remora_session *s, uint64_t position, uint32_t n);

/* Can it guess what follows the one pending token? */
int rmr_predictor_ready(remora_session *s);
/* Guess n tokens. Returns how many there are: fewer when it was stopped. */
uint32_t rmr_predictor_draft(remora_session *s, uint32_t n, rmr_halt *halt, remora_token *out);

/* The timeline is cut. */
void rmr_predictor_trim(remora_session *s, uint64_t keep);

#endif
