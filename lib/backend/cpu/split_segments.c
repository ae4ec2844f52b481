/* SPDX-License-Identifier: Apache-2.0 */
#include "split_segments.h"

#include <string.h>

#include "cpu.h"
#include "split.h"

/* Cut the segments [seg, end) into pieces. A piece is at most half of the segments that are left,
 * and at least `least`: threads are not equally fast, and one that is done early takes the small
 * pieces at the ends of others' shares. Returns the number of pieces; `to` may be NULL. */
static uint32_t cut_share(uint32_t seg, uint32_t end, uint32_t least, rmr_piece *to)
{
    uint32_t n = 0;
    for (uint32_t size; seg < end; seg += size, n++) {
        size = RMR_STRETCH;
        while (size > least && (seg % size != 0 || size > (end - seg) / 2)) size /= 2;
        if (to != NULL) to[n] = (rmr_piece){seg, size, rmr_min_u32(seg + size, end)};
    }
    return n;
}

/* Cut the segments [seg, seg + n) into shares, which begin where large pieces can. Returns the most
 * pieces of a share; `to` [shares][room] may be NULL. */
static uint32_t cut_unit(uint32_t seg, uint32_t n, uint32_t shares, uint32_t least, rmr_piece *to,
                         uint32_t room)
{
    uint32_t most = 0, step = RMR_STRETCH, at = 0;
    while (step > least && step > n / (2 * shares)) step /= 2;
    for (uint32_t i = 1; i <= shares; i++) {
        const uint32_t even = (n * i / shares + step / 2) / step * step;
        const uint32_t end = i < shares && even < n ? even : n;
        const uint32_t pieces = cut_share(seg + at, seg + end, least, to);
        if (pieces > most) most = pieces;
        if (to != NULL) to += room;
        at = end;
    }
    return most;
}

/* Cut n segments of every unit. Returns 1 when the pieces fit. */
static int cut(rmr_split *c, const uint32_t *segs, uint32_t seg, uint32_t n, uint32_t least)
{
    uint32_t most = 0, left[RMR_SPLIT_UNITS];
    for (uint32_t u = 0; u < c->units; u++) {
        left[u] = segs[u] > seg ? rmr_min_u32(segs[u] - seg, n) : 0;
        const uint32_t pieces = cut_unit(seg, left[u], c->shares, least, NULL, 0);
        if (pieces > most) most = pieces;
    }
    c->pieces = c->shares * most;
    if (c->units * c->pieces > RMR_SPLIT_PIECES) return 0;
    memset(c->piece, 0, sizeof c->piece);
    for (uint32_t u = 0; u < c->units; u++)
        cut_unit(seg, left[u], c->shares, least, &c->piece[u * c->pieces], most);
    return 1;
}

/* The number of shares of each unit with which all threads have equally many, if there may be so
 * many. */
static uint32_t shares_of(uint32_t n_units, uint32_t width)
{
    uint32_t n = 1;
    while (n * n_units % width != 0) n++;
    return rmr_min_u32(n, RMR_SPLIT_PIECES / n_units);
}

uint32_t rmr_split_units(rmr_split *c, const uint32_t *segs, uint32_t n_units, uint32_t seg,
                         uint32_t width)
{
    uint32_t n = 0, least = 1;
    RMR_ASSERT(n_units > 0 && n_units <= RMR_SPLIT_UNITS && width > 0);
    for (uint32_t u = 0; u < n_units; u++)
        if (segs[u] > seg + n) n = segs[u] - seg;
    c->units = n_units;
    c->shares = shares_of(n_units, width);
    while (!cut(c, segs, seg, n, least))
        if (n > RMR_STRETCH)
            n = (n - 1) / RMR_STRETCH * RMR_STRETCH;
        else
            least *= 2;
    RMR_ASSERT(n > 0 && c->units * c->pieces <= RMR_SPLIT_PIECES);
    return n;
}
