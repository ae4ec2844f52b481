/* SPDX-License-Identifier: Apache-2.0 */
/* A thread with no more stack than the library promises to need (P27). */
#ifndef SMALL_STACK_H
#define SMALL_STACK_H

#include <stddef.h>

/* Run fn(arg) on a thread whose whole stack is 128 kB, with a page below it that nobody may touch;
 * the C library takes its part of it, too. Returns the kilobytes that were used. */
size_t small_stack_run(void *(*fn)(void *arg), void *arg);

#endif
