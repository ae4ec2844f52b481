/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of one session: a page table over the model's pages (pages.h).
 *
 * A page holds RMR_PAGE_TOKENS tokens of all layers. A page that may still be written belongs to
 * one table alone: fork shares the full pages and copies the partial one, and reserve() replaces a
 * shared page before it is written (which only a trim into shared history can make necessary). So
 * pages in several tables are read-only. */
#ifndef RMR_PAGE_TABLE_H
#define RMR_PAGE_TABLE_H

#include "pages.h"

enum {
    RMR_PAGE_SPARE = 1
}; /* pages that a table holds for a moment beyond its capacity: a copy of a page, and the page it
      was copied from */

typedef struct rmr_page_table {
    rmr_pages *pool;
    rmr_kv_type type;
    uint64_t page_bytes;
    rmr_page **pages; /* [n] */
    size_t n, max;    /* max: the session's capacity in pages */
    int as_needed;    /* pages are made one by one; else the pool promises `max` of them, and
                         RMR_PAGE_SPARE */
} rmr_page_table;

/* With as_needed the table takes memory for its list of pages alone. */
remora_status rmr_page_table_init(rmr_page_table *t, rmr_pages *pool, uint64_t page_bytes,
                                  rmr_kv_type type, uint32_t capacity, int as_needed,
                                  remora_error *err);
void rmr_page_table_free(rmr_page_table *t);

/* Bytes that a table of that capacity takes itself, without its pages. */
uint64_t rmr_page_table_own_bytes(uint32_t capacity);

/* Make pages for positions [0, to) exist, and those holding [from, to) belong to this table alone.
 * Fails above the capacity (E_FULL) and when the backend cannot copy. It allocates nothing but
 * where pages are made as needed, and then a page can also not be had (E_NOMEM, E_DEVICE_MEM).
 * After a failure the table is as before, but for copies that took the place of shared pages. */
remora_status rmr_page_table_reserve(rmr_page_table *t, uint64_t from, uint64_t to,
                                     remora_error *err);

/* Drop the pages that hold no position below `keep`. */
void rmr_page_table_trim(rmr_page_table *t, uint64_t keep);

/* dst (just initialised, empty, of the same kind) gets the positions [0, n) of src. */
remora_status rmr_page_table_fork(rmr_page_table *dst, const rmr_page_table *src, uint64_t n,
                                  remora_error *err);

/* Device addresses of the pages holding [0, n): ceil(n / RMR_PAGE_TOKENS) entries. */
void rmr_page_table_addresses(const rmr_page_table *t, uint64_t n, uint64_t *out);

/* The bytes of all pages of the table, and of its pages that are in other tables too. */
uint64_t rmr_page_table_bytes(const rmr_page_table *t);
uint64_t rmr_page_table_shared_bytes(const rmr_page_table *t);
/* The bytes that nobody else can have as long as the table is as it is: the promise made to it, or
 * the pages in no other table. */
uint64_t rmr_page_table_kept_bytes(const rmr_page_table *t);

/* Pages that hold so many tokens. */
static inline uint64_t rmr_pages_for(uint64_t tokens)
{
    return (tokens + RMR_PAGE_TOKENS - 1) / RMR_PAGE_TOKENS;
}

#endif
