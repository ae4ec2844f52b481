/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes where there are some: a signal that nobody sleeps on costs a system call and no lock. */
#define _GNU_SOURCE
#include "event.h"

#if defined(__linux__)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void rmr_event_init(rmr_event *e)
{
    atomic_init(&e->word, 0);
}

void rmr_event_destroy(rmr_event *e)
{
    (void)e;
}

void rmr_word_wait(_Atomic uint32_t *word, uint32_t seen)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void rmr_word_wake(_Atomic uint32_t *word, uint32_t n)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

void rmr_event_wait(rmr_event *e, uint32_t seen)
{
    rmr_word_wait(&e->word, seen);
}

void rmr_event_signal(rmr_event *e, uint32_t n)
{
    atomic_fetch_add(&e->word, 1);
    rmr_word_wake(&e->word, n);
}

#else

#include <sched.h>

void rmr_word_wait(_Atomic uint32_t *word, uint32_t seen)
{
    if (atomic_load(word) == seen) sched_yield();
}

void rmr_word_wake(_Atomic uint32_t *word, uint32_t n)
{
    (void)word, (void)n;
}

void rmr_event_init(rmr_event *e)
{
    atomic_init(&e->word, 0);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
}

void rmr_event_destroy(rmr_event *e)
{
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
}

void rmr_event_wait(rmr_event *e, uint32_t seen)
{
    pthread_mutex_lock(&e->lock);
    while (atomic_load(&e->word) == seen) pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

void rmr_event_signal(rmr_event *e, uint32_t n)
{
    (void)n;
    pthread_mutex_lock(&e->lock);
    atomic_fetch_add(&e->word, 1);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

#endif
