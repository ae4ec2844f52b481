/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "gate.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

enum { HANGS = 120 /* seconds */ };

void gate_init(gate *g)
{
    *g = (gate){
        .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .parent = getpid()};
}

void gate_pass(gate *g)
{
    if (getpid() != g->parent) {
        g->calls_in_child++;
        return;
    }
    pthread_mutex_lock(&g->lock);
    if (g->armed) {
        g->armed = 0;
        g->inside = 1;
        pthread_cond_broadcast(&g->moved);
        while (!g->open) pthread_cond_wait(&g->moved, &g->lock);
    }
    pthread_mutex_unlock(&g->lock);
}

void gate_arm(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->armed = 1;
    g->inside = g->open = 0;
    pthread_mutex_unlock(&g->lock);
}

int gate_wait_inside(gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->inside && !g->open) pthread_cond_wait(&g->moved, &g->lock);
    const int inside = g->inside;
    pthread_mutex_unlock(&g->lock);
    return inside;
}

void gate_let_go(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->armed = 0;
    g->open = 1;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

static void count(gated_mem *m)
{
    if (atomic_fetch_add(&m->passes, 1) + 1 == m->at) gate_pass(&m->gate);
}

void *gated_alloc(void *user, size_t size, size_t align)
{
    count(user);
    void *p = tmem_alloc(&((gated_mem *)user)->mem, size, align);
    count(user);
    return p;
}

void *gated_resize(void *user, void *p, size_t old_size, size_t size, size_t align)
{
    count(user);
    void *q = tmem_resize(&((gated_mem *)user)->mem, p, old_size, size, align);
    count(user);
    return q;
}

void gated_dealloc(void *user, void *p, size_t size, size_t align)
{
    count(user);
    tmem_release(&((gated_mem *)user)->mem, p, size, align);
    count(user);
}

int gate_in_child(void)
{
    int how;
    fflush(NULL);
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        alarm(HANGS);
        return 1;
    }
    REQUIRE(waitpid(pid, &how, 0) == pid);
    REQUIRE(!WIFSIGNALED(how));
    REQUIRE(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    return 0;
}
