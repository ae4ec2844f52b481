#include "kv.h"

/* Take a new page, with the contents of another when any of its first n tokens are to be kept. Rows
 * of one layer lie together, so one copy of the whole page is cheaper than one for each layer. */
static remora_status page_copy(rmr_kv *kv, const rmr_page *from, uint32_t n, rmr_page **out,
                               remora_error *err)
{
    rmr_page *p = rmr_page_take(kv->pool, kv->type, from);
    const remora_status st = n > 0 ? rmr_page_copy(kv->pool, p, from, err) : REMORA_OK;
    if (st < 0) {
        rmr_page_unref(kv->pool, p);
        return st;
    }
    *out = p;
    return REMORA_OK;
}

remora_status rmr_kv_init(rmr_kv *kv, rmr_pages *pool, uint64_t page_bytes, rmr_kv_type type,
                          uint32_t capacity, remora_error *err)
{
    *kv = (rmr_kv){.pool = pool, .page_bytes = page_bytes, .type = type};
    const size_t max = (size_t)rmr_kv_pages(capacity);
    rmr_page **pages = rmr_calloc(pool->mem, max, sizeof *pages);
    if (pages == NULL) return rmr_error_nomem(err, "page table", max * sizeof *pages);
    const remora_status st = rmr_pages_promise(pool, type, page_bytes, max + RMR_KV_SPARE, err);
    if (st < 0) {
        rmr_free(pool->mem, pages, max * sizeof *pages);
        return st;
    }
    kv->pages = pages;
    kv->max = max;
    return REMORA_OK;
}

void rmr_kv_free(rmr_kv *kv)
{
    if (kv->pages == NULL) return;
    rmr_kv_trim(kv, 0);
    rmr_pages_give_up(kv->pool, kv->type, kv->max + RMR_KV_SPARE);
    rmr_free(kv->pool->mem, kv->pages, kv->max * sizeof *kv->pages);
    kv->pages = NULL;
}

/* Replace shared pages in [from, to) by copies. The old pages stay valid for their other owners. */
static remora_status unshare(rmr_kv *kv, uint64_t from, uint64_t to, remora_error *err)
{
    for (size_t i = (size_t)(from / RMR_PAGE_TOKENS); i < kv->n && i * RMR_PAGE_TOKENS < to; i++) {
        if (!rmr_page_shared(kv->pages[i])) continue;
        const uint64_t first = (uint64_t)i * RMR_PAGE_TOKENS;
        rmr_page *p;
        RMR_TRY(page_copy(kv, kv->pages[i], from > first ? (uint32_t)(from - first) : 0, &p, err));
        rmr_page_unref(kv->pool, kv->pages[i]);
        kv->pages[i] = p;
    }
    return REMORA_OK;
}

remora_status rmr_kv_reserve(rmr_kv *kv, uint64_t from, uint64_t to, remora_error *err)
{
    const size_t before = kv->n;
    if (rmr_kv_pages(to) > kv->max)
        RMR_FAIL(err, REMORA_E_FULL, "the capacity of the cache is reached");
    while (kv->n < rmr_kv_pages(to)) {
        const rmr_page *last = kv->n > 0 ? kv->pages[kv->n - 1] : NULL;
        kv->pages[kv->n++] = rmr_page_take(kv->pool, kv->type, last);
    }
    const remora_status st = unshare(kv, from, to, err);
    if (st < 0) rmr_kv_trim(kv, (uint64_t)before * RMR_PAGE_TOKENS);
    return st;
}

void rmr_kv_trim(rmr_kv *kv, uint64_t keep)
{
    while (kv->n > rmr_kv_pages(keep)) rmr_page_unref(kv->pool, kv->pages[--kv->n]);
}

remora_status rmr_kv_fork(rmr_kv *dst, const rmr_kv *src, uint64_t n, remora_error *err)
{
    const size_t full = (size_t)(n / RMR_PAGE_TOKENS);
    const uint32_t rest = (uint32_t)(n % RMR_PAGE_TOKENS);
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

void rmr_kv_addresses(const rmr_kv *kv, uint64_t n, uint64_t *out)
{
    for (size_t i = 0; i < rmr_kv_pages(n); i++) out[i] = rmr_page_address(kv->pool, kv->pages[i]);
}

uint64_t rmr_kv_bytes(const rmr_kv *kv)
{
    return kv->n * kv->page_bytes;
}

uint64_t rmr_kv_shared_bytes(const rmr_kv *kv)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < kv->n; i++)
        if (rmr_page_shared(kv->pages[i])) bytes += kv->page_bytes;
    return bytes;
}
