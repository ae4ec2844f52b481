/* SPDX-License-Identifier: Apache-2.0 */
/* An element type that one row adds (more_types.h): its name, coding, tiles and products follow
 * from the row, and are held against the type's definition, which is written down here once more.
 * The library parts of this test are compiled with that row. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "half.h"
#include "inputs.h"
#include "kernels.h"

enum { K = 256, ROWS = 16, M = 5 };
#define TYPE RMR_ELEM_T3_1

static double half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return (double)rmr_f16_to_f32(h);
}

/* The definition: d * code + m. */
static double value(const uint8_t *row, uint32_t k)
{
    const uint8_t *const b = row + (size_t)(k / 32) * 24;
    const uint32_t n = k % 32;
    const int low = b[4 + n % 16] >> (n < 16 ? 0 : 2) & 3, high = b[20 + n / 8] >> n % 8 & 1;
    return half_at(b) * (low + 4 * high) + half_at(b + 2);
}

typedef struct world {
    float x[ROWS * K]; /* what the rows were made of */
    uint8_t rows[ROWS * K / 32 * 24];
    _Alignas(64) uint8_t tile[ROWS * K];
} world;

static int make(void **state)
{
    static world w;
    rng r = {9};
    fill_f32(&r, w.x, ROWS * K);
    rmr_rows_encode(TYPE, w.rows, w.x, ROWS, K, NULL);
    rmr_tile_pack(TYPE, w.tile, w.rows, ROWS, K);
    *state = &w;
    return 0;
}

static void has_a_name(void **state)
{
    (void)state;
    assert_int_equal(rmr_elem_find("T3_1"), TYPE);
    assert_int_equal(rmr_row_bytes(TYPE, K), K / 32 * 24);
    assert_false(rmr_elem_fits(TYPE, 33));
}

/* Rows decode to the definition, to the bit, and lie near the values that they were made of: in a
 * block half of a step away, and a step is the distance of its ends by 7. */
static void is_coded(void **state)
{
    const world *w = *state;
    float out[K];
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint8_t *const row = w->rows + (size_t)i * (K / 32 * 24);
        assert_true(rmr_row_check(TYPE, row, K) == UINT64_MAX);
        rmr_row_decode(TYPE, out, row, K);
        for (uint32_t k = 0; k < K; k++) assert_true(out[k] == (float)value(row, k));
        for (uint32_t b = 0; b < K; b += 32) {
            float least = INFINITY, most = -INFINITY;
            double error = 0;
            for (uint32_t k = b; k < b + 32; k++) {
                const float x = w->x[i * K + k];
                least = fminf(least, x);
                most = fmaxf(most, x);
                error += fabs((double)(x - out[k])) / 32;
            }
            assert_true(error < (double)(most - least) / 14);
        }
    }
}

static void fits_tiles(void **state)
{
    const world *w = *state;
    uint8_t back[sizeof w->rows];
    static float rows[ROWS * K], one[K];
    static uint8_t coded[sizeof w->rows];
    assert_true(rmr_tile_bytes(TYPE, K) <= sizeof w->tile);
    rmr_tile_unpack(TYPE, back, w->tile, ROWS, K);
    assert_memory_equal(back, w->rows, sizeof back);
    rmr_tile_decode(TYPE, rows, w->tile, ROWS, K, coded);
    for (uint32_t i = 0; i < ROWS; i++) {
        rmr_row_decode(TYPE, one, w->rows + (size_t)i * (K / 32 * 24), K);
        assert_memory_equal(rows + (size_t)i * K, one, sizeof one);
    }
}

/* Products of M rows; xq are the rows as the set quantised them. */
static void multiply(const rmr_kernels *set, const world *w, rmr_qline *xq, float *y)
{
    static float x[M * K];
    rng r = {10};
    fill_f32(&r, x, M * K);
    for (uint32_t m = 0; m < M; m++)
        set->integer->quantize(xq + (size_t)m * (K / 32), x + (size_t)m * K, K);
    set->integer->matmul[TYPE](y, ROWS, xq, K / 32 * sizeof *xq, M, w->tile, 0, 1, K, NULL);
}

static void is_multiplied(void **state)
{
    const world *w = *state;
    static rmr_qline xq[M * K / 32];
    static float y[M * ROWS];
    multiply(&rmr_kernels_ref, w, xq, y);
    for (uint32_t i = 0; i < M * ROWS; i++) {
        const uint8_t *const row = w->rows + (size_t)(i % ROWS) * (K / 32 * 24);
        double sum = 0, size = 0;
        for (uint32_t k = 0; k < K; k++) {
            const rmr_qline *const line = xq + i / ROWS * (K / 32) + k / 32;
            const double p = value(row, k) * (double)line->scale * line->q[k % 32];
            sum += p;
            size += fabs(p);
        }
        /* K roundings to 2^-24 of sums that are no larger than the sum of all sizes, minima apart
         */
        assert_true(fabs(sum - (double)y[i]) <= 4 * K * 0x1p-24 * size);
    }
}

#ifdef MORE_TYPES_SET /* a set of vectors that is compiled with the row as well */
extern const rmr_kernels MORE_TYPES_SET;

static void has_the_same_bits_over_vectors(void **state)
{
    const world *w = *state;
    static rmr_qline xq[2][M * K / 32];
    static float y[2][M * ROWS];
#ifdef __x86_64__
    assert_true(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")); /* as CI has */
#endif
    multiply(&rmr_kernels_ref, w, xq[0], y[0]);
    multiply(&MORE_TYPES_SET, w, xq[1], y[1]);
    assert_memory_equal(xq[0], xq[1], sizeof xq[0]);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_a_name),
        cmocka_unit_test(is_coded),
        cmocka_unit_test(fits_tiles),
        cmocka_unit_test(is_multiplied),
#ifdef MORE_TYPES_SET
        cmocka_unit_test(has_the_same_bits_over_vectors),
#endif
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
