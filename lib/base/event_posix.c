/* SPDX-License-Identifier: Apache-2.0 */
/* Where a thread cannot sleep on a word of memory: a lock and a condition for each event. */
#define _POSIX_C_SOURCE 200809L
#include "event.h"

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
