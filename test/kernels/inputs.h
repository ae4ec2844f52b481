/* SPDX-License-Identifier: Apache-2.0 */
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

/* n canonical rows of an integer type or F8: random bytes with scales of modest size, f16
 * subnormals and for MXFP4 the least exponents among them. */
void fill_rows(rng *r, void *rows, rmr_elem type, uint32_t n, uint32_t cols);

/* n tiles of such rows, `stride` bytes apart. */
void fill_tiles(rng *r, void *tiles, rmr_elem type, uint32_t n, uint32_t cols, size_t stride);

/* Replace about an eighth of the values by infinities, NaN, zeros of both signs, subnormals and
 * huge values. */
void sprinkle(rng *r, float *to, size_t n);

/* `bytes` in arena 0 or 1; the byte behind them cannot be read. The last call's buffer of that
 * arena is gone. */
void *guarded(int arena, size_t bytes);

#endif
