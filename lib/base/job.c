/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include "cancel.h"
#include "thread.h"

void rmr_job_begin(rmr_job *j, const rmr_job_host *host, const char *what, uint64_t total,
                   remora_error *err)
{
    j->host = host;
    j->what = what;
    j->total = total;
    atomic_init(&j->done, 0);
    atomic_init(&j->status, 0);
    j->err = err;
    j->caller = rmr_thread_self();
}

static int wants_stop(const rmr_job *j, uint64_t done)
{
    const rmr_job_host *h = j->host;
    if (rmr_cancelled(h->cancel)) return 1;
    if (h->progress == NULL || rmr_thread_self() != j->caller) return 0;
    return h->progress(h->progress_user, done, j->total) != 0;
}

remora_status rmr_job_step(rmr_job *j, uint64_t done)
{
    const uint64_t now = atomic_fetch_add_explicit(&j->done, done, memory_order_relaxed) + done;
    const int st = atomic_load_explicit(&j->status, memory_order_relaxed);
    RMR_ASSERT(now <= j->total);
    if (st != 0) return st;
    if (!wants_stop(j, now)) return REMORA_OK;
    remora_error e = {.struct_size = sizeof e};
    rmr_error_set(&e, REMORA_E_CANCELLED, 0, "%s was cancelled", j->what);
    rmr_job_fail(j, REMORA_E_CANCELLED, &e);
    return REMORA_E_CANCELLED;
}

void rmr_job_fail(rmr_job *j, remora_status st, const remora_error *e)
{
    int none = 0;
    RMR_ASSERT(st < 0);
    if (!atomic_compare_exchange_strong(&j->status, &none, st)) return;
    if (j->err != NULL && e->code != 0) rmr_error_set(j->err, st, e->os_code, "%s", e->message);
}

remora_status rmr_job_end(rmr_job *j)
{
    if (atomic_load(&j->status) == 0) (void)rmr_job_step(j, 0);
    return atomic_load(&j->status);
}
