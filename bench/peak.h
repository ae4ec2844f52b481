/* SPDX-License-Identifier: Apache-2.0 */
/* The yardsticks of the kernel benchmark. */
#ifndef PEAK_H
#define PEAK_H

#include <stddef.h>
#include <stdint.h>

typedef double peak_read(const float *p, size_t n); /* n: a multiple of PEAK_BLOCK */

enum {
    PEAK_BLOCK = 4096,
    PEAK_READS = 3, /* ways of reading: in order; with prefetch; in four streams at once */
    PEAK_NAME = 12
};

typedef struct peak {
    double (*fma)(uint64_t steps);
    double flop_per_step;
    double (*dot)(uint64_t steps); /* integer dot products of bytes, as the set computes them */
    double ops_per_step;           /* multiplications and additions of bytes: 2 a product */
    const char *dot_name;
    peak_read *read[PEAK_READS];
} peak;

extern const char peak_read_name[PEAK_READS][PEAK_NAME];

peak peak_of(const char *set);

#endif
