/* SPDX-License-Identifier: Apache-2.0 */
/* The number of cores that the process may use. It is the number of cores that the process is bound
 * to, or less where its cgroup, or one above it, has a limit of processor time (containers). */
#ifndef RMR_CORES_H
#define RMR_CORES_H

#include <stdint.h>

typedef struct rmr_cores {
    uint32_t n;    /* at least 1 */
    int by_cgroup; /* the cgroup's limit is what makes them so few */
} rmr_cores;

/* `root` is in front of every path of a cgroup, "" for the system's own files. */
rmr_cores rmr_usable_cores(const char *root);

/* The limit of the cgroup in cores, rounded up; UINT32_MAX: there is none. */
uint32_t rmr_cgroup_cores(const char *root);

#endif
