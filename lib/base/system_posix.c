/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "system.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

void *rmr_system_alloc(size_t size, size_t align)
{
    void *p = NULL;
    return posix_memalign(&p, align, size) == 0 ? p : NULL;
}

void rmr_system_release(void *p)
{
    free(p);
}

void rmr_wish_huge(void *p, size_t size)
{
#if defined(MADV_HUGEPAGE)
    if (size >= RMR_HUGE_BLOCK) /* failure costs speed */
        (void)madvise(p, size / RMR_HUGE_PAGE * RMR_HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)p, (void)size;
#endif
}

void rmr_system_memory(uint64_t *total, uint64_t *available)
{
    const long page = sysconf(_SC_PAGESIZE), all = sysconf(_SC_PHYS_PAGES);
#ifdef _SC_AVPHYS_PAGES
    const long rest = sysconf(_SC_AVPHYS_PAGES);
#else
    const long rest = 0;
#endif
    *total = page > 0 && all > 0 ? (uint64_t)page * (uint64_t)all : 0;
    *available = page > 0 && rest > 0 ? (uint64_t)page * (uint64_t)rest : 0;
}

int rmr_system_random(void *p, size_t n)
{
#if defined(__linux__)
    return getrandom(p, n, GRND_NONBLOCK) == (ssize_t)n;
#else
    (void)p, (void)n;
    return 0;
#endif
}
