/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a step: the numbers that change from step to step, while its operations do not. */
#ifndef RMR_INPUTS_H
#define RMR_INPUTS_H

#include "cache_layout.h"

typedef enum rmr_form { RMR_FORM_ABSORBED, RMR_FORM_EXPANDED } rmr_form;

/* Consecutive rows of one session at consecutive positions with one attention form. */
typedef struct rmr_run {
    uint32_t row0, n_rows;
    uint32_t pos0;
    uint32_t page0; /* index into pages of the page that holds position 0 */
    rmr_form form;
    rmr_kv_type kv;
} rmr_run;

/* The numbers that change from step to step, in one block that is filled on the host and copied
 * once: the arrays lie in `block` at offsets that only the step's maxima decide, the page tables
 * last, so that a copy may stop after the used part. The rows of a head pass are not among them,
 * for a step has as many passes as its wanted rows need: step_want() copies them in before each. */
typedef struct rmr_inputs {
    uint32_t n_rows, n_runs, n_pages;
    uint32_t count_routing; /* count the chosen experts */
    int32_t *token;         /* [n_rows] */
    uint32_t *pos;          /* [n_rows] */
    rmr_run *run;           /* [n_runs], ordered, covering all rows */
    uint64_t *page;         /* [n_pages] page tables, addresses from buffer_address */
    unsigned char *block;
} rmr_inputs;

/* Place the arrays in a block (NULL: nothing is placed, nor is `in` looked at); returns the block's
 * size. Runs are at most rows. The memory of the block is not touched. */
uint64_t rmr_inputs_place(rmr_inputs *in, unsigned char *block, uint32_t max_rows,
                          uint32_t max_pages);

/* Bytes of the block that are in use. */
static inline uint64_t rmr_inputs_used(const rmr_inputs *in)
{
    return (uint64_t)((unsigned char *)(void *)(in->page + in->n_pages) - in->block);
}

/* The same inputs in to's own block, which has the maxima of from's. */
void rmr_inputs_copy(rmr_inputs *to, const rmr_inputs *from);

#endif
