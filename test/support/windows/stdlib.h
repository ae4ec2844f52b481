/* SPDX-License-Identifier: Apache-2.0 */
/* What tests use of POSIX and C11 and mingw-w64 lacks. Files have the bytes that are written. */
#ifndef TEST_WINDOWS_STDLIB_H
#define TEST_WINDOWS_STDLIB_H
#pragma GCC system_header /* include_next */

#include_next <stdlib.h>

#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <io.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xmmintrin.h>

static inline int posix_memalign(void **p, size_t align, size_t n)
{
    *p = _aligned_malloc(n, align);
    return *p != NULL ? 0 : ENOMEM;
}

static inline char *posix_mkdtemp(char *path)
{
    return _mktemp(path) != NULL && _mkdir(path) == 0 ? path : NULL;
}
#define mkdtemp posix_mkdtemp

/* Traps of the SSE unit, which computes everything here. */
static inline int posix_feenableexcept(int which)
{
    const unsigned was = _mm_getcsr();
    _mm_setcsr(was & ~((unsigned)(which & FE_ALL_EXCEPT) << 7));
    return (int)(~(was >> 7) & FE_ALL_EXCEPT);
}
#define feenableexcept posix_feenableexcept

enum { _SC_PAGESIZE = 1 };
static inline long posix_sysconf(int what)
{
    (void)what;
    return 4096;
}
#define sysconf posix_sysconf

#define tell posix_tell /* a function of the C library here */
#define mkdir(path, mode) _mkdir(path)

/* Before main(). */
__attribute__((constructor)) static void posix_bytes_stay(void)
{
    _fmode = _O_BINARY;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
}

#endif
