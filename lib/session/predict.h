/* SPDX-License-Identifier: Apache-2.0 */
/* The prediction layer of a model on the tokens of a session (docs/models.md, "Prediction layers
 * (MTP)"). It has a part of the session's cache of its own, and what it says is a guess: no result
 * of the library depends on it. */
#ifndef RMR_PREDICT_H
#define RMR_PREDICT_H

#include "session.h"

typedef struct rmr_prediction {
    uint64_t first;           /* the position of the first token, which the timeline has */
    uint32_t n;               /* so many tokens, at most the session's chunk */
    const float *hidden;      /* [n][hidden] their hidden states, behind the last norm */
    const remora_token *next; /* [n] the tokens that follow them */
    float *logits;            /* [n][vocab] of the tokens behind those */
} rmr_prediction;

/* Write the rows of these tokens to the layer's part of the cache, whose rows before them are
 * looked at, and fill in the logits. E_UNSUPPORTED: the model has no prediction layer. */
remora_status rmr_predict(remora_session *s, const rmr_prediction *p, remora_error *err);

#endif
