/* SPDX-License-Identifier: Apache-2.0 */
/* A place in a host's hook where another thread waits while this one forks, and children that have
 * to end well. */
#ifndef GATE_H
#define GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tmem.h"

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int armed, inside, open;
    pid_t parent;
    long calls_in_child;
} gate;

void gate_init(gate *g);
void gate_arm(gate *g);
/* The first thread that comes to an armed gate stays there until it is let go. A child does not
 * stop: its passes are counted. */
void gate_pass(gate *g);
/* 0: gate_open() was called, and nobody is inside. */
int gate_wait_inside(gate *g);
void gate_let_go(gate *g); /* and whoever comes later */

/* An allocator with a gate: before and behind each of its calls. */
typedef struct gated_mem {
    tmem mem;
    gate gate;
    atomic_long passes; /* so far */
    long at;     /* the pass that goes through the gate; 0: none */
} gated_mem;

void *gated_alloc(void *user, size_t size, size_t align);
void *gated_resize(void *user, void *p, size_t old_size, size_t size, size_t align);
void gated_dealloc(void *user, void *p, size_t size, size_t align);

/* 1 in the child, which must end with _exit(0); 0 in the parent after such an end. A child that
 * hangs is ended by an alarm, so that it is seen. */
int gate_in_child(void);

#endif
