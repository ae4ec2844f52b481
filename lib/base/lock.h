/* SPDX-License-Identifier: Apache-2.0 */
/* A lock that knows its process, for data that outlives fork().
 *
 * A thread that held the lock when another one called fork() does not exist in the child. There the
 * next one to take the lock gets it, and is told that the data may be half changed: it has whatever
 * was written up to some moment of the section under the lock, in the order of the program.
 * Sections are therefore written so that each prefix of their stores leaves something that can be
 * put right, with rmr_lock_order() between stores whose order matters for that. */
#ifndef RMR_LOCK_H
#define RMR_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct rmr_lock {
    _Atomic uint32_t word; /* 0: free; else the process that has it, and a bit that others wait */
} rmr_lock;

void rmr_lock_init(rmr_lock *l);

/* Returns 1 when a thread held it that fork() has left behind: the data may be half changed. */
int rmr_lock_take(rmr_lock *l);
void rmr_lock_give(rmr_lock *l);

/* Stores before it are made before those behind it, as far as a fork() can see. */
static inline void rmr_lock_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

#endif
