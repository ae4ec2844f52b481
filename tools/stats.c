/* SPDX-License-Identifier: Apache-2.0 */
/* See stats.h. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

int tool_row_measure(const float *logits, size_t n, tool_row *out)
{
    uint32_t top = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(logits[i])) return -1;
        if (logits[i] > logits[top]) top = (uint32_t)i;
    }
    const double max = (double)logits[top];
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    *out = (tool_row){.log_sum = max + log(sum), .top = top};
    return 0;
}

double tool_kl(const float *ref, const tool_row *r, const float *model, const tool_row *m, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double lp = (double)ref[i] - r->log_sum;
        const double lq = (double)model[i] - m->log_sum;
        sum += exp(lp) * (lp - lq);
    }
    return sum > 0 ? sum : 0; /* rounding alone can go below */
}

int tool_series_add(tool_series *s, double v)
{
    if (s->n == s->cap) {
        const size_t cap = s->cap ? 2 * s->cap : 1024;
        double *more = realloc(s->v, cap * sizeof *more);
        if (!more) return -1;
        s->v = more;
        s->cap = cap;
    }
    s->v[s->n++] = v;
    return 0;
}

void tool_series_free(tool_series *s)
{
    free(s->v);
    *s = (tool_series){0};
}

double tool_series_mean(const tool_series *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->v[i];
    return sum / (double)s->n;
}

double tool_series_error(const tool_series *s)
{
    const double mean = tool_series_mean(s);
    double sum = 0;
    if (s->n < 2) return 0;
    for (size_t i = 0; i < s->n; i++) sum += (s->v[i] - mean) * (s->v[i] - mean);
    return sqrt(sum / (double)(s->n - 1) / (double)s->n);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void tool_series_sort(tool_series *s)
{
    if (s->n > 0) qsort(s->v, s->n, sizeof *s->v, by_value);
}

double tool_series_at(const tool_series *s, double q)
{
    const double at = q * (double)(s->n - 1);
    const size_t i = (size_t)at;
    if (i + 1 >= s->n) return s->v[s->n - 1];
    return s->v[i] + (at - (double)i) * (s->v[i + 1] - s->v[i]);
}
