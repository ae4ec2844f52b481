/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU backend by itself, for tests of single operations: weights of random numbers, steps of a
 * few operations. */
#ifndef BED_H
#define BED_H

#include "cpu.h"

typedef struct bed {
    rmr_ctx ctx;
    rmr_backend *be;
    uint64_t seed;
    int apart; /* each operation is a slice */
} bed;

void bed_init(bed *b, uint32_t threads, uint64_t seed);
void bed_free(bed *b); /* and nothing may be left allocated */

/* n random numbers in [-1, 1). */
void bed_floats(bed *b, float *v, size_t n);

/* A weight from the rows of all its matrices; and of random ones: F32 in [-1, 1), or Q8_0 with
 * scales of 2^-7. */
rmr_weight *bed_weight_of(bed *b, rmr_weight_desc d, const void *rows);
rmr_weight *bed_weight(bed *b, rmr_weight_desc d);

/* A step that has run all its operations, for bed_read() and bed_end(); and n rows of a slot. */
rmr_step *bed_step(bed *b, const rmr_step_desc *d, const rmr_inputs *in);
void bed_read(bed *b, rmr_step *s, uint32_t slot, uint32_t n, void *out);
void bed_end(bed *b, rmr_step *s);

/* Inputs of rows [0, n): tokens `first` and after it, one run; good until the next call. */
rmr_inputs bed_rows(uint32_t first, uint32_t n, uint32_t max_rows);

/* ---- a mixture of experts on rows of a table ---- */

enum { BED_IN, BED_ROUTER, BED_IDS, BED_WEIGHTS, BED_FF, BED_OUT, BED_MOE_SLOTS };
/* and where among the operations those of the experts are */
enum { BED_MOE_OPS = 5, BED_DOWN = BED_MOE_OPS - 1, BED_SWIGLU = BED_DOWN - 1 };

typedef struct bed_moe {
    rmr_weight *w[3], *s[3], *table, *logits; /* gate, up, down; shared; inputs and router's */
    rmr_moe moe;
} bed_moe;

/* The slots and operations from the table to BED_OUT, to which the experts add. */
void bed_moe_plan(bed_moe *m, uint32_t n_used, rmr_slot *slots, rmr_op *ops);
void bed_moe_free(bed *b, bed_moe *m);

#endif
