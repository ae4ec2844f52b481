/* SPDX-License-Identifier: Apache-2.0 */
#include "system.h"

#include <malloc.h>
#include <windows.h>

#include <bcrypt.h>

void *rmr_system_alloc(size_t size, size_t align)
{
    return _aligned_malloc(size, align);
}

void rmr_system_release(void *p)
{
    _aligned_free(p);
}

/* Large pages need a right that users do not have. */
void rmr_wish_huge(void *p, size_t size)
{
    (void)p, (void)size;
}

void rmr_system_memory(uint64_t *total, uint64_t *available)
{
    MEMORYSTATUSEX now = {.dwLength = sizeof now};
    const int known = GlobalMemoryStatusEx(&now) != 0;
    *total = known ? now.ullTotalPhys : 0;
    *available = known ? now.ullAvailPhys : 0;
}

int rmr_system_random(void *p, size_t n)
{
    return BCryptGenRandom(NULL, p, (ULONG)n, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0;
}
