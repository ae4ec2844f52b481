/* SPDX-License-Identifier: Apache-2.0 */
/* How many drafts a session's steps should have, so that they are worth their time. It knows what
 * steps of so many rows took, and how often drafts of each source were right. It decides about time
 * alone; no result depends on it.
 *
 * Sessions that share a step share its time: a token costs each of them as much of the step without
 * drafts, and drafts cost what the step takes longer for them, each of them as much. A session with
 * a step of its own has all of it.
 *
 * Estimates are wrong now and then, so there is a purse besides, whose unit is the session's share
 * of a step without drafts. Each token puts a little into it, drafts put in what they have won, and
 * pay what they have lost out of it. A step takes no more drafts of a session than could be paid
 * for if all were wrong. So drafts never cost more than INITIAL steps and one step in INCOME,
 * beyond what they have won before. */
#ifndef RMR_WORTH_H
#define RMR_WORTH_H

#include <stdint.h>

enum {
    RMR_MOST_DRAFTS = 30, /* with the token before them a run that is no prompt */
    RMR_WORTH_MOST = 128  /* rows of a step whose time is known; in larger ones no drafts pay */
};

/* Sources whose drafts are right equally often. */
typedef enum rmr_draft_source {
    RMR_DRAFT_SHORT,     /* text behind a short match, */
    RMR_DRAFT_MIDDLE,    /* behind a longer one, */
    RMR_DRAFT_LONG,      /* behind the longest that is looked for */
    RMR_DRAFT_PREDICTED, /* by the prediction layer: the only ones that take time to make */
    RMR_DRAFT_HOOK,      /* a test's */
    RMR_DRAFT_SOURCES
} rmr_draft_source;

/* Drafts that were right, and those that were looked at. What is old counts less. */
typedef struct rmr_draft_record {
    float right, tried;
} rmr_draft_record;

/* The step that drafts are for. */
typedef struct rmr_worth_step {
    uint32_t sessions; /* that get rows of it */
    uint32_t rows;     /* with logits, without drafts */
    uint32_t drafts;   /* of sessions before this one; once it is done, of all */
} rmr_worth_step;

typedef struct rmr_worth {
    float us[RMR_WORTH_MOST + 1];       /* [rows of a step]: the time it took; 0: not known */
    uint32_t since[RMR_WORTH_MOST + 1]; /* the same: steps of other rows that came later */
    rmr_draft_record first[RMR_DRAFT_SOURCES]; /* drafts of the next token */
    rmr_draft_record next[RMR_DRAFT_SOURCES];  /* drafts behind one that was right */
    float draft_us; /* a draft of the prediction layer takes; 0: not known */
    float purse;    /* in shares of a step, without INITIAL */
    uint32_t asked; /* drafts of the step before that nobody has judged yet: */
    rmr_draft_source source;
    float paid; /* the session's share of the time of their step, in shares of one without */
} rmr_worth;

/* An answer, and how much faster than plain decode it should be. */
typedef struct rmr_worth_choice {
    uint32_t n;
    float speed;
} rmr_worth_choice;

/* The number of drafts of this source that the step should have, from 0 to `most`. With more than
 * 0 microseconds left none that would make it too late, where it would not be so without. */
rmr_worth_choice rmr_worth_choose(rmr_worth *w, const rmr_worth_step *step, rmr_draft_source source,
                                  uint32_t most, int64_t left_us);

/* The step, all of whose rows have logits, has taken so long. n of its drafts are the session's, of
 * this source, and took draft_us to make. */
void rmr_worth_took(rmr_worth *w, const rmr_worth_step *step, uint32_t n, rmr_draft_source source,
                    uint64_t us, uint64_t draft_us);

/* So long has been spent on drafts for the step that came to nothing. */
void rmr_worth_lost(rmr_worth *w, const rmr_worth_step *step, uint64_t us);

/* So many of the drafts of the last step have saved a step; nothing where nobody has asked. */
void rmr_worth_judge(rmr_worth *w, uint32_t right);

#endif
