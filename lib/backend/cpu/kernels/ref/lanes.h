/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and maxima of 16 lanes, by the trees of kernels.h. */
#ifndef RMR_LANES_H
#define RMR_LANES_H

#include "float_math.h"
#include "half.h"
#include "tile.h"

enum { LANES = RMR_TILE };

static inline float lanes_sum(float lane[LANES])
{
    for (int i = 0; i < 8; i++) lane[i] += lane[i + 8];
    for (int i = 0; i < 4; i++) lane[i] += lane[i + 4];
    for (int i = 0; i < 2; i++) lane[i] += lane[i + 2];
    return lane[0] + lane[1];
}

/* The end of max: n < 16 values more for the first lanes, then the tree. */
static inline float max_lanes(float lane[LANES], const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) lane[i] = x[i] > lane[i] ? x[i] : lane[i];
    for (uint32_t s = 8; s > 0; s /= 2)
        for (uint32_t i = 0; i < s; i++) lane[i] = lane[i] > lane[i + s] ? lane[i] : lane[i + s];
    return lane[0];
}

#endif
