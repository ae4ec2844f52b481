/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons why a model cannot run, all that are found. Opening stops at the first refusal.
 * Opening with REMORA_MODEL_ANYWAY keeps the message here instead, and goes on with the steps that
 * do not depend on the refused part. */
#ifndef RMR_REFUSALS_H
#define RMR_REFUSALS_H

#include "mem.h"

enum { RMR_MAX_REFUSALS = 64 /* reasons kept; further ones are counted */ };

typedef struct rmr_refusal {
    remora_status status;
    char *text;
    uint64_t alike; /* further reasons, other only in a layer's or an expert's number */
} rmr_refusal;

typedef struct rmr_refusals {
    rmr_mem *mem;
    rmr_refusal *items;
    size_t n, cap;
    uint64_t total;   /* all reasons, whether kept, counted as alike or dropped */
    uint64_t dropped; /* reasons beyond RMR_MAX_REFUSALS */
    int by_layer;     /* 1: reasons that differ in a layer's number are one */
} rmr_refusals;

/* A status that says something about the model (E_FORMAT, E_UNSUPPORTED, E_NOT_FOUND) is kept with
 * err's message and becomes REMORA_OK; others are returned: no memory, a failed read. r NULL: all
 * are returned. */
remora_status rmr_refusals_keep(rmr_refusals *r, remora_status st, remora_error *err);

void rmr_refusals_free(rmr_refusals *r);

#endif
