/* Which kernel sets are built in and which of them this processor and its operating system can run.
 * The question is asked with cpuid directly: the compiler's own helper brings a static constructor
 * (P9). */
#include "kernels.h"

#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* 0: neither, 1: AVX2 with FMA and F16C, 2: also AVX-512 F, BW, VL and DQ, 3: also VNNI. */
static int x86_level(void)
{
    const uint32_t need1 = bit_FMA | bit_F16C | bit_AVX | bit_OSXSAVE;
    const uint32_t need512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    const uint64_t ymm = 0x6, zmm = 0xe6; /* SSE, AVX; opmask and both halves of zmm */
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
    const uint64_t state = enabled_state();
    if ((state & ymm) != ymm) return 0;
    if ((b & need512) != need512 || (state & zmm) != zmm) return 1;
    return c & bit_AVX512VNNI ? 3 : 2;
}
#endif

typedef struct entry {
    const rmr_kernels *set;
    int level;
} entry;

static const entry sets[] = {
    {&rmr_kernels_ref, 0},
#if defined(__x86_64__)
    {&rmr_kernels_avx2, 1},
    {&rmr_kernels_avx512, 2},
    {&rmr_kernels_avx512vnni, 3},
#elif defined(__aarch64__)
    {&rmr_kernels_neon, 0},
#endif
};

const rmr_kernels *rmr_kernels_at(uint32_t i, int *usable)
{
    if (i >= sizeof sets / sizeof *sets) return NULL;
#ifdef __x86_64__
    *usable = sets[i].level <= x86_level();
#else
    *usable = 1;
#endif
    return sets[i].set;
}

const rmr_kernels *rmr_kernels_pick(const char *force)
{
    const rmr_kernels *best = NULL, *set;
    int usable = 0;
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++)
        if (usable && (!force || strcmp(force, set->name) == 0)) best = set;
    return best;
}
