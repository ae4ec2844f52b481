/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel sets that are built in, and the choice among those that the processor and its system
 * can run. On x86-64 the question is asked with cpuid directly: the compiler's own helper brings a
 * static constructor (P9). */
#include "kernels.h"

#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#ifdef __x86_64__
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

enum { AVX2 = 1, AVXVNNI = 2, AVX512 = 4, AVX512VNNI = 8, AMX = 16 };

/* The groups of instructions that the processor has and whose registers the operating system saves.
 * AVX2: with FMA and F16C; AVX512: F, BW, VL and DQ; AMX: with INT8. */
static uint32_t features(void)
{
    const uint32_t need1 = bit_FMA | bit_F16C | bit_AVX | bit_OSXSAVE;
    const uint32_t need512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    const uint32_t bit_avx_vnni = 1u << 4;         /* of leaf 7, subleaf 1, eax */
    const uint32_t need_amx = 1u << 24 | 1u << 25; /* TILE and INT8, of leaf 7, edx */
    const uint64_t ymm = 0x6, zmm = 0xe6;          /* SSE, AVX; opmask and both halves of zmm */
    const uint64_t tiles = 0x60000;                /* configuration and data */
    uint32_t a, b, c, d, a1, unused, have = AVX2;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
    const uint64_t state = enabled_state();
    if ((state & ymm) != ymm) return 0;
    if (a >= 1 && __get_cpuid_count(7, 1, &a1, &unused, &unused, &unused) && (a1 & bit_avx_vnni))
        have |= AVXVNNI;
    if ((b & need512) == need512 && (state & zmm) == zmm)
        have |= AVX512 | (c & bit_AVX512VNNI ? AVX512VNNI : 0);
    if ((d & need_amx) == need_amx && (state & tiles) == tiles) have |= AMX;
    return have;
}
/* Linux gives the data of tiles only to processes that ask for it; asking twice does no harm. */
static int may_use_tiles(void)
{
#ifdef __linux__
    const long arch_prctl = 158, req_xcomp_perm = 0x1023, tile_data = 18;
    long status;
    __asm__ volatile("syscall"
                     : "=a"(status)
                     : "a"(arch_prctl), "D"(req_xcomp_perm), "S"(tile_data)
                     : "rcx", "r11", "memory");
    return status == 0;
#else
    return 0;
#endif
}
#elif defined(__aarch64__)
enum { DOTPROD = 1, I8MM = 2 };

/* Linux says what the processor has; elsewhere it is what the compiler may take for granted. */
static uint32_t features(void)
{
    uint32_t have = 0;
#ifdef __linux__
    if (getauxval(AT_HWCAP) & 1ul << 20) have |= DOTPROD;
    if (getauxval(AT_HWCAP2) & 1ul << 13) have |= I8MM;
#else
#ifdef __ARM_FEATURE_DOTPROD
    have |= DOTPROD;
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
    have |= I8MM;
#endif
#endif
    return have;
}
#else
static uint32_t features(void)
{
    return 0;
}
#endif

typedef struct entry {
    const rmr_kernels *set;
    uint32_t need;    /* features */
    int (*ask)(void); /* NULL, or the set is only for those who name it and this must answer 1 */
} entry;

static const entry sets[] = {
    {&rmr_kernels_ref, 0, NULL},
#if defined(__x86_64__)
    {&rmr_kernels_avx2, AVX2, NULL},
#ifdef RMR_AVXVNNI
    {&rmr_kernels_avxvnni, AVX2 | AVXVNNI, NULL},
#endif
    {&rmr_kernels_avx512, AVX512, NULL},
    {&rmr_kernels_avx512vnni, AVX512 | AVX512VNNI, NULL},
#ifdef RMR_AMX
    {&rmr_kernels_amx, AVX512 | AVX512VNNI | AMX, may_use_tiles},
#endif
#elif defined(__aarch64__)
    {&rmr_kernels_neon, 0, NULL},
#ifdef RMR_NEON_DOTPROD
    {&rmr_kernels_neon_dotprod, DOTPROD, NULL},
#endif
#ifdef RMR_NEON_I8MM
    {&rmr_kernels_neon_i8mm, DOTPROD | I8MM, NULL},
#endif
#endif
};

const rmr_kernels *rmr_kernels_at(uint32_t i, int *usable)
{
    if (i >= sizeof sets / sizeof *sets) return NULL;
    *usable = (sets[i].need & ~features()) ? 0 : sets[i].ask ? RMR_KERNELS_BY_NAME : 1;
    return sets[i].set;
}

const rmr_kernels *rmr_kernels_pick(const char *force)
{
    const rmr_kernels *best = NULL, *set;
    int usable = 0;
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        if (force ? strcmp(force, set->name) != 0 : usable != 1) continue;
        if (usable == 1 || (usable == RMR_KERNELS_BY_NAME && sets[i].ask())) best = set;
    }
    return best;
}
