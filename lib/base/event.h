/* SPDX-License-Identifier: Apache-2.0 */
/* A word that threads sleep on until it changes. The thread that changes it also wakes the
 * sleepers: first the change, then the wake. */
#ifndef RMR_EVENT_H
#define RMR_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

/* Linux and Windows let threads sleep on the word itself. */
#if !defined(__linux__) && !defined(_WIN32)
#define RMR_EVENT_LOCKS
#include <pthread.h>
#endif

typedef struct rmr_event {
    _Atomic uint32_t word;
#ifdef RMR_EVENT_LOCKS
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
} rmr_event;

void rmr_event_init(rmr_event *e);
void rmr_event_destroy(rmr_event *e);

/* Sleep while the word is `seen`. May return early. */
void rmr_event_wait(rmr_event *e, uint32_t seen);

/* Change the word and wake at least n threads, or all there are. */
void rmr_event_signal(rmr_event *e, uint32_t n);

/* The same for a word that somebody else changes: sleep while it is `seen`, or for a moment; wake n
 * threads that sleep on it. */
void rmr_word_wait(_Atomic uint32_t *word, uint32_t seen);
void rmr_word_wake(_Atomic uint32_t *word, uint32_t n);

#endif
