/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of the measuring programs, and the end of one whose call failed. A file that includes
 * this defines _POSIX_C_SOURCE or _DEFAULT_SOURCE first. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <remora/remora.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Seconds, of which differences mean something. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void must(remora_status st, const remora_error *err)
{
    if (st >= 0) return;
    fprintf(stderr, "%s: %s\n", remora_status_name(st), err->message);
    exit(1);
}

#endif
