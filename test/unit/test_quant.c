/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding and checking of rows, against vectors made with ggml's own decoders: byte i of a
 * block is 37 i + 11, then the scales are put in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"
#include "quant.h"

enum { SUPER = 256, BLOCK_MAX = 4 * SUPER };

static void put16(unsigned char *p, unsigned v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
}

/* ---- decoding ---- */

typedef struct vector {
    rmr_elem e;
    int d, dmin; /* offsets of the halves; -1: none */
    double sum, wsum;
    struct {
        int n;
        float y;
    } some[9]; /* ends with n = -1 */
} vector;

static const vector vectors[] = {
    {RMR_ELEM_Q4_0,
     0,
     -1,
     -1.3125,
     -32.375,
     {{0, -0.1875f}, {1, 0.125f}, {15, -0.5f}, {16, -0.1875f}, {17, -0.0625f}, {31, 0}, {-1, 0}}},
    {RMR_ELEM_Q4_1,
     0,
     2,
     16.3125,
     265.4375,
     {{0, 0.96875f}, {1, 0.28125f}, {15, 0.65625f}, {16, 0.59375f}, {31, 0.78125f}, {-1, 0}}},
    {RMR_ELEM_Q5_0,
     0,
     -1,
     0.9375,
     7,
     {{0, 0.5625f}, {7, -0.25f}, {8, -0.9375f}, {16, 0.875f}, {17, 0}, {31, 0.0625f}, {-1, 0}}},
    {RMR_ELEM_Q5_1,
     0,
     2,
     32.5625,
     510.3125,
     {{0, 1.21875f}, {7, 1.40625f}, {8, 0.71875f}, {16, 1.21875f}, {31, 0.34375f}, {-1, 0}}},
    {RMR_ELEM_Q8_0, 0, -1, -11, -505, {{0, 5.3125f}, {1, 7.625f}, {15, -8}, {31, -3}, {-1, 0}}},
    {RMR_ELEM_IQ4_NL,
     0,
     -1,
     -16.0625,
     -432.4375,
     {{0, -2.1875f}, {1, 1.5625f}, {15, -7.9375f}, {31, 0.0625f}, {-1, 0}}},
    {RMR_ELEM_MXFP4,
     -1,
     -1,
     3.125,
     79.75,
     {{0, 0}, {1, 0.75f}, {15, -0.375f}, {16, 0.375f}, {31, 0.75f}, {-1, 0}}},
    {RMR_ELEM_Q2_K,
     80,
     82,
     128.6875,
     15195.625,
     {{0, 2.0625f},
      {15, 1.375f},
      {16, -0.09375f},
      {32, 0.46875f},
      {64, 0.65625f},
      {127, 2.625f},
      {200, 0.5f},
      {255, 0.28125f},
      {-1, 0}}},
    {RMR_ELEM_Q3_K,
     108,
     -1,
     59.875,
     11071.5625,
     {{0, 5.0625f},
      {1, -6.75f},
      {16, -6},
      {32, -1.375f},
      {64, 2.125f},
      {128, 0.125f},
      {191, 5.0625f},
      {255, 2.625f},
      {-1, 0}}},
    {RMR_ELEM_Q4_K,
     0,
     2,
     3402.5,
     473302.5,
     {{0, 19.71875f},
      {1, -1.59375f},
      {32, 0.5f},
      {64, 26.28125f},
      {127, 5.0625f},
      {200, 8.65625f},
      {255, 3.03125f},
      {-1, 0}}},
    {RMR_ELEM_Q5_K,
     0,
     2,
     7263.5,
     1001715.5,
     {{0, 50.71875f},
      {32, 7},
      {33, -0.25f},
      {63, 5},
      {128, 65.4375f},
      {191, 40.3125f},
      {255, 6.78125f},
      {-1, 0}}},
    {RMR_ELEM_Q6_K,
     208,
     -1,
     288.25,
     49026.25,
     {{0, -89.4375f},
      {1, 106},
      {16, -27},
      {32, 14.4375f},
      {64, -190},
      {128, -21.9375f},
      {255, -3.75f},
      {-1, 0}}},
    {RMR_ELEM_IQ4_XS,
     0,
     -1,
     -687.8125,
     -130695.875,
     {{0, 4.0625f},
      {1, -0.0625f},
      {32, 28.4375f},
      {64, 48.75f},
      {128, -36.5625f},
      {200, 71.25f},
      {255, -1},
      {-1, 0}}},
};

static void blocks_of_gguf(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        const vector *t = &vectors[v];
        const uint32_t values = rmr_elem_table[t->e].values, bytes = rmr_elem_table[t->e].bytes;
        unsigned char row[2 * BLOCK_MAX + 1], *b = row + 1; /* two blocks, badly aligned */
        float y[2 * SUPER];
        for (uint32_t i = 0; i < bytes; i++) b[i] = (unsigned char)(37 * i + 11);
        if (t->d >= 0) put16(b + t->d, 0x2c00);
        if (t->dmin >= 0) put16(b + t->dmin, 0x2800);
        if (t->e == RMR_ELEM_MXFP4) b[0] = 0x7d;
        memcpy(b + bytes, b, bytes);
        rmr_row_decode(t->e, y, b, 2 * values);
        double sum = 0, wsum = 0;
        for (uint32_t n = 0; n < values; n++) {
            sum += (double)y[n];
            wsum += (n + 1.0) * (double)y[n];
        }
        if (sum != t->sum || wsum != t->wsum)
            fail_msg("%s: sum %.9g, wsum %.9g", rmr_elem_table[t->e].name, sum, wsum);
        for (int k = 0; k < 9 && t->some[k].n >= 0; k++)
            assert_memory_equal(&y[t->some[k].n], &t->some[k].y, 4);
        assert_memory_equal(y, y + values, values * 4);
    }
}

/* Scale and minimum of each sub-block, read off the values of a block whose codes are all 0 or 1.
 */
static void six_bit_scales(void **state)
{
    (void)state;
    static const unsigned char k4[12] = {0x41, 0x82, 0xc3, 0x04, 0x85, 0x46,
                                         0x07, 0xc8, 0x19, 0x2a, 0x3b, 0x4c};
    static const int sc[8] = {1, 2, 3, 4, 25, 42, 59, 12}, mn[8] = {5, 6, 7, 8, 33, 18, 3, 52};
    unsigned char b[144] = {0};
    float y[SUPER];
    put16(b, 0x3c00);
    put16(b + 2, 0x3c00);
    memcpy(b + 4, k4, 12);
    for (int i = 16; i < 144; i++) b[i] = (unsigned char)(i % 2 ? 0x11 : 0);
    rmr_row_decode(RMR_ELEM_Q4_K, y, b, SUPER);
    for (int n = 0; n < SUPER; n++)
        assert_true(y[n] == (float)((n % 2 ? sc[n / 32] : 0) - mn[n / 32]));

    static const unsigned char q3[12] = {0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb,
                                         0xed, 0x0f, 0x1b, 0xe4, 0x72, 0x9c};
    static const int s3[16] = {17, -29, 5, -25, 9, -5, -19, 31, -14, 4, 22, -8, -22, 28, -2, 0};
    unsigned char c[110];
    memset(c, 0xff, 96); /* codes 3 */
    memcpy(c + 96, q3, 12);
    put16(c + 108, 0x3c00);
    rmr_row_decode(RMR_ELEM_Q3_K, y, c, SUPER);
    for (int n = 0; n < SUPER; n++) assert_true(y[n] == (float)(3 * s3[n / 16]));

    static const unsigned char xs[6] = {0x2d, 0x1b, 0x21, 0x43, 0x65, 0x87};
    static const int ls[8] = {-15, 18, 3, -28, 21, 6, -9, -24};
    unsigned char x[136];
    put16(x, 0x3c00);
    memcpy(x + 2, xs, 6);
    memset(x + 8, 0x88, 128); /* code 8 is 1 */
    rmr_row_decode(RMR_ELEM_IQ4_XS, y, x, SUPER);
    for (int n = 0; n < SUPER; n++) assert_true(y[n] == (float)ls[n / 32]);
}

static void f8_codes(void **state)
{
    (void)state;
    static const struct {
        unsigned char code;
        float y;
    } some[] = {{0x00, 0},
                {0x01, 0.001953125f},
                {0x07, 0.013671875f},
                {0x08, 0.015625f},
                {0x0f, 0.029296875f},
                {0x10, 0.03125f},
                {0x30, 0.5f},
                {0x38, 1},
                {0x39, 1.125f},
                {0x3c, 1.5f},
                {0x40, 2},
                {0x48, 4},
                {0x50, 8},
                {0x6f, 120},
                {0x70, 128},
                {0x77, 240},
                {0x78, 256},
                {0x7d, 416},
                {0x7e, 448},
                {0x80, -0.0f},
                {0x81, -0.001953125f},
                {0xb8, -1},
                {0xfe, -448}};
    const float scale[2] = {1, 0.1f};
    unsigned char row[256 + 8];
    float y[256];
    double sum = 0;
    for (int i = 0; i < 256; i++) row[i] = (unsigned char)i;
    memcpy(row + 256, scale, 8);
    rmr_row_decode(RMR_ELEM_F8, y, row, 256);
    for (int i = 0; i < 0x7f; i++) sum += (double)y[i];
    assert_true(sum == 5407.875);
    assert_true(isnan(y[0x7f]) && isnan(y[0xff]));
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int c = some[i].code;
        const float want = some[i].y * scale[c / 128];
        assert_memory_equal(&y[c], &want, 4);
    }
    unsigned char tail[3 + 4] = {0x38, 0xb8, 0x40}; /* a run that is not whole */
    memcpy(tail + 3, &scale[1], 4);
    rmr_row_decode(RMR_ELEM_F8, y, tail, 3);
    assert_true(y[0] == 0.1f && y[1] == -0.1f && y[2] == 0.2f);
}

static void four_bits(void **state)
{
    (void)state;
    static const float powers[][2] = {{0, 0x1p-128f},  {1, 0x1p-127f}, {2, 0x1p-126f},
                                      {118, 0x1p-10f}, {127, 0x1p-1f}, {128, 1},
                                      {130, 4},        {252, 0x1p124f}};
    float y[32];
    unsigned char mx[17] = {0x80, 0x2b};
    rmr_row_decode(RMR_ELEM_MXFP4, y, mx, 32);
    assert_true(y[0] == -3 && y[16] == 2 && y[1] == 0);
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
        mx[0] = (unsigned char)powers[i][0];
        mx[1] = 0x71; /* 1 and 12 */
        rmr_row_decode(RMR_ELEM_MXFP4, y, mx, 32);
        assert_true(y[0] == powers[i][1] && y[16] == 12 * powers[i][1]);
    }

    static const int q[8] = {-8, -1, 0, 7, 3, -4, 1, 2};
    const uint32_t packed = 0xa94bf870; /* element 0 in the lowest nibble */
    unsigned char i4[18] = {0};
    put16(i4, 0x3e80); /* bf16 0.25 */
    for (int j = 0; j < 8; j++) i4[2 + j] = (unsigned char)(packed >> 4 * j & 15);
    rmr_row_decode(RMR_ELEM_I4, y, i4, 32);
    for (int j = 0; j < 8; j++) assert_true(y[j] == 0.25f * (float)q[j]);
    assert_true(y[16] == -2);
}

/* Where the minimum is added: of either sign, minus zero stays one, and scales can be subnormal. */
static void minima_of_32(void **state)
{
    (void)state;
    static const struct {
        unsigned d, m;
        float low, high; /* of the codes 1 and 14, 31 */
    } some[] = {{0x3c00, 0xc800, -7, 6},
                {0xbc00, 0x4200, 2, -11},
                {0x0001, 0x0000, 0x1p-24f, 14 * 0x1p-24f},
                {0x8001, 0x8000, -0x1p-24f, -14 * 0x1p-24f},
                {0x0000, 0x8000, 0, 0},
                {0x8000, 0x8000, -0.0f, -0.0f}};
    float y[32];
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        unsigned char b[20];
        memset(b, 0xe1, sizeof b);
        put16(b, some[i].d);
        put16(b + 2, some[i].m);
        rmr_row_decode(RMR_ELEM_Q4_1, y, b, 32);
        for (int n = 0; n < 16; n++) {
            assert_memory_equal(&y[n], &some[i].low, 4);
            assert_memory_equal(&y[n + 16], &some[i].high, 4);
        }
    }
    unsigned char five[24] = {0};
    put16(five, 0xbc00);
    put16(five + 2, 0x3800);
    five[4 + 2] = 0x08; /* the fifth bit of value 19 */
    five[8 + 3] = 0x70;
    rmr_row_decode(RMR_ELEM_Q5_1, y, five, 32);
    for (int n = 0; n < 32; n++) assert_true(y[n] == (n == 19 ? -22.5f : 0.5f));
    memmove(five + 2, five + 4, 20);
    rmr_row_decode(RMR_ELEM_Q5_0, y, five, 32);
    for (int n = 0; n < 32; n++) assert_true(y[n] == (n == 19 ? -7 : 16));
    five[2 + 2] = 0x0c; /* code 16 times a negative scale */
    rmr_row_decode(RMR_ELEM_Q5_0, y, five, 32);
    const float zero = -0.0f;
    assert_memory_equal(&y[18], &zero, 4);
}

/* ---- checking ---- */

static void check_codes_of_f8(void **state)
{
    (void)state;
    enum { COLS = 1000 };
    unsigned char row[COLS + 8 * 4];
    const uint32_t inf = 0x7f800000, nan = 0xffc00000, most = 0xff7fffff;
    for (uint32_t cols = 1; cols <= COLS; cols += cols < 300 ? 1 : 233) {
        memset(row, 0xfe, sizeof row);
        for (uint32_t s = 0; s < (cols + 127) / 128; s++) memcpy(row + cols + 4 * s, &most, 4);
        assert_true(rmr_row_check(RMR_ELEM_F8, row, cols) == UINT64_MAX);
        const uint32_t last = cols + (cols - 1) / 128 * 4;
        memcpy(row + last, &inf, 4);
        assert_int_equal(rmr_row_check(RMR_ELEM_F8, row, cols), last);
        memcpy(row + last, &nan, 4);
        assert_int_equal(rmr_row_check(RMR_ELEM_F8, row, cols), last);
        row[cols - 1] = 0x7f;
        assert_int_equal(rmr_row_check(RMR_ELEM_F8, row, cols), cols - 1);
        row[cols / 2] = 0xff;
        assert_int_equal(rmr_row_check(RMR_ELEM_F8, row, cols), cols / 2);
    }
}

static void check_scales_of_blocks(void **state)
{
    (void)state;
    static const struct {
        rmr_elem e;
        int at;
        unsigned most, bad;
    } cases[] = {
        {RMR_ELEM_Q8_0, 0, 0x7bff, 0x7c00},   {RMR_ELEM_Q4_0, 0, 0xfbff, 0xfc00},
        {RMR_ELEM_I4, 0, 0x7f7f, 0x7f80},     {RMR_ELEM_I4, 0, 0xff7f, 0xffc1},
        {RMR_ELEM_IQ4_NL, 0, 0x7bff, 0x7c01}, {RMR_ELEM_IQ4_XS, 0, 0x7bff, 0x7e00},
        {RMR_ELEM_Q4_K, 0, 0x7bff, 0x7c00},   {RMR_ELEM_Q4_K, 2, 0x7bff, 0xfc00},
        {RMR_ELEM_Q5_K, 0, 0x7bff, 0x7c00},   {RMR_ELEM_Q5_K, 2, 0x7bff, 0x7fff},
        {RMR_ELEM_Q6_K, 208, 0x7bff, 0x7c00}, {RMR_ELEM_Q3_K, 108, 0x7bff, 0x7c00},
        {RMR_ELEM_Q2_K, 80, 0x7bff, 0x7c00},  {RMR_ELEM_Q2_K, 82, 0x7bff, 0x7c00},
        {RMR_ELEM_MXFP4, 0, 0xfffe, 0xffff},  {RMR_ELEM_Q4_1, 0, 0xfbff, 0xfc00},
        {RMR_ELEM_Q4_1, 2, 0x7bff, 0x7e00},   {RMR_ELEM_Q5_0, 0, 0x7bff, 0x7c00},
        {RMR_ELEM_Q5_1, 0, 0x7bff, 0xffff},   {RMR_ELEM_Q5_1, 2, 0xfbff, 0x7c00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const rmr_elem e = cases[i].e;
        const uint32_t bytes = rmr_elem_table[e].bytes, cols = 3 * rmr_elem_table[e].values;
        unsigned char row[3 * SUPER];
        memset(row, 0xff, sizeof row); /* codes can be anything */
        for (uint32_t b = 0; b < 3; b++) {
            const int other = e == RMR_ELEM_Q2_K ? 162 - cases[i].at : 2 - cases[i].at;
            if (rmr_elem_table[e].scales == 2) put16(row + b * bytes + other, 0x7bff);
            put16(row + b * bytes + cases[i].at, cases[i].most);
        }
        assert_true(rmr_row_check(e, row, cols) == UINT64_MAX);
        put16(row + 2 * bytes + cases[i].at, cases[i].bad);
        assert_int_equal(rmr_row_check(e, row, cols), 2 * bytes + (unsigned)cases[i].at);
        put16(row + cases[i].at, cases[i].bad);
        assert_int_equal(rmr_row_check(e, row, cols), cases[i].at);
    }
}

/* The last value, and then one in front of it, is none; its neighbours are as large as can be. */
static void check_plain_values(void **state)
{
    (void)state;
    enum { COLS = 700 };
    static const struct {
        rmr_elem e;
        uint32_t most, bad;
    } cases[] = {
        {RMR_ELEM_BF16, 0x7f7f, 0x7f80},        {RMR_ELEM_BF16, 0xff7f, 0xff81},
        {RMR_ELEM_BF16, 0x8000, 0x7fff},        {RMR_ELEM_F16, 0x7bff, 0x7c00},
        {RMR_ELEM_F16, 0xfbff, 0xfc00},         {RMR_ELEM_F16, 0x03ff, 0xfe00},
        {RMR_ELEM_F32, 0x7f7fffff, 0x7f800000}, {RMR_ELEM_F32, 0xff7fffff, 0xff800000},
        {RMR_ELEM_F32, 0x007fffff, 0xffc00000}, {RMR_ELEM_F32, 0x7f7fffff, 0x7f800001},
    };
    unsigned char bytes[COLS * 4 + 1], *row = bytes + 1; /* at an odd address */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t size = rmr_elem_size(cases[i].e);
        for (uint32_t c = 0; c < COLS; c++) memcpy(row + c * size, &cases[i].most, size);
        for (uint32_t cols = 1; cols <= COLS; cols += cols < 300 ? 1 : 133) {
            unsigned char *last = row + (cols - 1) * size, *mid = row + cols / 2 * size;
            assert_true(rmr_row_check(cases[i].e, row, cols) == UINT64_MAX);
            memcpy(last, &cases[i].bad, size);
            assert_int_equal(rmr_row_check(cases[i].e, row, cols), last - row);
            memcpy(mid, &cases[i].bad, size);
            assert_int_equal(rmr_row_check(cases[i].e, row, cols), mid - row);
            memcpy(last, &cases[i].most, size);
            memcpy(mid, &cases[i].most, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_gguf),
        cmocka_unit_test(six_bit_scales),
        cmocka_unit_test(f8_codes),
        cmocka_unit_test(four_bits),
        cmocka_unit_test(minima_of_32),
        cmocka_unit_test(check_codes_of_f8),
        cmocka_unit_test(check_scales_of_blocks),
        cmocka_unit_test(check_plain_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
