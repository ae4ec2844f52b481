/* SPDX-License-Identifier: Apache-2.0 */
/* The places in a weight at which a lane finds its part. Tiles are those of tile.h, and their order
 * is what the matrix instruction wants: 64 bytes are four bytes of each of 16 rows, so 16 bytes are
 * four rows of one *unit* of columns (2 of 16 bits, 4 of 8 bits). F16 and F8, whose tiles have one
 * column after the other, are put into that order when they are complete (`finish`); columns that
 * do not fill a unit stay as they are. In units 2 and 3 of four of BF16 the halves change places,
 * so that a warp finds four units of a row in shared memory on different banks.
 *
 * A warp multiplies 32 rows, tiles A and B. The instruction has rows g and g + 8 in lane 4 g + t.
 * Lane group g is rows 4 (g % 4) .. + 3 of tile A for g < 4, else of B: the first two are rows g
 * and g + 8 of one instruction, the others of a second one. */
#ifndef RMR_CUDA_LAYOUT_CUH
#define RMR_CUDA_LAYOUT_CUH

#include "prelude.cuh"

template <int E> DEV constexpr uint32_t unit_columns()
{
    return E == RMR_ELEM_BF16 || E == RMR_ELEM_F16 ? 2 : 4;
}

/* Where the four rows from row 4 q on of a unit are, in times 16 bytes. */
template <int E> DEV uint32_t rows_of_unit(uint32_t unit, uint32_t q)
{
    return E == RMR_ELEM_BF16 ? q ^ (unit / 2 % 2 * 2) : q;
}

/* Four rows from row 4 q on of the last columns of a tile, which do not fill a unit. */
template <int E> DEV word4 rest_of_unit(const uint8_t *at, uint32_t q, uint32_t columns)
{
    const uint32_t size = E == RMR_ELEM_F16 ? 2 : 1;
    word4 v = {{0, 0, 0, 0}};
    for (uint32_t c = 0; c < columns; c++)
        for (uint32_t r = 0; r < 4; r++)
            for (uint32_t b = 0; b < size; b++)
                v.w[r] |= (uint32_t)at[(c * 16 + 4 * q + r) * size + b] << 8 * (c * size + b);
    return v;
}

/* 64 bytes of a tile, from columns of 16 values to rows of a unit. */
DEV void turn_unit(uint8_t *at, uint32_t size)
{
    const uint32_t n = 4 / size;
    uint8_t from[64];
    uint32_t to[16];
    for (uint32_t k = 0; k < 16; k++) {
        to[k] = ((const uint32_t *)(const void *)at)[k];
        for (uint32_t b = 0; b < 4; b++) from[4 * k + b] = (uint8_t)(to[k] >> 8 * b);
    }
    for (uint32_t r = 0; r < 16; r++) {
        uint32_t w = 0;
        for (uint32_t c = 0; c < n; c++)
            for (uint32_t b = 0; b < size; b++)
                w |= (uint32_t)from[(c * 16 + r) * size + b] << 8 * (c * size + b);
        ((uint32_t *)(void *)at)[r] = w;
    }
}

DEV void change_halves(uint32_t *at)
{
    for (uint32_t k = 0; k < 8; k++) {
        const uint32_t w = at[k];
        at[k] = at[k + 8];
        at[k + 8] = w;
    }
}

KERNEL(finish, rmr_gpu_finish, 256, 1)
{
    const uint32_t size = a.elem == RMR_ELEM_F8 ? 1 : 2;
    const uint64_t units = (a.cols + (a.elem == RMR_ELEM_BF16)) / (4 / size),
                   all = units * a.tiles * a.count;
    for (uint64_t i = blockIdx.x * 256ull + thread_of(); i < all; i += gridDim.x * 256ull) {
        const uint64_t u = i % units, t = i / units % a.tiles, m = i / units / a.tiles;
        uint8_t *const at = a.at + m * a.stride + t * a.tile + u * 64;
        if (a.elem != RMR_ELEM_BF16)
            turn_unit(at, size);
        else if (u / 2 % 2)
            change_halves((uint32_t *)(void *)at);
    }
}

#endif
