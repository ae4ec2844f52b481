/* SPDX-License-Identifier: Apache-2.0 */
/* Running softmax over segments: one definition for all attention. */
#ifndef RMR_SOFTMAX_H
#define RMR_SOFTMAX_H

#include <string.h>

#include "kernels.h"

typedef struct rmr_softmax_state {
    float max, sum;
} rmr_softmax_state;

/* Merge a segment (its maximum, its sum of exponentials and its weighted value sum `part`) into the
 * running state and z. With m' = max(m, max): z = part * e^(max-m') + z * e^(m-m'), sum likewise.
 */
static inline void rmr_softmax_merge(const rmr_kernels *k, rmr_softmax_state *st, int first,
                                     float *z, const float *part, uint32_t n, float max, float sum)
{
    if (first) {
        *st = (rmr_softmax_state){max, sum};
        memcpy(z, part, (size_t)n * 4);
        return;
    }
    const float m = st->max > max ? st->max : max;
    float a = st->max, b = max;
    k->elementwise->exp_sum(&a, 1, m);
    k->elementwise->exp_sum(&b, 1, m);
    k->elementwise->merge(z, part, n, a, b);
    k->elementwise->merge(&st->sum, &sum, 1, a, b);
    st->max = m;
}

#endif
