/* SPDX-License-Identifier: Apache-2.0 */
/* Floats as text: every one reads back to its own bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decimal.h"

static void comes_back(uint32_t bits)
{
    char text[RMR_DECIMAL_MAX];
    float f, back;
    uint32_t got;
    memcpy(&f, &bits, 4);
    const size_t n = rmr_decimal(f, text);
    assert_int_equal(n, strlen(text));
    assert_true(n < RMR_DECIMAL_MAX);
    back = strtof(text, NULL);
    if (isnan(f)) {
        assert_true(isnan(back));
        return;
    }
    memcpy(&got, &back, 4);
    if (got != bits) fail_msg("%08x is \"%s\", which is %08x", bits, text, got);
}

static void all_kinds_come_back(void **state)
{
    uint64_t x = 1;
    (void)state;
    for (uint32_t exponent = 0; exponent < 256; exponent++) {
        static const uint32_t ends[] = {0, 1, 2, 0x3fffff, 0x400000, 0x7ffffe, 0x7fffff};
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            comes_back(exponent << 23 | ends[i]);
            comes_back(1u << 31 | exponent << 23 | ends[i]);
        }
        for (int i = 0; i < 2000; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            comes_back(exponent << 23 | (uint32_t)(x >> 41));
        }
    }
    float power = 1e-38f;
    for (int i = 0; i < 76; i++, power *= 10) { /* beside powers of ten, where digits carry over */
        uint32_t bits;
        memcpy(&bits, &power, 4);
        for (uint32_t d = 0; d < 9; d++) comes_back(bits - 4 + d);
    }
}

static void is_said(float f, const char *expect)
{
    char text[RMR_DECIMAL_MAX];
    rmr_decimal(f, text);
    assert_string_equal(text, expect);
}

static void texts(void **state)
{
    (void)state;
    is_said(0, "0");
    is_said(-0.0f, "-0");
    is_said(1, "1.00000000e+00");
    is_said(-0.1f, "-1.00000001e-01");
    is_said(9.99999999e9f, "1.00000000e+10");
    is_said(1e-23f, "1.00000000e-23"); /* which is 9.9999999982e-24 */
    is_said(INFINITY, "inf");
    is_said(-INFINITY, "-inf");
    is_said(NAN, "nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_kinds_come_back),
                                       cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
