/* SPDX-License-Identifier: Apache-2.0 */
/* The cache pages of a model's sessions. When a table is made it promises itself as many pages as
 * it may ever hold; the pool then has that many in all, in one block a promise, so that taking a
 * page never allocates and never fails. Pages are refcounted and may be in several tables: there
 * are at most as many different ones as promised. The invariant: sum(promised) <= n_pages and, for
 * every table, pages taken <= pages promised; so a table that may take a page finds n_free > 0. A
 * block is given back once it is empty and the promises that are left fit the others.
 *
 * A table that takes pages as needed promises itself nothing. Each of its pages is made when it is
 * needed, which can fail, and goes with the last table that has it. Tables share pages with tables
 * of their own kind only, so promised pages are never counted for them. */
#ifndef RMR_PAGES_H
#define RMR_PAGES_H

#include "backend.h"
#include "lock.h"

typedef struct rmr_page rmr_page;
typedef struct rmr_page_block rmr_page_block;

/* The pages of one size: the pages of all caches of one type. */
typedef struct rmr_page_pool {
    uint64_t page_bytes;
    uint64_t n_pages, n_free, promised;
    rmr_page_block *blocks; /* of promised pages */
    uint64_t n_made;        /* pages made as needed */
} rmr_page_pool;

typedef struct rmr_pages {
    rmr_mem *mem;       /* and the host's bytes of buffers are taken from its budget, */
    rmr_budget *device; /* the device's from this one */
    rmr_backend *be;
    uint32_t process; /* that it was made in */
    rmr_lock lock;
    rmr_page_pool pool[RMR_KV_TYPES]; /* under the lock */
} rmr_pages;

/* device: NULL for no ceiling. */
void rmr_pages_init(rmr_pages *p, rmr_mem *mem, rmr_budget *device, rmr_backend *be);
/* All promises are given back, and no page is held; in a child of fork() but for the tables of
 * sessions that another thread was using, whose promised pages go with the rest. */
void rmr_pages_end(rmr_pages *p);

/* Promise n pages of this many bytes: they can be taken from now on, until they are given up again.
 * page_bytes is always the same for one type. */
remora_status rmr_pages_promise(rmr_pages *p, rmr_kv_type type, uint64_t page_bytes, uint64_t n,
                                remora_error *err);
void rmr_pages_give_up(rmr_pages *p, rmr_kv_type type, uint64_t n);

/* Each call takes one reference. Only a table that holds fewer pages than were promised to it may
 * take one. `near` is NULL or a page of the same table: pages of one table are best kept in one
 * block. */
rmr_page *rmr_page_take(rmr_pages *p, rmr_kv_type type, const rmr_page *near);
/* A page that nobody promised, in memory of its own. */
remora_status rmr_page_make(rmr_pages *p, rmr_kv_type type, uint64_t page_bytes, rmr_page **out,
                            remora_error *err);
void rmr_page_ref(rmr_page *page);
void rmr_page_unref(rmr_pages *p, rmr_page *page);
int rmr_page_shared(const rmr_page *page);

uint64_t rmr_page_address(const rmr_pages *p, const rmr_page *page);
remora_status rmr_page_copy(rmr_pages *p, rmr_page *dst, const rmr_page *src, remora_error *err);

/* Bytes of all pages, taken or free. */
rmr_bytes rmr_pages_bytes(rmr_pages *p);

/* All bytes that a promise of n pages takes, or with n = 1 a page that is made: for the memory
 * estimate. */
rmr_bytes rmr_pages_cost(rmr_backend *be, uint64_t page_bytes, uint64_t n);

#endif
