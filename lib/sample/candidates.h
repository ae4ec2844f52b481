/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate list that stages work on, and the softmax over it. Internal to lib/sample. */
#ifndef RMR_CANDIDATES_H
#define RMR_CANDIDATES_H

#include "fpenv.h"
#include "mem.h"
#include "sampler.h"

/* Weights are summed in blocks of this many, then block by block: one fixed order, good accuracy,
 * and a draw needs the exponentials of one block a second time only. */
enum { RMR_SOFTMAX_BLOCK = 256, RMR_CANDIDATE_BUCKETS = 1024 };

typedef struct rmr_candidates {
    remora_token_prob *c;
    size_t n;
    double *blocks;  /* room for the block sums of n_vocab candidates */
    double *buckets; /* RMR_CANDIDATE_BUCKETS, for top-p */
    rmr_fpenv host;  /* the caller's floating-point mode, for callbacks */
    int by_id;       /* ascending token order, no duplicates */
    int holes;       /* some logits are -infinity: compact before counting or ranking */
    float rest;      /* no candidate that is not in the list has more; -infinity: all are in it */
    /* where some are not: */
    float least;   /* the lowest logit of all */
    double mass;   /* of those that are not, the sum of e^(logit - rest); */
    float scale;   /* behind temperatures whose product is 1 / scale; 0: it is not known */
    double scaled; /* 1 / the product of those that were */
} rmr_candidates;

/* The last accepted tokens: a ring. Without penalties there is none. */
typedef struct rmr_history {
    size_t cap;
    size_t n;    /* tokens remembered, <= cap */
    size_t next; /* index at which the next token goes */
    int lost;    /* older ones were overwritten */
    remora_token ring[];
} rmr_history;

/* -- candidates.c -- */
void rmr_candidates_load(rmr_candidates *l, const float *logits, size_t n);
/* Those above best->rest, in the order that the whole row would give them. */
void rmr_candidates_load_best(rmr_candidates *l, const rmr_best_logits *best);
int rmr_candidates_lack(const rmr_candidates *l);  /* some are not in the list */
void rmr_candidates_compact(rmr_candidates *l);    /* drop -infinity and NaN, keep the order */
float rmr_candidates_max(const rmr_candidates *l); /* n > 0 */
double rmr_candidates_weigh(rmr_candidates *l, float max); /* sum of weights; fills blocks */
double rmr_candidates_weight(float logit,
                             float max); /* e^(logit - max); 1 for the best even when infinite */
void rmr_candidates_logprobs(rmr_candidates *l); /* fill the logprob fields */
remora_token rmr_candidates_draw(rmr_candidates *l,
                                 double u); /* inverse CDF at u in [0, 1); n > 0 */
void rmr_candidates_rank(remora_token_prob *c, size_t n,
                         size_t k); /* the k best first, in order; a permutation */

/* -- stages.c -- */
remora_status rmr_stage_check(const remora_stage *s, uint32_t n_vocab, remora_error *err);
int rmr_stage_is_penalty(int32_t kind);
float rmr_stage_divided(float logit, double t); /* by a temperature that is not 0 */
size_t rmr_stage_window(const remora_stage *s); /* of a penalty, in tokens */
int rmr_stage_lowers(const remora_stage *s);    /* it changes single logits, and raises none */
/* Run one stage. h, and counts: n_vocab zeros (zero again on return), are for the penalties, NULL
 * when there is none. MORE: its effect depends on candidates that are not in the list. */
remora_status rmr_stage_run(const remora_stage *s, rmr_candidates *l, const rmr_history *h,
                            uint32_t *counts, uint32_t n_vocab);

#endif
