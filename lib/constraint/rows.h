/* SPDX-License-Identifier: Apache-2.0 */
/* What rows.c works with while it closes a row. Internal to lib/constraint. */
#ifndef RMR_ROWS_H
#define RMR_ROWS_H

#include "machine.h"

/* A rule that a row wants, with its registers at the beginning. */
typedef struct row_want {
    rmr_rule rule;
    uint32_t reg;
    uint32_t backs, n; /* what waits for it: a list */
    uint32_t is;       /* its return; or another want's, with CONT_LOCAL */
} row_want;

typedef struct row_back {
    row_item item;
    uint32_t next;
} row_back;

/* A want that has ended without text, by a check that allowed it, with these registers. */
typedef struct row_ended {
    uint32_t want, reg;
} row_ended;

#define CONT_LOCAL (UINT32_C(1) << 31) /* a return within the row: the number of a want */

#endif
