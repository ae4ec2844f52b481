/* SPDX-License-Identifier: Apache-2.0 */
/* What tests use of POSIX's memory, by the calls of Windows: pages of a process's own, and their
 * protection. */
#ifndef TEST_WINDOWS_MMAN_H
#define TEST_WINDOWS_MMAN_H

#include <stddef.h>
#include <stdint.h>

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 4, MAP_NORESERVE = 8 };
#define MAP_FAILED ((void *)(intptr_t)-1)

__declspec(dllimport) void *__stdcall VirtualAlloc(void *at, size_t n, unsigned long how,
                                                   unsigned long protection);
__declspec(dllimport) int __stdcall VirtualFree(void *at, size_t n, unsigned long how);
__declspec(dllimport) int __stdcall VirtualProtect(void *at, size_t n, unsigned long protection,
                                                   unsigned long *before);

static inline unsigned long mman_protection(int protection)
{
    return protection & PROT_WRITE ? 0x04 : protection & PROT_READ ? 0x02 : 0x01;
}

static inline void *mmap(void *at, size_t n, int protection, int flags, int fd, int64_t off)
{
    const unsigned long reserve_and_commit = 0x3000;
    (void)flags, (void)fd, (void)off;
    void *p = VirtualAlloc(at, n, reserve_and_commit, mman_protection(protection));
    return p != NULL ? p : MAP_FAILED;
}

static inline int munmap(void *p, size_t n)
{
    const unsigned long release = 0x8000;
    (void)n;
    return VirtualFree(p, 0, release) ? 0 : -1;
}

static inline int mprotect(void *p, size_t n, int protection)
{
    unsigned long before;
    return VirtualProtect(p, n, mman_protection(protection), &before) ? 0 : -1;
}

#endif
