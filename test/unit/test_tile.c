/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to tiles and back for every type, and the places that tile.h promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tile.h"

enum { MAX_COLS = 1024, MAX_BYTES = RMR_TILE * MAX_COLS * 4 + 64, CANARY = 64 };

static uint8_t rows[MAX_BYTES + 1], back[MAX_BYTES + CANARY];
static _Alignas(64) uint8_t tile[MAX_BYTES + CANARY], again[MAX_BYTES];

static uint32_t seed = 7;

static uint8_t random_byte(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

/* Random rows; those of F8 have their scales in common. */
static uint8_t *fill_rows(rmr_elem e, uint32_t n, uint32_t cols)
{
    uint8_t *const at = rows + 1; /* any alignment */
    const size_t row = (size_t)rmr_row_bytes(e, cols);
    for (size_t i = 0; i < n * row; i++) at[i] = random_byte();
    for (uint32_t r = 1; e == RMR_ELEM_F8 && r < n; r++)
        memcpy(at + r * row + cols, at + cols, row - cols);
    return at;
}

static void there_and_back(rmr_elem e, uint32_t n, uint32_t cols)
{
    const size_t row = (size_t)rmr_row_bytes(e, cols), bytes = (size_t)rmr_tile_bytes(e, cols);
    const uint8_t *const from = fill_rows(e, n, cols);
    memset(tile, 0xa5, sizeof tile);
    memset(back, 0x5a, sizeof back);
    rmr_tile_pack(e, tile, from, n, cols);
    memset(again, 0x3c, bytes);
    rmr_tile_pack(e, again, from, n, cols);
    if (memcmp(again, tile, bytes) != 0)
        fail_msg("%s: %u rows of %u columns leave some of the tile as it was",
                 rmr_elem_table[e].name, n, cols);
    for (size_t i = bytes; i < bytes + CANARY; i++) assert_int_equal(tile[i], 0xa5);
    rmr_tile_unpack(e, back, tile, n, cols);
    for (size_t i = n * row; i < n * row + CANARY; i++) assert_int_equal(back[i], 0x5a);
    if (memcmp(back, from, n * row) != 0)
        fail_msg("%s: %u rows of %u columns come back different", rmr_elem_table[e].name, n, cols);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        const uint32_t step = rmr_elem_table[e].values;
        for (uint32_t n = 1; n <= RMR_TILE; n++)
            for (uint32_t i = 0; i <= 3; i++) there_and_back((rmr_elem)e, n, i * step);
        if (step == 1)
            for (uint32_t cols = 4; cols <= 260; cols += 4)
                there_and_back((rmr_elem)e, RMR_TILE, cols);
        if (step == 1)
            for (uint32_t cols = 1; cols <= 400; cols += 7)
                there_and_back((rmr_elem)e, 1 + cols % RMR_TILE, cols);
    }
}

/* Every byte of a tile is written, what no row fills with zero. */
static void test_missing_rows(void **state)
{
    static uint8_t full[MAX_BYTES];
    (void)state;
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        const uint32_t cols = rmr_elem_table[e].values * 2 + (e < RMR_ELEM_F8 ? 1 : 0);
        const size_t row = (size_t)rmr_row_bytes((rmr_elem)e, cols),
                     bytes = (size_t)rmr_tile_bytes((rmr_elem)e, cols);
        uint8_t *const from = fill_rows((rmr_elem)e, RMR_TILE, cols);
        memset(tile, 0xff, sizeof tile);
        rmr_tile_pack((rmr_elem)e, tile, from, 5, cols);
        /* of F8 the scales belong to the tile, not to a row */
        memset(from + 5 * row, 0, (RMR_TILE - 5) * row);
        memset(full, 0, bytes);
        rmr_tile_pack((rmr_elem)e, full, from, RMR_TILE, cols);
        if (memcmp(tile, full, bytes) != 0)
            fail_msg("%s: missing rows are not zero rows", rmr_elem_table[e].name);
    }
}

/* One bit of a row, and where tile.h says that it goes. */
static void expect_bit(rmr_elem e, uint32_t r, uint32_t byte, uint8_t value, size_t at, uint8_t to)
{
    const uint32_t cols = 256;
    uint8_t *const from = rows + 1;
    memset(from, 0, RMR_TILE * (size_t)rmr_row_bytes(e, cols));
    from[r * rmr_row_bytes(e, cols) + byte] = value;
    rmr_tile_pack(e, tile, from, RMR_TILE, cols);
    for (size_t i = 0; i < rmr_tile_bytes(e, cols); i++)
        if (tile[i] != (i == at ? to : 0))
            fail_msg("%s: byte %zu is %02x", rmr_elem_table[e].name, i, tile[i]);
}

static void test_places(void **state)
{
    (void)state;
    assert_int_equal(rmr_tile_scales(RMR_ELEM_F8, 100), 1600);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q4_K, 512), 16 * 256);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q5_K, 256), 16 * 160);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q6_K, 256), 16 * 192);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q3_K, 256), 16 * 96);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q2_K, 256), 16 * 64);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_MXFP4, 64), 16 * 32);
    assert_int_equal(rmr_tile_scales(RMR_ELEM_Q5_1, 64), 16 * 40);
    /* Q8_0: column 7 of run 1, row 3: group 1, lane 15 */
    expect_bit(RMR_ELEM_Q8_0, 3, 34 + 2 + 7, 0x81, 512 + 64 + 15, 0x81);
    /* Q4_0: column 18 is the high nibble of byte 2: group 4, lane 2, high nibble of vector 0 */
    expect_bit(RMR_ELEM_Q4_0, 0, 2 + 2, 0x90, 2, 0x90);
    expect_bit(RMR_ELEM_Q4_0, 1, 2 + 5, 0x0b, 64 + 4 + 1, 0x0b);
    expect_bit(RMR_ELEM_I4, 2, 18 + 1, 0x3f, 16 * 128 + 32 + 5, 0x3f);
    expect_bit(RMR_ELEM_MXFP4, 9, 17, 0x7e, 16 * 128 + 16 + 9, 0x7e);
    /* IQ4_XS: ls of sub-block 5: high nibble of scales_l[2], bits 10, 11 of scales_h */
    expect_bit(RMR_ELEM_IQ4_XS, 1, 4 + 2, 0xd0, 16 * 128 + 32 + 16 * 1 + 1, 0xd0);
    expect_bit(RMR_ELEM_IQ4_XS, 1, 3, 0x08, 16 * 128 + 32 + 64 + 16 * 1 + 1, 0x20);
    /* Q4_K: the minimum of sub-block 6: high nibble of byte 10, bits 6, 7 of byte 6 */
    expect_bit(RMR_ELEM_Q4_K, 4, 4 + 10, 0xc0, 16 * 128 + 64 + 96 + 16 * 2 + 4, 0xc0);
    expect_bit(RMR_ELEM_Q4_K, 4, 4 + 6, 0x80, 16 * 128 + 64 + 96 + 64 + 4, 0x80);
    expect_bit(RMR_ELEM_Q4_K, 4, 4 + 2, 0xc0, 16 * 128 + 64 + 64 + 4, 0xc0); /* sc of 6 */
    /* Q5_K: the fifth bit of column 32 * 3 + 17 */
    expect_bit(RMR_ELEM_Q5_K, 0, 16 + 17, 0x08, 3 * 320 + 256 + 1, 0x10);
    /* Q6_K: the high bits of column 128 + 64 + 9; the scale of its sub-block */
    expect_bit(RMR_ELEM_Q6_K, 0, 128 + 32 + 9, 0x20, 6 * 384 + 256 + 1, 0x08);
    expect_bit(RMR_ELEM_Q6_K, 7, 192 + 12, 0x80, 16 * 192 + 32 + 12 * 16 + 7, 0x80);
    /* Q3_K: the third bit of column 32 * 5 + 3; sc of sub-block 13 */
    expect_bit(RMR_ELEM_Q3_K, 0, 3, 0x20, 5 * 192 + 128 + 3, 0x01);
    expect_bit(RMR_ELEM_Q3_K, 0, 96 + 5, 0x70, 16 * 96 + 32 + 5 * 16, 0x70);
    expect_bit(RMR_ELEM_Q3_K, 0, 104 + 1, 0xc0, 16 * 96 + 32 + 128 + 16, 0xc0);
    /* Q2_K: minimum of sub-block 8; dmin */
    expect_bit(RMR_ELEM_Q2_K, 15, 8, 0x50, 16 * 64 + 64 + 128 + 15, 0x50);
    expect_bit(RMR_ELEM_Q2_K, 15, 83, 0x3c, 16 * 64 + 32 + 31, 0x3c);
    /* Q4_1: column 18 of the second block; its minimum */
    expect_bit(RMR_ELEM_Q4_1, 0, 20 + 4 + 2, 0x90, 256 + 2, 0x90);
    expect_bit(RMR_ELEM_Q4_1, 3, 20 + 3, 0x42, 16 * 128 + 64 + 32 + 7, 0x42);
    /* Q5_0, Q5_1: the fifth bit of column 22, which is group 5, lane 2; d, m */
    expect_bit(RMR_ELEM_Q5_0, 1, 2 + 2, 0x40, 256 + 4 + 2, 0x20);
    expect_bit(RMR_ELEM_Q5_0, 2, 22 + 1, 0x3f, 16 * 160 + 32 + 5, 0x3f);
    expect_bit(RMR_ELEM_Q5_1, 1, 24 + 4 + 2, 0x40, 320 + 256 + 4 + 2, 0x20);
    expect_bit(RMR_ELEM_Q5_1, 15, 8 + 15, 0x0d, 3 * 64 + 60 + 3, 0x0d);
    expect_bit(RMR_ELEM_Q5_1, 15, 3, 0xbc, 16 * 160 + 32 + 31, 0xbc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_missing_rows),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
