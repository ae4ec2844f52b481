/* The cache pages of a model's sessions. Every table promises itself as many pages as it may ever
 * hold when it is made; the pool then has that many in all, in one block a promise, so that taking
 * a page never allocates and never fails. Pages are refcounted and may be in several tables: there
 * are at most as many different ones as promised, so one is always free for who keeps to its
 * promise. A block is given back once it is empty and the promises that are left fit the others. */
#ifndef RMR_PAGES_H
#define RMR_PAGES_H

#include <pthread.h>

#include "backend.h"

typedef struct rmr_page rmr_page;
typedef struct rmr_page_block rmr_page_block;

/* The pages of one size: those of caches of one type. */
typedef struct rmr_page_pool {
    uint64_t page_bytes;
    uint64_t n_pages, n_free, promised;
    rmr_page_block *blocks;
} rmr_page_pool;

typedef struct rmr_pages {
    rmr_mem *mem;
    rmr_backend *be;
    pthread_mutex_t lock;
    rmr_page_pool pool[RMR_KV_TYPES]; /* under the lock */
} rmr_pages;

void rmr_pages_init(rmr_pages *p, rmr_mem *mem, rmr_backend *be);
void rmr_pages_end(rmr_pages *p); /* all promises are given back */

/* n pages of this many bytes can be taken from now on, until they are given up again; page_bytes is
 * always the same for one type. */
remora_status rmr_pages_promise(rmr_pages *p, rmr_kv_type type, uint64_t page_bytes, uint64_t n,
                                remora_error *err);
void rmr_pages_give_up(rmr_pages *p, rmr_kv_type type, uint64_t n);

/* One reference each; take is for who holds fewer pages than were promised to it. `near`, NULL or
 * one it holds: pages of one table are best kept in one block. */
rmr_page *rmr_page_take(rmr_pages *p, rmr_kv_type type, const rmr_page *near);
void rmr_page_ref(rmr_page *page);
void rmr_page_unref(rmr_pages *p, rmr_page *page);
int rmr_page_shared(const rmr_page *page);

uint64_t rmr_page_address(const rmr_pages *p, const rmr_page *page);
remora_status rmr_page_copy(rmr_pages *p, rmr_page *dst, const rmr_page *src, remora_error *err);

/* Bytes of all pages, taken or free. */
uint64_t rmr_pages_bytes(rmr_pages *p);

/* What a promise of n pages costs in all: for the memory estimate. */
uint64_t rmr_pages_cost(rmr_backend *be, uint64_t page_bytes, uint64_t n);

#endif
