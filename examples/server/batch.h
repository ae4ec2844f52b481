/* SPDX-License-Identifier: Apache-2.0 */
/* The side of the model: makers make what comes into jobs, each on a thread of its own, and one
 * thread evaluates all jobs together, a step at a time. A job that is made joins the next step, one
 * that is finished leaves. Timelines of finished jobs stay, for jobs that begin alike. */
#ifndef SV_BATCH_H
#define SV_BATCH_H

#include "job.h"

typedef struct sv_batch sv_batch;

typedef struct sv_batch_opts {
    uint32_t slots;       /* jobs that are evaluated together */
    uint32_t queue;       /* jobs that wait, to be made or for a slot */
    uint32_t max_drafts;  /* as remora_eval_opts has it */
    uint64_t most_unsent; /* bytes of an answer that its client has not taken: then it waits */
    remora_session_opts session;
} sv_batch_opts;

typedef struct sv_counts {
    uint64_t jobs, finished, gone, steps, tokens, reused;
    uint32_t running, waiting, unmade; /* unmade: of those that wait */
} sv_counts;

remora_status sv_batch_start(const sv_model *m, const sv_batch_opts *o, sv_batch **out,
                             remora_error *err);
/* Take the job; its owner keeps a reference. -1 and *why: there is no room, or it stops. */
int sv_batch_submit(sv_batch *b, sv_job *j, sv_problem *why);
void sv_batch_drop(sv_batch *b, sv_job *j); /* a reference */
/* No more jobs are taken. Returns how many are left. */
uint32_t sv_batch_close(sv_batch *b);
/* What is left ends with a problem; the threads end. */
void sv_batch_stop(sv_batch *b);
void sv_batch_free(sv_batch *b);

/* The fields of a job that are under the lock are read and written between these. */
void sv_batch_lock(sv_batch *b);
void sv_batch_unlock(sv_batch *b);
void sv_batch_counts(sv_batch *b, sv_counts *out);

#endif
