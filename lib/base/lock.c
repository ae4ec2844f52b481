/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include "debug.h"
#include "event.h"
#include "process.h"

/* Others wait: a bit beside the process that has the lock. */
#define WAITED RMR_PROCESS_LIMIT

void rmr_lock_init(rmr_lock *l)
{
    atomic_init(&l->word, 0);
}

/* Take a lock that another thread has. Whoever has waited cannot know whether others still do, so
 * it takes the lock as one that is waited for. */
static int take_slowly(rmr_lock *l, uint32_t me, uint32_t seen)
{
    uint32_t waited = 0;
    for (;;) {
        const uint32_t owner = seen & ~WAITED;
        if (owner != me) { /* free, or its owner is not in this process */
            if (atomic_compare_exchange_weak_explicit(&l->word, &seen, me | waited,
                                                      memory_order_acquire, memory_order_relaxed))
                return owner != 0;
            continue;
        }
        if (!(seen & WAITED) &&
            !atomic_compare_exchange_weak_explicit(&l->word, &seen, seen | WAITED,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue;
        waited = WAITED;
        rmr_word_wait(&l->word, owner | WAITED);
        seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    }
}

int rmr_lock_take(rmr_lock *l)
{
    const uint32_t me = rmr_process();
    uint32_t seen = 0;
    RMR_ASSERT(me > 0 && me < RMR_PROCESS_LIMIT);
    if (atomic_compare_exchange_strong_explicit(&l->word, &seen, me, memory_order_acquire,
                                                memory_order_relaxed))
        return 0;
    return take_slowly(l, me, seen);
}

void rmr_lock_give(rmr_lock *l)
{
    const uint32_t was = atomic_exchange_explicit(&l->word, 0, memory_order_release);
    RMR_ASSERT((was & ~WAITED) == rmr_process());
    if (was & WAITED) rmr_word_wake(&l->word, 1);
}
