/* SPDX-License-Identifier: Apache-2.0 */
#include "stops.h"

#include <string.h>

/* Of the stop strings that are complete the one that is complete first, and the longest of those
 * that end together; where it begins goes to *at. */
static int complete(const sv_stops *s, size_t from, size_t *at)
{
    for (size_t end = from + 1; end <= s->held.n; end++) {
        int best = 0;
        for (size_t i = 0; i < s->n; i++) {
            const size_t n = (size_t)s->stop[i].len;
            if (n <= end && memcmp(s->held.s + end - n, s->stop[i].ptr, n) == 0 &&
                (best == 0 || n > s->stop[best - 1].len))
                best = (int)i + 1;
        }
        if (best == 0) continue;
        *at = end - (size_t)s->stop[best - 1].len;
        return best;
    }
    return 0;
}

/* Is the text from `at` on the beginning of a stop string? */
static int may_be_one(const sv_stops *s, size_t at)
{
    const size_t n = s->held.n - at;
    for (size_t i = 0; i < s->n; i++)
        if (n < s->stop[i].len && memcmp(s->held.s + at, s->stop[i].ptr, n) == 0) return 1;
    return 0;
}

int sv_stops_add(sv_stops *s, const char *text, size_t n)
{
    const size_t from = s->held.n;
    if (s->found || n == 0) return 0;
    if (tool_buffer_add(&s->held, text, n) < 0) return -1;
    size_t at = 0;
    if ((s->found = complete(s, from, &at))) {
        tool_buffer_cut(&s->held, at, s->held.n - at);
        s->ready = at;
        return 0;
    }
    while (s->ready < s->held.n && !may_be_one(s, s->ready)) s->ready++;
    return 0;
}

void sv_stops_end(sv_stops *s)
{
    s->ready = s->held.n;
}

void sv_stops_took(sv_stops *s)
{
    tool_buffer_cut(&s->held, 0, s->ready);
    s->ready = 0;
}
