/* SPDX-License-Identifier: Apache-2.0 */
/* The score of a group of experts, for the gates of all backends: the maximum of its experts (V2)
 * or the sum of their two largest (V3). GPU kernels compile it too. */
#ifndef RMR_GROUP_SCORE_H
#define RMR_GROUP_SCORE_H

#include <math.h>

#include "ops.h"

static inline float rmr_group_score(const float *pick, uint32_t size, rmr_gate_kind kind)
{
    float first = -INFINITY, second = -INFINITY;
    for (uint32_t i = 0; i < size; i++) {
        if (pick[i] > first) {
            second = first;
            first = pick[i];
        } else if (pick[i] > second) {
            second = pick[i];
        }
    }
    return kind == RMR_GATE_SIGMOID && size > 1 ? first + second : first;
}

#endif
