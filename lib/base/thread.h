/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the library's own. */
#ifndef RMR_THREAD_H
#define RMR_THREAD_H

#include <stdint.h>

#include "fpenv.h"

/* One thread. The struct stays where it is until the thread was joined. */
typedef struct rmr_thread {
    uintptr_t handle; /* the system's */
    void (*fn)(void *arg);
    void *arg;
    rmr_fpenv mode; /* of the thread that started it; unused where the system hands that on */
} rmr_thread;

/* Run fn(arg) on a thread of its own, which takes no signals: these are for the host's threads. It
 * begins in the floating-point mode of the caller. 0: the system has no further thread. */
int rmr_thread_start(rmr_thread *t, void (*fn)(void *arg), void *arg);
void rmr_thread_join(rmr_thread *t);

/* The number of the calling thread; no two that live have the same one. */
uintptr_t rmr_thread_self(void);

#endif
