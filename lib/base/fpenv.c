/* SPDX-License-Identifier: Apache-2.0 */
#include "fpenv.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>

rmr_fpenv rmr_fpenv_enter(void)
{
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80); /* all exceptions masked, nearest, FTZ and DAZ off */
    return saved;
}

void rmr_fpenv_leave(rmr_fpenv saved)
{
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
