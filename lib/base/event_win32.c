/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <windows.h>

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
    (void)WaitOnAddress((volatile void *)word, &seen, sizeof seen, INFINITE);
}

void rmr_word_wake(_Atomic uint32_t *word, uint32_t n)
{
    if (n == 1)
        WakeByAddressSingle((void *)word);
    else if (n > 1)
        WakeByAddressAll((void *)word);
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
