/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that is several others: each member holds its share of every weight and runs its own
 * list of operations, and what they have computed is exchanged between operations. It tries the
 * seam for several devices (docs/architecture.md, "Several devices") with members of one process.
 *
 * Output rows are split, columns are gathered, and nothing is ever added up between members, so the
 * result is that of one member to the bit. */
#ifndef GROUP_BACKEND_H
#define GROUP_BACKEND_H

#include "runtime.h"

enum { GROUP_MAX = 24 }; /* members */

typedef struct group_opts {
    uint32_t n;                         /* members */
    rmr_device_maker member[GROUP_MAX]; /* without a function: the CPU */
    const char *isa[GROUP_MAX];         /* its kernel set; NULL: the best */
    uint32_t part[GROUP_MAX];           /* how much it gets, against the others; all 0: equal */
    int rotate; /* with every step members use the caches of others: only memory of this process */
    /* For tests that must fail: */
    uint32_t granule;   /* shares begin at multiples of so many rows; 0: RMR_ROW_GRANULE */
    int no_heads;       /* rows of a head may be parted */
    rmr_op_kind forget; /* nothing that this operation writes is gathered; 0: all is */
} group_opts;

typedef struct group_stats {
    uint64_t gathers[RMR_OP_COUNT]; /* of what an operation has written */
    uint64_t bytes;                 /* that members got from others */
    uint64_t idle;                  /* operations in which some member had no share */
} group_stats;

/* A runtime whose one device is the group. opts: a full struct. */
remora_status group_runtime_create(const remora_runtime_opts *opts, const group_opts *members,
                                   remora_runtime **out, remora_error *err);

/* On such a runtime. */
group_stats group_get_stats(const remora_runtime *rt);
rmr_backend *group_member(const remora_runtime *rt, uint32_t i);

#endif
