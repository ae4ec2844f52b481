/* SPDX-License-Identifier: Apache-2.0 */
/* Activations to 8 bits (kernels.h): the definition, which every set compiles with its own
 * instruction flags. */
#ifndef RMR_QUANTIZE_H
#define RMR_QUANTIZE_H

#include "lanes.h"

/* The bits of the largest |x[i]|; what is not finite counts as larger than all that is. */
static inline uint32_t top_bits(const float *x, uint32_t n)
{
    uint32_t top = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t u = rmr_bits_of(x[i]) & 0x7fffffff;
        top = u > top ? u : top;
    }
    return top;
}

/* The scale that makes integers of at most `most` out of values, and its inverse. Both follow from
 * the largest magnitude among the values. */
typedef struct quantum {
    float scale, inverse;
    int finite;
} quantum;

static inline quantum quantum_of(uint32_t top, float most)
{
    const float amax = rmr_float_of(top);
    const int finite = top < 0x7f800000, some = finite && amax >= RMR_LEAST;
    return (quantum){some     ? amax / most
                     : finite ? 0.0f
                              : rmr_float_of(0x7fc00000),
                     some ? most / amax : 0.0f, finite};
}

/* The scale and the sums of a run of activations. They are kept here until the line is complete. */
typedef struct q_part {
    quantum u;
    int32_t sum[3]; /* of all values, of each half */
} q_part;

/* The magic addend leaves the rounded integer in the low bits; a byte of them is the value. */
static inline void part_values(int8_t *q, q_part *run, const float *x)
{
    int32_t all = 0, first = 0;
    for (int i = 0; i < 32; i++) {
        const float t = x[i] * run->u.inverse + 0x1.8p23f;
        const int32_t v = run->u.finite ? (int32_t)((rmr_bits_of(t) & 0xff) ^ 0x80) - 0x80 : 0;
        q[i] = (int8_t)v;
        all += v;
        first += i < 16 ? v : 0; /* with a loop of 16 of its own it is added up one by one */
    }
    run->sum[0] = all;
    run->sum[1] = first;
    run->sum[2] = all - first;
}

static inline void part_end(rmr_qline *line, const q_part *run)
{
    line->scale = run->u.scale;
    for (int i = 0; i < 3; i++) line->sum[i] = run->u.scale * (float)run->sum[i];
    line->start[0] = RMR_QMAGIC_BITS - 128 * run->sum[0];
    line->start[1] = RMR_QMAGIC_BITS - 8 * run->sum[0];
    line->start[2] = RMR_QMAGIC_BITS - 32 * run->sum[1];
    line->start[3] = RMR_QMAGIC_BITS - 32 * run->sum[2];
}

/* Activations to 8 bits (kernels.h). Step by step for some runs: all steps of one after the other
 * are a chain too long for a processor to begin the next meanwhile. */
static void quantize_f32(void *xq, const float *x, uint32_t k)
{
    enum { RUNS = 16 };
    rmr_qline *line = xq;
    q_part run[RUNS];
    for (uint32_t left = k / 32, n; left > 0; left -= n, line += n, x += (size_t)32 * n) {
        n = left < RUNS ? left : RUNS;
        for (uint32_t i = 0; i < n; i++)
            run[i].u = quantum_of(top_bits(x + (size_t)32 * i, 32), 127.0f);
        for (uint32_t i = 0; i < n; i++) part_values(line[i].q, &run[i], x + (size_t)32 * i);
        for (uint32_t i = 0; i < n; i++) part_end(line + i, &run[i]);
    }
}

#endif
