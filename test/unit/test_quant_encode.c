/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of rows: exact where it can be, near where it cannot, never a number that is none. */
#include <float.h>
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
#include "sha256.h"

enum { COLS = 1024, ROW_MAX = 4 * COLS + 64 };

/* ---- inputs ---- */

static float uniform(uint64_t *seed) /* -1 to 1 */
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*seed >> 32) * 0x1p-31f;
}

typedef float input(uint64_t *seed, int i);

static float bell(uint64_t *seed, int i)
{
    (void)i;
    float s = 0;
    for (int k = 0; k < 8; k++) s += uniform(seed);
    return 0.01f * s;
}

static float flat(uint64_t *seed, int i)
{
    (void)i;
    return uniform(seed);
}

static float positive(uint64_t *seed, int i)
{
    (void)i;
    return 1 + 0.1f * uniform(seed);
}

static float negative(uint64_t *seed, int i)
{
    return -positive(seed, i);
}

static float constant(uint64_t *seed, int i)
{
    (void)seed, (void)i;
    return 0.3f;
}

static float alone(uint64_t *seed, int i)
{
    (void)seed;
    return i % 256 == 77 ? -3.0f : 0;
}

static float outliers(uint64_t *seed, int i)
{
    return bell(seed, i) * (i % 53 == 0 ? 100 : 1);
}

static float levels(uint64_t *seed, int i) /* sub-blocks of very different size */
{
    return ldexpf(uniform(seed), -(i / 16 % 16) / 2);
}

static float huge(uint64_t *seed, int i)
{
    (void)i;
    return uniform(seed) * FLT_MAX;
}

static float tiny(uint64_t *seed, int i)
{
    (void)i;
    return uniform(seed) * 1e-30f;
}

static float subnormal(uint64_t *seed, int i)
{
    (void)i;
    return uniform(seed) * 1e-40f;
}

static float extremes(uint64_t *seed, int i)
{
    return i % 3 == 0 ? FLT_MAX : i % 3 == 1 ? -FLT_MAX : subnormal(seed, i);
}

static const struct {
    const char *name;
    input *f;
    int bounded; /* within the range of half scales, so that the bounds below hold */
} inputs[] = {{"bell", bell, 1},         {"flat", flat, 1},           {"positive", positive, 1},
              {"negative", negative, 1}, {"constant", constant, 1},   {"alone", alone, 1},
              {"outliers", outliers, 1}, {"levels", levels, 1},       {"huge", huge, 0},
              {"tiny", tiny, 0},         {"subnormal", subnormal, 0}, {"extremes", extremes, 0}};

enum { INPUTS = sizeof inputs / sizeof inputs[0] };

static void fill(float *x, int n, input *f)
{
    uint64_t seed = 7;
    for (int i = 0; i < n; i++) x[i] = f(&seed, i);
}

static double error_of(const float *x, const float *y, const float *w)
{
    double s = 0;
    for (int i = 0; i < COLS; i++) {
        const double d = (double)x[i] - (double)y[i];
        s += d * d * (w != NULL ? (double)w[i] : 1);
    }
    return s;
}

/* ---- plain types ---- */

static uint16_t half_of(rmr_elem e, float x)
{
    uint16_t h;
    rmr_rows_encode(e, &h, &x, 1, 1, NULL);
    return h;
}

/* Every finite value is itself; halfway to the next it goes to the even one; a hair off, not. */
static void halves(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const rmr_elem e = k ? RMR_ELEM_BF16 : RMR_ELEM_F16;
        const unsigned most = k ? 0x7f7f : 0x7bff;
        for (unsigned h = 0; h <= most; h++) {
            float x[2];
            const uint16_t pair[2] = {(uint16_t)h, (uint16_t)(h + 1)};
            rmr_row_decode(e, x, pair, 2);
            assert_int_equal(half_of(e, x[0]), h);
            assert_int_equal(half_of(e, -x[0]), h | 0x8000);
            if (h == most) continue;
            const float mid = 0.5f * x[0] + 0.5f * x[1];
            if (k && h < 0x80) continue; /* halfway is inexact: subnormals of bf16 are f32's */
            assert_int_equal(half_of(e, mid), h + h % 2);
            assert_int_equal(half_of(e, nextafterf(mid, 0)), h);
            assert_int_equal(half_of(e, nextafterf(mid, FLT_MAX)), h + 1);
        }
        assert_int_equal(half_of(e, FLT_MAX), most);
        assert_int_equal(half_of(e, -FLT_MAX), most | 0x8000);
    }
    assert_int_equal(half_of(RMR_ELEM_F16, 65520), 0x7bff);
    assert_int_equal(half_of(RMR_ELEM_F16, 1e-30f), 0);
    assert_int_equal(half_of(RMR_ELEM_F16, -0.0f), 0x8000);
    const float x[2] = {0.1f, -FLT_MAX};
    float y[2];
    rmr_rows_encode(RMR_ELEM_F32, y, x, 1, 2, NULL);
    assert_memory_equal(x, y, 8);
}

/* ---- F8 ---- */

/* In a square whose largest value is 448 the scale is 1. */
static void f8_rounds(void **state)
{
    (void)state;
    static const struct {
        float x;
        unsigned char code;
    } some[] = {{448, 0x7e},    {1.0625f, 0x38}, {1.1875f, 0x3a},       {0.3f, 0x2a},
                {-2.7f, 0xc3},  {17.5f, 0x59},   {0.0009765625f, 0x00}, {0.0014f, 0x01},
                {-0.01f, 0x85}, {-0.0f, 0x80},   {0.015625f, 0x08},     {0.0150f, 0x08},
                {447, 0x7e},    {-448, 0xfe},    {433, 0x7e},           {432, 0x7e},
                {431, 0x7d}};
    enum { N = sizeof some / sizeof some[0] };
    float x[N], scale;
    unsigned char row[N + 4];
    for (int i = 0; i < N; i++) x[i] = some[i].x;
    rmr_rows_encode(RMR_ELEM_F8, row, x, 1, N, NULL);
    memcpy(&scale, row + N, 4);
    assert_true(scale == 1);
    for (int i = 0; i < N; i++) assert_int_equal(row[i], some[i].code);

    float y[256]; /* every code is itself */
    unsigned char all[256 + 8], again[256 + 8];
    const float scales[2] = {1, 0.125f};
    for (int i = 0; i < 256; i++) all[i] = (unsigned char)((i & 127) == 127 ? 126 : i);
    memcpy(all + 256, scales, 8);
    rmr_row_decode(RMR_ELEM_F8, y, all, 256);
    rmr_rows_encode(RMR_ELEM_F8, again, y, 1, 256, NULL);
    assert_memory_equal(all, again, sizeof all);
}

/* A run of rows: one scale for each square, also the narrow one at the end and one of zeros. */
static void f8_squares(void **state)
{
    (void)state;
    enum { ROWS = 128, WIDE = 300, ROW = WIDE + 3 * 4 };
    static float x[ROWS * WIDE], y[WIDE];
    static unsigned char rows[ROWS * ROW + 1];
    uint64_t seed = 3;
    for (int i = 0; i < ROWS * WIDE; i++) x[i] = i % WIDE / 128 == 1 ? 0 : bell(&seed, i);
    x[100 * WIDE + 5] = -9;
    x[17 * WIDE + 299] = 70;
    rows[sizeof rows - 1] = 0xa5;
    rmr_rows_encode(RMR_ELEM_F8, rows, x, ROWS, WIDE, NULL);
    assert_int_equal(rows[sizeof rows - 1], 0xa5);
    const float want[3] = {9.0f / 448, 1, 70.0f / 448};
    for (int r = 0; r < ROWS; r++) {
        const unsigned char *row = rows + (size_t)r * ROW;
        assert_memory_equal(row + WIDE, want, 12);
        assert_true(rmr_row_check(RMR_ELEM_F8, row, WIDE) == UINT64_MAX);
        rmr_row_decode(RMR_ELEM_F8, y, row, WIDE);
        for (int c = 0; c < WIDE; c++) {
            const float v = x[r * WIDE + c], small = want[c / 128] * 0x1p-10f * 1.001f;
            assert_true(fabsf(y[c] - v) <= fmaxf(fabsf(v) * 0x1.001p-4f, small));
        }
    }
}

/* ---- blocks ---- */

/* The largest error of any bounded input, in parts of the largest value of its block, and the
 * relative error of a bell curve. Not laws but what is reached, and a little: a search that gets
 * worse is seen. */
static const struct {
    rmr_elem e;
    double largest, bell;
} bounds[] = {
    {RMR_ELEM_BF16, 0.0039, 0.00166},
    {RMR_ELEM_F16, 0.00049, 0.000214},
    {RMR_ELEM_F32, 0, 0},
    {RMR_ELEM_F8, 0.0393, 0.0268},
    {RMR_ELEM_Q8_0, 0.00588, 0.00465},
    {RMR_ELEM_Q4_0, 0.101, 0.0805},
    {RMR_ELEM_I4, 0.112, 0.0804},
    {RMR_ELEM_IQ4_NL, 0.112, 0.0738},
    {RMR_ELEM_MXFP4, 0.214, 0.116},
    {RMR_ELEM_IQ4_XS, 0.107, 0.074},
    {RMR_ELEM_Q4_K, 0.0746, 0.0684},
    {RMR_ELEM_Q5_K, 0.0391, 0.0331},
    {RMR_ELEM_Q6_K, 0.0227, 0.0162},
    {RMR_ELEM_Q3_K, 0.221, 0.142},
    {RMR_ELEM_Q2_K, 0.387, 0.263},
    {RMR_ELEM_Q4_1, 0.089, 0.0685},
    {RMR_ELEM_Q5_0, 0.0508, 0.0388},
    {RMR_ELEM_Q5_1, 0.0453, 0.0326},
};

static double largest_miss(const float *x, const float *y, uint32_t block)
{
    double worst = 0;
    for (uint32_t i = 0; i < COLS; i += block) {
        double most = 0, miss = 0;
        for (uint32_t k = i; k < i + block; k++) {
            most = fmax(most, fabs((double)x[k]));
            miss = fmax(miss, fabs((double)x[k] - (double)y[k]));
        }
        if (most > 0) worst = fmax(worst, miss / most);
    }
    return worst;
}

static void blocks_are_near(void **state)
{
    (void)state;
    static float x[COLS], y[COLS], z[COLS];
    static unsigned char row[ROW_MAX], again[ROW_MAX];
    for (int k = 0; k < RMR_ELEM_COUNT; k++) {
        const rmr_elem e = bounds[k].e;
        const char *name = rmr_elem_table[e].name;
        const size_t bytes = (size_t)rmr_row_bytes(e, COLS);
        assert_int_equal(e, k);
        for (int i = 0; i < INPUTS; i++) {
            fill(x, COLS, inputs[i].f);
            memset(row, 0xa5, sizeof row);
            rmr_rows_encode(e, row, x, 1, COLS, NULL);
            for (size_t b = bytes; b < sizeof row; b++) assert_int_equal(row[b], 0xa5);
            assert_true(rmr_row_check(e, row, COLS) == UINT64_MAX);
            rmr_row_decode(e, y, row, COLS);
            for (int c = 0; c < COLS; c++)
                if (!isfinite(y[c]))
                    fail_msg("%s, %s: y[%d] = %g", name, inputs[i].name, c, (double)y[c]);
            rmr_rows_encode(e, again, y, 1, COLS, NULL);
            rmr_row_decode(e, z, again, COLS);
            const double first = error_of(x, y, NULL), second = error_of(y, z, NULL);
            if (second > first)
                fail_msg("%s, %s: %g, then %g", name, inputs[i].name, first, second);
            const uint32_t values = rmr_elem_table[e].values, block = values > 1 ? values : 128;
            const double miss = largest_miss(x, y, block);
            if (miss > (inputs[i].bounded ? bounds[k].largest : 1))
                fail_msg("%s, %s: an error of %g of the largest", name, inputs[i].name, miss);
            memset(z, 0, sizeof z);
            const double relative = sqrt(first / error_of(x, z, NULL));
            if (inputs[i].f != bell) continue;
            if (relative > bounds[k].bell) fail_msg("%s: relative error %g", name, relative);
        }
    }
}

static void zeros_stay(void **state)
{
    (void)state;
    static float x[COLS], y[COLS];
    static unsigned char row[ROW_MAX];
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        memset(x, 0, sizeof x);
        x[3] = -0.0f;
        rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, NULL);
        assert_true(rmr_row_check((rmr_elem)e, row, COLS) == UINT64_MAX);
        rmr_row_decode((rmr_elem)e, y, row, COLS);
        for (int c = 0; c < COLS; c++) assert_true(y[c] == 0);

        /* A zero among others, where the type has a code for it. */
        const int book = e == RMR_ELEM_IQ4_NL || e == RMR_ELEM_IQ4_XS;
        if (book || rmr_elem_table[e].scales == 2) continue;
        fill(x, COLS, bell);
        for (int c = 0; c < COLS; c += 3) x[c] = 0;
        rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, NULL);
        rmr_row_decode((rmr_elem)e, y, row, COLS);
        for (int c = 0; c < COLS; c += 3) assert_true(y[c] == 0);
    }
}

/* What has four, five, six bits already is found again. */
static void codes_are_found(void **state)
{
    (void)state;
    static float x[COLS], y[COLS];
    static unsigned char row[ROW_MAX];
    uint64_t seed = 5;
    for (int e = RMR_ELEM_Q8_0; e <= RMR_ELEM_I4; e++) {
        const int low = e == RMR_ELEM_Q8_0 ? -127 : -8;
        for (int c = 0; c < COLS; c++) {
            const float u = uniform(&seed) * (float)-low;
            x[c] = 0.375f * (float)(c % 32 == 9 ? low : (int)u);
        }
        rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, NULL);
        rmr_row_decode((rmr_elem)e, y, row, COLS);
        for (int c = 0; c < COLS; c++) assert_true(x[c] == y[c]);
    }
}

/* ---- importance ---- */

static void importance_counts(void **state)
{
    (void)state;
    static float x[COLS], y[COLS], w[COLS];
    static unsigned char row[ROW_MAX], same[ROW_MAX];
    fill(x, COLS, bell);
    for (int e = RMR_ELEM_Q8_0; e < RMR_ELEM_COUNT; e++) {
        const size_t bytes = (size_t)rmr_row_bytes((rmr_elem)e, COLS);
        for (int c = 0; c < COLS; c++) w[c] = c % 7 == 0 ? 30 : c % 5 == 0 ? 0 : 1;
        rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, NULL);
        rmr_row_decode((rmr_elem)e, y, row, COLS);
        const double without = error_of(x, y, w);
        rmr_rows_encode((rmr_elem)e, same, x, 1, COLS, w);
        rmr_row_decode((rmr_elem)e, y, same, COLS);
        const double with = error_of(x, y, w);
        if (with > 0.98 * without)
            fail_msg("%s: %g with, %g without", rmr_elem_table[e].name, with, without);

        static const float all[] = {0, 1, 1e-40f, 1e38f}; /* equal is equal */
        for (int k = 0; k < 4; k++) {
            for (int c = 0; c < COLS; c++) w[c] = all[k];
            rmr_rows_encode((rmr_elem)e, same, x, 1, COLS, w);
            assert_memory_equal(row, same, bytes);
        }
        for (int c = 0; c < COLS; c++) w[c] = c == 300 ? FLT_MAX : 1e-40f;
        rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, w);
        rmr_row_decode((rmr_elem)e, y, row, COLS);
        for (int c = 0; c < COLS; c++) assert_true(isfinite(y[c]));
    }
}

/* ---- the same everywhere ---- */

/* Digest of what the types [from, end) make of all inputs. */
static void bytes_of(char hex[65], int from, int end)
{
    static float x[COLS], w[COLS];
    static unsigned char row[ROW_MAX];
    rmr_sha256 h;
    unsigned char digest[32];
    uint64_t seed = 11;
    for (int c = 0; c < COLS; c++) w[c] = 1 + uniform(&seed);
    rmr_sha256_init(&h);
    for (int e = from; e < end; e++)
        for (int i = 0; i < INPUTS; i++) {
            fill(x, COLS, inputs[i].f);
            rmr_rows_encode((rmr_elem)e, row, x, 1, COLS, i % 2 ? w : NULL);
            rmr_sha256_add(&h, row, (size_t)rmr_row_bytes((rmr_elem)e, COLS));
        }
    rmr_sha256_end(&h, digest);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void same_bytes_everywhere(void **state)
{
    char hex[65];
    (void)state;
    bytes_of(hex, 0, RMR_ELEM_Q4_1);
    assert_string_equal(hex, "db3dadf7c6a9520a1e0220616ba1eb019d3e231b6c9e5797a238a5345e73d592");
    bytes_of(hex, RMR_ELEM_Q4_1, RMR_ELEM_COUNT); /* the types that came later */
    assert_string_equal(hex, "8662517fe9d3da9eacaa0d02e569631e0e90b8bf90ce63370a47b4410ad0e53e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves),
        cmocka_unit_test(f8_rounds),
        cmocka_unit_test(f8_squares),
        cmocka_unit_test(blocks_are_near),
        cmocka_unit_test(zeros_stay),
        cmocka_unit_test(codes_are_found),
        cmocka_unit_test(importance_counts),
        cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
