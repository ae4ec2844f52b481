/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "thread.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static void *run(void *arg)
{
    const rmr_thread *const t = arg;
    t->fn(t->arg);
    return NULL;
}

int rmr_thread_start(rmr_thread *t, void (*fn)(void *arg), void *arg)
{
    sigset_t all, before;
    pthread_t made;
    t->fn = fn;
    t->arg = arg;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return 0;
    const int e = pthread_create(&made, NULL, run, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0) return 0;
    t->handle = (uintptr_t)made;
    return 1;
}

void rmr_thread_join(rmr_thread *t)
{
    pthread_join((pthread_t)t->handle, NULL);
}

uintptr_t rmr_thread_self(void)
{
    return (uintptr_t)pthread_self();
}
