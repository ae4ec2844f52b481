/* SPDX-License-Identifier: Apache-2.0 */
#include "page_table.h"

static remora_status page_new(rmr_page_table *t, const rmr_page *near, rmr_page **out,
                              remora_error *err)
{
    if (t->as_needed) return rmr_page_make(t->pool, t->type, t->page_bytes, out, err);
    *out = rmr_page_take(t->pool, t->type, near);
    return REMORA_OK;
}

/* Take a new page, with the contents of another when any of its first n tokens are to be kept. Rows
 * of one layer lie together, so one copy of the whole page is cheaper than one for each layer. */
static remora_status page_copy(rmr_page_table *t, const rmr_page *from, uint32_t n, rmr_page **out,
                               remora_error *err)
{
    rmr_page *p;
    RMR_TRY(page_new(t, from, &p, err));
    const remora_status st = n > 0 ? rmr_page_copy(t->pool, p, from, err) : REMORA_OK;
    if (st < 0) {
        rmr_page_unref(t->pool, p);
        return st;
    }
    *out = p;
    return REMORA_OK;
}

uint64_t rmr_page_table_own_bytes(uint32_t capacity)
{
    return rmr_pages_for(capacity) * sizeof(rmr_page *);
}

remora_status rmr_page_table_init(rmr_page_table *t, rmr_pages *pool, uint64_t page_bytes,
                                  rmr_kv_type type, uint32_t capacity, int as_needed,
                                  remora_error *err)
{
    *t = (rmr_page_table){
        .pool = pool, .page_bytes = page_bytes, .type = type, .as_needed = as_needed};
    const size_t max = (size_t)rmr_pages_for(capacity),
                 bytes = (size_t)rmr_page_table_own_bytes(capacity);
    rmr_page **pages = rmr_calloc(pool->mem, 1, bytes);
    if (pages == NULL) return rmr_error_nomem(err, "page table", bytes);
    if (!as_needed) {
        const remora_status st =
            rmr_pages_promise(pool, type, page_bytes, max + RMR_PAGE_SPARE, err);
        if (st < 0) {
            rmr_free(pool->mem, pages, bytes);
            return st;
        }
    }
    t->pages = pages;
    t->max = max;
    return REMORA_OK;
}

void rmr_page_table_free(rmr_page_table *t)
{
    if (t->pages == NULL) return;
    rmr_page_table_trim(t, 0);
    if (!t->as_needed) rmr_pages_give_up(t->pool, t->type, t->max + RMR_PAGE_SPARE);
    rmr_free(t->pool->mem, t->pages, t->max * sizeof *t->pages);
    t->pages = NULL;
}

/* Replace shared pages in [from, to) by copies. The old pages stay valid for their other owners. */
static remora_status unshare(rmr_page_table *t, uint64_t from, uint64_t to, remora_error *err)
{
    for (size_t i = (size_t)(from / RMR_PAGE_TOKENS); i < t->n && i * RMR_PAGE_TOKENS < to; i++) {
        if (!rmr_page_shared(t->pages[i])) continue;
        const uint64_t first = (uint64_t)i * RMR_PAGE_TOKENS;
        rmr_page *p;
        RMR_TRY(page_copy(t, t->pages[i], from > first ? (uint32_t)(from - first) : 0, &p, err));
        rmr_page_unref(t->pool, t->pages[i]);
        t->pages[i] = p;
    }
    return REMORA_OK;
}

remora_status rmr_page_table_reserve(rmr_page_table *t, uint64_t from, uint64_t to,
                                     remora_error *err)
{
    const size_t before = t->n;
    RMR_ASSERT(from <= to && from <= (uint64_t)t->n * RMR_PAGE_TOKENS);
    if (rmr_pages_for(to) > t->max)
        RMR_FAIL(err, REMORA_E_FULL, "the capacity of the cache is reached");
    remora_status st = REMORA_OK;
    while (st >= 0 && t->n < rmr_pages_for(to)) {
        const rmr_page *last = t->n > 0 ? t->pages[t->n - 1] : NULL;
        RMR_ASSERT(t->n < t->max);
        st = page_new(t, last, &t->pages[t->n], err);
        if (st >= 0) t->n++;
    }
    if (st >= 0) st = unshare(t, from, to, err);
    if (st < 0) rmr_page_table_trim(t, (uint64_t)before * RMR_PAGE_TOKENS);
    return st;
}

void rmr_page_table_trim(rmr_page_table *t, uint64_t keep)
{
    while (t->n > rmr_pages_for(keep)) rmr_page_unref(t->pool, t->pages[--t->n]);
}

remora_status rmr_page_table_fork(rmr_page_table *dst, const rmr_page_table *src, uint64_t n,
                                  remora_error *err)
{
    const size_t full = (size_t)(n / RMR_PAGE_TOKENS);
    const uint32_t rest = (uint32_t)(n % RMR_PAGE_TOKENS);
    RMR_ASSERT(dst->n == 0 && dst->type == src->type && dst->pool == src->pool &&
               dst->as_needed == src->as_needed);
    RMR_ASSERT(rmr_pages_for(n) <= src->n && rmr_pages_for(n) <= dst->max);
    for (size_t i = 0; i < full; i++) {
        rmr_page_ref(src->pages[i]);
        dst->pages[dst->n++] = src->pages[i];
    }
    if (rest == 0) return REMORA_OK;
    rmr_page *p;
    RMR_TRY(page_copy(dst, src->pages[full], rest, &p, err));
    dst->pages[dst->n++] = p;
    return REMORA_OK;
}

void rmr_page_table_addresses(const rmr_page_table *t, uint64_t n, uint64_t *out)
{
    RMR_ASSERT(rmr_pages_for(n) <= t->n);
    for (size_t i = 0; i < rmr_pages_for(n); i++) out[i] = rmr_page_address(t->pool, t->pages[i]);
}

uint64_t rmr_page_table_bytes(const rmr_page_table *t)
{
    return t->n * t->page_bytes;
}

uint64_t rmr_page_table_shared_bytes(const rmr_page_table *t)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < t->n; i++)
        if (rmr_page_shared(t->pages[i])) bytes += t->page_bytes;
    return bytes;
}

uint64_t rmr_page_table_kept_bytes(const rmr_page_table *t)
{
    if (t->as_needed) return rmr_page_table_bytes(t) - rmr_page_table_shared_bytes(t);
    return (t->max + RMR_PAGE_SPARE) * t->page_bytes;
}
