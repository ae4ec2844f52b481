/* SPDX-License-Identifier: Apache-2.0 */
/* The test allocator: counts live blocks and bytes, puts canaries behind every block, checks the
 * size and alignment that come back, and fails the k-th allocation on request. Thread-safe. */
#ifndef TMEM_H
#define TMEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tmem {
    atomic_long calls;   /* allocations asked for so far */
    atomic_long fail_at; /* this call (1-based) and all after it in a row of fail_n fail; 0: none */
    atomic_long fail_n;  /* how many fail: 1 when zero */
    atomic_long blocks;  /* live */
    atomic_llong bytes;  /* live */
    atomic_llong peak;
    atomic_long damage;   /* wrong size, wrong alignment or overwritten canary: must stay 0 */
    atomic_size_t failed; /* bytes of the last allocation that failed on request */
    /* Whether code may go on without a block of this size, as it may without a cache; NULL: it may
     * not without any. */
    int (*is_cache)(size_t size);
} tmem;

void *tmem_alloc(void *user, size_t size, size_t align);
void *tmem_resize(void *user, void *p, size_t old_size, size_t size, size_t align);
void tmem_release(void *user, void *p, size_t size, size_t align);

/* Start a new count with call k failing (0: none). Live blocks are kept. */
void tmem_arm(tmem *t, long k);

/* 1 when a call whose k-th allocation was to fail, if there was one, gave the right answer: no
 * error without a failure, an error with one, but for a cache's. */
int tmem_answer_is_right(const tmem *t, long k, int failed);

/* Run body(arg) with allocation 1, 2, 3, ... failing until a run is not hit. `body` returns a
 * remora_status; every run must have the right answer and leave no block. Returns the number of
 * runs, or -k when run k broke a rule. */
long tmem_sweep(tmem *t, int32_t (*body)(void *arg, tmem *t), void *arg);

#endif
