/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the argument checks. */
#ifndef RMR_CHECKS_H
#define RMR_CHECKS_H

#include "release.h"
#include "sized_struct.h"

/* The caller's runtime with its count raised, or a private one with defaults. */
remora_status rmr_api_runtime(remora_runtime *given, remora_runtime **out, remora_error *err);

/* A full copy of the caller's source, its fields checked that are no files. The copy has the
 * source's release hook on failures too, and is all zeros where there is no source. */
remora_status rmr_api_source(const remora_source *given, remora_source *s, remora_error *err);

static inline rmr_release rmr_api_source_release(const remora_source *s)
{
    return (rmr_release){s->release, s->release_user};
}

/* Fill a local with a full copy of the caller's struct: st = RMR_READ(remora_stage, s, given, err).
 */
#define RMR_READ(type, local, given, err)                                                          \
    rmr_struct_in(&(local), (uint32_t)sizeof(type), (uint32_t)sizeof(type), (given), #type, (err))

/* The same with the local declared: RMR_IN(remora_eval_opts, o, given, err). Returns on failure. */
#define RMR_IN(type, local, given, err)                                                            \
    type local;                                                                                    \
    RMR_TRY(RMR_READ(type, local, given, err))

#define RMR_NEED(cond, err, text)                                                                  \
    do {                                                                                           \
        if (!(cond)) RMR_FAIL((err), REMORA_E_ARG, "%s", (text));                                  \
    } while (0)

/* Fill the caller's struct from a full one: return RMR_OUT(remora_stats, out, stats, err). */
#define RMR_OUT(type, out, known, err)                                                             \
    rmr_struct_out((out), &(known), (uint32_t)sizeof(type), (uint32_t)sizeof(type), #type, (err))

/* E_BUFFER when the caller's array `what`, of cap elements, does not hold n. */
remora_status rmr_api_room(const char *what, size_t cap, size_t n, remora_error *err);

#endif
