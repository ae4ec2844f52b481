/* A CPU backend by itself, for tests of single operations: weights of random numbers, steps of a
 * few operations. */
#ifndef BED_H
#define BED_H

#include "cpu.h"

typedef struct bed {
    rmr_ctx ctx;
    rmr_backend *be;
    uint64_t seed;
} bed;

void bed_init(bed *b, uint32_t threads, uint64_t seed);
void bed_free(bed *b); /* and nothing may be left allocated */

/* F32 in [-1, 1), or Q8_0 with scales of 2^-7. */
rmr_weight *bed_weight(bed *b, rmr_weight_desc d);

/* Rows [0, n) of slot `out` after all operations. */
void bed_run(bed *b, const rmr_step_desc *d, const rmr_inputs *in, uint32_t slot, uint32_t n,
             void *out);

#endif
