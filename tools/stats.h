/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of remora eval: one row of logits against another, and figures of many tokens. All
 * sums are double; a row is measured once and then costs one exponential per entry and comparison.
 */
#ifndef TOOL_STATS_H
#define TOOL_STATS_H

#include <stddef.h>
#include <stdint.h>

/* What log-softmax of a row needs: the natural logarithm of the sum of exponentials; and its best
 * entry, the lower index on ties. */
typedef struct tool_row {
    double log_sum;
    uint32_t top;
} tool_row;

/* 0, or -1 when an entry is not finite. n is at least 1. */
int tool_row_measure(const float *logits, size_t n, tool_row *out);

/* KL(ref || model) in nats: the sum of p_ref * (log p_ref - log p_model), never below 0. */
double tool_kl(const float *ref, const tool_row *r, const float *model, const tool_row *m,
               size_t n);

/* One number for every token. */
typedef struct tool_series {
    double *v;
    size_t n, cap;
} tool_series;

int tool_series_add(tool_series *s, double v); /* 0, or -1 when memory ran out */
void tool_series_free(tool_series *s);

double tool_series_mean(const tool_series *s); /* of at least one */

/* Of the mean, as if tokens were independent: the root of the sample variance / n; 0 for one. */
double tool_series_error(const tool_series *s);

/* Puts the series in ascending order, which tool_series_at() needs. */
void tool_series_sort(tool_series *s);

/* The value below which the part q (0 to 1) of a sorted series lies, linear between neighbours. */
double tool_series_at(const tool_series *s, double q);

#endif
