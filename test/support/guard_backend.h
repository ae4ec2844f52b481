/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that behaves like a device on the other side of a bus, around the CPU backend:
 *
 * - It adopts no memory of the host: all weights are created, filled and done. Rows are kept as
 * they come; when a weight is done it gets a layout of its own, the matrices of a stack in reverse
 * order with red zones between them. Weights that are used before they are done, done twice or not
 * whole are counted as violations, and so are red zones that were written.
 * - Weights, cache pages, activations and every other block of device memory lie in one arena that
 * is PROT_NONE unless a thread is inside one of the backend's functions. Whatever above the
 * boundary follows a device address dies of SIGSEGV.
 * - Nothing is done before it has to be. Slices, copies and zeros wait until somebody waits for
 * them, and then what they depend on by the order of backend.h runs, and nothing else. Reading
 * results or changing inputs before the wait is counted as a violation, and gives stale data as it
 * would on a device.
 * - It finds the best of a row: of four parts of it, so that one part may have too few.
 * - It can be lost: one of its calls, or an operation, fails.
 *
 * It can also show every operation to a tap. */
#ifndef GUARD_BACKEND_H
#define GUARD_BACKEND_H

#include "runtime.h"

typedef struct guard_stats {
    unsigned long calls;      /* entries into the backend */
    unsigned long ops;        /* operations that have run */
    unsigned long waiting;    /* slices, copies and zeros that have not run yet */
    unsigned long violations; /* of what backend.h asks of those above it */
    unsigned long unpinned;   /* reads of results into memory that is not from host_alloc */
    unsigned long read;       /* numbers of results */
    unsigned long best;       /* rows of which the best or the masses were found */
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
/* NULL, or the first violation. For tests: it fails the one that runs. */
const char *guard_complaint(remora_runtime *rt);
#define GUARD_IS_CLEAN(rt)                                                                         \
    do {                                                                                           \
        const char *const complaint_ = guard_complaint(rt);                                        \
        if (complaint_ != NULL) fail_msg("guard: %s", complaint_);                                 \
    } while (0)
void guard_set_tap(remora_runtime *rt, guard_tap *tap, void *user);
/* The call-th call that can fail from now on does, and the op-th operation; 0: none. E_DEVICE. */
void guard_fail(remora_runtime *rt, long call, long op);
int guard_failed(remora_runtime *rt); /* both that were asked for have failed */

#endif
