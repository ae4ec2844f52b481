/* The yardsticks of the kernel benchmark. */
#ifndef PEAK_H
#define PEAK_H

#include <stddef.h>
#include <stdint.h>

typedef struct peak {
    double (*fma)(uint64_t steps);
    double (*read)(const float *p, size_t n);
    double flop_per_step;
} peak;

peak peak_of(const char *set);

#endif
