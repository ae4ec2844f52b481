/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: a signal that nobody sleeps on costs a system call and no lock. */
#define _GNU_SOURCE
#include "event.h"

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
