/* SPDX-License-Identifier: Apache-2.0 */
/* Guesses at the tokens that come next, which are evaluated together with what is pending. */
#ifndef RMR_DRAFT_H
#define RMR_DRAFT_H

#include "session.h"

/* The drafts that a call wants, and the step that they are for. */
typedef struct rmr_draft_wish {
    uint64_t most;
    int if_worth;    /* only as many as should pay (worth.h) */
    int64_t left_us; /* of a budget; 0: there is none */
    const int32_t *cancel;
    rmr_worth_step step;
} rmr_draft_wish;

/* max_drafts of options: E_ARG for a bad one. */
remora_status rmr_draft_check(uint32_t max_drafts, remora_error *err);
/* The most that it allows. */
uint32_t rmr_draft_most(uint32_t max_drafts);

/* Write drafts to the session's ahead.token, for the step that is about to be formed and will have
 * all that is pending: at most `most`, none where they could show (counters, importance, a dump),
 * where what is pending is a prompt, and none beyond the capacity, the pages at hand and the chunk.
 * Their number is in ahead.made. */
void rmr_draft(remora_session *s, const rmr_draft_wish *w);

/* The text that followed where the timeline had the same last tokens before, for as long as it has
 * been so: at most `most` tokens behind t[0, n). Returns their number; *same: of how many tokens.
 */
uint32_t rmr_draft_look_up(const remora_token *t, uint64_t n, remora_token *out, uint32_t most,
                           uint32_t *same);

#endif
