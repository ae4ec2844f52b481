/* SPDX-License-Identifier: Apache-2.0 */
#include "decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fpenv.h"

/* Nine digits tell all floats apart. A double's error in scaling is a hundred thousand times
 * smaller than half of the ninth digit, so digits and float agree even where the last digit could
 * round either way. */
enum { DIGITS = 9 };

static double ten_to(int e)
{
    double p = 1;
    for (int i = e < 0 ? -e : e; i > 0; i--) p *= 10;
    return e < 0 ? 1 / p : p;
}

static size_t put(char *out, const char *text)
{
    const size_t n = strlen(text);
    memcpy(out, text, n + 1);
    return n;
}

static size_t decimal(float f, char out[RMR_DECIMAL_MAX])
{
    const double d = fabs((double)f);
    const int negative = signbit(f) != 0;
    if (isnan(f)) return put(out, "nan");
    if (isinf(f)) return put(out, negative ? "-inf" : "inf");
    if (d == 0) return put(out, negative ? "-0" : "0");
    int e = (int)floor(log10(d)); /* never too large: floats lie too far below powers of ten */
    long long digits = llround(d * ten_to(DIGITS - 1 - e));
    if (digits > 999999999) digits = llround(d * ten_to(DIGITS - 1 - ++e));
    return (size_t)snprintf(out, RMR_DECIMAL_MAX, "%s%d.%08llde%c%02d", negative ? "-" : "",
                            (int)(digits / 100000000), digits % 100000000, e < 0 ? '-' : '+',
                            e < 0 ? -e : e);
}

size_t rmr_decimal(float f, char out[RMR_DECIMAL_MAX])
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const size_t n = decimal(f, out);
    rmr_fpenv_leave(own);
    return n;
}
