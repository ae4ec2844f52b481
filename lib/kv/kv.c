#include "kv.h"

#include <string.h>

struct rmr_page {
    atomic_uint refs;
    rmr_buffer *buffer;
};

uint64_t rmr_kv_page_cost(rmr_backend *be, uint64_t page_bytes)
{
    return be->ops->buffer_bytes(be, page_bytes) + sizeof(rmr_page);
}

static remora_status page_new(rmr_kv *kv, rmr_page **out, remora_error *err)
{
    rmr_page *p = rmr_alloc(kv->mem, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "cache page", sizeof *p);
    atomic_init(&p->refs, 1);
    const remora_status st = kv->be->ops->buffer_create(kv->be, kv->page_bytes, &p->buffer, err);
    if (st < 0) {
        rmr_free(kv->mem, p, sizeof *p);
        return st;
    }
    atomic_fetch_add_explicit(kv->live, kv->page_bytes, memory_order_relaxed);
    *out = p;
    return REMORA_OK;
}

static void page_unref(rmr_kv *kv, rmr_page *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    kv->be->ops->buffer_free(kv->be, p->buffer);
    rmr_free(kv->mem, p, sizeof *p);
    atomic_fetch_sub_explicit(kv->live, kv->page_bytes, memory_order_relaxed);
}

static int page_shared(rmr_page *p)
{
    return atomic_load_explicit(&p->refs, memory_order_acquire) > 1;
}

/* A new page; with the contents of another when any of its first n tokens are to be kept. Rows of
 * one layer lie together, so one copy of the whole page is cheaper than one for each layer. */
static remora_status page_copy(rmr_kv *kv, const rmr_page *from, uint32_t n, rmr_page **out,
                               remora_error *err)
{
    rmr_page *p;
    RMR_TRY(page_new(kv, &p, err));
    if (n > 0) {
        const remora_status st =
            kv->be->ops->buffer_copy(kv->be, p->buffer, 0, from->buffer, 0, kv->page_bytes, err);
        if (st < 0) {
            page_unref(kv, p);
            return st;
        }
    }
    *out = p;
    return REMORA_OK;
}

remora_status rmr_kv_init(rmr_kv *kv, rmr_mem *mem, rmr_backend *be, uint64_t page_bytes,
                          rmr_elem elem, uint32_t capacity, atomic_uint_least64_t *live,
                          remora_error *err)
{
    *kv = (rmr_kv){.mem = mem, .be = be, .page_bytes = page_bytes, .elem = elem, .live = live};
    const size_t max = (size_t)rmr_kv_pages(capacity);
    kv->pages = rmr_calloc(mem, max, sizeof(rmr_page *));
    if (kv->pages == NULL) return rmr_error_nomem(err, "page table", max * sizeof(rmr_page *));
    kv->max = max;
    return REMORA_OK;
}

void rmr_kv_free(rmr_kv *kv)
{
    if (kv->pages == NULL) return;
    rmr_kv_trim(kv, 0);
    rmr_free(kv->mem, kv->pages, kv->max * sizeof(rmr_page *));
    kv->pages = NULL;
}

/* Replace shared pages in [from, to) by copies. The old pages stay valid for their other owners. */
static remora_status unshare(rmr_kv *kv, uint64_t from, uint64_t to, remora_error *err)
{
    for (size_t i = (size_t)(from / RMR_PAGE_TOKENS); i < kv->n && i * RMR_PAGE_TOKENS < to; i++) {
        if (!page_shared(kv->pages[i])) continue;
        const uint64_t first = (uint64_t)i * RMR_PAGE_TOKENS;
        rmr_page *p;
        RMR_TRY(page_copy(kv, kv->pages[i], from > first ? (uint32_t)(from - first) : 0, &p, err));
        page_unref(kv, kv->pages[i]);
        kv->pages[i] = p;
    }
    return REMORA_OK;
}

remora_status rmr_kv_reserve(rmr_kv *kv, uint64_t from, uint64_t to, remora_error *err)
{
    const size_t before = kv->n;
    remora_status st = REMORA_OK;
    if (rmr_kv_pages(to) > kv->max) RMR_FAIL(err, REMORA_E_FULL, "cache capacity reached");
    while (st >= 0 && kv->n < rmr_kv_pages(to)) {
        rmr_page *p;
        st = page_new(kv, &p, err);
        if (st >= 0) kv->pages[kv->n++] = p;
    }
    if (st >= 0) st = unshare(kv, from, to, err);
    if (st < 0) rmr_kv_trim(kv, (uint64_t)before * RMR_PAGE_TOKENS);
    return st;
}

void rmr_kv_trim(rmr_kv *kv, uint64_t keep)
{
    while (kv->n > rmr_kv_pages(keep)) page_unref(kv, kv->pages[--kv->n]);
}

remora_status rmr_kv_fork(rmr_kv *dst, const rmr_kv *src, uint64_t n, remora_error *err)
{
    const size_t full = (size_t)(n / RMR_PAGE_TOKENS);
    const uint32_t rest = (uint32_t)(n % RMR_PAGE_TOKENS);
    for (size_t i = 0; i < full; i++) {
        atomic_fetch_add_explicit(&src->pages[i]->refs, 1, memory_order_relaxed);
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
    for (size_t i = 0; i < rmr_kv_pages(n); i++)
        out[i] = kv->be->ops->buffer_address(kv->pages[i]->buffer);
}

uint64_t rmr_kv_bytes(const rmr_kv *kv)
{
    return kv->n * kv->page_bytes;
}

uint64_t rmr_kv_shared_bytes(const rmr_kv *kv)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < kv->n; i++)
        if (page_shared(kv->pages[i])) bytes += kv->page_bytes;
    return bytes;
}
