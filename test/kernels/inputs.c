/* SPDX-License-Identifier: Apache-2.0 */
/* See inputs.h. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "inputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t rng_next(rng *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return r->state >> 8;
}

void fill_f32(rng *r, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = rng_next(r);
        const uint32_t exp = 113 + (uint32_t)(v >> 52) % 16;
        const uint32_t u = (uint32_t)(v & 0x807fffff) | exp << 23;
        memcpy(to + i, &u, 4);
        if ((v >> 40 & 63) == 0) to[i] = 0.0f;
    }
}

void fill_weights(rng *r, void *to, rmr_elem type, size_t bytes)
{
    uint16_t *const half = to;
    if (type == RMR_ELEM_F32) {
        fill_f32(r, to, bytes / 4);
        return;
    }
    for (size_t i = 0; i < bytes / 2; i++) {
        const uint64_t v = rng_next(r);
        const uint32_t exp = (uint32_t)(v >> 32) % 16;
        half[i] =
            (uint16_t)(type == RMR_ELEM_BF16 ? (v & 0x807f) | (113 + exp) << 7
                                             : (v & 0x83ff) | exp << 10); /* with subnormals */
    }
}

/* A half (I4: bf16) between about 2^-24 and 2^-4, or of the least subnormals. */
static uint16_t half_scale(rng *r, rmr_elem type)
{
    const uint64_t v = rng_next(r);
    if (type == RMR_ELEM_I4)
        return (uint16_t)((v & 0x807f) | (103 + (uint32_t)(v >> 20) % 20) << 7);
    return (uint16_t)((v & 0x83ff) | (uint32_t)(v >> 20) % 11 << 10);
}

static void put_half(rng *r, rmr_elem type, uint8_t *to)
{
    const uint16_t h = half_scale(r, type);
    memcpy(to, &h, 2);
}

static void fill_block(rng *r, rmr_elem type, uint8_t *block)
{
    for (uint32_t i = 0; i < rmr_elem_table[type].bytes; i++)
        block[i] = (uint8_t)(rng_next(r) >> 9);
    switch (type) {
    case RMR_ELEM_MXFP4:
        block[0] = (uint8_t)(block[0] % 16 ? 110 + block[0] % 20 : block[0] / 16 % 3);
        break;
    case RMR_ELEM_Q6_K: put_half(r, type, block + 208); break;
    case RMR_ELEM_Q3_K: put_half(r, type, block + 108); break;
    case RMR_ELEM_Q2_K:
        put_half(r, type, block + 80);
        put_half(r, type, block + 82);
        break;
    case RMR_ELEM_Q4_1:
    case RMR_ELEM_Q5_1:
    case RMR_ELEM_Q4_K:
    case RMR_ELEM_Q5_K: put_half(r, type, block + 2); /* fall through */
    default: put_half(r, type, block);
    }
}

void fill_rows(rng *r, void *rows, rmr_elem type, uint32_t n, uint32_t cols)
{
    const size_t row = (size_t)rmr_row_bytes(type, cols);
    uint8_t *const to = rows;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t b = 0; type != RMR_ELEM_F8 && b < cols / rmr_elem_table[type].values; b++)
            fill_block(r, type, to + i * row + (size_t)b * rmr_elem_table[type].bytes);
        for (uint32_t k = 0; type == RMR_ELEM_F8 && k < cols; k++) {
            const uint32_t code = (uint32_t)(rng_next(r) >> 11) & 0xff;
            to[i * row + k] = (uint8_t)((code & 0x7f) == 0x7f ? code - 1 : code);
        }
    }
    for (size_t at = cols; type == RMR_ELEM_F8 && at < row; at += 4) {
        float scale;
        fill_f32(r, &scale, 1);
        for (uint32_t i = 0; i < n; i++) memcpy(to + i * row + at, &scale, 4);
    }
}

void fill_tiles(rng *r, void *tiles, rmr_elem type, uint32_t n, uint32_t cols, size_t stride)
{
    static uint8_t rows[RMR_TILE << 14];
    if (RMR_TILE * rmr_row_bytes(type, cols) > sizeof rows) abort();
    for (uint32_t t = 0; t < n; t++) {
        fill_rows(r, rows, type, RMR_TILE, cols);
        rmr_tile_pack(type, (uint8_t *)tiles + t * stride, rows, RMR_TILE, cols);
    }
}

void sprinkle(rng *r, float *to, size_t n)
{
    static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                       0x7f800001, 0x00000000, 0x80000000, 0x00000001,
                                       0x807fffff, 0x7f7fffff, 0xff7fffff, 0x42b17218,
                                       0xc2aeac4f, 0x3f800000, 0x00800000, 0x3effffff};
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = rng_next(r);
        if ((v >> 30 & 7) == 0) memcpy(to + i, special + (v >> 40 & 15), 4);
    }
}

void *guarded(int arena, size_t bytes)
{
    enum { SIZE = 1 << 22 };
    static uint8_t *end[2];
    if (!end[arena]) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *const p =
            mmap(NULL, SIZE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + SIZE, page, PROT_NONE) != 0) abort();
        end[arena] = p + SIZE;
    }
    if (bytes > SIZE) abort();
    return end[arena] - bytes;
}
