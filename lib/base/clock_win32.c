/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <windows.h>

uint64_t rmr_clock_us(void)
{
    LARGE_INTEGER now, second; /* neither call fails on a system that has WaitOnAddress */
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&second);
    const uint64_t n = (uint64_t)now.QuadPart, of = (uint64_t)second.QuadPart;
    return n / of * 1000000u + n % of * 1000000u / of;
}
