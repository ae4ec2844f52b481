/* SPDX-License-Identifier: Apache-2.0 */
#include "fpenv.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>

/* The C library's strtod and printf round as the x87's control word says. */
enum { X87_DEFAULT = 0x37f };

static void set_x87(uint16_t word)
{
    __asm__ volatile("fldcw %0" : : "m"(word));
}

rmr_fpenv rmr_fpenv_enter(void)
{
    const unsigned saved = _mm_getcsr();
    uint16_t x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    _mm_setcsr(0x1f80); /* all exceptions masked, nearest, FTZ and DAZ off */
    if (x87 != X87_DEFAULT) set_x87(X87_DEFAULT);
    return (uint64_t)x87 << 32 | saved;
}

void rmr_fpenv_leave(rmr_fpenv saved)
{
    const uint16_t x87 = (uint16_t)(saved >> 32);
    if (x87 != X87_DEFAULT) set_x87(x87);
    _mm_setcsr((unsigned)saved);
}
#elif defined(__aarch64__)
rmr_fpenv rmr_fpenv_enter(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return saved;
}

void rmr_fpenv_leave(rmr_fpenv saved)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}
#else
rmr_fpenv rmr_fpenv_enter(void)
{
    return 0;
}

void rmr_fpenv_leave(rmr_fpenv saved)
{
    (void)saved;
}
#endif
