/* A backend that behaves like a device on the other side of a bus, around the CPU backend:
 *
 * - It adopts no memory of the host: all weights are created and filled.
 * - Weights, cache pages, activations and every other block of device memory lie in one arena that
 * is PROT_NONE unless a thread is inside one of the backend's functions. Whatever above the
 * boundary follows a device address dies of SIGSEGV.
 * - step_submit only takes note; the work is done in step_wait. Reading results or changing inputs
 * before the wait is counted as a violation, and gives stale data as it would on a device.
 *
 * It can also show every operation to a tap. */
#ifndef GUARD_BACKEND_H
#define GUARD_BACKEND_H

#include "runtime.h"

typedef struct guard_stats {
    unsigned long calls;      /* entries into the backend */
    unsigned long ops;        /* operations run in wait */
    unsigned long violations; /* of the asynchronous discipline */
    size_t live, peak;        /* bytes of device memory */
} guard_stats;

/* Called after each operation, device memory open: `read` gives rows of a slot. pos: positions of
 * the step's rows. */
typedef struct guard_seen {
    const rmr_op *op;
    const uint32_t *pos;
    uint32_t n_rows;
    rmr_backend *inner;
    rmr_step *step;
} guard_seen;
typedef void guard_tap(void *user, const guard_seen *seen);

/* A runtime whose one device is the guard. opts: a full struct. The arena is address space only
 * until used. */
remora_status guard_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                   remora_error *err);

/* Makes one, for a rmr_device_maker; and what it has done. */
remora_status guard_make(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                         remora_error *err);
guard_stats guard_stats_of(rmr_backend *be);

/* On such a runtime. */
guard_stats guard_get_stats(remora_runtime *rt);
void guard_set_tap(remora_runtime *rt, guard_tap *tap, void *user);

#endif
