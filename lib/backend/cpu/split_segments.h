/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting the segments of long caches into pieces for the threads of a pool (op_attend.c). */
#ifndef RMR_CPU_CUT_H
#define RMR_CPU_CUT_H

#include <stdint.h>

enum {
    RMR_STRETCH = 16,     /* leaves of a tree; trees begin at its multiples */
    RMR_SPLIT_UNITS = 32, /* the most units that are cut */
    RMR_SPLIT_PIECES = 64 /* the most pieces, of all units together */
};

/* A subtree: segments [seg, seg + size), of which those before `end` exist. Size 0: no subtree. */
typedef struct rmr_piece {
    uint32_t seg, size, end;
} rmr_piece;

typedef struct rmr_split {
    uint32_t units, shares; /* of each unit */
    uint32_t pieces;        /* of each unit, in all its shares */
    rmr_piece piece[RMR_SPLIT_PIECES];
} rmr_split;

/* Cut the segments from `seg`, a multiple of RMR_STRETCH, on, for `width` threads: unit u has
 * segs[u] of them, n_units <= RMR_SPLIT_UNITS. Pieces are sorted by unit and segment; a thread's
 * share of them, by number, is large pieces and then smaller ones, and as many segments as any
 * other's as far as it goes. Returns how many segments of each unit were cut at most: all that are
 * left, or whole stretches. */
uint32_t rmr_split_units(rmr_split *c, const uint32_t *segs, uint32_t n_units, uint32_t seg,
                         uint32_t width);

#endif
