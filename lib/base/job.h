/* SPDX-License-Identifier: Apache-2.0 */
/* A long job over the pool, as its host sees it: it can be cancelled, says how far it is, and ends
 * with the first failure. */
#ifndef RMR_JOB_H
#define RMR_JOB_H

#include <stdatomic.h>

#include "pool.h"

typedef struct rmr_job_host {
    rmr_pool *pool;
    const int32_t *cancel; /* may be NULL */
    void *progress_user;
    /* May be NULL. Called by the thread that began the job; non-zero stops: E_CANCELLED. */
    int32_t(REMORA_CALL *progress)(void *user, uint64_t done, uint64_t total);
} rmr_job_host;

typedef struct rmr_job {
    const rmr_job_host *host;
    const char *what; /* for the message of a cancel: "opening" */
    uint64_t total;
    _Atomic uint64_t done;
    atomic_int status; /* the first failure; later ones are dropped */
    remora_error *err;
    uintptr_t caller; /* rmr_thread_self() */
} rmr_job;

void rmr_job_begin(rmr_job *j, const rmr_job_host *host, const char *what, uint64_t total,
                   remora_error *err);

/* Called by any thread before a piece of work: E_CANCELLED when the host said stop, the status of
 * the first failure when there was one. `done` is the work that the thread has finished since its
 * last call. */
remora_status rmr_job_step(rmr_job *j, uint64_t done);

/* Called by any thread for a failure: the first one gives the job its status, and its message from
 * e (e->code 0: no message yet). */
void rmr_job_fail(rmr_job *j, remora_status st, const remora_error *e);

/* Called after the regions: asks the host once more, returns the job's status and fills err. */
remora_status rmr_job_end(rmr_job *j);

#endif
