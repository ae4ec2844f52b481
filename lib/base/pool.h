/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel regions over one pool of threads per runtime, or over the host's job system.
 *
 * A region is n chunks that idle workers take one by one, so a worker that the system deschedules
 * costs its own chunk and not the region. The calling thread always works too; several host threads
 * may run regions at once. */
#ifndef RMR_POOL_H
#define RMR_POOL_H

#include <stdint.h>

#include "mem.h"

typedef struct rmr_pool rmr_pool;
typedef struct rmr_halt rmr_halt; /* halt.h */

/* One chunk of a region. `worker` < rmr_pool_width() and is unique among the threads inside this
 * region. */
typedef void rmr_chunk_fn(void *arg, uint32_t chunk, uint32_t worker);

typedef void(REMORA_CALL *rmr_host_run_fn)(void *user, uint32_t n,
                                           void(REMORA_CALL *fn)(void *arg, uint32_t i), void *arg);

/* Why a pool has as many threads as it has. */
typedef enum rmr_pool_why {
    RMR_POOL_ASKED,      /* so many were asked for */
    RMR_POOL_CORES,      /* the cores that the process is bound to */
    RMR_POOL_CGROUP,     /* the limit of its cgroup */
    RMR_POOL_NO_THREADS, /* more could not be started */
} rmr_pool_why;

typedef struct rmr_pool_opts {
    uint32_t n_threads;  /* 0: as many as cores may be used; 1: no thread is created */
    rmr_host_run_fn run; /* set: no thread is created, and regions go through the host with at most
                            n_threads parts */
    void *run_user;
    /* May be NULL. Called on each thread of the pool, 1 and on, at its start. */
    void(REMORA_CALL *thread_start)(void *user, uint32_t index);
    void *thread_start_user;
} rmr_pool_opts;

/* A thread that cannot be started means that there are fewer: see rmr_pool_because. */
remora_status rmr_pool_create_with(rmr_mem *mem, const rmr_pool_opts *opts, rmr_pool **out,
                                   remora_error *err);
remora_status rmr_pool_create(rmr_mem *mem, uint32_t n_threads, rmr_host_run_fn run, void *run_user,
                              rmr_pool **out, remora_error *err);
rmr_pool_why rmr_pool_because(const rmr_pool *pool);
void rmr_pool_free(rmr_pool *pool);

uint32_t
rmr_pool_width(const rmr_pool *pool); /* most threads inside one region, the caller included */

/* Run fn for every chunk in [0, n), begun in order; returns when all are done. Never fails and
 * never allocates. Chunks compute, in the library's floating-point mode, so they must not call a
 * hook of the host (memory, log, storage, progress). */
void rmr_pool_run(rmr_pool *pool, uint32_t n, rmr_chunk_fn *fn, void *arg);

/* The same for chunks that may call the host's hooks: each runs in the mode of its thread, and what
 * computes in there enters the library's mode itself. A thread of the pool has the mode that the
 * thread which made the pool had then. */
void rmr_pool_run_hooks(rmr_pool *pool, uint32_t n, rmr_chunk_fn *fn, void *arg);

/* Some chunks of a region, which a worker does together: an item of work. */
typedef void rmr_range_fn(void *arg, uint32_t first, uint32_t n, uint32_t worker);

/* Chunks one by one as such an item: `fn` of a region whose `arg` is this. */
typedef struct rmr_chunks {
    rmr_chunk_fn *fn;
    void *arg;
} rmr_chunks;
void rmr_pool_one_by_one(void *chunks, uint32_t first, uint32_t n, uint32_t worker);

/* A region that will be run soon, whose chunk i reads `bytes` from `first` + i * bytes on. Threads
 * that have to wait meanwhile fetch the beginning of their share of it into their caches. It is
 * advice: nothing is read, and `first` may be gone by then. */
typedef struct rmr_next_region {
    const void *first;
    size_t bytes;
    uint32_t n, most;
} rmr_next_region;

/* The chunks that are left of a region that was stopped. The same region is run again with it, and
 * then does these chunks; with n 0 it does all of them. */
typedef struct rmr_rest {
    uint64_t *span;    /* [rmr_pool_width()] the pool's; the caller sets the memory aside */
    uint32_t n;        /* chunks in there */
    uint64_t chunk_ns; /* the time that a chunk took, or will likely take; 0: not known */
} rmr_rest;

/* A region of n chunks, which are run in ranges of neighbours. Thread t of T starts with its share
 * of every region, the chunks [n * t / T, n * (t + 1) / T), so its data stays in its cache. It
 * takes ranges from the beginning of that share, then steals ranges from the end of the longest
 * remaining share. A range is half of a thread's part of all the chunks left, and `most` at most:
 * ranges become shorter towards the end and all threads finish together. */
typedef struct rmr_region {
    uint32_t n, most;
    rmr_range_fn *fn;
    void *arg;
    const rmr_next_region *next; /* NULL: nothing is known */
    int in_order;                /* chunks are begun in order: all are one share, for everybody */
    int hooks;                   /* chunks may call the host's hooks (rmr_pool_run_hooks) */
    rmr_halt *halt;              /* NULL: nothing stops it */
    rmr_rest *rest;              /* NULL: nothing stops it, and it was not stopped before */
} rmr_region;

/* Run it, or what is left of it. Returns 1 when all chunks are done, 0 when it was stopped: then
 * *r->rest has the others (none: all of them), and no chunk was begun and not done. Never
 * allocates.
 */
int rmr_pool_run_region(rmr_pool *pool, const rmr_region *r);

#endif
