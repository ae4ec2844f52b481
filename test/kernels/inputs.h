/* Inputs made by integer arithmetic alone, the same on every machine, and buffers that end at a
 * guard page. */
#ifndef INPUTS_H
#define INPUTS_H

#include "kernels.h"

typedef struct rng {
    uint64_t state;
} rng;

uint64_t rng_next(rng *r);

/* Finite floats between about 2^-14 and 4 with both signs, some exact zeros. */
void fill_f32(rng *r, float *to, size_t n);

/* Finite weights of a type. */
void fill_weights(rng *r, void *to, rmr_elem type, size_t bytes);

/* Replace about an eighth of the values by infinities, NaN, zeros of both signs, subnormals and
 * huge values. */
void sprinkle(rng *r, float *to, size_t n);

/* `bytes` in arena 0 or 1; the byte behind them cannot be read. The last call's buffer of that
 * arena is gone. */
void *guarded(int arena, size_t bytes);

#endif
