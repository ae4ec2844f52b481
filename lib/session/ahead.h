/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tokens that were evaluated before the timeline had them: of drafts. When the same tokens
 * are appended, evaluating them is taking these rows. A row has the bits that the token would have
 * been given, for a run of the absorbed form does not show in its rows (docs/numerics.md). So
 * drafts change no result, whatever they are: a wrong one is a row that nobody asks for. */
#ifndef RMR_AHEAD_H
#define RMR_AHEAD_H

#include <remora/remora.h>

enum { RMR_MOST_DRAFTS = 30 }; /* with the token before them a run that is no prompt */

typedef struct rmr_ahead {
    float *logits; /* [cap][n_vocab], or NULL */
    uint32_t cap;
    uint32_t at, n; /* rows [at, at + n) hold: of the tokens of these places, */
    uint64_t first; /* the first of which belongs at this position */
    remora_token token[RMR_MOST_DRAFTS]; /* also of the drafts of a step under way */
} rmr_ahead;

/* Room for n rows, or for as many as there is memory for; returns how many. Rows that hold go. */
uint32_t rmr_ahead_make_room(remora_session *s, uint32_t n);

/* Is the next pending token one of these? */
int rmr_ahead_fits(const remora_session *s);

/* Commit at most `most` pending tokens whose rows are here; returns how many. */
uint64_t rmr_ahead_take(remora_session *s, uint64_t most);

/* Tokens from position `keep` on go, and the rows of what was behind them. */
void rmr_ahead_trim(remora_session *s, uint64_t keep);
void rmr_ahead_free(remora_session *s);

#endif
