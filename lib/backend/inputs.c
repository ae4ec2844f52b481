/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include <string.h>

#include "arena.h"

/* The block is copied as one, so it has no red zones. */
uint64_t rmr_inputs_place(rmr_inputs *in, unsigned char *block, uint32_t max_rows,
                          uint32_t max_pages)
{
    rmr_arena a = {.base = block, .size = UINT64_MAX, .dense = 1};
    rmr_inputs placed;
    if (block == NULL) in = &placed;
    in->block = block;
    in->token = rmr_arena_take(&a, max_rows, sizeof *in->token);
    in->pos = rmr_arena_take(&a, max_rows, sizeof *in->pos);
    in->run = rmr_arena_take(&a, max_rows, sizeof *in->run);
    in->page = rmr_arena_take(&a, max_pages, sizeof *in->page); /* the last one: see rmr_inputs */
    return a.used;
}

void rmr_inputs_copy(rmr_inputs *to, const rmr_inputs *from)
{
    memcpy(to->block, from->block, (size_t)rmr_inputs_used(from));
    to->n_rows = from->n_rows;
    to->n_runs = from->n_runs;
    to->n_pages = from->n_pages;
    to->count_routing = from->count_routing;
}
