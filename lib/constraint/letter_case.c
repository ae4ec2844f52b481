/* SPDX-License-Identifier: Apache-2.0 */
#include "letter_case.h"

#include <utf8proc.h>

/* Behind it no letter has a case. */
enum { LETTERS_END = 0x1E944, ALL_LETTERS = 10000, MANY_RANGES = 64 };

static int add(rmr_grammar *g, rmr_cp_range **list, size_t *n, size_t *cap, rmr_cp_range r)
{
    if (!rmr_grammar_room(g, list, cap, *n + 1, sizeof r)) return 0;
    (*list)[(*n)++] = r;
    return 1;
}

/* The folding to one letter. Where the full one has several, the letter in lower case is it; but
 * for I with a dot, which has none. */
static uint32_t folded(uint32_t cp)
{
    utf8proc_int32_t to[4];
    int unused = 0;
    if (utf8proc_decompose_char((utf8proc_int32_t)cp, to, 4, UTF8PROC_CASEFOLD, &unused) == 1)
        return (uint32_t)to[0];
    return cp == 0x130 ? cp : (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

/* The letters that fold to another (lo), and to which (hi); found once for a grammar. */
static int find_folds(rmr_grammar *g)
{
    if (g->n_folds > 0) return 1;
    if (!rmr_grammar_fuel(g, ALL_LETTERS)) return 0;
    for (uint32_t cp = 'A'; cp < LETTERS_END; cp++) {
        const uint32_t to = folded(cp);
        if (to != cp && !add(g, &g->folds, &g->n_folds, &g->cap_folds, (rmr_cp_range){cp, to}))
            return 0;
    }
    return 1;
}

static int in_ranges(const rmr_cp_range *r, size_t n, uint32_t cp)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].lo && cp <= r[i].hi) return 1;
    return 0;
}

/* First what letters of the range fold to, then all that folds to what is there by then. */
int rmr_case_ranges(rmr_grammar *g, rmr_cp_range **ranges, size_t *n, size_t *cap)
{
    const size_t from = *n - 1;
    if (!find_folds(g)) return 0;
    for (int back = 0; back < 2; back++) {
        const size_t there = *n - from;
        if (!rmr_grammar_fuel(g, 1 + there * g->n_folds / MANY_RANGES)) return 0;
        for (size_t i = 0; i < g->n_folds; i++) {
            const rmr_cp_range f = g->folds[i];
            const uint32_t to = back ? f.lo : f.hi;
            if (in_ranges(*ranges + from, there, back ? f.hi : f.lo) &&
                !add(g, ranges, n, cap, (rmr_cp_range){to, to}))
                return 0;
        }
    }
    return 1;
}

rmr_rx rmr_case_char(rmr_grammar *g, uint32_t cp, rmr_spelling spelling)
{
    rmr_cp_range *ranges = NULL;
    size_t n = 0, cap = 0;
    rmr_rx a = RMR_RX_NONE;
    if (add(g, &ranges, &n, &cap, (rmr_cp_range){cp, cp}) && rmr_case_ranges(g, &ranges, &n, &cap))
        a = rmr_rx_chars(g->rx, ranges, n, spelling);
    rmr_free(&g->mem, ranges, cap * sizeof *ranges);
    return a;
}
