/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tokens that were evaluated before the timeline had them: of drafts. When the same tokens
 * are appended, evaluating them is taking these rows. A row has the bits that the token would have
 * been given, for a run of the absorbed form does not show in its rows (docs/numerics.md). So
 * drafts change no result, whatever they are: a wrong one is a row that nobody asks for. */
#ifndef RMR_AHEAD_H
#define RMR_AHEAD_H

#include <remora/remora.h>

#include "worth.h"

typedef struct rmr_ahead {
    float *logits; /* [cap][n_vocab], or NULL */
    uint32_t cap;
    uint32_t at, n; /* rows [at, at + n) hold: of the tokens of these places, */
    uint64_t first; /* the first of which belongs at this position */
    uint32_t saved; /* of the rows before `at`, those that were taken in place of a step */
    uint32_t made;  /* drafts for the step that is being formed */
    remora_token token[RMR_MOST_DRAFTS]; /* also of the drafts of a step under way */
    rmr_draft_source source;             /* where they are from, */
    uint64_t us;                         /* and what it took to make them */
} rmr_ahead;

/* Room for n rows, or for as many as there is memory for; returns how many. None must hold. */
uint32_t rmr_ahead_make_room(remora_session *s, uint32_t n);

/* No row holds any more: another step begins, which may write over their tokens' part of the cache,
 * or other drafts are looked for. */
void rmr_ahead_end(remora_session *s);

/* The number of pending tokens, from the first on, that have their rows here. */
uint32_t rmr_ahead_fits(const remora_session *s);

/* Commit n pending tokens whose rows are here. `saves`: nothing else has to be evaluated. A row
 * that is taken beside a step saves none. */
void rmr_ahead_take(remora_session *s, uint32_t n, int saves);

void rmr_ahead_free(remora_session *s);

#endif
