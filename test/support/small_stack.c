/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "small_stack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "sanitizers.h"

/* The thread sanitizer keeps its own state of a thread on the thread's stack, some 900 kB. */
enum { STACK = UNDER_TSAN ? 2 << 20 : 128 << 10 };

size_t small_stack_run(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    pthread_attr_t attr;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *p = mmap(NULL, STACK + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    REQUIRE(p != MAP_FAILED && mprotect(p, page, PROT_NONE) == 0);
    REQUIRE(pthread_attr_init(&attr) == 0);
    REQUIRE(pthread_attr_setstack(&attr, p + page, STACK) == 0);
    REQUIRE(pthread_create(&thread, &attr, fn, arg) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
    size_t untouched = 0;
    while (untouched < STACK && p[page + untouched] == 0) untouched++;
    REQUIRE(munmap(p, STACK + page) == 0);
    return (STACK - untouched) >> 10;
}
